"""The one path at which both sides are built and run, and the trees that wait beside it.

A path's length and name reach the program (its stack, __FILE__, caches by path), so either side stands at
`work` while it is used and under a random name while it is not.
"""

from __future__ import annotations

import os
import shutil
import subprocess

# Above this many bytes a built tree is moved, not copied, so that a run costs no minute of copying.
COPY_LIMIT = 50 * 1024 * 1024


class Stage:
    """`work`, a private `tmp`, and `.t/<random>` below one directory."""

    def __init__(self, root: str) -> None:
        self.root = os.path.abspath(root)
        self.work = os.path.join(self.root, "work")
        self.tmp = os.path.join(self.root, "tmp")
        self._store = os.path.join(self.root, ".t")
        os.makedirs(self._store, mode=0o700, exist_ok=True)
        self.clear()

    def _name(self) -> str:
        return os.path.join(self._store, os.urandom(8).hex())

    def clear(self) -> None:
        """An empty stage: no `work`, and an empty `tmp`."""
        remove(self.work)
        remove(self.tmp)
        os.mkdir(self.tmp, 0o700)

    def unpack(self, tar: str) -> None:
        """Put a tree on the stage from its tar file, with new time stamps as a checkout has."""
        self.clear()
        os.mkdir(self.work)
        subprocess.run(
            ["tar", "-xmf", tar, "-C", self.work],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )

    def put_away(self) -> str:
        """Take the tree off the stage; returns where it waits."""
        name = self._name()
        os.rename(self.work, name)
        return name

    def place(self, tree: str) -> None:
        """Move a waiting tree on the stage. It is still known by its name: `put_back` returns it there."""
        self.clear()
        os.rename(tree, self.work)

    def put_back(self, tree: str) -> None:
        os.rename(self.work, tree)

    def place_copy(self, tree: str) -> None:
        """Put a copy of a waiting tree on the stage; times, modes and links are kept."""
        self.clear()
        _tool("cp", "-a", tree, self.work)

    def discard(self, tree: str) -> None:
        remove(tree)


def _tool(*argv: str) -> None:
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def tree_bytes(tree: str, limit: int = COPY_LIMIT + 1) -> int:
    """Bytes of the files below `tree`; stops counting past `limit`."""
    total = 0
    for where, _, files in os.walk(tree):
        for name in files:
            total += os.lstat(os.path.join(where, name)).st_size
            if total > limit:
                return total
    return total


def remove(path: str) -> None:
    """Delete a file or a tree, also one with read-only directories (module caches make such)."""
    if os.path.islink(path) or os.path.isfile(path):
        os.unlink(path)
        return
    shutil.rmtree(path, ignore_errors=True)
    if not os.path.lexists(path):
        return
    for where, _, _ in os.walk(path):
        os.chmod(where, 0o700)
    shutil.rmtree(path)
