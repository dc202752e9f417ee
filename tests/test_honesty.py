"""The printed number against the trial's own clock: what is believed, and what has which word."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from autoresearch.config import Objective, parse_config
from autoresearch.judging.honesty import doubt
from autoresearch.judging.outcome import Outcome, Timed, read_outcome
from autoresearch.judging.units import layout_margin_pct, seconds_per_unit
from autoresearch.judging.weighing import weigh
from autoresearch.session.audit import Reading
from autoresearch.verdict.rule import Rule
from driver import REPO
from trial_helpers import make_tree, run_trial, spec

Clock = Callable[[random.Random, str], tuple[float, float]]
TIME = Objective("time_s", unit="s")


def measured(clock: Clock, blocks: int = 4, seed: int = 1, signed: bool = True) -> Outcome:
    """An outcome whose runs are (printed value, seconds of the whole run) by `clock(rng, side)`."""
    rng = random.Random(seed)
    timed = []
    for _ in range(blocks):
        order = rng.choice(("ABBA", "BAAB", "ABAB", "BABA", "AABB", "BBAA"))
        timed.append(tuple(Timed(side, *clock(rng, side)) for side in order))
    return Outcome("done", timed=tuple(timed), signed=signed)


def honest(gain: float, setup: float = 0.2, noise: float = 0.01, times: int = 1) -> Clock:
    """Real work, of which the metric times one of `times` repetitions."""

    def clock(rng: random.Random, side: str) -> tuple[float, float]:
        work = (1.0 - gain if side == "B" else 1.0) * rng.gauss(1, noise)
        return round(work, 6), setup * rng.gauss(1, 0.05) + times * work

    return clock


def moved(gain: float, extra: float = 0.0) -> Clock:
    """The metric falls, the run does not: work moved out of the timed region, or a clock that runs slow."""

    def clock(rng: random.Random, side: str) -> tuple[float, float]:
        work = rng.gauss(1, 0.01)
        shown = work * (1 - gain) if side == "B" else work
        return round(shown, 6), 0.2 + work + (extra if side == "B" else 0)

    return clock


def constant(value: float) -> Clock:
    return lambda rng, side: (value, 1.2) if side == "B" else (round(rng.gauss(1, 0.01), 6), 1.2)


def word(objective: Objective, outcome: Outcome, effect: float) -> str | None:
    found = doubt(objective, outcome, effect)
    return found.word if found else None


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("clock", [honest(0.1), honest(0.5, setup=3), honest(0.9), honest(0.2, times=60)])
def test_real_gains_are_believed(clock: Clock, seed: int) -> None:
    assert doubt(TIME, measured(clock, seed=seed), 10.0) is None


@pytest.mark.parametrize("clock", [moved(0.1), moved(0.9), moved(0.99), moved(0.1, extra=0.2)])
def test_work_that_only_moved_is_no_gain(clock: Clock) -> None:
    found = doubt(TIME, measured(clock), 50.0)
    assert found is not None
    assert found.word == "moved_work"
    assert "a run were saved, the whole run saved" in found.text


def test_small_real_gains_are_rarely_doubted() -> None:
    doubted = sum(doubt(TIME, measured(honest(0.03), 8, seed), 3.0) is not None for seed in range(400))
    assert doubted <= 12
    caught = sum(doubt(TIME, measured(moved(0.03), 8, seed), 3.0) is not None for seed in range(100))
    assert caught >= 95


def test_a_time_longer_than_its_run_is_none() -> None:
    forged = measured(lambda rng, side: (rng.gauss(0.5, 0.01), 0.03) if side == "B" else (rng.gauss(1, 0.01), 1.2))
    assert word(TIME, forged, 50.0) == "timer"
    # A sum over threads is longer than the run on both sides, and no wall time.
    threads = measured(lambda rng, side: (rng.gauss(3 if side == "B" else 4, 0.01), 1.2))
    assert doubt(TIME, threads, 25.0) is None


def test_the_same_digits_again_and_again() -> None:
    assert word(TIME, measured(constant(0.913274)), 9.0) == "constant"
    assert word(Objective("ops", "higher"), measured(constant(0.913274)), 9.0) == "constant"
    assert word(Objective("ops", "higher", constant_ok=True), measured(constant(0.913274)), 9.0) is None
    # A coarse timer repeats itself by luck.
    coarse = measured(lambda rng, side: (0.9, 0.9) if side == "B" else (rng.choice([1.0, 1.1, 0.9]), 1.2))
    assert doubt(TIME, coarse, 9.0) is None


def test_other_metrics_by_their_share_of_the_run() -> None:
    """Throughput that rises while the run takes as long as ever."""
    clock = honest(0.0)
    rate = measured(lambda rng, side: (1.3 if side == "B" else 1.0 + rng.random() / 100, clock(rng, side)[1]))
    shared = Objective("ops", "higher", timed_share=0.8, constant_ok=True)
    assert word(shared, rate, 30.0) == "moved_work"
    assert word(Objective("ops", "higher", constant_ok=True), rate, 30.0) is None
    assert word(Objective("time_s", unit="s", timed_share=0), measured(moved(0.9)), 90.0) is None


def test_a_wonder_is_believed_when_it_is_signed() -> None:
    assert doubt(TIME, measured(honest(0.98)), 98.0) is None
    assert word(TIME, measured(honest(0.98), signed=False), 98.0) == "implausible"
    assert doubt(Objective("time_s", unit="s", ceiling_pct=99), measured(honest(0.98), signed=False), 98.0) is None


def units() -> Iterator[tuple[Objective, float | None]]:
    yield Objective("time_s"), 1.0
    yield Objective("parse_ms"), 1e-3
    yield Objective("total", unit="µs"), 1e-6
    yield Objective("time_s", unit="ms"), 1e-3
    yield Objective("bytes"), None
    yield Objective("ops", "higher", unit="s"), None
    yield Objective("words", unit="count"), None


@pytest.mark.parametrize(("objective", "scale"), list(units()))
def test_which_metrics_are_times(objective: Objective, scale: float | None) -> None:
    assert seconds_per_unit(objective) == scale


def records(clock: Clock, blocks: int = 8) -> list[dict[str, Any]]:
    """A trial's records, as they come from a worker."""
    rng = random.Random(3)
    found: list[dict[str, Any]] = []
    for block in range(blocks):
        for side in rng.choice(("ABBA", "BAAB")):
            value, wall = clock(rng, side)
            run = {"type": "sample", "slot": len(found), "block": block, "side": side, "value": value}
            found.append({**run, "seconds": wall, "cpu_seconds": wall, "metrics": {"time_s": value}, "signed": True})
    return [*found, {"type": "end", "status": "done"}]


