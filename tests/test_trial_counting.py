"""Instruction counts as a second opinion, with the real tools of this machine."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from autoresearch.config import parse_config
from autoresearch.judging.outcome import read_outcome
from autoresearch.judging.weighing import weigh
from autoresearch.trial import counting
from autoresearch.verdict.rule import FIXED_LAYOUT_MARGIN_PCT, Rule
from autoresearch.verdict.verdict import Verdict
from trial_helpers import Ran, make_tree, run_trial, spec

TOOL = counting.tool()
needs_counter = pytest.mark.skipif(TOOL is None, reason="neither a working perf nor valgrind is installed")
# Its rate is what `value` says, with five drawn digits behind it; its work is a loop of `n` turns.
BENCHMARK = """i=0; n=$(cat n)
while [ $i -lt $n ]; do i=$((i + 1)); done
echo METRIC score=$(cat value)$((RANDOM % 90000 + 10000))
"""
SCORE = {"name": "score", "direction": "higher", "min_effect_pct": 1.0, "values_per_run": 1}
CONFIG = parse_config("{name: t, objective: {metric: score, direction: higher, unit: ops/s}, scope: [s]}")


def loop(turns: int, where: str) -> int:
    command = f"i=0; while [ $i -lt {turns} ]; do i=$((i + 1)); done; ls / > /dev/null"
    assert TOOL is not None
    subprocess.run(["bash", "-c", counting.wrap(TOOL, command, where)], check=True, capture_output=True)
    found = counting.read(TOOL, where)
    assert found is not None
    return found


@needs_counter
def test_counts_repeat_and_follow_the_work(tmp_path: Path) -> None:
    names = iter("abc")
    one, again, twice = (loop(n, str(tmp_path / next(names))) for n in (2000, 2000, 4000))
    assert one == pytest.approx(again, rel=5e-4)
    assert twice > 1.3 * one


def test_what_no_tool_has_written_counts_nothing(tmp_path: Path) -> None:
    (tmp_path / "x.1").write_text("I refs: many")
    (tmp_path / "x.2").write_text(",,instructions:u,0,100.00,,\n")
    (tmp_path / "x.3").symlink_to("/dev/zero")
    assert counting.read("valgrind", str(tmp_path / "x")) is None
    assert counting.read("perf", str(tmp_path / "x")) is None
    (tmp_path / "x.4").write_text("# started\n\n1234,,instructions:u,5,100.00,,\n")
    assert counting.read("perf", str(tmp_path / "x")) == 1234


def judged(ran: Ran) -> Verdict:
    rule = Rule(direction="higher", margin_pct=FIXED_LAYOUT_MARGIN_PCT, layout="fixed")
    found = weigh(CONFIG, read_outcome(ran.records, rule), rule, 0).verdict
    assert found is not None
    return found


@needs_counter
@pytest.mark.parametrize(("turns", "reason"), [(3000, "same_instructions"), (1500, "proven")])
def test_with_one_build_a_side_a_gain_needs_other_instructions(tmp_path: Path, turns: int, reason: str) -> None:
    base = make_tree(tmp_path / "a", BENCHMARK, n="3000", value="0.05")
    lucky = make_tree(tmp_path / "b", BENCHMARK, n=str(turns), value="0.1")
    limits = {"setup": 20, "build": 20, "benchmark": 300, "checks": 20}
    ran = run_trial(tmp_path / "t", spec(build="true", layout="fixed", timeouts=limits, metric=SCORE), base, lucky)
    (decision,) = ran.of("decision")
    assert (decision["verdict"], decision["reason"], decision["layout"]) == ("keep", "proven", "fixed")
    (counts,) = ran.of("instructions")
    assert counts["tool"] == TOOL
    assert judged(ran).reason == reason
