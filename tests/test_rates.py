"""A rate's gain against the whole run: what its benchmark sets, work or time, and what may be believed of each."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from autoresearch.config import Objective
from autoresearch.judging.honesty import doubt, unseen
from autoresearch.judging.outcome import Outcome, Timed
from autoresearch.trial import pace
from autoresearch.verdict.eprocess import draw_order
from made_runs import LOADS, SETUP, Machine, Round, measured
from trial_helpers import make_tree, run_trial, spec

RATE = Objective("ops_per_s", "higher", "ops/s")
Blocks = tuple[tuple[Timed, ...], ...]
Play = Callable[[Machine], Blocks]


def of_work(base: Round, candidate: Round, fooled: float = 1.0) -> Play:
    """1000 operations a run; a fooled clock makes so much more of a rate."""

    def play(machine: Machine) -> Blocks:
        made = measured(base, candidate, machine, "wall", 5).timed
        return tuple(
            tuple(replace(r, value=1000 / r.value * (fooled if r.side == "B" else 1.0)) for r in block)
            for block in made
        )

    return play


def of_time(gain: float, fooled: bool = False) -> Play:
    """Operations in a second; by a clock that runs at half speed they are those of two."""

    def run(machine: Machine, side: str) -> Timed:
        speed, gauss = machine.speed(), machine.rng.gauss
        lasts = 2.0 if fooled and side == "B" else 1.0
        taken = 0.0 if machine.load == "quiet" else machine.taken(lasts) / 2
        setup = SETUP * speed * gauss(1, 0.02)
        late = machine.taken(setup)
        own = max(0.05, lasts - taken)
        done = 1000 * own / speed * gauss(1, 0.01) * (1 + gain if side == "B" else 1)
        wall = lasts + setup + late + abs(gauss(0.01, 0.002))
        return Timed(side, done, wall, own + setup, taken + late)

    def play(machine: Machine) -> Blocks:
        return tuple(tuple(run(machine, side) for side in draw_order(machine.rng)) for _ in range(5))

    return play


def doubted(play: Play, fixed: str, load: str, speeds: bool) -> int:
    """How many of 60 A/Bs are doubted, all by the same word."""
    made = (play(Machine(random.Random(seed), load, speeds)) for seed in range(60))
    found = [doubt(RATE, Outcome("done", timed=blocks, signed=True, fixed=fixed), 50.0) for blocks in made]
    assert {each.word for each in found if each is not None} <= {"moved_work"}
    return sum(each is not None for each in found)


@pytest.mark.parametrize("speeds", [False, True])
@pytest.mark.parametrize("load", LOADS)
def test_honest_gains_of_rates_are_believed_whatever_runs_beside(load: str, speeds: bool) -> None:
    for gain in (0.05, 0.1, 0.5):
        assert doubted(of_work(Round(), Round(work=0.3 * (1 - gain))), pace.WORK, load, speeds) <= 1
        waits = Round(work=0.1, wait=0.2)
        assert doubted(of_work(waits, replace(waits, wait=0.2 - 0.3 * gain)), pace.WORK, load, speeds) <= 1
        assert doubted(of_work(Round(), Round(threads=1 / (1 - gain))), pace.WORK, load, speeds) <= 1
        assert doubted(of_time(gain), pace.TIME, load, speeds) <= 1
        for play in (of_work(Round(), Round(work=0.3 * (1 - gain))), of_time(gain)):
            assert doubted(play, "", load, speeds) == 0  # where nobody knows


@pytest.mark.parametrize("load", LOADS)
def test_a_halved_clock_is_no_gain_of_a_rate(load: str) -> None:
    # Beside bursts the clock's third is hidden by what a run waits for its core.
    for fooled, least in ((1.3, 12 if load == "bursts" else 45), (2.0, 57)):
        assert doubted(of_work(Round(), Round(), fooled), pace.WORK, load, speeds=False) >= least
    assert doubted(of_work(Round(), Round(work=0.2, hidden=0.1)), pace.WORK, load, speeds=False) >= 35
    assert doubted(of_time(0.0, fooled=True), pace.TIME, load, speeds=False) >= 58


def test_what_the_whole_run_cannot_show_is_said() -> None:
    quiet = of_work(Round(), Round(work=0.2))(Machine(random.Random(1)))
    assert unseen(RATE, Outcome("done", timed=quiet, fixed=pace.WORK)) == ""
    assert "cannot tell" in unseen(RATE, Outcome("done", timed=of_time(0.2)(Machine(random.Random(1)))))
    assert "set time" in unseen(RATE, Outcome("done", timed=quiet, fixed=pace.TIME))
    assert unseen(Objective("steps"), Outcome("done", timed=quiet)) == ""
    assert unseen(replace_share(0.0), Outcome("done", timed=quiet)) == ""


def replace_share(share: float) -> Objective:
    return Objective("ops_per_s", "higher", "ops/s", timed_share=share)


# So many loops, or loops until the clock says so.
WORKS = """python3 -S - <<'PY'
import time
begun = time.perf_counter()
done = 0
while {more}:
    for _ in range(10000):
        pass
    done += 1
print("METRIC ops_per_s=%r" % (done / (time.perf_counter() - begun)))
PY
"""


@pytest.mark.parametrize(
    ("more", "fixed"), [("done < 1500", "work"), ("time.perf_counter() < begun + 0.5", "time")], ids=["work", "time"]
)
def test_a_run_beside_a_busy_program_tells_what_it_sets(tmp_path: Path, more: str, fixed: str) -> None:
    asked = spec("noise", runs=4)
    asked["metric"] = {"name": "ops_per_s", "direction": "higher", "values_per_run": 1, "paced": True}
    base = make_tree(tmp_path / "A", WORKS.replace("{more}", more))
    for number in range(3):  # other work on this machine comes and goes
        ran = run_trial(tmp_path / str(number), asked, base, None)
        (found,) = ran.of("pace")
        assert found["fixed"] in (fixed, "")
        if found["fixed"]:
            break
    if not found["fixed"]:
        pytest.skip("other programs have this machine: beside one more the rate hardly falls, which tells nothing")
    assert [s["warmup"] for s in ran.of("sample")] == [True] + 4 * [False]


@pytest.mark.parametrize(
    ("slowed", "longer", "fixed"),
    [(50, 2.0, "work"), (50, 1.05, "time"), (50, 1.4, ""), (95, 2.0, ""), (0, 2.0, ""), (60, 1.0, "time")],
)
def test_what_one_run_tells(slowed: float, longer: float, fixed: str) -> None:
    assert pace.fixed(100.0, 1.0, slowed, longer) == fixed
