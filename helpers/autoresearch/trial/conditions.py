"""What a run met on its machine: how long it waited for a core, and who else was there. Recorded, never judged.

Each signal is exact where it is known, and None where the system does not tell it:

- stall: time in which something of the run wanted a core and nothing of it had one, over its whole tree: "full" in the
  `cpu.pressure` of a cgroup (v2) of the run's own, which root may make, and a desktop's user below their own session.
  What a run does to itself, with more threads than cores, is not in it. It is exact on one core; of a run that moves
  among several, the kernel's mean over them tells too little, never too much.
- delay: time that the started process waited for a core (/proc/PID/schedstat of the zombie), told only where that
  one thread did the work: with a shell in between, it says nothing about the work.
Both with the wait of the one who looks for its end, which is in the run's duration as well.

- foreign: processor time on the run's cores that was not the run's (/proc/stat). An upper bound of its wait.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import time
from typing import Any, Dict, NamedTuple, Optional, Sequence, Tuple

_CGROUPS = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
_PREFIX = "autoresearch-run-"
# The thread that was started must have this share of the tree's processor time for its wait to be the run's.
_ALONE = 0.95
# /proc/stat counts ticks of 10 ms.
_LEAST_SECONDS = 0.1
_RSS_UNIT = 1.0 if sys.platform == "darwin" else 1024.0
_MB = 2.0**20


class Used(NamedTuple):
    """What processes that have ended used: processor seconds, the largest one's peak memory, and switches."""

    cpu_seconds: float = 0.0
    peak_bytes: float = 0.0
    voluntary: int = 0
    involuntary: int = 0

    def plus(self, other: "Used") -> "Used":
        """Of both together."""
        return Used(
            self.cpu_seconds + other.cpu_seconds, max(self.peak_bytes, other.peak_bytes),
            self.voluntary + other.voluntary, self.involuntary + other.involuntary,
        )  # fmt: skip


def used(usage: Any) -> Used:
    """From a resource usage as `os.wait4` gives it: of a child and all that it has waited for."""
    return Used(usage.ru_utime + usage.ru_stime, usage.ru_maxrss * _RSS_UNIT, usage.ru_nvcsw, usage.ru_nivcsw)


class Met(NamedTuple):
    """What one run met. `switches` are (voluntary, involuntary); `peak_rss_mb` is that of its largest process.

    A process smaller than the worker reads as large as it (some 15 MB): Linux counts from the fork on.
    """

    delay_seconds: Optional[float] = None
    stall_seconds: Optional[float] = None
    foreign_seconds: Optional[float] = None
    switches: Optional[Tuple[int, int]] = None
    peak_rss_mb: Optional[float] = None

    def known(self) -> Dict[str, Any]:
        """For the record of a sample: what is known."""
        found = self._asdict().items()
        return {k: round(v, 4) if isinstance(v, float) else v for k, v in found if v is not None}

    @property
    def waited(self) -> Optional[float]:
        """Seconds that the work waited for a core, or None. The delay, where it is told, knows the start, too."""
        return max((v for v in (self.delay_seconds, self.stall_seconds) if v is not None), default=None)


def lost_share(seconds: float, waited: Optional[float], foreign: Optional[float]) -> Optional[float]:
    """Share of a run in which others had its core, 0 to 1: its wait, or where that is not known, their time."""
    lost = foreign if waited is None else waited
    return None if lost is None or seconds <= 0 else min(1.0, lost / seconds)


def own_seconds(seconds: float, cpu_seconds: float, waited: float) -> float:
    """The duration without the wait for a core. Sleep and I/O stay in it, and so does what a run does to itself:

    no more is taken off than the time in which it did not compute.
    """
    return seconds - min(waited, max(0.0, seconds - cpu_seconds))


