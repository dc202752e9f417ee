"""Files that several processes change: locks that die with their holder, and writes that are whole or not there."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from autoresearch.errors import EnvironmentMissing

_STATE = ".autoresearch"
_IGNORE = b"# Made by autoresearch; everything here can be rebuilt or is private.\n*\n"


def ensure_directory(path: Path) -> None:
    """Make `path`; where `.autoresearch` is made on the way, it gets the `.gitignore` that hides it."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        for place in (path, *path.parents):
            hidden = place / ".gitignore"
            # An empty one is what a kill in the middle of writing it leaves.
            if place.name == _STATE and not (hidden.exists() and hidden.stat().st_size):
                hidden.write_bytes(_IGNORE)
    except OSError as exc:
        raise EnvironmentMissing(f"cannot write to {path}: {exc.strerror}") from None


@contextlib.contextmanager
def locked(path: Path, patience: float = 60.0) -> Iterator[IO[str]]:
    """Hold the lock file `path`, open for reading and appending; the lock dies with its holder.

    `EnvironmentMissing` when another process has held it for `patience` seconds.
    """
    ensure_directory(path.parent)
    deadline = time.monotonic() + patience
    while True:
        try:
            handle = path.open("a+", encoding="utf-8")
        except OSError as exc:
            raise EnvironmentMissing(f"cannot open {path}: {exc.strerror}") from None
        with handle:
            while not try_lock(handle):
                if time.monotonic() > deadline:
                    raise EnvironmentMissing(
                        f"another autoresearch command has held {path} for {patience:.0f} s",
                        fix="Wait for it to end, or end it, and repeat",
                    )
                time.sleep(0.02)
            # Removed or replaced while we waited: whoever opens the path now would not see our lock.
            if not _is_at(handle, path):
                continue
            yield handle
            return


def try_lock(handle: IO[str] | int, *, shared: bool = False) -> bool:
    """Lock an open file at once, or not at all. (`trial.slots`, which travels to the worker, has its own.)"""
    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def sha256_of(path: Path) -> str | None:
    """The digest of a plain file; None for a link, a directory and nothing. (`trial`, which travels, has its own.)"""
    plain = path.is_file() and not path.is_symlink()
    return hashlib.sha256(path.read_bytes()).hexdigest() if plain else None


def _is_at(handle: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle.fileno()), path.stat())
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def _working_in(directory: Path) -> Iterator[Path]:
    """The directory of unfinished files, with a shared lock on it: `sweep` leaves it alone as long as one holds."""
    ensure_directory(directory)
    handle = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH)
        yield directory
    finally:
        os.close(handle)


@contextlib.contextmanager
def scratch(state: Path, prefix: str) -> Iterator[Path]:
    """A new directory below `state` (a project's `.autoresearch`), gone afterwards, or at the latest by `sweep`."""
    with _working_in(state / "tmp") as home:
        where = Path(tempfile.mkdtemp(prefix=prefix, dir=home))
        try:
            yield where
        finally:
            remove(where)


def sweep(state: Path) -> int:
    """Remove the unfinished files of killed commands; returns how many. None while any command makes some."""
    home = state / "tmp"
    try:
        handle = os.open(home, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0
    try:
        left = list(home.iterdir()) if try_lock(handle) else []
        for path in left:
            remove(path)
        return len(left)
    finally:
        os.close(handle)


def remove(path: Path) -> None:
    """Delete a file or a tree, also one with read-only directories."""
    from autoresearch.trial.places import remove as remove_tree

    if os.path.lexists(path):
        remove_tree(str(path))


def write_atomic(path: Path, data: bytes, *, follow_links: bool = True, mode: int = 0o666) -> bool:
    """Replace the file at `path` in one step, keeping its mode; False when it already holds exactly `data`.

    A new file gets `mode` as far as the umask lets it.

    With `follow_links` a symbolic link stays one and its target is replaced (a person's file); without, the link is
    replaced (a rendered file never lands outside its directory). `EnvironmentMissing` when the disk refuses.
    """
    target = Path(os.path.realpath(path)) if follow_links else path
    try:
        plain = target.is_file() and not target.is_symlink()
        if plain and target.stat().st_size == len(data) and target.read_bytes() == data:
            return False
        target.parent.mkdir(parents=True, exist_ok=True)
        mode = target.stat().st_mode & 0o7777 if plain else mode & ~_umask()
        home = _home_of_parts(target.parent)
        try:
            _replace(target, data, mode, home)
        except OSError as exc:
            if exc.errno != errno.EXDEV or home == target.parent:
                raise
            _replace(target, data, mode, target.parent)  # `.autoresearch` is another file system
    except OSError as exc:
        raise EnvironmentMissing(
            f"cannot write {path}: {exc.strerror or exc}", fix="Free the disk, or mend its permissions"
        ) from None
    return True


def _home_of_parts(parent: Path) -> Path:
    """Where a file for `parent` is written before it is whole: not among a person's files, if that can be."""
    state = parent / _STATE
    if state.is_dir() and not state.is_symlink():
        return state / "tmp"
    inside = next((place for place in (parent, *parent.parents) if place.name == _STATE), None)
    return parent if inside is None else inside / "tmp"


def _replace(target: Path, data: bytes, mode: int, home: Path) -> None:
    name = None
    with contextlib.nullcontext(home) if home == target.parent else _working_in(home):
        try:
            handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=home)
            with os.fdopen(handle, "wb") as out:
                out.write(data)
                out.flush()
                os.fchmod(out.fileno(), mode)
                os.fsync(out.fileno())
            Path(name).replace(target)
        except BaseException:
            if name is not None:
                Path(name).unlink(missing_ok=True)
            raise
    sync_directory(target.parent)


def sync_file(path: Path) -> None:
    """Bring what was written to a file to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_directory(path: Path) -> None:
    """Without this a crash of the machine may forget the name of a new or replaced file."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as exc:
        if exc.errno not in (errno.EINVAL, errno.ENOTSUP):  # file systems that cannot sync a directory
            raise
    finally:
        os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
