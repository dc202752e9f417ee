"""Runs of a benchmark on a machine with other work, for the tests of what is believed.

A run is set-up (0.15 s of work), then what is timed: work and waiting. The machine takes turns away (`bursts`: 5 to
200 ms, a fifth of the time; `steady`: as long as the work itself), and with `speeds` does the same work at two speeds,
1.7 apart, for stretches of runs.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from autoresearch.judging.outcome import Outcome, Timed
from autoresearch.verdict.eprocess import draw_order

LOADS = ("quiet", "bursts", "steady")
SETUP = 0.15
NOMINAL = 0.0035


@dataclass
class Round:
    """What is timed of one run, in seconds; a cheat hides work outside of it, or has the clock lose a share."""

    work: float = 0.3
    wait: float = 0.0
    threads: float = 1.0
    hidden: float = 0.0
    lost: float = 0.0


@dataclass
class Machine:
    rng: random.Random
    load: str = "quiet"
    speeds: bool = False
    knows: bool = True  # how long a run waited for its core
    _slow: bool = False
    _left: int = 0

    def speed(self) -> float:
        if self.speeds and self._left <= 0:
            self._slow, self._left = self.rng.random() < 0.3, self.rng.randrange(1, 9)
        self._left -= 1
        return 1.7 if self._slow else 1.0

    def taken(self, work: float) -> float:
        """Seconds that others take while `work` is done."""
        if self.load == "steady":
            return work * self.rng.gauss(1.0, 0.1)
        gone, left = 0.0, work if self.load == "bursts" else 0.0
        while left > 0.0:
            left -= self.rng.expovariate(1.0 / 0.22)
            gone += math.exp(self.rng.uniform(math.log(0.005), math.log(0.2))) if left > 0.0 else 0.0
        return gone

    def run(self, side: str, timed: Round, by: str) -> Timed:
        """`by`: the metric is `own` time (templates/stopwatch.py) or `wall` time of what is timed."""
        speed, gauss = self.speed(), self.rng.gauss
        work = timed.work * speed * gauss(1.0, 0.01)
        rest = (SETUP * gauss(1.0, 0.02) + timed.hidden) * speed
        here, there = self.taken(work), self.taken(rest)
        clock = work / timed.threads + timed.wait * gauss(1.0, 0.01) + here
        value = clock - min(here, max(0.0, clock - work)) if by == "own" else clock
        waited = (here + there) * gauss(1.0, 0.02) if self.knows else None
        wall = clock + rest + there + abs(gauss(0.01, 0.002))
        return Timed(side, value * (1.0 - timed.lost), wall, work + rest, waited)


def measured(base: Round, candidate: Round, machine: Machine, by: str = "own", blocks: int = 5) -> Outcome:
    """An A/B of so many blocks in drawn orders."""
    sides = {"A": base, "B": candidate}
    return Outcome(
        "done", signed=True,
        timed=tuple(
            tuple(machine.run(side, sides[side], by) for side in draw_order(machine.rng)) for _ in range(blocks)
        ),
    )  # fmt: skip


@dataclass
class Pairs:
    """One run of a paired benchmark: seconds of the program's rounds, and what a cheat does. Shares are of `work`."""

    work: float = 0.2
    few: float = 0.0  # more work in a few of the rounds, which their middle one does not show
    outside: float = 0.0  # work that is in no round
    slowed: float = 0.0  # how much slower the reference is made
    forged: float = 0.0  # what the program's own clock loses
    reference: float = 0.2
    wait: float = 0.0
    printed: Callable[[dict[str, float]], dict[str, float]] = field(default=lambda told: told)


def paired_run(machine: Machine, side: str, pairs: Pairs) -> Timed:
    """Both meet the same speed, up to 1 % in a run's middle ratio."""
    speed, gauss = machine.speed(), machine.rng.gauss
    work, reference = pairs.work * speed, pairs.reference * speed * (1.0 + pairs.slowed) * gauss(1.0, 0.002)
    own = (work + pairs.wait) * (1.0 - pairs.forged)
    value = NOMINAL * own / reference * gauss(1.0, 0.008)
    used = work + pairs.few * speed
    rest = (SETUP * gauss(1.0, 0.02) + pairs.outside) * speed
    taken = machine.taken(used + reference)
    elsewhere = machine.taken(rest)
    wall = used + pairs.wait + reference + taken + rest + elsewhere
    told = {
        "time_mean_s": NOMINAL * (own + pairs.few * speed) / reference * gauss(1.0, 0.01),
        "time_own_s": own + pairs.few * speed, "time_cpu_s": used,
        "ref_s": reference / 60, "ref_cpu_s": reference,
    }  # fmt: skip
    waited = (taken + elsewhere) * gauss(1.0, 0.02) if machine.knows else None
    return Timed(side, value, wall, used + reference + rest, waited, None, pairs.printed(told))


def paired(base: Pairs, candidate: Pairs, machine: Machine, blocks: int = 5) -> Outcome:
    sides = {"A": base, "B": candidate}
    return Outcome(
        "done", signed=True,
        timed=tuple(
            tuple(paired_run(machine, side, sides[side]) for side in draw_order(machine.rng)) for _ in range(blocks)
        ),
    )  # fmt: skip
