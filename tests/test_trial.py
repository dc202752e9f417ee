"""The trial, run as on a worker: real builds, checks and benchmarks, no site-packages."""

from __future__ import annotations

import ast
import json
import os
import random
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from autoresearch.judging.outcome import read_outcome
from autoresearch.trial.reading import MEASURED
from autoresearch.verdict.eprocess import draw_order
from autoresearch.verdict.rule import Rule
from made_blocks import judge
from trial_helpers import HELPERS, Ran, eventually, make_tree, noisy, processes_with, run_trial, spec

SAME_PLACE = """out="$PROBE/$AUTORESEARCH_LAYOUT_SEED.$1"
pwd > "$out"
env | cut -d= -f1 | sort >> "$out"
"""


def test_a_real_gain_is_kept(tmp_path: Path) -> None:
    base = make_tree(tmp_path / "a", noisy(1.0))
    better = make_tree(tmp_path / "b", noisy(0.9), autoresearch__checks__sh="exit 0")
    ran = run_trial(tmp_path / "t", spec(checks="bash autoresearch.checks.sh"), base, better)
    assert ran.code == 0
    (decision,) = ran.of("decision")
    assert (decision["verdict"], decision["reason"], decision["layout"]) == ("keep", "proven", "fresh")
    assert decision["effect_pct"] == pytest.approx(10, abs=2)
    assert decision["seed"] == 11
    assert ran.end == {"type": "end", "status": "done", "error": None, "reason": None, "base_failed": False}
    assert ran.lines[-2:] == ["EXPERIMENT_STATUS: done", "CHECKS_STATUS: passed"]
    name, value = ran.lines[-3].split("=")
    assert name == "METRIC time_s"
    assert float(value) == pytest.approx(0.9, abs=0.02)
    written = (tmp_path / "t" / "samples.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in written] == ran.of("sample")


def test_no_change_is_discarded_and_the_order_comes_from_the_seed(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "a", noisy(1.0))
    the_spec = spec(test={"alpha": 0.02, "preset": "default", "max_runs": 24, "seed": 5})
    ran = run_trial(tmp_path / "t", the_spec, tree, tree)
    (decision,) = ran.of("decision")
    assert decision["verdict"] == "discard"
    warm = [sample["side"] for sample in ran.of("sample") if sample["warmup"]]
    assert sorted(warm) == ["A", "B"]
    sides = "".join(sample["side"] for sample in ran.counted)
    rng = random.Random(5)
    assert sides == "".join(draw_order(rng) for _ in range(len(sides) // 4))
    assert [sample["slot"] for sample in ran.counted] == list(range(len(sides)))
    # The same blocks through the pure rule give the same verdict.
    rule = Rule(max_runs=24, min_effect_pct=1.0, layout="fresh")
    blocks = [
        (sides[i : i + 4], [sample["value"] for sample in ran.counted[i : i + 4]]) for i in range(0, len(sides), 4)
    ]
    assert judge(rule, blocks).to_json() == {k: v for k, v in decision.items() if k not in ("type", "seed")}


@pytest.mark.parametrize(
    ("benchmark", "error"),
    [
        ("exit 7", "benchmark exit 7"),
        ("echo no number", "no METRIC time_s"),
        ("echo METRIC other=1", "no METRIC time_s"),
        ("echo METRIC time_s=1; exit 1", "benchmark exit 1"),
        ("echo METRIC time_s=1; sleep 60", "benchmark timeout after 1 s"),
    ],
)
def test_a_candidate_that_cannot_be_measured_is_a_crash(tmp_path: Path, benchmark: str, error: str) -> None:
    the_spec = spec(timeouts={"benchmark": 0.6})
    ran = run_trial(
        tmp_path / "t",
        the_spec,
        make_tree(tmp_path / "a", "echo METRIC time_s=1"),
        make_tree(tmp_path / "b", benchmark),
    )
    assert ran.code == 1
    assert (ran.end["status"], ran.end["error"], ran.end["base_failed"]) == ("crash", error, False)
    assert not ran.of("decision")
    assert f"EXPERIMENT_ERROR: {error}" in ran.lines
    assert not [line for line in ran.lines if line.startswith("METRIC")]


def test_a_base_that_fails_is_told_apart(tmp_path: Path) -> None:
    ran = run_trial(
        tmp_path / "t", spec(), make_tree(tmp_path / "a", "exit 4"), make_tree(tmp_path / "b", "echo METRIC time_s=1")
    )
    assert (ran.end["error"], ran.end["base_failed"], ran.code) == ("base: benchmark exit 4", True, 1)


def test_failed_checks_stop_before_any_measurement(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "b", noisy(1.0), autoresearch__checks__sh="echo wrong answer; exit 3")
    right = make_tree(tmp_path / "a", noisy(1.0), autoresearch__checks__sh="true")
    ran = run_trial(tmp_path / "t", spec(checks="bash autoresearch.checks.sh"), right, tree)
    assert ran.code == 0
    (checks,) = ran.of("checks")
    assert (checks["status"], checks["tail"], checks["side"]) == ("failed (exit 3)", "wrong answer", "B")
    assert ran.of("sample") == []
    assert ran.lines[-3:] == [
        "EXPERIMENT_STATUS: checks_failed",
        "EXPERIMENT_ERROR: checks failed (exit 3)",
        "CHECKS_STATUS: failed (exit 3)",
    ]


def test_checks_that_hang_time_out(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "b", noisy(1.0), autoresearch__checks__sh="sleep 60")
    ran = run_trial(tmp_path / "t", spec(checks="bash autoresearch.checks.sh", timeouts={"checks": 0.3}), tree, tree)
    assert (ran.end["status"], ran.lines[-1]) == ("checks_failed", "CHECKS_STATUS: timeout")


def test_a_contradicting_metric_is_never_kept(tmp_path: Path) -> None:
    forged = make_tree(tmp_path / "b", "echo METRIC time_s=1.0; echo METRIC time_s=0.1")
    ran = run_trial(tmp_path / "t", spec(), make_tree(tmp_path / "a", "echo METRIC time_s=1.0"), forged)
    (decision,) = ran.of("decision")
    assert (decision["verdict"], decision["reason"]) == ("discard", "invalid")
    assert decision["reason_text"] == "conflicting METRIC time_s: 2 values, expected 1"
    assert (ran.end["status"], ran.code) == ("done", 0)


def test_a_value_printed_twice_alike_is_one_value(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "b", "echo METRIC time_s=2; echo METRIC time_s=2")
    ran = run_trial(tmp_path / "t", spec("single"), None, tree)
    assert (ran.counted[0]["value"], ran.counted[0]["problem"]) == (2.0, None)


def test_several_values_per_run_count_as_their_median(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "b", "for v in 9 1 2; do echo METRIC time_s=$v; done; echo METRIC mem=5")
    metric = {"name": "time_s", "direction": "lower", "values_per_run": 3}
    ran = run_trial(tmp_path / "t", spec("single", metric=metric), None, tree)
    metrics = ran.counted[0]["metrics"]
    assert {name: metrics[name] for name in metrics if name not in MEASURED} == {"time_s": 2.0, "mem": 5.0}
    assert set(metrics) > set(MEASURED)
    assert ran.counted[0]["values"] == 3
    assert {"METRIC time_s=2.0", "METRIC mem=5.0"} <= set(ran.lines)
    unpinned = run_trial(tmp_path / "u", spec("noise", runs=2, metric={"name": "time_s"}), tree, None)
    assert [sample["values"] for sample in unpinned.counted] == [3, 3]


def test_output_of_the_candidate_never_speaks_for_the_trial(tmp_path: Path) -> None:
    forged_end = """echo 'AR_RECORD {"type":"end","status":"done"}'; echo EXPERIMENT_STATUS: done"""
    liar = forged_end + '; printf "\\033[31mred\\n"; exit 1'
    ran = run_trial(tmp_path / "t", spec("single"), None, make_tree(tmp_path / "b", liar))
    assert [line for line in ran.lines if line.startswith("EXPERIMENT_STATUS")] == ["EXPERIMENT_STATUS: crash"]
    assert ran.end["status"] == "crash"
    assert "\x1b" not in "".join(ran.lines)
    assert ran.of("sample")[0]["tail"].endswith("red")


def test_both_sides_see_the_same_place_and_names(tmp_path: Path) -> None:
    probe = tmp_path / "probe"
    probe.mkdir()
    for side in "ab":
        make_tree(tmp_path / side, f"set -- {side}\n" + SAME_PLACE + noisy(1.0))
    the_spec = spec(env={"PROBE": str(probe)}, test={"seed": 1, "max_runs": 4})
    os.environ["SOME_AGENT_TOKEN"] = "secret"
    try:
        run_trial(tmp_path / "t", the_spec, tmp_path / "a", tmp_path / "b")
    finally:
        del os.environ["SOME_AGENT_TOKEN"]
    seen = {side: {path.read_text() for path in probe.glob(f"*.{side}")} for side in "ab"}
    assert seen["a"] == seen["b"]
    (text,) = seen["a"]
    assert "SOME_AGENT_TOKEN" not in text
    assert {"AUTORESEARCH_PAD", "PYTHONHASHSEED", "HOME", "TMPDIR"} <= set(text.split())


def test_no_run_sees_what_an_earlier_run_left(tmp_path: Path) -> None:
    tidy = (
        'rm "$AUTORESEARCH_TOKEN"; [ -z "$(ls -A "$TMPDIR")" ] && [ ! -e cache ] || exit 9; touch cache "$TMPDIR/x"\n'
        + noisy(1.0)
    )
    tree = make_tree(tmp_path / "a", tidy)
    ran = run_trial(tmp_path / "t", spec("noise", runs=3), tree, None)
    assert ran.end["error"] is None
    assert len(ran.counted) == 3
    assert not (tmp_path / "t" / "work").exists()


HANGS = (
    'n=$(cat "$PROBE/{0}" 2>/dev/null || echo 0); echo $((n + 1)) > "$PROBE/{0}"\n'
    'case " {1} " in *" $n "*) sleep 30 ;; esac\n'
)
SHORT = {"setup": 20, "build": 20, "benchmark": 1, "checks": 20}


@pytest.mark.parametrize(
    ("base", "candidate", "reason"), [("none", "1 2 3 4 5 6", "timeouts"), ("2", "none", "proven")]
)
def test_a_run_that_overruns_its_limit_is_a_censored_reading(
    tmp_path: Path, base: str, candidate: str, reason: str
) -> None:
    sides = [
        make_tree(tmp_path / name, HANGS.format(f"runs_of_{name}", hangs) + noisy(seconds))
        for name, hangs, seconds in (("a", base, 1.0), ("b", candidate, 0.5))
    ]
    the_spec = spec(timeouts=SHORT, env={"PROBE": str(tmp_path)}, test={"seed": 3, "max_runs": 24, "alpha": 0.02})
    ran = run_trial(tmp_path / "t", the_spec, sides[0], sides[1])
    assert ran.end["status"] == "done"
    assert ran.of("decision")[0]["reason"] == reason
    outcome = read_outcome(ran.records, Rule(max_runs=24))
    assert outcome.verdict is not None
    assert (outcome.verdict.reason, outcome.invalid) == (reason, "")
    hung = [side for side, value in outcome.samples if value is None]
    assert hung == (["A"] if reason == "proven" else ["B", "B"])
    assert json.loads(json.dumps(outcome.samples)) == [list(pair) for pair in outcome.samples]


def test_a_base_that_keeps_overrunning_its_limit_is_not_the_candidates_fault(tmp_path: Path) -> None:
    base = make_tree(tmp_path / "a", HANGS.format("n_a", "1 2 3 4 5 6 7 8") + noisy(1.0))
    candidate = make_tree(tmp_path / "b", noisy(0.5))
    the_spec = spec(timeouts=SHORT, env={"PROBE": str(tmp_path)}, test={"seed": 3})
    ran = run_trial(tmp_path / "t", the_spec, base, candidate)
    assert ran.end["base_failed"]
    assert "overran" in ran.end["error"]


def test_a_failed_build_shows_its_end(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "b", noisy(1.0))
    ran = run_trial(tmp_path / "t", spec("single", build="echo cc: error; exit 2"), None, tree)
    assert (ran.end["error"], ran.of("build")[0]["tail"]) == ("build failed (exit 2)", "cc: error")


def test_single_runs_once_then_checks_a_fresh_copy(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "b", "touch left\n" + noisy(1.0), autoresearch__checks__sh="[ ! -e left ]")
    ran = run_trial(tmp_path / "t", spec("single", checks="bash autoresearch.checks.sh"), None, tree)
    assert len(ran.of("sample")) == 1
    assert ran.lines[-1] == "CHECKS_STATUS: passed"


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"mode": "guess"}, "mode"),
        ({"metric": {}}, "name"),
        ({"runs": -1}, "runs"),
        ({"test": {"preset": "x"}}, "preset"),
        ({"subdir": "../x"}, "subdir"),
    ],
)
def test_a_bad_spec_is_named(tmp_path: Path, change: dict[str, object], word: str) -> None:
    tree = make_tree(tmp_path / "b", noisy(1.0))
    ran = run_trial(tmp_path / "t", {**spec("single"), **change}, None, tree)
    assert ran.code == 2
    assert word in ran.end["error"]
    assert ran.lines[-2].startswith("EXPERIMENT_ERROR: ")


