"""What the operating system knows about processes: finding and ending whole trees of them.

A process group ends what stays in it. On Linux two more nets catch what leaves it: orphans are re-parented
to us (PR_SET_CHILD_SUBREAPER, prctl(2)), and every process has a marker in its environment (proc(5)).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from typing import Dict, Iterator, List, Optional, Set, Tuple

from autoresearch.trial.conditions import Used, used

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PR_GET_CHILD_SUBREAPER = 37

LINUX = sys.platform.startswith("linux")
# Loaded before any fork: the dynamic loader is not safe to call in a forked child.
LIBC = ctypes.CDLL(None, use_errno=True) if LINUX else None


def prctl(option: int, value: int) -> int:
    """prctl(2) with one argument: its result, -1 for a failure and where there is none."""
    return int(LIBC.prctl(option, value, 0, 0, 0)) if LIBC is not None else -1


def die_with_parent(signum: int = signal.SIGKILL) -> None:
    """Ask the kernel to send this process `signum` when its parent dies (Linux; nothing elsewhere)."""
    if LIBC is not None:
        LIBC.prctl(_PR_SET_PDEATHSIG, int(signum), 0, 0, 0)


def become_subreaper(on: bool = True) -> None:
    """Make orphaned descendants children of this process (Linux; nothing elsewhere)."""
    if LIBC is not None:
        LIBC.prctl(_PR_SET_CHILD_SUBREAPER, int(on), 0, 0, 0)


def is_subreaper() -> bool:
    flag = ctypes.c_int(0)
    if LIBC is not None:
        LIBC.prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(flag), 0, 0, 0)
    return bool(flag.value)


@contextlib.contextmanager
def subreaper() -> Iterator[None]:
    """Adopt orphans while the block runs, then be what we were before."""
    before = is_subreaper()
    become_subreaper()
    try:
        yield
    finally:
        if not before:
            become_subreaper(False)


def _stat_fields(pid: int) -> Optional[List[str]]:
    """Fields of /proc/PID/stat after the command name (which may hold spaces), from the state on."""
    try:
        with open("/proc/%d/stat" % pid, "rb") as file:
            return file.read().decode("ascii", "replace").rpartition(")")[2].split()
    except (OSError, ValueError):
        return None


def start_time(pid: int) -> Optional[str]:
    """The process's start in clock ticks since boot: with the pid it names one process for ever."""
    fields = _stat_fields(pid)
    return fields[19] if fields and len(fields) > 19 else None


def _pids() -> List[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []


def children_of(root: int) -> Set[int]:
    """All descendants of `root` that are seen now, zombies included; empty where there is no /proc."""
    parents: Dict[int, List[int]] = {}
    for pid in _pids():
        fields = _stat_fields(pid)
        if fields and len(fields) > 1:
            parents.setdefault(int(fields[1]), []).append(pid)
    found: Set[int] = set()
    todo = [root]
    while todo:
        for pid in parents.get(todo.pop(), []):
            if pid not in found:
                found.add(pid)
                todo.append(pid)
    return found


def direct_children() -> Set[int]:
    """Children of this process, zombies included."""
    me = os.getpid()
    found = set()
    for pid in _pids():
        fields = _stat_fields(pid)
        if fields and len(fields) > 1 and fields[1] == str(me):
            found.add(pid)
    return found


def marked(marker: str) -> Set[int]:
    """Live processes, but this one, whose initial environment holds `marker`, such as "NAME=value"."""
    needle = b"\0" + marker.encode() + b"\0"
    found = set()
    for pid in _pids():
        try:
            with open("/proc/%d/environ" % pid, "rb") as file:
                content = file.read()
        except OSError:
            continue
        if needle in b"\0" + content + b"\0":
            found.add(pid)
    found.discard(os.getpid())
    return found


def environments(name: str) -> Iterator[Tuple[int, Dict[str, str]]]:
    """(pid, initial environment) of each live process, but this one, whose environment has the variable `name`."""
    needle = b"\0" + name.encode() + b"="
    for pid in _pids():
        try:
            with open("/proc/%d/environ" % pid, "rb") as file:
                content = b"\0" + file.read()
        except OSError:
            continue
        if needle in content and pid != os.getpid() and (_stat_fields(pid) or ["Z"])[0] not in ("Z", "X"):
            pairs = (entry.partition(b"=") for entry in content.split(b"\0") if entry)
            yield (
                pid,
                {key.decode("utf-8", "replace"): value.decode("utf-8", "surrogateescape") for key, _, value in pairs},
            )


def kill(pid: int, signum: int = signal.SIGKILL) -> None:
    """Send a signal; a process that is gone, or not ours to signal, is no error."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signum)


def kill_group(group: int, signum: int = signal.SIGKILL) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signum)


def reap(pids: Set[int]) -> Used:
    """Collect those of our children that have ended; returns what they used."""
    found = Used()
    for pid in pids:
        try:
            done, _, usage = os.wait4(pid, os.WNOHANG)
        except ChildProcessError:
            continue
        if done:
            found = found.plus(used(usage))
    return found


def end_tree(group: int, marker: str, keep: Set[int], patience: float = 10.0) -> Used:
    """Kill all that a finished command has left behind; returns what those used that were reaped.

    `group` is the command's process group (0: it has none), `marker` is in the environment of everything it
    started, `keep` names our children from before the command. Loops until a look finds nothing, as they may fork.
    """
    found = Used()
    if group:  # 0 would be our own
        kill_group(group)
    if not LINUX:
        return found
    deadline = time.monotonic() + patience
    pause = 0.001
    while True:
        ours = direct_children() - keep
        targets = ours | marked(marker)
        for child in ours:
            targets |= children_of(child)
        if not targets:
            return found
        for pid in targets:
            kill(pid)
        found = found.plus(reap(ours))
        if time.monotonic() > deadline:
            # Uninterruptible sleep, such as a dead network mount: nobody can end these.
            return found
        time.sleep(pause)
        pause = min(pause * 2, 0.05)


def kill_marked(marker: str, patience: float = 10.0) -> int:
    """Kill every process that carries `marker` until none is left; returns how many were seen."""
    seen: Set[int] = set()
    deadline = time.monotonic() + patience
    while True:
        alive = {pid for pid in marked(marker) if (_stat_fields(pid) or ["Z"])[0] not in ("Z", "X")}
        if not alive or time.monotonic() > deadline:
            return len(seen)
        seen |= alive
        for pid in alive:
            kill(pid)
        time.sleep(0.01)
