"""The bundle: one tarball, named by its hash, that holds everything a trial needs."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import stat
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PACKAGE = Path(__file__).resolve().parent.parent
# What travels: the trial and the pure modules below it. Standard library only, Python 3.8.
TRAVELS = ("__init__.py", "safetext.py", "metrics.py", "verdict/*.py", "trial/*.py")
# State of the house and of git is no part of a tree.
SKIPPED = frozenset({".git", ".autoresearch"})


@dataclass(frozen=True)
class Bundle:
    """A bundle on disk: `path` is `<sha256>.tar.gz`."""

    path: Path
    sha256: str


def build_bundle(
    outbox: Path,
    spec: Mapping[str, Any],
    *,
    base: Path | None = None,
    candidate: Path | None = None,
    hidden: Path | None = None,
) -> Bundle:
    """Pack `spec` (trial.json) with the directories `base` (a.tar), `candidate` (b.tar) and `hidden` into `outbox`.

    The same content gives the same bytes and so the same name: entries are sorted, owners and times dropped.
    """
    members: dict[str, bytes] = {"trial.json": json.dumps(spec, sort_keys=True, indent=1).encode()}
    for name, tree in (("a.tar", base), ("b.tar", candidate), ("hidden.tar", hidden)):
        if tree is not None:
            members[name] = tree_tar(tree)
    for pattern in TRAVELS:
        for path in sorted(_PACKAGE.glob(pattern)):
            members[f"autoresearch/{path.relative_to(_PACKAGE).as_posix()}"] = path.read_bytes()
    return _write(outbox, _tar_of(members))


def build_bare_bundle(outbox: Path, tree: Path) -> Bundle:
    """Pack a plain tree with its `autoresearch.sh`, as the header of experiment.yaml does by hand."""
    return _write(outbox, tree_tar(tree))


def _write(outbox: Path, content: bytes) -> Bundle:
    packed = io.BytesIO()
    # Level 1: the trees are read once, a minute later.
    with gzip.GzipFile(filename="", mode="wb", fileobj=packed, compresslevel=1, mtime=0) as file:
        file.write(content)
    digest = hashlib.sha256(packed.getvalue()).hexdigest()
    outbox.mkdir(parents=True, exist_ok=True)
    path = outbox / f"{digest}.tar.gz"
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_bytes(packed.getvalue())
    part.replace(path)
    return Bundle(path, digest)


def _entry(name: str, mode: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.mode = mode
    info.mtime = 0
    return info


def _tar_of(members: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        # trial.json first, so that `holds_trial` need not unpack the trees.
        for name in sorted(members, key=lambda name: (name != "trial.json", name)):
            info = _entry(name, 0o644)
            info.size = len(members[name])
            tar.addfile(info, io.BytesIO(members[name]))
    return out.getvalue()


def tree_tar(tree: Path) -> bytes:
    """A directory as tar bytes: files, links and directories, sorted; only the executable bit of the mode."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in _walk(tree):
            name = path.relative_to(tree).as_posix()
            status = path.lstat()
            if stat.S_ISLNK(status.st_mode):
                info = _entry(name, 0o777)
                info.type = tarfile.SYMTYPE
                info.linkname = str(path.readlink())
                tar.addfile(info)
            elif stat.S_ISDIR(status.st_mode):
                info = _entry(name, 0o755)
                info.type = tarfile.DIRTYPE
                tar.addfile(info)
            elif stat.S_ISREG(status.st_mode):
                info = _entry(name, 0o755 if status.st_mode & stat.S_IXUSR else 0o644)
                content = path.read_bytes()
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def _walk(tree: Path) -> list[Path]:
    found: list[Path] = []
    for where, folders, files in os.walk(tree):
        folders[:] = [name for name in folders if name not in SKIPPED]
        # A worktree's `.git` is a file.
        found += [Path(where) / name for name in (*folders, *files) if name not in SKIPPED]
    return sorted(found)


def holds_trial(path: Path) -> bool:
    """Whether a tarball holds a trial.json, so that the trial takes its measurement slot itself."""
    try:
        with tarfile.open(path) as tar:
            return any(member.name in ("trial.json", "./trial.json") for member in tar)
    except (OSError, tarfile.TarError, EOFError):
        return False