class Meter:
    """Watches one command: made before it starts, asked after its end. `cpus` are those it is pinned to, if any."""

    def __init__(self, cpus: Sequence[int] = ()) -> None:
        self._cpus = cpus
        self._schedstat: Optional[Tuple[float, float]] = None  # seconds: on a core, waiting for one
        self._group = _make_group()
        self._join = -1
        if self._group:
            with contextlib.suppress(OSError):
                self._join = os.open(os.path.join(self._group, "cgroup.procs"), os.O_WRONLY | os.O_CLOEXEC)
        self._tell = os.pipe()
        self._busy = _busy(cpus)
        self._waited_before = 0.0

    def in_child(self) -> None:
        """Called in the process that is to become the command, while it may still write; its run begins then.

        To be moved takes it up to some ten milliseconds of waiting for the kernel's other processors.
        """
        if self._join >= 0:
            with contextlib.suppress(OSError):
                os.write(self._join, b"0")
        with contextlib.suppress(OSError):
            os.write(self._tell[1], b"%r %r" % (time.monotonic(), waited_here()))

    def begun(self, otherwise: float) -> float:
        """When the run began, by the monotonic clock."""
        os.set_blocking(self._tell[0], False)
        with contextlib.suppress(OSError, ValueError):
            begun, self._waited_before = map(float, os.read(self._tell[0], 100).split())
            return begun
        return otherwise

    def ended(self, pid: int) -> None:
        """Called once while `pid`, the started process, is a zombie."""
        with contextlib.suppress(OSError, ValueError, IndexError), open("/proc/%d/schedstat" % pid, "rb") as file:
            on_core, waiting = file.read().split()[:2]
            self._schedstat = int(on_core) / 1e9, int(waiting) / 1e9

    def met(self, seconds: float, used: Used, late: float) -> Met:
        """What the command met, once nothing of it is left. `late` seconds after its end, its duration was taken."""
        busy = _busy(self._cpus) if self._busy is not None and seconds >= _LEAST_SECONDS else None
        stall = _stall(self._group, used.cpu_seconds) if self._join >= 0 else None
        on_core, waiting = self._schedstat or (0.0, 0.0)
        alone = self._schedstat is not None and on_core >= _ALONE * used.cpu_seconds
        return Met(
            delay_seconds=max(0.0, waiting - self._waited_before) + late if alone else None,
            stall_seconds=stall + late if stall is not None else None,
            foreign_seconds=max(0.0, busy - self._busy - used.cpu_seconds) if busy and self._busy is not None else None,
            switches=(used.voluntary, used.involuntary),
            peak_rss_mb=used.peak_bytes / _MB if used.peak_bytes else None,
        )

    def release(self) -> None:
        """Give back what it held."""
        for fd in self._tell:
            os.close(fd)
        if self._join >= 0:
            os.close(self._join)
        if self._group:
            # What cannot be ended (a dead network mount) keeps it; the next trial looks again.
            with contextlib.suppress(OSError):
                os.rmdir(self._group)


def waited_here() -> float:
    """Seconds that this thread has waited for a core since it began; 0 where the system does not tell."""
    with contextlib.suppress(OSError, ValueError, IndexError), open("/proc/thread-self/schedstat", "rb") as file:
        return int(file.read().split()[1]) / 1e9
    return 0.0


def _busy(cpus: Sequence[int]) -> Optional[float]:
    """Seconds that these processors have worked since boot, for anybody; None where the system does not tell."""
    if not cpus:
        return None
    wanted = {b"cpu%d" % cpu for cpu in cpus}
    total = 0
    with contextlib.suppress(OSError, ValueError, IndexError), open("/proc/stat", "rb") as file:
        for line in file:
            fields = line.split()
            if fields[0] in wanted:  # user, nice, system, irq, softirq
                total += sum(int(fields[i]) for i in (1, 2, 3, 6, 7))
            elif not line.startswith(b"cpu"):
                return total / os.sysconf("SC_CLK_TCK")
    return None


def _stall(group: str, cpu_seconds: float) -> Optional[float]:
    """Seconds in which something in this cgroup wanted a core and nothing had one; None where the run was not in it."""
    if _number(group, "cpu.stat", b"usage_usec ") / 1e6 + 0.01 < _ALONE * cpu_seconds:
        return None
    stalled = _number(group, "cpu.pressure", b"full", b"total=")
    return stalled / 1e6 if stalled >= 0 else None


def _number(group: str, name: str, line: bytes, after: bytes = b" ") -> int:
    """The number behind `after` in a line of a cgroup's file; -1 where there is none."""
    # Not one `with` over two lines: Python 3.8 cannot read it.
    with contextlib.suppress(OSError, ValueError), open(os.path.join(group, name), "rb") as file:
        return next((int(found.partition(after)[2]) for found in file if found.startswith(line)), -1)
    return -1


def _make_group() -> str:
    """A new cgroup below our own; empty where none may be made."""
    home = _home()
    if not home:
        return ""
    path = os.path.join(home, "%s%d-%s" % (_PREFIX, os.getpid(), os.urandom(4).hex()))
    try:
        os.mkdir(path)
    except OSError:
        return ""
    return path


@functools.lru_cache(maxsize=None)
def _home() -> str:
    """Our own cgroup (v2), where we may make others and move what we start; empty without. Clears what is left."""
    try:
        with open("/proc/self/cgroup", encoding="utf-8", errors="replace") as file:
            own = next((line[3:].strip() for line in file if line.startswith("0::")), "")
    except OSError:
        return ""
    for root in _CGROUPS if own else ():
        home = os.path.normpath(root + "/" + own)
        # The root of a cgroup v1 hierarchy has no such file, and one that is not ours cannot be written.
        if os.access(os.path.join(home, "cgroup.procs"), os.W_OK) and os.access(home, os.W_OK):
            _sweep(home)
            return home
    return ""


def _sweep(home: str) -> None:
    """Remove the empty cgroups of trials that were killed."""
    with contextlib.suppress(OSError):
        for name in os.listdir(home):
            pid = name[len(_PREFIX) :].partition("-")[0]
            if name.startswith(_PREFIX) and not os.path.exists("/proc/" + pid):
                with contextlib.suppress(OSError):
                    os.rmdir(os.path.join(home, name))
