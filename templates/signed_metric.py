"""Prints METRIC lines that the trial knows to be the evaluator's own. Python 3, standard library.

Copy it beside your benchmark, list it under `evaluator:`, and import it BEFORE anything of the project:

    from signed_metric import metric
    from project import work
    ...
    metric("time_s", seconds)
"""

import hashlib
import os
from pathlib import Path


def _close_memory():
    """On Linux no other process of this user, such as the program, may read or change this one's memory from now on."""
    try:
        import ctypes

        ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE
    except (ImportError, OSError, AttributeError, TypeError):
        return  # elsewhere there is no such switch


def _signer():
    # Bound here: the program may not swap the hash, the write or the environment afterwards.
    sha256, write, token = hashlib.sha256, os.write, ""
    path = Path(os.environ.pop("AUTORESEARCH_TOKEN", "") or os.devnull)
    _close_memory()  # in the checks, too: no program can tell by it which of the two it is in
    if path.is_file():
        token = path.read_text()
        path.unlink()  # who comes later finds none

    def metric(name, value):
        """Print one result: its name, and a number."""
        pair = f"{name}={float(value)!r}"
        text = f"METRIC {pair}\n"
        if token:
            text += f"SIGNED_METRIC {pair} {sha256(f'{token} {pair}'.encode()).hexdigest()}\n"
        write(1, text.encode())

    return metric


metric = _signer()
