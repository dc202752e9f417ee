"""Runs the tests once, on a fresh tree with scratch space of its own: nothing is left of the run before."""

import os
import subprocess
import tempfile
from pathlib import Path

import worker
from settings import COMMAND, ENVIRONMENT, SECONDS

_OURS = {".git", ".autoresearch", "evaluator", "__pycache__"}


def files():
    """The project as it is, in memory: whatever a test writes here changes nothing of it."""
    found = {}
    for where, folders, names in os.walk("."):
        folders[:] = [name for name in folders if name not in _OURS]
        for path in (Path(where) / name for name in names if not name.startswith("autoresearch.")):
            if path.is_file() and not path.is_symlink():
                found[path.as_posix()] = path.read_bytes(), path.stat().st_mode & 0o777
    return found


def passes(tree):
    """(whether the tests of `tree` pass, what they said); `tree` as `files` gives it."""
    with tempfile.TemporaryDirectory() as scratch:
        for name, (content, mode) in tree.items():
            to = Path(scratch) / "p" / name
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_bytes(content)
            to.chmod(mode)
        own = {name: f"{scratch}/{name.lower()}" for name in ("HOME", "TMPDIR")}
        for path in own.values():
            os.mkdir(path)
        try:
            done = subprocess.run(
                COMMAND, cwd=f"{scratch}/p", env={**worker.environment(), **ENVIRONMENT, **own}, timeout=SECONDS,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return False, "timeout"
    return done.returncode == 0, done.stdout.decode("utf-8", "replace")
