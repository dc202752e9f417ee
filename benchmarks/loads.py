"""Load to measure beside, made here and ended here, and a core of two speeds, played."""

from __future__ import annotations

import math
import multiprocessing
import os
import random
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

# What the measured programs do: Python, with a dictionary that stays in the cache. One step takes about 0.2 µs.
WORK = """
def work(n):
    seen, x = {}, 12345
    for _ in range(n):
        x = (x * 1103515245 + 12345) & 0x7FFFFFFF
        seen[x % 257] = seen.get(x % 257, 0) + (x >> 7 & 15)
    return len(seen)
"""

# Put in front of the benchmark's work, in both processes: a stretch's speed depends on the clock alone, so that program
# and reference meet the same one, and the lost time is processor time, as on a core with a busy twin.
TWO_SPEED = """
import random as _random
from time import monotonic as _now, process_time as _used

_rng, _stretches, _at = _random.Random(7), [], 0.0
while _at < 60.0:
    _length = 0.03 * (2.0 / 0.03) ** _rng.random()
    _stretches.append((_at + _length, _rng.random() < 0.4))
    _at += _length


def two_speeds(work):
    def slowed(given):
        began = _used()
        answer = work(given)
        phase = _now() % 60.0
        if next((slow for end, slow in _stretches if phase < end), False):
            until = _used() + 0.7 * (_used() - began)
            while _used() < until:
                pass
        return answer

    return slowed
"""


def busy(core: int) -> None:
    parent = pin(core)
    while os.getppid() == parent:
        pass


def bursts(core: int) -> None:
    parent = pin(core)
    rng = random.Random(core)
    while os.getppid() == parent:
        length = math.exp(rng.uniform(math.log(0.005), math.log(0.2)))
        end = time.process_time() + length
        while time.process_time() < end:
            pass
        time.sleep(4 * length * rng.uniform(0.5, 1.5))


def pin(core: int) -> int:
    """A session of its own, as other people's programs have, on one core; returns whose end ends it, too."""
    os.setsid()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})
    return os.getppid()


LOADS: dict[str, Callable[[int], None] | None] = {"quiet": None, "busy": busy, "bursts": bursts, "two-speed": None}


def cores() -> list[int]:
    """The cores that this process may use."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


@contextmanager
def beside(load: Callable[[int], None] | None, where: Iterable[int]) -> Iterator[None]:
    """One process of `load` on each core of `where` for as long as the block runs."""
    workers = [multiprocessing.Process(target=load, args=(core,), daemon=True) for core in where if load]
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        for worker in workers:
            worker.kill()
            worker.join()
