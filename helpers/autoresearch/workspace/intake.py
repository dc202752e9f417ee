"""The files of an experiment's copy are put into an index, as far as they may be: whatever stands there is anybody's.

git is told which repository is meant and asks nothing of the copy's own `.git`, or of repositories inside the copy:
their configurations name programs, and git would run them here, uncontained.
"""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from autoresearch.config import Diff
from autoresearch.errors import BadInput, IntegrityFault
from autoresearch.project import Project
from autoresearch.safetext import one_line
from autoresearch.workspace.git import EXACT, GitError, git, run_git
from autoresearch.workspace.objects import config_values, places_of, settings_of

_MB = 1 << 20
# git reads these whole, before anybody knows whether they belong to the candidate.
_READ_BY_GIT = frozenset((".gitattributes", ".gitignore", ".gitmodules", ".git"))
# Seconds: a file system that hangs, or a pipe in the way, must not hold the session's lock for ever.
_PATIENCE = 600.0


def asked_of(project: Project, admin: Path, where: Path) -> dict[str, str]:
    """Environment in which git means the copy `where` of this repository, whatever `.git` in the copy says.

    With `filters_at_home`: even `write-tree` and `reset` read a file anew that is as young as the index, by its filter.
    """
    common = places_of(project)[1]
    places = {"GIT_DIR": str(admin), "GIT_COMMON_DIR": str(common), "GIT_WORK_TREE": str(where)}
    return {**places, **filters_at_home(project)}


def filters_at_home(project: Project) -> dict[str, str]:
    """Environment in which filters of the configuration start in the project's own tree: in a copy, `sh tools/clean.sh`
    would be the candidate's. Git LFS names none of its files and stays as it is."""
    home = shlex.quote(str(places_of(project)[0]))
    return config_values({
        name: f"cd {home} && {command}"
        for name, command in settings_of(project).items()
        if name.startswith("filter.") and name.endswith((".clean", ".smudge", ".process"))
        and command and not command.startswith(("git-lfs ", "git lfs "))
    })  # fmt: skip


def add_all(where: Path, env: Mapping[str, str], limits: Diff | None = None, ours: Iterable[str] = ()) -> None:
    """`git add --all` of a copy, into the index and repository of `env` (`private_index` with `asked_of`).

    Raises `IntegrityFault` for what no diff may hold. The files `ours`, which we have put there, do not count.
    """
    limits = limits or Diff()
    found = _look(where)
    known = _entries(Path(env["GIT_INDEX_FILE"]))
    if found.size > limits.max_mb * _MB or max(found.files, known) > limits.max_files:
        _weigh(where, env, limits, frozenset(map(os.fsencode, ours)))
    try:
        inner = _submodules(where, env, found.repositories) if found.repositories else []
        spared = [f":(exclude,top,literal){path}" for path in inner]
        run_git(where, [*EXACT, "add", "--all", "--", ".", *spared], env=env, patience=_PATIENCE)
        if inner:
            listed = "\0".join(inner).encode("utf-8", "surrogateescape")
            git(where, *EXACT, "update-index", "-z", "--remove", "--stdin", env=env, stdin=listed)
    except GitError as exc:
        raise BadInput(f"cannot read the files of {where.name}: {exc.said}") from None


@dataclass
class _Found:
    files: int = 0
    size: int = 0
    repositories: list[str] = field(default_factory=list)


def _look(where: Path) -> _Found:
    """How many files stand in a copy, of what size, and which directories are repositories of their own.

    Before git reads any of them: it would wait for ever at a pipe.
    """
    found = _Found()
    for entry, info in _entries_below(where):
        shown = os.path.relpath(entry.path, where)
        if stat.S_ISFIFO(info.st_mode) or stat.S_ISCHR(info.st_mode) or stat.S_ISBLK(info.st_mode):
            kind = "pipe" if stat.S_ISFIFO(info.st_mode) else "device"
            raise _refused(where, f"{_shown(shown)} is a {kind}, not a file", "Remove it")
        if entry.name in _READ_BY_GIT and stat.S_ISREG(info.st_mode) and info.st_size > _MB:
            raise _refused(
                where, f"{_shown(shown)} has {_size(info.st_size)}, and git would read it", "Make it smaller"
            )
        if shown.endswith("/.git"):
            found.repositories.append(shown.removesuffix("/.git"))
        if not stat.S_ISDIR(info.st_mode):
            found.files += 1
            found.size += info.st_size
    return found


