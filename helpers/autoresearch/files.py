"""Files that several processes change: one lock, and a write that is there whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from autoresearch.errors import EnvironmentMissing

_IGNORE = "# Made by autoresearch; everything here can be rebuilt or is private.\n*\n"


def ensure_directory(path: Path) -> None:
    """Make `path`; where `.autoresearch` is made on the way, it gets the `.gitignore` that hides it."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        for place in (path, *path.parents):
            if place.name == ".autoresearch" and not (place / ".gitignore").exists():
                (place / ".gitignore").write_text(_IGNORE, encoding="utf-8")
    except OSError as exc:
        raise EnvironmentMissing(f"cannot write to {path}: {exc.strerror}") from None


@contextlib.contextmanager
def locked(path: Path, patience: float = 60.0) -> Iterator[IO[str]]:
    """Hold the lock file `path`, open for reading and appending; the lock dies with its holder.

    `EnvironmentMissing` when another process has held it for `patience` seconds.
    """
    ensure_directory(path.parent)
    deadline = time.monotonic() + patience
    try:
        handle = path.open("a+", encoding="utf-8")
    except OSError as exc:
        raise EnvironmentMissing(f"cannot open {path}: {exc.strerror}") from None
    with handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise EnvironmentMissing(
                        f"another autoresearch command has held {path} for {patience:.0f} s",
                        fix="Wait for it to end, or end it, and repeat",
                    ) from None
                time.sleep(0.02)
        yield handle


def write_atomic(path: Path, data: bytes, *, follow_links: bool = True) -> bool:
    """Replace the file at `path` in one step, keeping its mode; False when it already holds exactly `data`.

    With `follow_links` a symbolic link stays one and its target is replaced (a person's file); without, the link is
    replaced (a rendered file never lands outside its directory). `EnvironmentMissing` when the disk refuses.
    """
    target = Path(os.path.realpath(path)) if follow_links else path
    name = None
    try:
        plain = target.is_file() and not target.is_symlink()
        if plain and target.read_bytes() == data:
            return False
        target.parent.mkdir(parents=True, exist_ok=True)
        mode = target.stat().st_mode & 0o7777 if plain else 0o666 & ~_umask()
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
        with os.fdopen(handle, "wb") as out:
            out.write(data)
            out.flush()
            os.fchmod(out.fileno(), mode)
            os.fsync(out.fileno())
        Path(name).replace(target)
    except BaseException as exc:
        if name is not None:
            Path(name).unlink(missing_ok=True)
        if isinstance(exc, OSError):
            raise EnvironmentMissing(
                f"cannot write {path}: {exc.strerror or exc}", fix="Free the disk, or mend its permissions"
            ) from None
        raise
    return True


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