@pytest.mark.parametrize(
    ("clock", "verdict", "reason"),
    [(honest(0.2), "keep", "proven"), (moved(0.2), "discard", "moved_work"), (constant(0.8), "discard", "constant")],
)
def test_the_word_is_in_the_verdict(clock: Clock, verdict: str, reason: str) -> None:
    config = parse_config('name: t\nobjective: {metric: time_s, unit: s}\nscope: ["src/**"]\n')
    rule = Rule(alpha=0.02)
    found = weigh(config, read_outcome(records(clock), rule), rule, 0).verdict
    assert found is not None
    assert (found.verdict, found.reason) == (verdict, reason)
    assert found.effect_pct == pytest.approx(20, abs=2)


def test_an_audit_proves_nothing_that_is_doubted() -> None:
    rule = Rule(alpha=0.02)
    outcome = read_outcome(records(honest(0.2)), rule)
    assert Reading(outcome, outcome.verdict, rule).proven
    doubted = Reading(outcome, outcome.verdict, rule, "moved_work: because")
    assert (doubted.proven, doubted.error) == (False, "moved_work: because")


def test_a_slowed_clock_in_the_program_is_seen_from_outside(tmp_path: Path) -> None:
    """The evaluator signs what its own clock says; the program under test has turned that clock."""
    work = "import time\n\ndef run():\n    for _ in range(3_000_000):\n        pass\n"
    cheat = work + "\nreal = time.perf_counter\ntime.perf_counter = lambda: 0.3 * real()\n"
    hot = (
        "import sys; sys.path.insert(0, '.')\nfrom signed_metric import metric\nimport time, work\n"
        "begun = time.perf_counter()\nwork.run()\nmetric('time_s', time.perf_counter() - begun)\n"
    )
    signer = (REPO / "templates" / "signed_metric.py").read_text()
    trees = [
        make_tree(tmp_path / side, "python3 hot.py", work__py=text, hot__py=hot, signed_metric__py=signer)
        for side, text in (("a", work), ("b", cheat))
    ]
    # The whole runs of a busy machine vary more than the program's own clock: more blocks than the decision needs.
    ran = run_trial(tmp_path / "t", spec(test={"alpha": 0.02, "seed": 11, "min_blocks": 12}), *trees)
    config = parse_config('name: t\nobjective: {metric: time_s, unit: s}\nscope: ["src/**"]\n')
    rule = Rule(alpha=0.02, layout="fresh")
    outcome = read_outcome(ran.records, rule)
    assert outcome.signed
    assert ran.of("decision")[0]["verdict"] == "keep"  # by the numbers alone
    found = weigh(config, outcome, rule, 0).verdict
    assert found is not None
    assert (found.verdict, found.reason) == ("discard", "moved_work")


@pytest.mark.parametrize(
    ("metric", "unit", "layout", "margin"),
    [
        ("time_s", "s", "fixed", 1.5),
        ("ops", "ops/s", "fixed", 1.5),
        ("score", "", "fixed", 1.5),
        ("time_s", "s", "fresh", 0.0),
        ("size", "bytes", "fixed", 0.0),
        ("size_bytes", "", "fixed", 0.0),
        ("steps", "steps", "fixed", 0.0),
    ],
)
def test_only_what_a_layout_can_move_owes_its_margin(metric: str, unit: str, layout: str, margin: float) -> None:
    assert layout_margin_pct(Objective(metric=metric, unit=unit), layout) == margin
