"""Private places of one length, outside of every project: where trees are built and run, and TMPDIR of all commands.

A path reaches the program by its length: Unix sockets in TMPDIR have 108 bytes, 104 on macOS. And tools search upwards
from where they run; above a place of ours there is nothing of anybody's. A place lives as long as its holder's lock, as
all locks do here; what a killed one leaves is removed by the next, or by `autoresearch doctor --repair`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
from typing import Iterator, List, NamedTuple, Tuple

# Beside everybody else's: whoever has made it, and nobody but them may look into it.
NAME = "ar-%d" % os.geteuid()
# Bytes of the whole path; where the directories above are longer, 10 random digits are left.
_LENGTH, _DIGITS = 33, 10
OWNER = ".owner"  # holds the lock, and says for which directory
_SLACK = 64 * 2**20
# What tools go up for: one of these above would be found where nothing is contained.
_MARKS = (
    ".git", ".hg", ".envrc", ".editorconfig", ".npmrc", ".tool-versions", ".python-version", ".cargo", "Cargo.toml",
    "go.mod", "go.work", "node_modules", "package.json", "pnpm-workspace.yaml", "tsconfig.json", "pytest.ini",
    "pyproject.toml", "setup.cfg", "tox.ini", "conftest.py", "Makefile", "CMakeLists.txt", "pom.xml",
    "settings.gradle", "WORKSPACE", "MODULE.bazel", "Gemfile", "composer.json", "deno.json", ".eslintrc.json",
)  # fmt: skip


class Left(NamedTuple):
    """A place whose holder is gone: its path, and the directory that it was for ("" where it does not say)."""

    path: str
    owner: str


class Place:
    """A new private directory, for `owner`, a directory of the job; gone with `close`. `OSError` where none may be.

    `need` is how many bytes it should have room for.
    """

    def __init__(self, owner: str, need: int = 0) -> None:
        sweep()
        self.path, self._lock = _take(os.path.realpath(owner), need + _SLACK)

    def close(self) -> None:
        """Remove it with all that is in it."""
        remove(self.path)
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Place:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _shared() -> List[str]:
    """Where places may be, best first. A home comes last of all: more is above it, and its path is longer."""
    return ["/var/tmp", "/tmp", os.path.join(os.path.expanduser("~"), ".cache")]


def _take(owner: str, need: int) -> Tuple[str, int]:
    said, marked = [], []
    for shared in map(os.path.realpath, _shared()):
        problem = _unusable(shared, need)
        if problem:
            said.append("%s %s" % (shared, problem))
        elif any(os.path.lexists(os.path.join(shared, mark)) for mark in _MARKS):
            marked.append(shared)
        else:
            return _new(os.path.join(shared, NAME), owner)
    if marked:
        return _new(os.path.join(marked[0], NAME), owner)
    if _noexec(owner):
        problem = "no place for the measured trees: %s; the project's disk is mounted noexec" % "; ".join(said)
        raise OSError(problem + ": let programs run in one of them (mount -o remount,exec)")
    path = os.path.join(owner, "stage")  # as long as it is; whoever removes the job removes it
    remove(path)
    os.mkdir(path, 0o700)
    return path, -1


def _unusable(shared: str, need: int) -> str:
    """Why there can be no place in `shared`, in words; empty when there can. Makes our directory there."""
    base = os.path.join(shared, NAME)
    try:
        above = os.stat(shared)
        if above.st_uid not in (0, os.geteuid()) or (above.st_mode & 0o022 and not above.st_mode & stat.S_ISVTX):
            return "can be changed by others"
        with contextlib.suppress(FileExistsError):
            os.mkdir(base, 0o700)
        found = os.lstat(base)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            return "has a %s that is not ours" % NAME
        if stat.S_IMODE(found.st_mode) != 0o700:
            os.chmod(base, 0o700)
        disk = os.statvfs(base)
    except OSError as exc:
        return "cannot be used (%s)" % exc.strerror
    if not os.access(base, os.W_OK | os.X_OK) or disk.f_flag & os.ST_RDONLY:
        return "cannot be written"
    if _noexec(base):
        return "is mounted noexec"
    if disk.f_bavail * disk.f_frsize < need or (disk.f_files and not disk.f_favail):
        return "has %d MB free, of %d MB needed" % (disk.f_bavail * disk.f_frsize // 2**20, need // 2**20)
    return ""


def _noexec(path: str) -> bool:
    return bool(os.statvfs(path).f_flag & getattr(os, "ST_NOEXEC", 0))


def _new(base: str, owner: str) -> Tuple[str, int]:
    digits = max(_DIGITS, _LENGTH - len(base) - 1)
    path = os.path.join(base, os.urandom(digits).hex()[:digits])
    with _locked(base, fcntl.LOCK_SH):  # nobody looks who holds what between these
        os.mkdir(path, 0o700)
        lock = os.open(os.path.join(path, OWNER), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.write(lock, os.fsencode(owner))
    return path, lock


def left(below: str) -> List[Left]:
    """Places of this user that nobody holds any more, for `below` or a directory in it; "" for all."""
    return [found for found, lock in _dead(below) if _released(lock)]


def sweep(below: str = "") -> int:
    """Remove what `left` tells; returns how many."""
    found = _dead(below)
    for place, lock in found:
        # Whoever still writes there is of a killed trial, and is ended by its guardian: then the next one removes it.
        with contextlib.suppress(OSError):
            remove(place.path)
        _released(lock)
    return len(found)


def _dead(below: str) -> List[Tuple[Left, int]]:
    """With the lock of each, which the caller gives back (-1: it has none)."""
    found: List[Tuple[Left, int]] = []
    below = os.path.realpath(below) if below else ""
    for shared in _shared():
        base = os.path.join(os.path.realpath(shared), NAME)
        if os.path.islink(base) or not os.path.isdir(base) or os.lstat(base).st_uid != os.geteuid():
            continue
        with _locked(base, fcntl.LOCK_EX):
            for name in sorted(os.listdir(base)):
                path, lock, owner = os.path.join(base, name), -1, ""
                with contextlib.suppress(OSError):  # none, or no file: nothing that we have made, or its rest
                    lock = os.open(os.path.join(path, OWNER), os.O_RDWR | os.O_NOFOLLOW)
                if lock >= 0:
                    try:
                        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    except BlockingIOError:
                        os.close(lock)
                        continue
                    with contextlib.suppress(OSError):
                        owner = os.fsdecode(os.pread(lock, 1 << 14, 0))
                if not below or owner == below or owner.startswith(below + "/"):
                    found.append((Left(path, owner), lock))
                else:
                    _released(lock)
    return found


def _released(lock: int) -> bool:
    if lock >= 0:
        os.close(lock)
    return True


@contextlib.contextmanager
def _locked(base: str, how: int) -> Iterator[None]:
    handle = os.open(base, os.O_RDONLY)
    try:
        fcntl.flock(handle, how)
        yield
    finally:
        os.close(handle)


def remove(path: str) -> None:
    """Delete a file or a tree, also one with read-only directories (module caches make such)."""
    if os.path.islink(path) or not os.path.isdir(path):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        return
    shutil.rmtree(path, ignore_errors=True)
    if not os.path.lexists(path):
        return
    for where, _, _ in os.walk(path):
        os.chmod(where, 0o700)
    shutil.rmtree(path)
