"""Whether a benchmark that prints a rate does a set amount of work in a run, or goes on for a set time.

Beside a program that takes half of its cores the first takes twice as long, and the second is half as fast: only of
the first can a gain in the rate be seen in the run's duration. One run tells, at the baseline.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from typing import Iterator, Sequence

WORK, TIME = "work", "time"
# The rate has to fall by this factor to tell anything, so that a slower start passes for no set work. Of the time that
# a run should take longer by then, it takes so much longer, or so little: what is not timed takes longer, too.
_SLOWED, _LONGER, _AS_LONG = 1.6, 0.6, 0.25
_LOOP = "import os, sys\nos.sched_setaffinity(0, {int(sys.argv[1])})\nprint(flush=True)\nwhile True: pass"


@contextlib.contextmanager
def busy(cpus: Sequence[int]) -> Iterator[None]:
    """Other programs that want these cores all the time."""
    with contextlib.ExitStack() as stack:
        for cpu in cpus:
            other = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _LOOP, str(cpu)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
            )
            stack.enter_context(other)
            stack.callback(other.kill)
            assert other.stdout is not None
            other.stdout.readline()  # it runs
        yield


def fixed(rate: float, seconds: float, slowed: float, longer: float) -> str:
    """`WORK`, `TIME` or, where it cannot be told, an empty text; from a usual run and from one beside `busy`."""
    if rate <= 0.0 or slowed <= 0.0 or seconds <= 0.0 or rate < _SLOWED * slowed:
        return ""
    share = (longer / seconds - 1.0) / (rate / slowed - 1.0)
    return WORK if share > _LONGER else TIME if share < _AS_LONG else ""


def cores(slot: "Sequence[int] | None") -> Sequence[int]:
    """Those of a slot, else all that may be used; none where nothing can be pinned."""
    if not hasattr(os, "sched_setaffinity"):
        return ()
    return slot or sorted(os.sched_getaffinity(0))