def _entries_below(top: Path) -> Iterator[tuple[os.DirEntry[str], os.stat_result]]:
    """Everything below a directory. Links are not followed; what cannot be read is passed over, as git does."""
    todo = [str(top)]
    while todo:
        try:
            with os.scandir(todo.pop()) as listed:
                for entry in listed:
                    try:
                        info = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue
                    if stat.S_ISDIR(info.st_mode):
                        todo.append(entry.path)
                    yield entry, info
        except (PermissionError, FileNotFoundError, NotADirectoryError):
            continue


def _weigh(where: Path, env: Mapping[str, str], limits: Diff, ours: frozenset[bytes]) -> None:
    """Refuse a diff beyond the limits. What git ignores is no part of it."""
    words = ["ls-files", "-z", "--modified", "--others", "--exclude-standard"]
    listed = run_git(where, [*EXACT, *words], env=env, patience=_PATIENCE)
    changed = set(filter(None, listed.split(b"\0"))) - ours
    sizes = {}
    for name in changed:
        try:
            info = (where / os.fsdecode(name)).lstat()
        except OSError:
            continue  # deleted
        if stat.S_ISREG(info.st_mode):
            sizes[name] = info.st_size
    total = sum(sizes.values())
    if total > limits.max_mb * _MB:
        largest = max(sizes, key=sizes.__getitem__)
        raise _refused(
            where, f"its changed files have {_size(total)}, of which {_shown(os.fsdecode(largest))} has "
            f"{_size(sizes[largest])}; a diff may have {limits.max_mb:g} MB", "Remove what is no part of the idea, let "
            "git ignore it, or raise diff.max_mb in autoresearch.yaml",
        )  # fmt: skip
    if len(changed) > limits.max_files:
        example = _shown(os.fsdecode(min(changed)))
        raise _refused(
            where, f"it changes {len(changed)} files, such as {example}; a diff may have {limits.max_files}",
            "Remove what is no part of the idea, let git ignore it, or raise diff.max_files in autoresearch.yaml",
        )  # fmt: skip


def _submodules(where: Path, env: Mapping[str, str], repositories: list[str]) -> list[str]:
    """Those of the repositories in a copy that the index knows. For them `git add` starts a git in the submodule,
    which obeys its configuration; `git update-index` reads its commit, and no more."""
    asked = [f":(top,literal){path}" for path in repositories]
    listed = run_git(where, ["ls-files", "-z", "--stage", "--", *asked], env=env).split(b"\0")
    return [os.fsdecode(line.partition(b"\t")[2]) for line in listed if line.startswith(b"160000 ")]


def _entries(index: Path) -> int:
    """How many files an index names, by its header: "DIRC", a version and the number, big-endian."""
    try:
        with index.open("rb") as file:
            return int.from_bytes(file.read(12)[8:], "big")
    except FileNotFoundError:
        return 0


def _refused(where: Path, found: str, fix: str) -> IntegrityFault:
    return IntegrityFault(
        f"{where.name} may not be measured: {found}", fix=f"{fix}, or give it up",
        next=f"autoresearch decide {where.name} --abandon",
    )  # fmt: skip


def _shown(path: str) -> str:
    return one_line(path, 80)


def _size(size: int) -> str:
    return f"{size / _MB:.1f} MB" if size < 10 * 1024 * _MB else f"{size / (1024 * _MB):.0f} GB"
