"""The printed number against the trial's own clock: what is believed, and what has which word."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest

from autoresearch.config import Objective
from autoresearch.session.honesty import doubt, seconds_per_unit
from autoresearch.session.outcome import Outcome, Timed

Clock = Callable[[random.Random, str], tuple[float, float]]
TIME = Objective("time_s", unit="s")


def measured(clock: Clock, blocks: int = 4, seed: int = 1, signed: bool = True) -> Outcome:
    """An outcome whose runs are (printed value, seconds of the whole run) by `clock(rng, side)`."""
    rng = random.Random(seed)
    timed = []
    for _ in range(blocks):
        order = rng.choice(("ABBA", "BAAB", "ABAB", "BABA", "AABB", "BBAA"))
        timed.append(tuple(Timed(side, *clock(rng, side), 0.0) for side in order))
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
    forged = measured(
        lambda rng, side: (rng.gauss(0.5, 0.01), 0.03) if side == "B" else (rng.gauss(1, 0.01), 1.2)
    )
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
    assert (
        doubt(Objective("time_s", unit="s", ceiling_pct=99), measured(honest(0.98), signed=False), 98.0)
        is None
    )


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