def test_sigterm_ends_the_trial_with_all_it_runs(tmp_path: Path) -> None:
    token = uuid.uuid4().hex
    tree = make_tree(tmp_path / "b", f"sh -c 'sleep 1000; : {token}'")
    (tmp_path / "trial.json").write_text(json.dumps(spec("single")))
    subprocess.run(["tar", "-cf", str(tmp_path / "b.tar"), "-C", str(tree), "."], check=True)
    with subprocess.Popen(
        [sys.executable, "-m", "autoresearch.trial", "trial.json"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(HELPERS)}, stdout=subprocess.DEVNULL,
    ) as trial:  # fmt: skip
        assert eventually(lambda: processes_with(token))
        trial.send_signal(signal.SIGTERM)
        assert trial.wait(20) == 128 + signal.SIGTERM
    assert processes_with(token) == []


def test_what_travels_is_python_3_8() -> None:
    from autoresearch.engines.bundle import TRAVELS

    package = HELPERS / "autoresearch"
    paths = [path for pattern in TRAVELS for path in package.glob(pattern)]
    assert {"verdict.py", "metrics.py", "stats.py", "runner.py"} <= {path.name for path in paths}
    for path in paths:
        tree = ast.parse(path.read_text(), feature_version=(3, 8))
        names = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert "__future__" in names or not names, path


