"""The power fails, in the middle of a command or just after it: nothing that was said to be done is lost."""

from __future__ import annotations

import os
import random
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fault_hooks
import pytest
from fault_power import Tape, cut
from fault_resume import resume
from fault_session import SCRIPT, Place, a_place, git, play, preload
from fault_state import describe, differences

FULL = os.environ.get("AUTORESEARCH_FAULTS") == "full"
POINTS = 120 if FULL else 5
SEED = 40

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    preload()
    with a_place() as made:
        yield made


@pytest.fixture(scope="module")
def acts(place: Place) -> dict[str, int]:
    return play(place)


def test_the_power_fails(place: Place, acts: dict[str, int]) -> None:
    """One cut in three comes after the command: it has exited, so all of it must be there."""
    rng = random.Random(SEED)
    tape = Tape(place.base / "tape")
    want: dict[str, dict[str, Any]] = {}
    failures: list[str] = []
    seen: Counter[str] = Counter()
    steps = [step for step in SCRIPT if acts[step.name] and step.name != "idea"]
    for _ in range(POINTS):
        step = rng.choices(steps, [acts[s.name] ** 0.5 for s in steps])[0]
        if step.name not in want:
            place.restore(f"{step.name}.after")
            want[step.name] = describe(place)
        after = rng.random() < 0.33
        place.restore(step.name)
        fault = None if after else rng.choice((fault_hooks.die, fault_hooks.die_torn))
        number = rng.randint(1, acts[step.name])
        done = place.run(*step.args, prepare=tape.record, fault=fault, at=number)
        place.settle()
        ledger = want[step.name]["ledger"] if done.code in step.codes and not done.data.get("running") else None
        changed = cut(place.root, place.base / "saved" / step.name, tape, rng)
        seen[step.name] += 1
        label = f"{step.name}, {'after' if after else f'at act {number} ({done.at})'}: {changed}"
        if ledger is not None:
            found = describe(place)
            failures += [f"{label}: lost: {line}" for line in differences({"ledger": ledger}, found)]
        try:
            last, _ = resume(place, step, ask=rng.random() < 0.5)
            place.settle()
            found = differences(want[step.name], describe(place))
            failures += [f"{label}: {line}" for line in [*found, f"the last answer was {last}"[:800]] if found]
        except AssertionError as exc:
            failures.append(f"{label}: {str(exc)[-800:]}")
    sys.stdout.write(f"\npower cuts: {sum(seen.values())}, seed {SEED}; {len(failures)} failures\n")
    assert not failures, "\n".join(failures[:20])


def test_git_flushes_what_the_ledger_names(place: Place, acts: dict[str, int], tmp_path: Path) -> None:
    """git counts its own flushes (trace2): those of a keep's objects and of the branch."""
    version = tuple(int(part) for part in git(place.root, "version").split()[2].split(".")[:2])
    if version < (2, 36):
        pytest.skip(f"GIT {version} IS OLDER THAN 2.36: it cannot be told to flush refs")
    place.restore("keep")
    trace = tmp_path / "trace"
    trace.mkdir()
    place.env = {"GIT_TRACE2_EVENT": str(trace)}
    try:
        assert place.run("decide", *next(s for s in SCRIPT if s.name == "keep").args[1:]).code == 0
    finally:
        place.env = {}
    flushing = set()
    for file in trace.iterdir():
        text = file.read_text()
        if '"fsync' in text or "hardware-flush" in text:
            flushing |= {word for word in ("update-ref", "commit-tree", "write-tree") if f'"{word}"' in text}
    assert {"update-ref", "commit-tree"} <= flushing
