"""What one command may use up: memory, processes and disk, beside the output and time that `procs` limits.

No address-space limit: Go, Java and sanitizers reserve far more than they use. What is really used is looked at a few
times a second, and cheaply: while the machine as a whole has lost little memory, few tasks and little disk have come,
nothing is added up. What overruns is ended with its whole tree.
"""

from __future__ import annotations

import contextlib
import os
import resource
import time
from typing import Iterator, List, NamedTuple, Optional, Sequence, Set

from autoresearch.trial import processes

_EVERY = 0.2  # seconds
_SLOW_EVERY = 1.0  # where the kernel has no list of children, and every process must be read
_MB = 2**20
_NEARLY_FULL = 128 * _MB


class Limits(NamedTuple):
    """In MB and counts. None: nine tenths of the memory, half of the free disk."""

    memory_mb: Optional[int] = None
    processes: int = 4096
    disk_mb: Optional[int] = None
    output_mb: int = 64

    def settled(self, place: str) -> "Limits":
        """With numbers in the place of None: once a trial, so that no run can tell itself from another by them."""
        return self._replace(
            memory_mb=self.memory_mb or total_memory_mb() * 9 // 10,
            disk_mb=self.disk_mb or max(1, _free([place]) // 2 // _MB),
        )


class Guard:
    """Watches what this process has started. One for each command; `places` are the directories it may fill."""

    def __init__(self, limits: Limits, places: Sequence[str]) -> None:
        self._places = [place for place in places if os.path.isdir(place)]
        limits = limits.settled(self._places[0] if self._places else "/")
        self._memory = (limits.memory_mb or 0) * _MB
        self._processes = limits.processes
        self._free = _free(self._places)
        self._disk = (limits.disk_mb or 0) * _MB
        self._available = _available()
        self._tasks = _tasks()
        self._next = 0.0

    def in_child(self) -> None:
        """Called in the process that becomes the command: what the kernel itself enforces."""
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        size = self._disk if hard == resource.RLIM_INFINITY else min(self._disk, hard)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write("500")  # if memory does run out, this goes and not the user's editor

    def look(self) -> str:
        """What is over its limit, in words; empty when nothing is."""
        now = time.monotonic()
        if now < self._next:
            return ""
        self._next = now + _EVERY
        return self._crowd() or self._filled()

    def _crowd(self) -> str:
        if not processes.LINUX:
            return ""
        short = self._available - _available() > self._memory // 2
        many = _tasks() - self._tasks > self._processes // 2
        if not short and not many:
            return ""
        found = tree(os.getpid(), self._processes)
        if found is None:
            self._next = time.monotonic() + _SLOW_EVERY
            found = processes.children_of(os.getpid())
        if len(found) > self._processes:
            return "more than %d processes" % self._processes
        if sum(map(_resident, found)) > self._memory and sum(map(_own, found)) > self._memory:
            return "memory over %d MB" % (self._memory // _MB)
        return ""

    def _filled(self) -> str:
        free = _free(self._places)
        if free < _NEARLY_FULL and self._free - free > _NEARLY_FULL // 2:
            return "the disk is full"
        if self._free - free > self._disk // 2 and _used(self._places, self._disk) > self._disk:
            return "more than %d MB on disk" % (self._disk // _MB)
        return ""


def total_memory_mb() -> int:
    """Memory that processes here may use: the machine's, or less in a container with a limit of its own."""
    found = [_meminfo("MemTotal") // _MB] if processes.LINUX else []
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError), open(path, encoding="ascii") as file:
            found.append(int(file.read()) // _MB)
    return min([size for size in found if size > 0], default=1 << 24)


def _meminfo(name: str) -> int:
    with contextlib.suppress(OSError), open("/proc/meminfo", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024
    return 0


def _available() -> int:
    return _meminfo("MemAvailable")


def _tasks() -> int:
    """All threads of the machine: one short read."""
    # Not one `with` over two lines: Python 3.8 cannot read it.
    with contextlib.suppress(OSError, ValueError, IndexError), open("/proc/loadavg", "rb") as file:
        return int(file.read().split()[3].partition(b"/")[2])
    return 0


def tree(root: int, enough: int) -> Optional[Set[int]]:
    """Descendants of `root`, few more than `enough`; None where the kernel keeps no list of children."""
    if not os.path.exists("/proc/%d/task/%d/children" % (root, root)):
        return None
    found: Set[int] = set()
    waiting: List[int] = [root]
    while waiting and len(found) <= enough:
        for child in _children(waiting.pop()):
            if child not in found:
                found.add(child)
                waiting.append(child)
    return found


def _children(pid: int) -> Iterator[int]:
    try:
        threads = os.listdir("/proc/%d/task" % pid)
    except OSError:
        return
    for thread in threads:
        with contextlib.suppress(OSError), open("/proc/%d/task/%s/children" % (pid, thread), "rb") as file:
            yield from map(int, file.read().split())


def _resident(pid: int) -> int:
    with contextlib.suppress(OSError, ValueError, IndexError), open("/proc/%d/statm" % pid, "rb") as file:
        return int(file.read().split()[1]) * resource.getpagesize()
    return 0


def _own(pid: int) -> int:
    """Resident bytes, with what is shared among processes counted once over all of them."""
    try:
        with open("/proc/%d/smaps_rollup" % pid, "rb") as file:
            for line in file:
                if line.startswith(b"Pss:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        return _resident(pid)
    return 0


def _free(places: Sequence[str]) -> int:
    if not places:
        return 1 << 50
    status = os.statvfs(places[0])
    return status.f_bavail * status.f_frsize


def _used(places: Sequence[str], enough: int) -> int:
    """Bytes on disk below the places, holes not counted; stops past `enough`."""
    total = 0
    seen: Set[int] = set()
    for place in places:
        for where, _, files in os.walk(place):
            for name in files:
                with contextlib.suppress(OSError):
                    status = os.lstat(os.path.join(where, name))
                    if status.st_ino not in seen:
                        seen.add(status.st_ino)
                        total += status.st_blocks * 512
            if total > enough:
                return total
    return total
