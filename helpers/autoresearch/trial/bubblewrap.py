"""The same private view by bubblewrap (bwrap(1)), where the kernel lets only that program make namespaces."""

from __future__ import annotations

import os
from typing import List

from autoresearch.trial.namespaces import MachineView

_KEPT = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "NET_BIND_SERVICE")


def arguments(program: str, view: MachineView, network: bool, cwd: str) -> List[str]:
    """The command line up to the command itself. Overlays are not in every bwrap, so there are none."""
    argv = [program, "--die-with-parent", "--unshare-user-try"]
    argv += ["--unshare-pid", "--unshare-ipc", "--unshare-uts"]
    argv += [] if network else ["--unshare-net"]
    argv += ["--ro-bind", "/", "/"]
    for source, target, writable in view.first:
        argv += ["--bind" if writable else "--ro-bind", source, target]
    for path in view.hidden:
        if os.path.isdir(path):
            argv += ["--tmpfs", path]
    for source, target, writable in view.binds:
        argv += ["--bind" if writable else "--ro-bind", source, target]
    for path in view.masked:
        if os.path.isfile(path):
            argv += ["--ro-bind", "/dev/null", path]
    for path in view.hidden:
        if os.path.isdir(path):
            argv += ["--remount-ro", path]
    argv += ["--dev", "/dev"]
    for path in view.devices:
        argv += ["--dev-bind", path, path]
    argv += ["--proc", "/proc"] if view.proc else []
    if os.geteuid() == 0:
        argv += ["--cap-drop", "ALL", *(part for name in _KEPT for part in ("--cap-add", "CAP_" + name))]
    return [*argv, "--chdir", cwd, "--"]
