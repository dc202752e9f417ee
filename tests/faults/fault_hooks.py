"""What a command under test does to the disk, counted; and the fault at one of these acts.

Installed in a forked child only. Python's audit events tell of files opened for writing, renamed, removed and made,
and of processes started; `os.write`, `os.fsync` and `os.ftruncate` are wrapped, as there are no events for them.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
ACTS = frozenset(
    ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod",
     "subprocess.Popen", "os.posix_spawn", "os.fork", "shutil.rmtree", "shutil.copyfile", "fcntl.flock")
)  # fmt: skip
REAL_OPEN, REAL_WRITE, REAL_TRUNCATE = os.open, os.write, os.ftruncate


class Counter:
    """Counts acts; at act number `at` calls `fault(kind, arguments)`. `at` 0 only counts."""

    def __init__(self, at: int, fault: Callable[[str, tuple[Any, ...]], None], report: int) -> None:
        self.at = at
        self.fault = fault
        self.report = report  # a descriptor: the count is there even if the process is killed
        self.count = 0
        self.busy = False
        self.owner = os.getpid()

    def act(self, kind: str, arguments: tuple[Any, ...]) -> None:
        if self.busy or os.getpid() != self.owner:
            return
        self.busy = True
        try:
            self.count += 1
            os.pwrite(self.report, b"%8d" % self.count, 0)
            if self.count == self.at:
                os.pwrite(self.report, f"{kind} {arguments!r}"[:400].encode("utf-8", "replace"), 16)
                self.fault(kind, arguments)
        finally:
            self.busy = False


def install(counter: Counter) -> None:
    """Count from now on, in this process, for ever."""
    flush = os.fsync  # of whoever listens already, such as the tape of the power cuts

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = arguments
            writing = flags & WRITING if isinstance(flags, int) and flags >= 0 else False
            writing = writing or (isinstance(mode, str) and bool(set(mode) & set("wax+")))
            if writing and not isinstance(path, int) and str(path) != "/dev/null":
                counter.act(event, arguments)
        elif event in ACTS:
            counter.act(event, arguments)

    def write(fd: int, data: Any) -> int:
        if fd > 2:
            counter.act("os.write", (fd, data))
        return REAL_WRITE(fd, data)

    def fsync(fd: Any) -> None:
        counter.act("os.fsync", (fd,))
        flush(fd)

    def ftruncate(fd: int, length: int) -> None:
        counter.act("os.ftruncate", (fd, length))
        REAL_TRUNCATE(fd, length)

    os.write, os.fsync, os.ftruncate = write, fsync, ftruncate
    sys.addaudithook(hook)


def die(kind: str, arguments: tuple[Any, ...]) -> None:
    """kill -9 just before the act."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_torn(kind: str, arguments: tuple[Any, ...]) -> None:
    """kill -9 in the middle of the act: half of the bytes are written, or the file is there but empty."""
    if kind == "os.write":
        fd, data = arguments
        REAL_WRITE(fd, bytes(data)[: len(data) // 2])
    elif kind == "open":
        path, mode, flags = arguments
        emptied = flags & os.O_TRUNC if isinstance(flags, int) and flags >= 0 else "w" in str(mode or "")
        creates = emptied or (isinstance(flags, int) and flags >= 0 and flags & os.O_CREAT)
        if creates:
            os.close(REAL_OPEN(path, os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if emptied else 0), 0o644))
    os.kill(os.getpid(), signal.SIGKILL)
