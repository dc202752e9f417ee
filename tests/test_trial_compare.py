"""The A/B of two plain commands: how often they are called, and what it makes of what they print."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from autoresearch.trial.compare import CommandFailed, Comparison, Sample, compare_commands
from autoresearch.verdict.rule import Rule

# A simulated machine: every call takes the next slot and notes it.
MACHINE = """
import os, random, sys
side, factor = sys.argv[1], float(sys.argv[2])
with open("calls", "a") as file:
    file.write(side + "\\n")
slot = sum(1 for _ in open("calls"))
print("METRIC time_s=%.6f" % (factor * random.Random(slot).gauss(1, 0.01)))
"""


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    (tmp_path / "machine.py").write_text(MACHINE)
    return tmp_path


def command(side: str, factor: float) -> str:
    return f'"{sys.executable}" -S machine.py {side} {factor}'


def compare(where: Path, a: str, b: str, **options: object) -> Comparison:
    settings: dict[str, object] = {"metric": "time_s", "direction": "lower", "rule": Rule(max_runs=24), "seed": 4}
    return compare_commands(a, b, cwd=str(where), **{**settings, **options})  # type: ignore[arg-type]  # free options


def test_one_call_per_run_and_one_warm_up_a_side(machine: Path) -> None:
    heard: list[Sample] = []
    decided, samples, _ = compare(machine, command("A", 1.0), command("B", 0.9), on_sample=heard.append)
    assert (decided.verdict, decided.reason) == ("keep", "proven")
    assert decided.effect_pct == pytest.approx(10, abs=2)
    calls = (machine / "calls").read_text().split()
    assert calls == ["A", "B"] + [sample.side for sample in samples]
    assert heard == samples
    assert decided.runs_used == len(samples)
    assert decided.layout == "fresh"


def test_higher_is_better(machine: Path) -> None:
    decided = compare(machine, command("A", 1.0), command("B", 0.9), direction="higher")
    assert decided.verdict.verdict == "discard"


def test_the_same_seed_gives_the_same_test(machine: Path) -> None:
    first = compare(machine, command("A", 1.0), command("B", 1.0))
    (machine / "calls").unlink()
    again = compare(machine, command("A", 1.0), command("B", 1.0))
    assert first[0] == again[0]
    assert [sample[:4] for sample in first[1]] == [sample[:4] for sample in again[1]]


@pytest.mark.parametrize(("layout", "builds"), [("auto", 5), ("fixed", 1)])
def test_builds_before_every_run_or_once(machine: Path, layout: str, builds: int) -> None:
    decided, samples, _ = compare(
        machine, command("A", 1.0), command("B", 1.0), rule=Rule(max_runs=8), layout=layout,
        build_a="echo a >> builds", build_b="echo b >> builds",
    )  # fmt: skip
    built = (machine / "builds").read_text().split()
    per_side = {side: 1 + sum(sample.side == side for sample in samples) for side in "AB"}
    expected = per_side if layout == "auto" else {"A": 1, "B": 1}
    assert {"A": built.count("a"), "B": built.count("b")} == expected
    assert decided.layout == ("fresh" if layout == "auto" else "fixed")


def test_failures_name_the_side_and_the_step(machine: Path) -> None:
    with pytest.raises(CommandFailed, match="run of B: benchmark exit 3") as raised:
        compare(machine, command("A", 1.0), "echo oops; exit 3")
    assert (raised.value.side, raised.value.tail) == ("B", "oops")
    with pytest.raises(CommandFailed, match="build of A: exit 2"):
        compare(machine, command("A", 1.0), command("B", 1.0), build_a="exit 2")


def test_a_contradicting_candidate_is_discarded(machine: Path) -> None:
    decided, samples, _ = compare(machine, command("A", 1.0), "echo METRIC time_s=1; echo METRIC time_s=2")
    assert (decided.verdict, decided.reason, samples) == ("discard", "invalid", [])


def test_the_callers_environment_is_kept(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACTOR", "3")
    monkeypatch.setenv("PYTHONHASHSEED", "5")
    look = 'echo "METRIC time_s=$FACTOR"; echo "$PYTHONHASHSEED $AUTORESEARCH_LAYOUT_SEED" >> seeds'
    compare(machine, look, look, rule=Rule(max_runs=4))
    seeds = [line.split() for line in (machine / "seeds").read_text().splitlines()]
    assert {seed[0] for seed in seeds} == {"5"}
    assert len({seed[1] for seed in seeds}) == len(seeds)
    assert "AUTORESEARCH_LAYOUT_SEED" not in os.environ


def test_without_a_metric_the_bases_output_chooses_it(machine: Path) -> None:
    def chosen(a: str, b: str) -> str:
        return compare(machine, a, b, metric=None, rule=Rule(max_runs=4)).metric

    assert chosen("echo METRIC ops=1", "echo METRIC ops=2") == "ops"
    assert chosen("echo METRIC ops=1; echo METRIC time_s=1", "echo METRIC time_s=2") == "time_s"
    with pytest.raises(CommandFailed, match="run of A: it prints several METRICs, choose one with --metric: a, b"):
        chosen("echo METRIC a=1; echo METRIC b=1", "echo METRIC a=1")
    with pytest.raises(CommandFailed, match="run of B: no METRIC ops"):
        chosen("echo METRIC ops=1", "true")


def test_commands_without_a_metric_are_timed_whole(machine: Path) -> None:
    decided, samples, metric = compare(machine, "sleep 0.06", "sleep 0.01", metric=None)
    assert (metric, decided.verdict) == ("wall_s", "keep")
    assert all(sample.value == sample.seconds for sample in samples)
    with pytest.raises(CommandFailed, match="run of B: benchmark exit 3"):
        compare(machine, "true", "exit 3", metric=None)
    with pytest.raises(CommandFailed, match="run of B: it prints METRIC lines, the base's first run printed none"):
        compare(machine, "true", "echo METRIC time_s=0", metric=None)
