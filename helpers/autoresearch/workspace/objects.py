"""A candidate as git objects: trees, changes, diffs and refs, read and written through a private index."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from autoresearch import notices
from autoresearch.files import scratch
from autoresearch.project import Project
from autoresearch.workspace.git import GitError, git, identity, run_git, toplevel


@dataclass(frozen=True)
class Change:
    """One changed path of a candidate, relative to the repository's top; modes are git's six octal digits."""

    path: str
    kind: str  # A added, D deleted, M modified, T type changed
    old_mode: str
    new_mode: str
    blob: str


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
    inside = project.root.resolve().relative_to(toplevel(project.root).resolve()).as_posix()
    return "" if inside == "." else inside + "/"


def changes_between(where: Path, old: str, new: str) -> tuple[Change, ...]:
    """Changed paths from commit or tree `old` to `new`; a rename is a deletion and an addition."""
    raw = run_git(where, ["diff-tree", "-r", "-z", "--raw", "--no-renames", "--full-index", old, new])
    fields = raw.split(b"\0")
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


def diff(where: Path, old: str, new: str) -> bytes:
    """The binary patch from commit or tree `old` to `new`, applied by `git apply`."""
    return run_git(
        where, ["diff-tree", "-r", "-p", "--binary", "--full-index", "--no-renames", "--no-ext-diff",
                "--no-textconv", "--no-color", old, new]
    )  # fmt: skip


def commit_tree(project: Project, tree: str, parent: str, message: str) -> str:
    return git(
        project.root, "commit-tree", tree, "-p", parent, "-F", "-",
        env=identity(project.root), stdin=message.encode("utf-8", "replace"),
    )  # fmt: skip


def move_ref(project: Project, ref: str, new: str, old: str | None = None) -> None:
    """Set a ref of ours, under the session's lock. A lock file that a killed git left beside it does not stop us."""
    try:
        git(project.root, "update-ref", ref, new, *([] if old is None else [old]))
    except GitError as exc:
        common = Path(git(project.root, "rev-parse", "--path-format=absolute", "--git-common-dir"))
        lock = common / f"{ref}.lock"
        if ".lock" not in exc.said or not lock.exists():
            raise
        # git has waited two seconds for it, and only one command at a time moves this ref.
        lock.unlink(missing_ok=True)
        notices.say(f"removed {lock.name} of {ref}, which a killed git had left")
        git(project.root, "update-ref", ref, new, *([] if old is None else [old]))
