"""Writes a rendered file whole or not at all."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path

from autoresearch.errors import EnvironmentMissing


def write(path: Path, data: bytes) -> bool:
    """Replace `path` atomically and keep its mode; False when it already holds exactly `data`.

    A symbolic link is replaced, not followed: a rendered file never lands outside its directory. Raises
    `EnvironmentMissing` when the disk refuses.
    """
    try:
        if not path.is_symlink() and path.is_file() and path.read_bytes() == data:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        mode = stat.S_IMODE(path.lstat().st_mode) if path.is_file() and not path.is_symlink() else 0o644
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as out:
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
                os.fchmod(out.fileno(), mode)
            Path(name).replace(path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                Path(name).unlink()
            raise
    except OSError as exc:
        raise EnvironmentMissing(
            f"cannot write {path}: {exc.strerror or exc}",
            fix="Free the disk or name another place with --output",
        ) from None
    return True
