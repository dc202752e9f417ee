"""A candidate as git objects: trees, changes, diffs and refs, read and written through a private index."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from autoresearch import notices
from autoresearch.files import scratch
from autoresearch.project import Project
from autoresearch.workspace.git import IDENTITY, GitError, git, places, run_git


@dataclass(frozen=True)
class Change:
    """One changed path of a candidate, relative to the repository's top; modes are git's six octal digits."""

    path: str
    kind: str  # A added, D deleted, M modified, T type changed
    old_mode: str
    new_mode: str
    blob: str


@dataclass(frozen=True)
class Difference:
    """From one commit or tree to another: its paths, the binary patch that `git apply` takes, and its lines."""

    changes: tuple[Change, ...]
    patch: bytes
    lines_added: int
    lines_removed: int


def places_of(project: Project) -> tuple[Path, Path, Path]:
    """Top of the project's work tree, git's directory that all work trees share, and its own; asked once."""
    if "places" not in project.facts:
        project.facts["places"] = places(project.root)
    found: tuple[Path, Path, Path] = project.facts["places"]
    return found


_SETTINGS = r"^(filter\.|user\.email$|core\.worktree$|extensions\.worktreeconfig$)"


def settings_of(project: Project) -> dict[str, str]:
    """git's configuration as far as we need it: filters, the user's address, and whose a directory is; asked once."""
    if "settings" not in project.facts:
        try:
            said = git(project.root, "config", "-z", "--get-regexp", _SETTINGS)
        except GitError:  # there is none
            said = ""
        pairs = (entry.partition("\n") for entry in said.split("\0") if entry)
        project.facts["settings"] = {name: value for name, _, value in pairs}
    found: dict[str, str] = project.facts["settings"]
    return found


def config_values(values: Mapping[str, str]) -> dict[str, str]:
    """Environment that gives git these settings, beside those that the caller's environment gives it."""
    before = os.environ.get("GIT_CONFIG_COUNT", "")
    first = int(before) if before.isdecimal() else 0
    found = {"GIT_CONFIG_COUNT": str(first + len(values))} if values else {}
    for number, (name, value) in enumerate(values.items(), first):
        found |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    return found


@contextlib.contextmanager
def private_index(project: Project, seed: Path | None = None) -> Iterator[dict[str, str]]:
    with contextlib.ExitStack() as stack:
        if project.state.is_dir():
            where = stack.enter_context(scratch(project.state, "index-"))
        else:  # before there is a session, nothing of ours stands in the project
            where = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="autoresearch-")))
        index = where / "index"
        if seed is not None and seed.exists():
            # A copy keeps git's file stamps, so that only changed files are hashed again. Its own time stamp must
            # stay too: by it git knows which entries are too young to be trusted ("racy git").
            shutil.copy2(seed, index)
        yield {"GIT_INDEX_FILE": str(index)}


def prefix(project: Project) -> str:
    """The project's directory inside its repository, with a final slash; empty at the top."""
    inside = project.root.resolve().relative_to(places_of(project)[0].resolve()).as_posix()
    return "" if inside == "." else inside + "/"


def changes_between(where: Path, old: str, new: str) -> tuple[Change, ...]:
    """Changed paths from commit or tree `old` to `new`; a rename is a deletion and an addition."""
    raw = run_git(where, ["diff-tree", "-r", "-z", "--raw", "--no-renames", "--full-index", old, new])
    return _changes(raw.split(b"\0"))


def _changes(fields: list[bytes]) -> tuple[Change, ...]:
    found = []
    for meta, path in zip(fields[0::2], fields[1::2], strict=False):
        old_mode, new_mode, _, blob, kind = meta.decode("ascii").lstrip(":").split(" ")
        found.append(Change(path.decode("utf-8", "surrogateescape"), kind[0], old_mode, new_mode, blob))
    return tuple(found)


_MODES = {"100644": "file", "100755": "executable", "120000": "symbolic link", "160000": "submodule"}


def mode_changes(changes: tuple[Change, ...]) -> list[str]:
    """What a diff changes besides contents, one sentence a path: a file made executable, say, or a new link."""
    told = []
    for change in changes:
        new = _MODES.get(change.new_mode, change.new_mode)
        if change.kind == "A" and change.new_mode != "100644":
            told.append(f"{change.path}: new {new}")
        elif change.kind in "MT" and change.new_mode != change.old_mode:
            told.append(f"{change.path}: {_MODES.get(change.old_mode, change.old_mode)} -> {new}")
    return told


_PATCH = (
    "diff-tree", "-r", "-p", "--binary", "--full-index", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-color",
)  # fmt: skip


def diff(where: Path, old: str, new: str) -> bytes:
    """The binary patch from commit or tree `old` to `new`, applied by `git apply`."""
    return run_git(where, [*_PATCH, old, new])


def compare(project: Project, where: Path, old: str, new: str) -> Difference:
    """What `changes_between` and `diff` say, and the number of lines, by one process.

    The objects are the repository's own, whatever the `.git` of the work tree `where` says; attributes are `where`'s.
    """
    place = (f"--git-dir={places_of(project)[1]}", f"--work-tree={where}", "-c", "core.bare=false")
    # `where` may say of its submodules that their changes are not to be shown.
    every = ("--ignore-submodules=none", "--raw", "--numstat", "-z")
    listed, _, patch = run_git(where, [*place, *_PATCH, *every, old, new]).partition(b"\0\0")
    # Each path's modes and name, then a line of counts for each, then an empty field before the patch.
    fields = listed.split(b"\0")
    raw = next(n for n in range(0, len(fields) + 2, 2) if not b"".join(fields[n : n + 1]).startswith(b":"))
    counts = [line.split(b"\t")[:2] for line in fields[raw:] if line]
    added, removed = (sum(int(pair[side]) for pair in counts if pair[side].isdigit()) for side in (0, 1))
    return Difference(_changes(fields[:raw]), patch, added, removed)


def commit_tree(project: Project, tree: str, parent: str, message: str) -> str:
    """Make a commit object, in the user's name where git knows it; the first of a history has `parent` ""."""
    words, text = (
        ("commit-tree", tree, *(("-p", parent) if parent else ()), "-F", "-"),
        message.encode("utf-8", "replace"),
    )
    # git invents user@host when nothing is set; only a configured or exported address counts.
    if os.environ.get("GIT_COMMITTER_EMAIL") or settings_of(project).get("user.email"):
        with contextlib.suppress(GitError):
            return git(project.root, *words, stdin=text)
    return git(project.root, *words, env=IDENTITY, stdin=text)


def move_ref(project: Project, ref: str, new: str, old: str | None = None, *, also: str = "") -> None:
    """Set a ref of ours, and the ref `also` with it, under the session's lock; `old` "" means that it is new.

    A lock file that a killed git left beside it does not stop us.
    """
    order = f"create {ref} {new}\n" if old == "" else f"update {ref} {new} {old or ''}".rstrip() + "\n"
    order += f"update {also} {new}\n" if also else ""
    asked = ("update-ref", "--stdin")
    try:
        git(project.root, *asked, stdin=order.encode())
    except GitError as exc:
        lock = places_of(project)[1] / f"{ref}.lock"
        if ".lock" not in exc.said or not lock.exists():
            raise
        # git has waited two seconds for it, and only one command at a time moves this ref.
        lock.unlink(missing_ok=True)
        notices.say(f"removed {lock.name} of {ref}, which a killed git had left")
        git(project.root, *asked, stdin=order.encode())
