"""The demo: its project, its prepared candidates, and the whole session played for real."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

DEMO = Path(__file__).resolve().parents[1] / "templates" / "demo"
WINS = ("01", "02")


def _load_play() -> Any:
    spec = importlib.util.spec_from_file_location("demo_play", DEMO / "play.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


play = _load_play()
CANDIDATES = {f"{c.number:02d}": c for c in play.load_candidates()}


def sh(cwd: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    # The interpreter under test is the scripts' python3; git must not look for a repository above.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    given = {**os.environ, "PATH": path, "GIT_CEILING_DIRECTORIES": str(cwd.parent), **env}
    return subprocess.run(words, cwd=cwd, env=given, text=True, capture_output=True, timeout=120)


def apply(tree: Path, number: str) -> None:
    done = sh(tree, "git", "apply", str(CANDIDATES[number].patch))
    assert done.returncode == 0, f"{number} does not apply: {done.stderr}"


def make_tree(where: Path, *numbers: str) -> Path:
    shutil.copytree(DEMO / "project", where, ignore=shutil.ignore_patterns("__pycache__"))
    for number in numbers:
        apply(where, number)
    return where


def contents(tree: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(tree)): path.read_bytes()
        for path in sorted(tree.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def changed(tree: Path, base: Path) -> set[str]:
    now, then = contents(tree), contents(base)
    return {name for name in now.keys() | then.keys() if now.get(name) != then.get(name)}


BESTS: list[tuple[str, ...]] = [(), ("01",), ("02",), ("01", "02")]


@pytest.mark.parametrize(
    ("number", "before"), [(n, best) for n in sorted(CANDIDATES) for best in BESTS if n not in best]
)
def test_a_patch_applies_on_whatever_best_commit_the_session_has(
    tmp_path: Path, number: str, before: tuple[str, ...]
) -> None:
    base = make_tree(tmp_path / "base", *before)
    assert changed(make_tree(tmp_path / "new", *before, number), base)


def test_the_two_wins_give_the_same_program_in_either_order(tmp_path: Path) -> None:
    one = make_tree(tmp_path / "one", "01", "02")
    other = make_tree(tmp_path / "other", "02", "01")
    assert contents(one) == contents(other)


@pytest.mark.parametrize("number", sorted(CANDIDATES))
def test_only_the_cheat_leaves_the_scope(tmp_path: Path, number: str) -> None:
    files = changed(make_tree(tmp_path / "new", number), make_tree(tmp_path / "base"))
    outside = {name for name in files if not name.startswith("src/")}
    assert outside == ({"evaluator/bench.py"} if CANDIDATES[number].because == "refused" else set())


@pytest.mark.parametrize("numbers", [(), ("01", "02"), *((n,) for n in sorted(CANDIDATES))], ids="+".join)
def test_the_build_fails_only_for_the_syntax_error(tmp_path: Path, numbers: tuple[str, ...]) -> None:
    built = sh(make_tree(tmp_path / "p", *numbers), "python3", "-m", "compileall", "-q", "src")
    assert (built.returncode != 0) == (numbers == ("06",))


@pytest.mark.parametrize("numbers", [(), ("01", "02"), *((n,) for n in sorted(CANDIDATES) if n != "06")], ids="+".join)
def test_the_checks_fail_only_for_the_wrong_one(tmp_path: Path, numbers: tuple[str, ...]) -> None:
    done = sh(make_tree(tmp_path / "p", *numbers), "bash", "autoresearch.checks.sh")
    assert (done.returncode != 0) == (numbers == ("05",)), done.stdout + done.stderr


def test_the_placebo_compiles_to_the_same_instructions(tmp_path: Path) -> None:
    programs = []
    for tree in (make_tree(tmp_path / "base"), make_tree(tmp_path / "new", "03")):
        source = (tree / "src/logstat/summary.py").read_text(encoding="utf-8")
        module = compile(source, "summary.py", "exec")
        programs.append(next(c for c in module.co_consts if getattr(c, "co_name", "") == "summarise").co_code)
    assert programs[0] == programs[1]


def test_the_benchmark_prints_one_metric_and_the_fake_one_contradicts_it(tmp_path: Path) -> None:
    from autoresearch.metrics import parse

    honest = sh(make_tree(tmp_path / "base"), "bash", "autoresearch.sh")
    assert honest.returncode == 0, honest.stderr
    assert len(parse(honest.stdout).samples["time_s"]) == 1
    fake = sh(make_tree(tmp_path / "new", "08"), "bash", "autoresearch.sh")
    assert len(set(parse(fake.stdout).samples["time_s"])) > 1


def test_the_logs_do_not_depend_on_the_process(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "p")
    code = "from inputs import make_log; print(make_log(300, 7))"
    outputs = {
        sh(tree, "python3", "-c", code, PYTHONPATH="evaluator", PYTHONHASHSEED=seed).stdout for seed in ("0", "1", "2")
    }
    assert len(outputs) == 1
    assert len(outputs.pop()) > 10_000


def test_the_candidates_show_every_ending() -> None:
    endings = {(c.expected, c.exit, c.because) for c in CANDIDATES.values()}
    assert endings == {
        ("keep", 0, ""),
        ("discard", 1, ""),
        ("checks_failed", 1, ""),
        ("crash", 1, ""),
        ("discard", 5, "refused"),
        ("discard", 1, "invalid"),
    }
    assert tuple(n for n, c in CANDIDATES.items() if c.expected == "keep") == WINS


def test_an_ending_for_another_reason_is_not_as_expected() -> None:
    cheat = play.load_candidates()[6]
    cheat.code, cheat.answer = 5, {"status": "discard", "error": "refused: evaluator/bench.py"}
    assert cheat.as_expected()
    cheat.code = 1
    assert not cheat.as_expected()
    cheat.code, cheat.answer = 5, {"status": "discard", "error": ""}
    assert not cheat.as_expected()


def test_the_demo_takes_no_directory_that_holds_something(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    done = sh(tmp_path, sys.executable, str(DEMO / "play.py"), "--dir", str(tmp_path))
    assert done.returncode == 1
    assert "not empty" in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_whole_demo(tmp_path: Path) -> None:
    home, root = tmp_path / "home", tmp_path / "session"
    home.mkdir()
    done = sh_long(tmp_path, home, root)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    left = [path for path in home.rglob("*") if path.is_file() and ".cache/autoresearch/cores-" not in str(path)]
    assert not left, "the demo wrote more into HOME than the locks of the machine's cores"
    assert "\x1b" not in done.stdout
    assert "the machine meanwhile: load average" in done.stdout

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=root, text=True, capture_output=True, check=True).stdout

    branch = "autoresearch/logstat"
    assert len(git("log", "--format=%H", f"main..{branch}").split()) == len(WINS)
    assert git("symbolic-ref", "HEAD").strip() == "refs/heads/main"
    assert git("diff", "HEAD") == ""
    won = make_tree(tmp_path / "won", *WINS)
    for name in ("parse", "summary", "report"):
        path = f"src/logstat/{name}.py"
        assert git("show", f"{branch}:{path}") == (won / path).read_text(encoding="utf-8")

    lines = [json.loads(line) for line in (root / "autoresearch.jsonl").read_text("utf-8").splitlines()]
    runs = {line["experiment"]: line for line in lines if "run" in line}
    assert runs.pop("baseline")["noise"]["sigma_short_pct"] > 0
    assert {name: run["status"] for name, run in runs.items()} == {
        c.experiment: c.expected for c in CANDIDATES.values()
    }
    kept = runs["e1"]["verdict"], runs["e2"]["verdict"]
    for verdict in kept:
        assert verdict["e_value"] >= verdict["e_needed"]
    assert kept[0]["effect_pct"] > kept[1]["effect_pct"] > 0
    assert "refused" in runs["e7"]["error"]
    assert "invalid" in runs["e8"]["error"]

    document = (root / "autoresearch.md").read_text(encoding="utf-8")
    assert all(c.experiment in document for c in CANDIDATES.values())
    improvements = (root / "IMPROVEMENTS.md").read_text(encoding="utf-8")
    assert all(CANDIDATES[number].facts["title"] in improvements for number in WINS)
    assert CANDIDATES["03"].facts["title"] not in improvements
    assert (root / "autoresearch.svg").is_file() == (importlib.util.find_spec("matplotlib") is not None)


def sh_long(cwd: Path, home: Path, root: Path) -> subprocess.CompletedProcess[str]:
    """The demo as on a bare account: an empty HOME and no git identity."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "XDG_"))}
    env = {**kept, "HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1", "MPLCONFIGDIR": str(cwd / "mpl")}
    return subprocess.run(
        [sys.executable, str(DEMO / "play.py"), "--dir", str(root)],
        cwd=cwd, env=env, text=True, capture_output=True, timeout=800,
    )  # fmt: skip
