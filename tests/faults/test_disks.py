"""Full and read-only disks: one sentence, exit code 3, nothing half written; all goes on when there is room again."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fault_resume import resume
from fault_session import SCRIPT, Place, Step, a_place, play, preload
from fault_state import describe, differences

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

FULL = os.environ.get("AUTORESEARCH_FAULTS") == "full"
STEP = {step.name: step for step in SCRIPT}
WRITING = ("init", "idea", "new", "crash", "keep", "discard", "drop")
MEASURING = ("baseline", "run", "ab", "audit")
SEED = 7


class Ground:
    """A played session, and what each step has to reach."""

    def __init__(self, place: Place) -> None:
        self.place = place
        play(place)
        self.want: dict[str, dict[str, Any]] = {}

    def wanted(self, step: Step) -> dict[str, Any]:
        if step.name not in self.want:
            self.place.restore(f"{step.name}.after")
            self.want[step.name] = describe(self.place)
        return self.want[step.name]

    def goes_on(self, step: Step) -> list[str]:
        resume(self.place, step, ask=True)
        self.place.settle()
        return differences(self.want[step.name], describe(self.place))


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A small disk of our own."""
    where = tmp_path_factory.mktemp("disk")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(where)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"NO DISK CAN BE MOUNTED: full and read-only disks untested ({done.stderr.strip()})")
    try:
        yield where
    finally:
        subprocess.run(["umount", "-l", str(where)], check=True)


@pytest.fixture(scope="module")
def ground(disk: Path) -> Iterator[Ground]:
    preload()
    with a_place(disk) as place:
        yield Ground(place)


@contextlib.contextmanager
def filled(disk: Path, left: int) -> Iterator[None]:
    """The disk with `left` bytes free."""
    filler = disk / "filler"
    free = os.statvfs(disk)
    size = free.f_bavail * free.f_frsize - left
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, size))
    try:
        yield
    finally:
        filler.unlink()


@contextlib.contextmanager
def read_only(disk: Path) -> Iterator[None]:
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    try:
        yield
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)


def says_so(place: Place, step: Step, **more: Any) -> None:
    """The command does its work all the same, or refuses in a sentence."""
    done = place.run(*step.args, **more)
    assert "Traceback" not in done.err, (step.name, done.err)
    assert done.code in (*step.codes, 1, 3), (step.name, done)
    if done.code == 3:
        lines = [line for line in done.err.splitlines() if not line.startswith("recovered:")]
        assert 1 <= len(lines) <= 3, (step.name, done.err)


def test_a_full_disk(ground: Ground, disk: Path) -> None:
    rng = random.Random(SEED)
    names = (*WRITING, *MEASURING) * (3 if FULL else 1)
    failures = []
    for name in names if FULL else rng.sample(names, 5):
        step = STEP[name]
        ground.wanted(step)
        ground.place.restore(name)
        left = rng.choice((0, 4096, 16384, 65536, 300_000))
        with filled(disk, left):
            says_so(ground.place, step)
            ground.place.settle()
        failures += [f"{name} with {left} bytes left: {line}" for line in ground.goes_on(step)]
    assert not failures, "\n".join(failures[:20])


def test_a_read_only_disk(ground: Ground, disk: Path) -> None:
    for name in WRITING if FULL else ("new", "keep"):
        step = STEP[name]
        ground.wanted(step)
        ground.place.restore(name)
        with read_only(disk):
            says_so(ground.place, step)
            done = ground.place.run("status")
            assert done.code in (0, 2, 3), done
            assert "Traceback" not in done.err, done.err
        assert ground.goes_on(step) == [], name


@pytest.mark.parametrize("limit", [100, 3000])
def test_files_may_not_grow(ground: Ground, limit: int) -> None:
    """As by a quota: the kernel writes a part of a line and then refuses."""

    def prepare() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    for name in WRITING if FULL else ("discard",):
        step = STEP[name]
        ground.wanted(step)
        ground.place.restore(name)
        says_so(ground.place, step, prepare=prepare)
        assert ground.goes_on(step) == [], name
