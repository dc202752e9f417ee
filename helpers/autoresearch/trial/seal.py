"""What waits beside the stage must stay as it was, and must not tell the sides apart."""

from __future__ import annotations

import hashlib
import os
from typing import Dict, Iterator, List, Tuple


class Seals:
    """Remembers how files and trees look, to notice that somebody changed them while they waited.

    By names, modes, sizes and times of change; the last cannot be set by a program without turning the clock.
    """

    def __init__(self) -> None:
        self._known: Dict[str, str] = {}

    def set(self, path: str) -> None:
        self._known[path] = fingerprint(path)

    def broken(self, path: str) -> bool:
        """Whether a sealed path has changed; False for one that was never sealed."""
        return path in self._known and fingerprint(path) != self._known[path]


def fingerprint(path: str) -> str:
    """A digest of the state of a file, or of all that is below a directory."""
    digest = hashlib.sha256()
    for name, state in _entries(path):
        row = (name, state.st_mode, state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_nlink)
        digest.update(repr(row).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def level(tree: str, nanoseconds: int) -> None:
    """Give everything in `tree` that is newer than `nanoseconds` that time of modification.

    The sides are unpacked and built one after the other: without this, the age of a file says which one is running.
    The order that make, ninja and cargo look at survives: sources stay no newer than what was built from them.
    """
    for name, state in _entries(tree):
        if state.st_mtime_ns > nanoseconds:
            path = os.path.join(tree, name) if name else tree
            os.utime(path, ns=(nanoseconds, nanoseconds), follow_symlinks=False)


def _entries(path: str) -> Iterator[Tuple[str, os.stat_result]]:
    """(relative name, lstat) of `path` itself and all below it, links not followed, in a fixed order."""
    yield "", os.lstat(path)
    waiting: List[str] = [""]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(os.path.join(path, folder) if folder else path) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except (NotADirectoryError, PermissionError):
            continue
        for entry in entries:
            name = os.path.join(folder, entry.name) if folder else entry.name
            yield name, entry.stat(follow_symlinks=False)
            if entry.is_dir(follow_symlinks=False):
                waiting.append(name)
