"""A measured command before the other programs of a machine that is ours.

By the weight of its autogroup (sched(7)): a command has a session of its own, and with the kernel's usual setting each
session is a group that `nice` acts inside of only. It needs CAP_SYS_NICE; what cannot be had is no error.
"""

from __future__ import annotations

import contextlib
import os

from autoresearch.trial.limits import tree

_NICE = -10
_MOST_PROCESSES = 16


def raise_tree(pid: int) -> None:
    """Raise the session of a command that has just begun, and those of what it was started by inside of a container.

    From outside: inside, the command has no right to it, and could not be hindered to take it back.
    """
    for each in {pid} | (tree(pid, _MOST_PROCESSES) or set()):
        _raise(each)


def may_raise() -> bool:
    """Whether a new session of ours is raised when it is asked for."""
    if not os.path.exists("/proc/self/autogroup"):
        return False
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setsid()
            _raise(os.getpid())
            code = 0 if _nice(os.getpid()) == _NICE else 1
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1] == 0


def _raise(pid: int) -> None:
    with contextlib.suppress(OSError), open("/proc/%d/autogroup" % pid, "w", encoding="ascii") as file:
        file.write(str(_NICE))


def _nice(pid: int) -> int:
    with open("/proc/%d/autogroup" % pid, encoding="ascii") as file:
        return int(file.read().split()[-1])
