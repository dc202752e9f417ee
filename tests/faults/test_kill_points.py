"""kill -9 anywhere in a session: the next command reaches the same ledger and repository, nothing lost or doubled.

Every command of a session (init, ideas, baseline, new, run, wait, ab, decide, finalize, report) is killed at drawn
places: before or in the middle of the n-th thing that it does to the disk, at a random time with its whole process
group, or with the engine's detached processes. AUTORESEARCH_FAULTS=full plays all of them
(bash setup.sh --test faults).
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fault_hooks
import pytest
from fault_resume import resume
from fault_session import SCRIPT, Place, Step, a_place, drive, play, preload
from fault_state import describe, differences

SEED = 20
FULL = os.environ.get("AUTORESEARCH_FAULTS") == "full"
ACTS = 430 if FULL else 9
CLOCK = 60 if FULL else 2
JOBS = 40 if FULL else 1
WITH_JOBS = ("baseline", "run", "ab", "ab2", "audit")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]


class Ground:
    """The undisturbed session, with the state that each step has to reach."""

    def __init__(self, place: Place) -> None:
        self.place = place
        begin = time.monotonic()
        self.acts = play(place)
        self.seconds = (time.monotonic() - begin) / len(SCRIPT)
        self.want = {}
        for step in SCRIPT:
            place.restore(f"{step.name}.after")
            self.want[step.name] = describe(place)

    def check(self, step: Step, rng: random.Random, label: str, *, jobs_lost: bool = False) -> list[str]:
        """Resume and compare; for one point in ten go on to the session's end."""
        place = self.place
        if rng.random() < 0.5:
            place.settle()
        try:
            done, _ = resume(place, step, ask=rng.random() < 0.5)
            place.settle()
            if jobs_lost:
                # A guardian may have been killed after its job had ended: the next command clears away.
                place.run("status")
            found = self._compare(step, jobs_lost)
            if found:
                found.append(f"the last answer was {done}"[:1500])
            elif rng.random() < 0.1:
                found = self._to_the_end(step, jobs_lost)
        except AssertionError as exc:
            found = [str(exc)[-1500:]]
        return [f"{label}: {line}" for line in found]

    def _compare(self, step: Step, jobs_lost: bool) -> list[str]:
        want, found = self.want[step.name], describe(self.place)
        if jobs_lost:
            want, found = _without_lost_jobs(want), _without_lost_jobs(found)
        return differences(want, found)

    def _to_the_end(self, step: Step, jobs_lost: bool) -> list[str]:
        for later in SCRIPT[SCRIPT.index(step) + 1 :]:
            later.before(self.place)
            done = drive(self.place, later)
            assert done.code in later.codes, (later.name, done)
            self.place.settle()
        return [f"at the end: {line}" for line in self._compare(SCRIPT[-1], jobs_lost)]


def _without_lost_jobs(told: dict[str, Any]) -> dict[str, Any]:
    """A job that was killed is measured again, which stands in the ledger: its own line and number are left out."""
    lines: dict[Any, Any] = {}
    for number, text in enumerate(told["ledger"]):
        record = json.loads(text)
        job_line = record.get("type") in ("job", "test")
        key = (record["type"], record["experiment"]) if job_line else number
        for name in ("t", "alpha", "e_needed", "jobs", "job"):
            record.pop(name, None)
            (record.get("verdict") or {}).pop(name, None)
        lines.pop(key, None)
        lines[key] = json.dumps(record, sort_keys=True)
    return {**told, "ledger": sorted(lines.values())}


@pytest.fixture(scope="module")
def ground() -> Iterator[Ground]:
    preload()
    with a_place() as place:
        yield Ground(place)


def weighted(acts: dict[str, int], rng: random.Random) -> Step:
    """A step, those that do more more often, but none left out."""
    steps = [step for step in SCRIPT if acts[step.name]]
    return rng.choices(steps, [acts[step.name] ** 0.5 for step in steps])[0]


def report(what: str, seed: int, done: Counter[str], failures: list[str]) -> None:
    shares = ", ".join(f"{name} {count}" for name, count in sorted(done.items()))
    sys.stdout.write(f"\n{what}: {sum(done.values())} points, seed {seed} ({shares}); {len(failures)} failures\n")
    assert not failures, "\n".join(failures[:20])


def test_killed_at_any_act(ground: Ground) -> None:
    rng = random.Random(SEED)
    done: Counter[str] = Counter()
    failures: list[str] = []
    while sum(done.values()) < ACTS:
        step = weighted(ground.acts, rng)
        number = rng.randint(1, ground.acts[step.name])
        fault = rng.choice((fault_hooks.die, fault_hooks.die_torn))
        ground.place.restore(step.name)
        killed = ground.place.run(*step.args, fault=fault, at=number)
        if killed.code != -signal.SIGKILL:
            continue  # it came to its end with fewer acts than when they were counted
        done[step.name] += 1
        failures += ground.check(step, rng, f"{step.name}, {fault.__name__} at act {number} ({killed.at})")
    report("killed at an act", SEED, done, failures)


def test_killed_by_the_clock_with_its_process_group(ground: Ground) -> None:
    rng = random.Random(SEED + 1)
    done: Counter[str] = Counter()
    failures: list[str] = []
    while sum(done.values()) < CLOCK:
        step = weighted(ground.acts, rng)
        after = rng.uniform(0, 0.5 if step.name not in WITH_JOBS else ground.seconds * 2)
        ground.place.restore(step.name)
        killed = ground.place.run(*step.args, after=after)
        if killed.code != -signal.SIGKILL:
            continue
        done[step.name] += 1
        failures += ground.check(step, rng, f"{step.name}, killed after {after:.3f} s")
    report("killed by the clock", SEED + 1, done, failures)


def test_the_engine_is_killed(ground: Ground) -> None:
    """Its supervisors, its trials, or everything at once; with and without the command that waits for them."""
    rng = random.Random(SEED + 2)
    done: Counter[str] = Counter()
    failures: list[str] = []
    while sum(done.values()) < JOBS:
        name = rng.choice(WITH_JOBS)
        step = next(step for step in SCRIPT if step.name == name)
        ground.place.restore(step.name)
        quick = [*step.args[:-1], "0.1"] if step.polls else list(step.args)
        ground.place.run(*quick)
        time.sleep(rng.uniform(0, 0.7))
        alive = sorted(pid for pid in ground.place.processes() if _is_engine(pid))
        if not alive:
            continue
        victims = alive if rng.random() < 0.4 else [rng.choice(alive)]
        for pid in victims:
            _kill(pid)
        done[step.name] += 1
        ground.place.settle()
        what = "all" if len(victims) > 1 else "one"
        failures += ground.check(step, rng, f"{step.name}, {what} of {len(alive)} killed", jobs_lost=True)
    report("engine killed", SEED + 2, done, failures)


def _is_engine(pid: int) -> bool:
    """A supervisor, its guardian, a job's shell or the trial; what they run may die of its own faults."""
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return any(word in line for word in (b"autoresearch.engines.supervisor", b"autoresearch.trial", b"/run.sh"))


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
