"""Own time: what a piece of work took, without the turns of other programs on its core. Python 3, standard library.

    own = wall - min(delay, wall - cpu)

`delay` is how long this process was ready to run and did not (Linux: /proc/self/schedstat); only what the clock shows
beyond processor time is taken off. So a sleep, a wait for a file or a fight among the program's own threads stays in,
and what other programs took is out. What slows the core itself (a busy twin of it, its clock rate) is in processor time
too and stays: see paired.py. Where there is no schedstat (macOS, some containers) own time is wall time.

Copy it beside your benchmark, list it under `evaluator:`, and import it BEFORE anything of the project.
"""

import os
import time
from collections import namedtuple
from contextlib import suppress
from resource import RUSAGE_CHILDREN, getrusage
from time import perf_counter, process_time

# Seconds: by the clock, of the processor (all threads, and children that were waited for), and of its own.
Span = namedtuple("Span", "wall cpu own")


def cpu_seconds():
    """Processor time of this process so far: all threads, and children that were waited for."""
    children = getrusage(RUSAGE_CHILDREN)
    return process_time() + children.ru_utime + children.ru_stime


def cpu_seconds_of(process):
    """The same of another process, which may be what it likes: the system says it. 0 where it does not (macOS)."""
    try:
        with open("/proc/%d/stat" % process, "rb") as account:
            children = account.read().rpartition(b")")[2].split()[13:15]  # cutime, cstime: in ticks, never lost
        threads = time.clock_gettime(~process << 3 | 2)  # clock_getcpuclockid(3): CPUCLOCK_SCHED of the process
    except (OSError, AttributeError):
        return 0.0
    return threads + sum(map(int, children)) / os.sysconf("SC_CLK_TCK")


def _span(wall, cpu, delay):
    return Span(wall, cpu, wall - min(max(0.0, delay), max(0.0, wall - cpu)))


class Stopwatch:
    """Times the process that made it, and `other`, where that works at its word meanwhile: nothing of what that does to
    its own clocks shows. A forked child needs one of its own. `knows_delay`: False = own time is wall."""

    def __init__(self, other=None):
        self._other, self._files = other, []
        with suppress(OSError):
            self._files.append(os.open("/proc/self/schedstat", os.O_RDONLY))  # lint: allow setup-inside
        # Turns on a core, this one included. A kernel that keeps no account has the file and leaves it at nought.
        self.knows_delay = bool(self._files) and int(self._read(self._files[0])[2]) > 0
        if other and self.knows_delay:
            self._files.append(os.open("/proc/%d/schedstat" % other, os.O_RDONLY))

    def _read(self, file, pread=os.pread):
        return pread(file, 64, 0).split()

    def _delay(self):
        return sum([int(self._read(file)[1]) for file in self._files]) * 1e-9 if self.knows_delay else 0.0

    def _cpu(self):
        return cpu_seconds() + (cpu_seconds_of(self._other) if self._other else 0.0)

    def close(self):
        """Give its files back."""
        while self._files:
            os.close(self._files.pop())

    # The delay is read outermost: a turn lost between two reads makes it too long, which the cap takes back.
    def start(self):
        self._delayed = self._delay()
        self._began = perf_counter()
        self._used = self._cpu()

    def stop(self):
        """The Span since `start`."""
        cpu = self._cpu() - self._used
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