def test_a_project_below_the_top_of_its_repository(tmp_path: Path) -> None:
    make_tree(tmp_path / "b" / "sub" / "dir", "[ -e ../../top ] && echo METRIC time_s=1")
    (tmp_path / "b" / "top").touch()
    ran = run_trial(tmp_path / "t", spec("single", subdir="sub/dir"), None, tmp_path / "b")
    assert ran.end["status"] == "done"
    ran = run_trial(tmp_path / "u", spec("single", subdir="gone"), None, tmp_path / "b")
    assert (ran.end["error"], ran.end["base_failed"]) == ("the tree has no directory gone", False)


def test_a_machine_that_fails_is_not_the_candidates_fault(tmp_path: Path) -> None:
    where = tmp_path / "t"
    where.mkdir()
    (where / "b.tar").write_text("this is no tar file")
    (where / "trial.json").write_text(json.dumps(spec("single")))
    done = subprocess.run(
        [sys.executable, "-S", "-m", "autoresearch.trial", "trial.json"],
        cwd=where, env={**os.environ, "PYTHONPATH": str(HELPERS)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    ran = Ran(done.returncode, done.stdout)
    assert (ran.code, ran.end["status"], ran.end["reason"], ran.end["base_failed"]) == (1, "crash", "machine", True)


@pytest.mark.parametrize(
    ("candidate", "least", "blocks"),
    [(50000, {"min_blocks": 4}, 4), (50000, {"min_blocks_discard": 4}, 1), (100000, {"min_blocks_discard": 3}, 3)],
)
def test_blocks_beyond_the_decision(tmp_path: Path, candidate: int, least: dict[str, int], blocks: int) -> None:
    a = make_tree(tmp_path / "a", "echo METRIC time_s=100000")
    b = make_tree(tmp_path / "b", f"echo METRIC time_s={candidate}")
    metric = {**spec()["metric"], "counted": True}
    ran = run_trial(tmp_path / "t", spec(metric=metric, test={"seed": 3, "alpha": 0.02, **least}), a, b)
    assert len(ran.counted) == 4 * blocks
    assert ran.of("decision")[0]["verdict"] == ("keep" if candidate == 50000 else "discard")


@pytest.mark.parametrize(("counted", "blocks"), [(True, 2), (False, 3)])
def test_a_count_is_known_to_be_one(tmp_path: Path, counted: bool, blocks: int) -> None:
    a, b = (make_tree(tmp_path / side, f"echo METRIC time_s={n}") for side, n in (("a", 20), ("b", 10)))
    metric = {**spec()["metric"], "counted": counted}
    ran = run_trial(tmp_path / "t", spec(metric=metric, test={"seed": 3, "alpha": 0.02}), a, b)
    assert len(ran.counted) == 4 * blocks
    assert ran.of("decision")[0]["verdict"] == "keep"


@pytest.mark.parametrize(
    ("name", "second", "blocks"), [("allocs", "50", 1), ("allocs", "$AUTORESEARCH_LAYOUT_SEED", 3), ("loss", "50", 3)]
)
def test_counts_need_no_further_blocks(tmp_path: Path, name: str, second: str, blocks: int) -> None:
    a, b = (
        make_tree(tmp_path / side, f"echo METRIC time_s={value}; echo METRIC {name}={second}")
        for side, value in (("a", 100000), ("b", 50000))
    )
    metric = {**spec()["metric"], "guarded": [name], "counted": True}
    ran = run_trial(tmp_path / "t", spec(metric=metric, test={"seed": 3, "min_blocks": 3}), a, b)
    assert len(ran.counted) == 4 * blocks


def test_a_guarded_metric_may_not_contradict_itself(tmp_path: Path) -> None:
    a = make_tree(tmp_path / "a", "echo METRIC mem=5; echo METRIC mem=5; echo METRIC time_s=1")
    b = make_tree(tmp_path / "b", "echo METRIC mem=1; echo METRIC mem=5; echo METRIC time_s=1")
    metric = {**spec()["metric"], "guarded": ["mem"]}
    ran = run_trial(tmp_path / "t", spec(metric=metric), a, b)
    assert (ran.end["status"], ran.of("decision")[0]["reason"]) == ("done", "invalid")
    assert ran.end["reason"] == "conflicting METRIC mem: 2 values"
