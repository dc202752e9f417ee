"""The one path at which both sides are built and run, and the trees that wait beside it.

A path's length and name reach the program (its stack, __FILE__, caches by path), so either side stands at
`work` while it is used and under a random name while it is not. With the tree go its private home and the changes
it has made to caches (`layers`): what its dependencies and its build have put there belongs to it alone.
"""

from __future__ import annotations

import contextlib
import os
import subprocess

from autoresearch.trial import places
from autoresearch.trial.places import remove

# Above this many bytes a copy is used again if its run has left it unchanged, so that a run costs no minute of copying.
COPY_LIMIT = 50 * 1024 * 1024


# Trees of one trial at a time, next to the tars: two with their dependencies, two built, the one that runs.
_ROOM = 5

# What belongs to one side, and so waits and is copied as one.
STORE = ".t"
_PARTS = ("work", "home", "layers")


class TrialStage:
    """`work`, its `home` and `layers`, two scratch directories, and `.t/<random>` below one directory.

    `job` is where the trial's tars are; `root`, which commands see, is a place of its own (`places`), until `close`.
    """

    def __init__(self, job: str) -> None:
        self.job = os.path.realpath(job)
        tars = [os.path.join(self.job, name) for name in os.listdir(self.job) if name.endswith(".tar")]
        self._place = places.Place(self.job, _ROOM * sum(map(os.path.getsize, tars)))
        self.root = self._place.path
        self.work = os.path.join(self.root, "work")
        self.home = os.path.join(self.root, "home")
        self.layers = os.path.join(self.root, "layers")
        self.tmp = os.path.join(self.root, "tmp")  # TMPDIR
        self.slash_tmp = os.path.join(self.root, "slash-tmp")  # stands for /tmp in a container
        self._store = os.path.join(self.root, STORE)
        os.makedirs(self._store, mode=0o700, exist_ok=True)
        self.clear()

    def close(self) -> None:
        """Give the place back, with all trees."""
        self._place.close()

    def __enter__(self) -> TrialStage:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def parts(self) -> tuple[str, ...]:
        """What belongs to the side on the stage."""
        return tuple(os.path.join(self.root, part) for part in _PARTS)

    @staticmethod
    def waiting(tree: str) -> str:
        """Where the files of a tree are that `put_away` has named."""
        return os.path.join(tree, "work")

    def _name(self) -> str:
        return os.path.join(self._store, os.urandom(8).hex())

    def clear(self) -> None:
        """An empty stage: no tree, and empty scratch directories."""
        for name in os.listdir(self.root):
            if name not in (STORE, places.OWNER):  # also what somebody has put above the tree
                remove(os.path.join(self.root, name))
        for path in (self.home, self.layers):
            os.mkdir(path, 0o700)
        self.clear_scratch()

    def clear_scratch(self) -> None:
        """Empty scratch directories."""
        remove(self.tmp)
        remove(self.slash_tmp)
        os.mkdir(self.tmp, 0o700)
        os.mkdir(self.slash_tmp)
        os.chmod(self.slash_tmp, 0o1777)
        os.mkdir(os.path.join(self.slash_tmp, places.NAME))  # where the place is, seen from inside: something to hide

    def unpack(self, tar: str) -> None:
        """Put a tree on the stage from its tar file, with new time stamps as a checkout has."""
        self.clear()
        os.mkdir(self.work)
        _tool("tar", "-xmf", tar, "-C", self.work)

    def put_away(self) -> str:
        """Take the tree off the stage; returns where it waits."""
        name = self._name()
        os.mkdir(name, 0o700)
        self.put_back(name)
        return name

    def place(self, tree: str) -> None:
        """Move a waiting tree on the stage. It is still known by its name: `put_back` returns it there."""
        self.clear()
        for part in _PARTS:
            if os.path.isdir(os.path.join(self.root, part)):
                os.rmdir(os.path.join(self.root, part))
            os.rename(os.path.join(tree, part), os.path.join(self.root, part))

    def put_back(self, tree: str) -> None:
        self._forget_mounts()
        for part in _PARTS:
            os.rename(os.path.join(self.root, part), os.path.join(tree, part))

    def place_copy(self, tree: str) -> None:
        """Put a copy of a waiting tree on the stage; times, modes and links are kept."""
        self.clear()
        for part in ("home", "layers"):
            if not os.listdir(os.path.join(tree, part)):
                continue
            os.rmdir(os.path.join(self.root, part))
            _tool("cp", "-a", os.path.join(tree, part), self.root)
        _tool("cp", "-a", os.path.join(tree, "work"), self.root)

    def _forget_mounts(self) -> None:
        """overlayfs leaves its own scratch beside the changes; it is made anew for every mount."""
        for name in os.listdir(self.layers):
            remove(os.path.join(self.layers, name, "work"))
            with contextlib.suppress(OSError):  # not empty: there are changes
                os.rmdir(os.path.join(self.layers, name, "up"))
                os.rmdir(os.path.join(self.layers, name))


def _tool(*argv: str) -> None:
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    if done.returncode:
        raise OSError(done.stderr.decode("utf-8", "replace").strip().split("\n")[0] or "%s failed" % argv[0])


def tree_bytes(tree: str, limit: int = COPY_LIMIT + 1) -> int:
    """Bytes of the files below `tree`; stops counting past `limit`."""
    total = 0
    for where, _, files in os.walk(tree):
        for name in files:
            total += os.lstat(os.path.join(where, name)).st_size
            if total > limit:
                return total
    return total
