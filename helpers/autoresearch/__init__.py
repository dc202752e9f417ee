"""autoresearch: the agent proposes, the code decides."""

import os
import sys

__version__ = "0.4.0"


def _own_modules_first():  # type: () -> None
    """Take the caller's places for modules off the path: one of his may have the name of one that we import.

    The package's own place stays, which a job and a checkout give by PYTHONPATH.
    """
    places = os.environ.get("PYTHONPATH", "").split(os.pathsep) if "PYTHONPATH" in os.environ else []
    # By -m, the directory where the caller stands comes first.
    theirs = {os.path.abspath(place) for place in ([*places, os.curdir] if sys.argv[0] == "-m" else places)}
    ours = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    sys.path[:] = [p for p in sys.path if os.path.abspath(p) == ours or os.path.abspath(p) not in theirs]


if os.path.basename((sys.argv or [""])[0]) in ("-m", "autoresearch"):  # as a command, not as somebody's module
    _own_modules_first()
