"""Slots: at most N holders at once, in order of arrival, by file locks that die with their holder."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional

SLOT_DIR = "AUTORESEARCH_SLOT_DIR"
_NAP = 0.02


class Slot(NamedTuple):
    """A slot that is held: its number, the CPUs to measure on, and those to build on (empty: anywhere)."""

    number: int
    cpus: List[int]
    build_cpus: List[int]


def read_plan(directory: str) -> Dict[str, Any]:
    """`cpus.json`: {"slots": [[cpu, …], …], "build": [cpu, …], "cores": directory or null}.

    `cores` holds the locks of single cores, which all sessions on the machine share.
    """
    with open(os.path.join(directory, "cpus.json"), encoding="utf-8") as file:
        plan: Dict[str, Any] = json.load(file)
    return plan


@contextlib.contextmanager
def take(directory: str, wait: Optional[Callable[[], None]] = None) -> Iterator[Slot]:
    """Hold one of the slots of `directory` while the block runs.

    A turnstile lock lets one waiter at a time look for a free slot, so nobody overtakes for long: the kernel
    hands a file lock on roughly in order of arrival. `wait` is called once if none is free at first.
    """
    plan = read_plan(directory)
    cores = plan.get("cores")
    with _locked(os.path.join(directory, "turnstile.lock"), wait) as announced:
        held: Optional[List[int]] = None
        while held is None:
            for index, cpus in enumerate(plan["slots"]):
                names = [os.path.join(directory, "slot-%d.lock" % index)]
                names += [os.path.join(cores, "core-%d.lock" % cpu) for cpu in cpus] if cores else []
                held = _try_all(names)
                if held is not None:
                    break
            else:
                if wait is not None and not announced:
                    wait()
                    announced = True
                time.sleep(_NAP)
    try:
        yield Slot(index, list(plan["slots"][index]), list(plan.get("build", [])))
    finally:
        for fd in held:
            os.close(fd)


@contextlib.contextmanager
def recorded(record: Callable[..., None]) -> Iterator[Optional[Slot]]:
    """`take` in the directory that the engine names, told to `record`; None where there is no engine."""
    directory = os.environ.get(SLOT_DIR)
    if not directory:
        yield None
        return
    begun = time.monotonic()
    with take(directory, lambda: record("slot", state="waiting")) as slot:
        waited = round(time.monotonic() - begun, 3)
        begun = time.monotonic()
        record("slot", state="taken", index=slot.number, cpus=slot.cpus, waited=waited)
        try:
            yield slot
        finally:
            record("slot", state="free", index=slot.number, held=round(time.monotonic() - begun, 3))


def build_cpus() -> List[int]:
    """CPUs to build on, by the engine's plan; empty: anywhere."""
    directory = os.environ.get(SLOT_DIR)
    return [int(cpu) for cpu in read_plan(directory).get("build", [])] if directory else []


@contextlib.contextmanager
def _locked(path: str, wait: Optional[Callable[[], None]]) -> Iterator[bool]:
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    announced = False
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if wait is not None:
                wait()
                announced = True
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield announced
    finally:
        os.close(fd)


def _try_all(paths: List[str]) -> Optional[List[int]]:
    """All of the locks, or none: a slot needs its own and, among all sessions on the machine, that of each core."""
    held: List[int] = []
    for path in paths:
        fd = _try(path)
        if fd is None:
            for other in held:
                os.close(other)
            return None
        held.append(fd)
    return held


def _try(path: str) -> Optional[int]:
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd
