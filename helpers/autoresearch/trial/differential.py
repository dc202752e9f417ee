"""The same generated inputs through base and candidate: what they print and how they end must be the same.

Catches what written tests forget: a wrong answer on a rare input, an endless loop, a new quadratic path. The seeds are
drawn when the trial begins, so that nobody knows them before; a failing one is named, and can be run again by hand.
"""

from __future__ import annotations

# ruff: noqa: B905 - Python 3.8 has no zip(strict=)
import hashlib
import random
from typing import Callable, Dict, List, NamedTuple, Optional

from autoresearch import safetext
from autoresearch.trial.failed import Failed
from autoresearch.trial.procs import Finished

# Seconds that any input may take beyond its share of the base's time: starting a process, a busy machine.
SLACK = 1.0
HEAD = 1 << 16


class DifferentialPlan(NamedTuple):
    """`command` gets a seed as its last argument; `slowdown` is how many times the base's seconds one may take."""

    command: str
    inputs: int
    timeout: float
    slowdown: float


class Divergence(NamedTuple):
    """What one input showed about the candidate: "differs", "hangs" or "slower", and the difference in words."""

    word: str
    seed: int
    detail: str


class Answer(NamedTuple):
    """How one input was answered: its output by digest, and the beginning of it to show a difference."""

    exit_code: int
    flooded: bool
    digest: str
    head: str
    timed_out: bool
    seconds: float

    def same(self, other: "Answer") -> bool:
        return self[:3] == other[:3]


class SideRunner(NamedTuple):
    """How the trial puts a side on the stage, afresh for each input, and runs a command there."""

    place: Callable[[str], None]
    run: Callable[[str, str, float], Finished]


def seeds(of: "int | str", count: int) -> List[int]:
    """The seeds of a trial, from its own seed."""
    rng = random.Random("differential/%s" % of)
    return [rng.randrange(1, 2**31) for _ in range(count)]


def compare(bench: SideRunner, plan: DifferentialPlan, numbers: List[int]) -> List[Divergence]:
    """Run every seed on both sides; what is wrong with the candidate, in the order of the seeds.

    `Failed` on side A where the base does not repeat itself, or answers no input in time and with exit 0.
    """
    base: Dict[int, Answer] = {}
    for seed in numbers:
        base[seed] = _ask(bench, "A", plan, seed, plan.timeout)
    answered = [seed for seed in numbers if not base[seed].timed_out]
    if not answered:
        raise Failed("A", "differential: no input was answered in %g s" % plan.timeout)
    if all(base[seed].exit_code for seed in answered):
        raise Failed("A", "differential: every input ends with exit %d" % base[answered[0]].exit_code)
    found: List[Divergence] = []
    for seed in answered:
        wrong = _look(bench, plan, seed, base[seed])
        if wrong is not None:
            found.append(wrong)
    doubtful = [one.seed for one in found if one.word == "differs"][:3]
    for seed in doubtful:
        if not _ask(bench, "A", plan, seed, plan.timeout).same(base[seed]):
            raise Failed("A", "differential: the base does not repeat itself on seed %d" % seed)
    return found


def _look(bench: SideRunner, plan: DifferentialPlan, seed: int, base: Answer) -> Optional[Divergence]:
    limit = min(plan.timeout, plan.slowdown * base.seconds + SLACK)
    done = _ask(bench, "B", plan, seed, limit)
    if done.timed_out:
        # Once more with all the time there is: slow, or endless? The machine may have been busy, too.
        done = _ask(bench, "B", plan, seed, plan.timeout)
        if done.timed_out:
            detail = "the base needs %.2g s, this was ended after %.2g s" % (base.seconds, done.seconds)
            return Divergence("hangs", seed, detail)
        if done.seconds > limit:
            return Divergence("slower", seed, "%.2g s instead of %.2g s" % (done.seconds, base.seconds))
    return None if done.same(base) else Divergence("differs", seed, _difference(base, done))


def _ask(bench: SideRunner, side: str, plan: DifferentialPlan, seed: int, timeout: float) -> Answer:
    bench.place(side)
    done = bench.run(side, "%s %d" % (plan.command, seed), timeout)
    said = done.apart or done.output
    digest = hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()
    return Answer(done.exit_code, done.flooded, digest, said[:HEAD], done.timed_out, done.seconds)


def _difference(base: Answer, candidate: Answer) -> str:
    if base.exit_code != candidate.exit_code:
        return "exit %d instead of %d" % (candidate.exit_code, base.exit_code)
    old, new = base.head.split("\n"), candidate.head.split("\n")
    padded = zip(old + [""] * len(new), new + [""] * len(old))
    for line, (was, now) in enumerate(padded, 1):
        if was != now:
            shown = safetext.one_line(now, 80), safetext.one_line(was, 80)
            return "line %d: '%s' instead of '%s'" % (line, *shown)
    return "the outputs differ after their first %d characters" % HEAD
