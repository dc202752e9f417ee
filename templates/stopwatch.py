"""Own time: what a piece of work took, without the turns of other programs on its core. Python 3, standard library.

    own = wall - min(delay, wall - cpu)

`delay` is how long this process was ready to run and did not (Linux: /proc/self/schedstat); only what the clock shows
beyond processor time is taken off. So a sleep, a wait for a file or a fight among the program's own threads stays in,
and what other programs took is out. What slows the core itself (a busy twin of it, its clock rate) is in processor time
too and stays: see paired.py. Where there is no schedstat (macOS, some containers) own time is wall time.

Copy it beside your benchmark, list it under `evaluator:`, and import it BEFORE anything of the project.
"""

import os
from collections import namedtuple
from resource import RUSAGE_CHILDREN, getrusage
from time import perf_counter, process_time

# Seconds: by the clock, of the processor (all threads, and children that were waited for), and of its own.
Span = namedtuple("Span", "wall cpu own")


def cpu_seconds():
    """Processor time of this process so far: all threads, and children that were waited for."""
    children = getrusage(RUSAGE_CHILDREN)
    return process_time() + children.ru_utime + children.ru_stime


def _span(wall, cpu, delay):
    return Span(wall, cpu, wall - min(max(0.0, delay), max(0.0, wall - cpu)))


class Stopwatch:
    """Times the process that made it; a forked child needs one of its own. `knows_delay`: False = own time is wall."""

    def __init__(self):
        try:
            self._file = os.open("/proc/self/schedstat", os.O_RDONLY)
        except OSError:
            self._file = None
        # Turns on a core, this one included. A kernel that keeps no account has the file and leaves it at nought.
        self.knows_delay = self._file is not None and int(self._read().split()[2]) > 0

    def _read(self, pread=os.pread):
        return pread(self._file, 64, 0)

    def _delay(self):
        return int(self._read().split()[1]) * 1e-9 if self.knows_delay else 0.0

    # The delay is read outermost: a turn lost between two reads makes it too long, which the cap takes back.
    def start(self):
        self._delayed = self._delay()
        self._began = perf_counter()
        self._used = cpu_seconds()

    def stop(self):
        """The Span since `start`."""
        cpu = cpu_seconds() - self._used
        wall = perf_counter() - self._began
        return _span(wall, cpu, self._delay() - self._delayed)

    def child(self, spawn):
        """(Span, wait status, resource usage) of the process that `spawn` starts and whose id it returns.

        This process takes part: it starts the other, and may wait for the core once that has ended. The other's delay
        is read before it is waited for, when only its account is left."""
        self.start()
        process = spawn()
        if not self.knows_delay:
            _, status, usage = os.wait4(process, 0)
            return self.stop(), status, usage
        os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT)
        here = self.stop()
        with open("/proc/%d/schedstat" % process) as account:
            delay = int(account.read().split()[1]) * 1e-9 + self._delay() - self._delayed
        _, status, usage = os.wait4(process, 0)
        return _span(here.wall, here.cpu + usage.ru_utime + usage.ru_stime, delay), status, usage
