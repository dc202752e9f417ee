"""The pairs of benchmarks/pairs are whole and say where their truth stands; what a verdict counts for. No network."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "benchmarks" / "real_pairs.py"


def _module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("real_pairs", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["real_pairs"] = module  # dataclasses look their module up
    sys.path.insert(0, str(SCRIPT.parent))
    spec.loader.exec_module(module)
    return module


real_pairs = _module()
sources = sys.modules["pair_sources"]
PAIRS = real_pairs.load_pairs()
ENTRY = {
    "name": "p", "registry": "pypi", "package": "p", "old": "1", "new": "2", "truth": "better", "why": "log: faster",
    "bench": "def work(): pass\n",
}  # fmt: skip


def write(directory: Path, *entries: dict[str, Any]) -> Path:
    (directory / "pairs.yaml").write_text(yaml.safe_dump(list(entries)))
    return directory


def test_every_truth_is_there_and_each_names_its_source() -> None:
    truths = [pair.truth for pair in PAIRS]
    assert truths.count("better") >= 10
    assert truths.count("same") >= 4
    assert truths.count("worse") >= 4
    for pair in PAIRS:
        stated = any(word in pair.why for word in ('"', "twice", "reverse of", "compared", "nothing else"))
        assert stated, pair.name


def test_versions_are_texts() -> None:
    """YAML reads 25.0 as a number, and 3.10 as 3.1."""
    for pair in PAIRS:
        assert all(isinstance(value, str) for value in (pair.old, pair.new, pair.package)), pair.name


def test_same_and_only_same_may_be_one_version() -> None:
    assert all(pair.truth == "same" for pair in PAIRS if pair.old == pair.new)


@pytest.mark.parametrize("pair", [p for p in PAIRS if p.registry == "pypi"], ids=lambda p: p.name)
def test_python_snippets_compile_and_define_work(pair: Any) -> None:
    code = compile(sources.PYTHON_HARNESS.format(bench=pair.bench), pair.name, "exec")
    assert "work" in code.co_names


@pytest.mark.parametrize("pair", [p for p in PAIRS if p.registry == "npm"], ids=lambda p: p.name)
def test_node_snippets_parse(pair: Any, tmp_path: Path) -> None:
    if shutil.which("node") is None:
        pytest.skip("node is not installed: the JavaScript snippets stay unread")
    script = tmp_path / "bench.js"
    script.write_text(sources.NODE_HARNESS.format(bench=pair.bench))
    subprocess.run(["node", "--check", str(script)], check=True)


def test_a_reversed_pair_swaps_versions_and_truth(tmp_path: Path) -> None:
    forward, back = real_pairs.load_pairs(write(tmp_path, {**ENTRY, "reverse": True}))
    assert (forward.old, forward.new, forward.truth) == ("1", "2", "better")
    assert (back.name, back.old, back.new, back.truth) == ("p-reverse", "2", "1", "worse")
    assert back.bench == forward.bench


@pytest.mark.parametrize(
    "change",
    [{"truth": "faster"}, {"registry": "crates"}, {"why": " "}, {"truth": "same", "reverse": True}, {"surprise": 1}],
    ids=str,
)
def test_a_faulty_entry_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="p"):
        real_pairs.load_pairs(write(tmp_path, {**ENTRY, **change}))


def test_a_name_stands_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="two pairs of one name"):
        real_pairs.load_pairs(write(tmp_path, ENTRY, ENTRY))


@pytest.mark.parametrize(
    ("truth", "verdict", "expected"),
    [
        ("better", "keep", "ok"),
        ("better", "discard", "miss"),
        ("same", "keep", "FALSE KEEP"),
        ("same", "discard", "ok"),
        ("worse", "keep", "FALSE KEEP"),
        ("worse", "discard", "ok"),
    ],
)
def test_what_a_verdict_counts_for(truth: str, verdict: str, expected: str) -> None:
    assert real_pairs.outcome(truth, verdict) == expected


@pytest.mark.parametrize(
    ("truth", "verdict", "expected"), [("worse", "keep", 1), ("better", "discard", 0), ("same", "discard", 0)]
)
def test_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], truth: str, verdict: str, expected: int
) -> None:
    answer = {"verdict": verdict, "reason": "r", "effect_pct": 1.0, "ci_low_pct": None, "runs_used": 8}
    monkeypatch.setattr(real_pairs, "stage", lambda pair, cache: {})
    monkeypatch.setattr(real_pairs, "judge", lambda options, seed, layout: answer)
    assert real_pairs.run([real_pairs.Pair(**{**ENTRY, "truth": truth})], None, "auto", 1) == expected
    assert ("FALSE KEEP" in capsys.readouterr().out.splitlines()[1]) == (expected == 1)


def test_a_pair_that_cannot_run_is_said_and_counts_for_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def offline(pair: object, cache: Path) -> dict[str, str]:
        raise real_pairs.Unavailable("no network")

    monkeypatch.setattr(real_pairs, "stage", offline)
    assert real_pairs.run([real_pairs.Pair(**ENTRY)], None, "auto", 1) == 3
    shown = capsys.readouterr().out
    assert "not run: no network" in shown
    assert "Gains kept: 0 of 0" in shown


def test_a_python_pair_is_staged_and_judged_for_real(tmp_path: Path) -> None:
    """Two versions put into the cache by hand: the count of steps says which is better."""
    for version, seconds in (("1", 0.03), ("2", 0.001)):
        home = tmp_path / "pypi" / f"p@{version}"
        home.mkdir(parents=True)
        (home / "p.py").write_text(f"import time\ndef f(): time.sleep({seconds})\n")
    pair = real_pairs.Pair(**{**ENTRY, "bench": "import p\ndef work(): p.f()\n"})
    options = real_pairs.stage(pair, tmp_path)
    assert len(options["a"]) == len(options["b"])
    assert real_pairs.judge(options, 1, "auto")["verdict"] == "keep"
    assert real_pairs.judge(real_pairs.stage(pair.reversed(), tmp_path), 1, "auto")["verdict"] == "discard"


def test_the_c_pair_prints_the_same_from_both_sides(tmp_path: Path) -> None:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler: the layout pair stays unbuilt")
    pair = next(pair for pair in PAIRS if pair.registry == "c")
    options = real_pairs.stage(pair, tmp_path)
    lines = []
    for side in "ab":
        subprocess.run(options[f"build-{side}"], shell=True, check=True)
        done = subprocess.run(options[side], shell=True, check=True, capture_output=True, text=True)
        lines.append(done.stdout.splitlines()[1])
    assert lines[0] == lines[1]
    assert lines[0].startswith("checksum ")
