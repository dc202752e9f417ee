"""Which files of a tree a command opens, told by their access times: no tool, no privilege, and nothing runs slower.

Where a file system keeps no such times, the script that was run does not show either: then nothing is told.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from autoresearch.workspace.evaluator import BENCHMARK, CHECKS

# With more files than this in a tree, it is not looked through.
MOST_FILES = 30_000


@dataclass(frozen=True)
class Opened:
    """What one command has opened, by path from the tree's top, and the sources that its programs were made of."""

    files: set[str] = field(default_factory=set)
    sources: set[str] = field(default_factory=set)  # the last part of their names, as compilers note it


def mark(tree: str) -> None:
    """Begin: no file of `tree` was opened yet."""
    for count, (path, entry) in enumerate(_files(tree)):
        if count > MOST_FILES:
            return
        with contextlib.suppress(OSError):
            os.utime(path, ns=(0, entry.stat(follow_symlinks=False).st_mtime_ns))


def opened(tree: str) -> Opened:
    """What was opened since `mark`. A compiled Python file stands for its source."""
    found = Opened()
    for count, (path, entry) in enumerate(_files(tree)):
        if count > MOST_FILES:
            return Opened()
        with contextlib.suppress(OSError):
            stat = entry.stat(follow_symlinks=False)
            if stat.st_atime_ns and stat.st_size:
                name = os.path.relpath(path, tree)
                found.files.add(re.sub(r"__pycache__/([^/]+?)\.[^/]*\.pyc$", r"\1.py", name))
                if stat.st_mode & 0o111 or name.endswith(".so"):
                    found.sources.update(_compiled_of(path))
    return found


def only_checked(by_stage: Mapping[str, Opened], prefix: str = "") -> set[str] | None:
    """What the checks open and neither the build nor the benchmark does: no number depends on it, but the checks do.

    So are the sources of programs that only the checks start (C and C++, by the names in their symbols; with a slash in
    front, as their directory is not known). None where nothing was traced.
    """
    bench, checks = (by_stage.get(stage, Opened()) for stage in ("benchmark", "checks"))
    if prefix + BENCHMARK not in bench.files or prefix + CHECKS not in checks.files:
        return None
    made = [by_stage[stage].files for stage in ("setup", "build") if stage in by_stage]
    names = {name[len(prefix) :] for name in checks.files.difference(bench.files, *made) if name.startswith(prefix)}
    return names | ({f"/{name}" for name in checks.sources - bench.sources} if bench.sources else set())


def among(names: set[str], files: list[str]) -> list[str]:
    """Those of `files` that `only_checked` means by `names`."""
    ends = Counter(PurePosixPath(name).name for name in files)

    def alone(name: str) -> bool:
        end = PurePosixPath(name).name
        return ends[end] == 1 and f"/{end}" in names

    return [name for name in files if name in names or alone(name)]


def _files(tree: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    with os.scandir(tree) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in (".git", "node_modules"):
                    yield from _files(entry.path)
            elif entry.is_file(follow_symlinks=False):
                yield entry.path, entry


def _compiled_of(path: str) -> set[str]:
    """The sources that an ELF file's symbols name."""
    program = shutil.which("readelf")
    with Path(path).open("rb") as file:
        if program is None or file.read(4) != b"\x7fELF":
            return set()
    done = subprocess.run([program, "-sW", path], capture_output=True, text=True, check=False, errors="replace")
    return set(re.findall(r" FILE +LOCAL +\S+ +\S+ (\S+\.\w+)$", done.stdout, re.MULTILINE))
