"""Real gains and cheats on quiet and on busy machines, simulated with fixed seeds: what is believed of whole A/Bs."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from autoresearch.config import Objective
from autoresearch.judging.honesty import doubt
from autoresearch.judging.outcome import Outcome
from made_runs import LOADS, Machine, Pairs, Round, measured, paired

TIME = Objective("time_s", unit="s")
SPEEDS = pytest.mark.parametrize("speeds", [False, True], ids=["one speed", "two speeds"])
LOAD = pytest.mark.parametrize("load", LOADS)
Played = Callable[[int], Outcome]


def words(play: Played, sessions: int) -> list[str]:
    """The words by which sessions are doubted."""
    found = (doubt(TIME, play(seed), 5.0) for seed in range(sessions))
    return [each.word for each in found if each is not None]


def rounds(base: Round, candidate: Round, load: str, speeds: bool, by: str, knows: bool = True) -> Played:
    return lambda seed: measured(base, candidate, Machine(random.Random(seed), load, speeds, knows), by)


def pairs(candidate: Pairs, load: str, speeds: bool, knows: bool = True, base: Pairs | None = None) -> Played:
    return lambda seed: paired(base or Pairs(), candidate, Machine(random.Random(seed), load, speeds, knows))


# Fewer seconds of work, of waiting, and by two threads; each saves so much of 0.3 s.
def saving(kind: str, gain: float) -> tuple[Round, Round]:
    if kind == "waiting":
        base = Round(work=0.1, wait=0.2)
        return base, replace(base, wait=0.2 - 0.3 * gain)
    if kind == "parallel":
        return Round(), Round(threads=1.0 / (1.0 - gain))
    return Round(), Round(work=0.3 * (1.0 - gain))


@SPEEDS
@LOAD
@pytest.mark.parametrize("kind", ["work", "waiting", "parallel"])
def test_real_gains_are_believed_whatever_runs_beside(kind: str, load: str, speeds: bool) -> None:
    for gain in (0.02, 0.05, 0.10):
        base, candidate = saving(kind, gain)
        for by in ("own", "wall"):
            # Beside load a gain of this size by the clock alone is luck, which no A/B would have proven.
            if by == "own" or (load == "quiet" and not speeds):
                assert len(words(rounds(base, candidate, load, speeds, by), 60)) <= 3
                assert len(words(rounds(base, candidate, load, speeds, by, knows=False), 60)) <= 3


@SPEEDS
@pytest.mark.parametrize("gain", [0.05, 0.10])
def test_work_that_moved_and_a_clock_that_loses_are_no_gain(gain: float, speeds: bool) -> None:
    moved, fooled = Round(work=0.3 * (1 - gain), hidden=0.3 * gain), Round(lost=gain)
    for cheat in (moved, fooled):
        for by in ("own", "wall") if not speeds else ("own",):
            found = words(rounds(Round(), cheat, "quiet", False, by), 100)
            assert len(found) >= 95
            assert set(found) == {"moved_work"}


def test_beside_bursts_the_wait_for_the_core_is_taken_off() -> None:
    moved = Round(work=0.27, hidden=0.03)
    assert len(words(rounds(Round(), moved, "bursts", False, "own"), 100)) >= 95
    # Where nobody knows that wait, the clock cannot tell and the doubt is the candidate's.
    assert len(words(rounds(Round(), moved, "bursts", False, "own", knows=False), 100)) <= 30


@SPEEDS
@LOAD
@pytest.mark.parametrize("gain", [0.02, 0.05, 0.10])
def test_real_gains_of_pairs_are_believed_whatever_runs_beside(gain: float, load: str, speeds: bool) -> None:
    assert len(words(pairs(Pairs(work=0.2 * (1 - gain)), load, speeds), 100)) <= 4
    waits = Pairs(work=0.1, wait=0.1)
    less = replace(waits, wait=0.1 - 0.2 * gain)
    assert len(words(pairs(less, load, speeds, base=waits), 100)) <= 4


@SPEEDS
@LOAD
@pytest.mark.parametrize("gain", [0.05, 0.10])
def test_a_gain_in_most_rounds_and_a_loss_in_a_few_is_none(gain: float, load: str, speeds: bool) -> None:
    found = words(pairs(Pairs(work=0.2 * (1 - gain), few=0.2 * gain), load, speeds), 100)
    assert found.count("slow_rounds") >= 90
    assert len(found) >= 95


@SPEEDS
@LOAD
@pytest.mark.parametrize("gain", [0.05, 0.10])
def test_processor_time_outside_of_the_rounds_is_no_gain(gain: float, load: str, speeds: bool) -> None:
    found = words(pairs(Pairs(work=0.2 * (1 - gain), outside=0.2 * gain), load, speeds), 100)
    assert len(found) >= 90
    assert set(found) <= {"untimed_work", "moved_work", "slow_rounds", "slow_reference"}


@LOAD
def test_a_slowed_reference_is_no_gain(load: str) -> None:
    found = words(pairs(Pairs(slowed=0.05), load, speeds=False), 100)
    assert found.count("slow_reference") >= 95


def test_a_program_that_loses_time_on_its_own_clock_saves_nothing_of_the_run() -> None:
    for load in ("quiet", "bursts"):
        assert words(pairs(Pairs(forged=0.1), load, speeds=False), 100).count("moved_work") >= 95
    # `timed_share: 0` takes the whole run's word away, and leaves what the rounds themselves show.
    alone = Objective("time_s", unit="s", timed_share=0)
    outcome = pairs(Pairs(forged=0.1), "quiet", speeds=False)(1)
    assert doubt(alone, outcome, 10.0) is None
    few = doubt(alone, pairs(Pairs(work=0.18, few=0.02), "quiet", speeds=False)(1), 10.0)
    assert few is not None
    assert few.word == "slow_rounds"


@pytest.mark.parametrize("name", ["time_mean_s", "time_own_s", "time_cpu_s", "ref_s"])
def test_what_the_base_prints_the_candidate_cannot_leave_out(name: str) -> None:
    def without(told: dict[str, float]) -> dict[str, float]:
        return {key: value for key, value in told.items() if key != name}

    cheat = Pairs(work=0.18, few=0.02, printed=without)
    found = doubt(TIME, pairs(cheat, "quiet", speeds=False)(1), 10.0)
    assert found is not None
    assert (found.word, name in found.text) == ("invalid", True)
    # Where nobody prints it nothing is asked.
    base = Pairs(printed=without)
    honest = Pairs(work=0.18, printed=without)
    assert doubt(TIME, pairs(honest, "quiet", speeds=False, base=base)(1), 10.0) is None


def test_the_words_name_both_figures() -> None:
    said = doubt(TIME, pairs(Pairs(work=0.18, few=0.02), "quiet", speeds=False)(2), 10.0)
    assert said is not None
    assert said.text.startswith("faster in most rounds, slower in a few: +")
    assert "% by the middle one" in said.text
    said = doubt(TIME, pairs(Pairs(work=0.18, outside=0.02), "quiet", speeds=False)(2), 10.0)
    assert said is not None
    assert said.text.startswith("processor time outside of what was timed: ")


def test_another_objective_than_the_rounds_time_is_left_alone() -> None:
    memory = Objective("peak_mb", unit="MB")
    assert doubt(memory, pairs(Pairs(few=0.1), "quiet", speeds=False)(1), 5.0) is None
