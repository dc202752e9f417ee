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
    theirs = {_absolute(place) for place in ([*places, os.curdir] if sys.argv[0] == "-m" else places)}
    ours = os.path.dirname(os.path.dirname(_absolute(__file__)))
    sys.path[:] = [p for p in sys.path if _absolute(p) == ours or _absolute(p) not in theirs]


def _absolute(place):  # type: (str) -> str
    """Empty for what is named from a directory that is gone: nothing is found there."""
    try:
        return os.path.abspath(place)
    except OSError:
        return ""


if os.path.basename((sys.argv or [""])[0]) in ("-m", "autoresearch"):  # as a command, not as somebody's module
    _own_modules_first()
