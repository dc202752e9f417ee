"""A power cut, as a file system may show it afterwards: what was not flushed is short, and what was not flushed into
its directory has its old name, its old content, or is not there.

The command under test reports what it opens, renames, removes and flushes, in order. Afterwards every file that differs
from the state before is looked at: was its content flushed after its last change, and its directory after the file got
its name? If not, a draw says what the disk remembers. What git writes is git's affair (it is told to flush).
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
from pathlib import Path
from typing import Any

import fault_hooks

FOREIGN = (".git", "jobs", "worktrees", "tmp", "slots", "active", "setup")


class Tape:
    """What reached the disk, written by the command as it goes."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def record(self) -> None:
        """Called in the child, before the command."""
        fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        owner = os.getpid()

        def note(*what: Any) -> None:
            if os.getpid() == owner:
                fault_hooks.REAL_WRITE(fd, json.dumps(what).encode() + b"\n")

        before = os.fsync

        def fsync(handle: Any) -> None:
            before(handle)
            number = handle if isinstance(handle, int) else handle.fileno()
            found = os.fstat(number)
            note("fsync", found.st_ino, found.st_size)

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            if event == "os.rename":
                note("name", os.fspath(arguments[1]))
                note("name", os.fspath(arguments[0]))
            elif event in ("os.remove", "os.mkdir", "os.rmdir"):
                note("name", os.fspath(arguments[0]))
            elif event == "open" and isinstance(arguments[0], str | os.PathLike):
                flags = arguments[2]
                if isinstance(flags, int) and flags >= 0 and flags & os.O_CREAT:
                    path = os.fspath(arguments[0])
                    if isinstance(path, str) and not os.path.lexists(path):
                        note("name", path)

        os.fsync = fsync
        sys.addaudithook(hook)

    def events(self) -> list[list[Any]]:
        return [json.loads(line) for line in self.path.read_text().splitlines()]


def cut(root: Path, saved: Path, tape: Tape, rng: random.Random) -> list[str]:
    """Change the files below `root` to what a power cut may leave; `saved` is the state before. What was changed."""
    flushed: dict[int, tuple[int, int]] = {}  # inode -> (when, size)
    named: dict[str, int] = {}  # path -> when it last got or lost its name
    for when, event in enumerate(tape.events()):
        if event[0] == "fsync":
            flushed[event[1]] = (when, event[2])
        else:
            named[os.path.realpath(event[1])] = when
    told = []
    for name in sorted({*_files(root), *_files(saved)}):
        now, then = root / name, saved / name
        if now.exists() and then.exists() and now.read_bytes() == then.read_bytes():
            continue
        where = now.parent
        while not where.exists():
            where = where.parent
        when_named = named.get(os.path.realpath(now), -1)
        safe_name = flushed.get(where.stat().st_ino, (-1, 0))[0] > when_named or when_named < 0
        if now.exists():
            size = now.stat().st_size
            _, kept = flushed.get(now.stat().st_ino, (-1, then.stat().st_size if then.exists() else 0))
            if kept < size:
                length = rng.randint(kept, size)
                os.truncate(now, length)
                told.append(f"{name} cut from {size} to {length}")
        if not safe_name and rng.random() < 0.5:
            if then.exists():
                now.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(then, now)
                told.append(f"{name} is what it was")
            else:
                now.unlink(missing_ok=True)
                told.append(f"{name} is not there")
    return told


def _files(root: Path) -> set[str]:
    found = set()
    for where, folders, files in os.walk(root):
        inside = Path(where).relative_to(root)
        folders[:] = [name for name in folders if name not in FOREIGN]
        found |= {str(inside / name) for name in files}
    return found
