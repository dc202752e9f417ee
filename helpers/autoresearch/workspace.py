"""Isolated copies, candidate diffs and the commit of a winner. The user's own work tree is never written to.

A candidate is read from its worktree through a private index, so nothing that the agent staged, committed or
ignored there matters: only the difference between its files and its parent commit.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from autoresearch import notices
from autoresearch.errors import BadInput, IntegrityFault
from autoresearch.files import remove, scratch
from autoresearch.git import EXACT, GitError, git, identity, resolve, run_git, toplevel
from autoresearch.project import Project

EXPERIMENT_REFS = "refs/autoresearch/exp"
NEXT_REF = "refs/autoresearch/next"


@dataclass(frozen=True)
class Change:
    """One changed path of a candidate, relative to the repository's top; modes are git's six octal digits."""

    path: str
    kind: str  # A added, D deleted, M modified, T type changed
    old_mode: str
    new_mode: str
    blob: str


@dataclass(frozen=True)
class Candidate:
    """What an experiment's worktree holds, as git objects."""

    experiment: str
    parent: str
    commit: str
    tree: str
    changes: tuple[Change, ...]
    diff_sha256: str
    lines_added: int
    lines_removed: int


class Conflict(Exception):
    """The candidate does not apply to the current best commit."""


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


def dirty_files(project: Project) -> list[str]:
    """Tracked files with uncommitted changes; they are not part of the base commit."""
    toplevel(project.root)
    raw = run_git(project.root, ["status", "--porcelain", "-z", "--untracked-files=no", "--no-renames"])
    return [entry[3:].decode("utf-8", "replace") for entry in raw.split(b"\0") if entry]


def checked_out_at(project: Project, branch: str) -> Path | None:
    """The work tree where `branch` is checked out, if any."""
    where = None
    for line in git(project.root, "worktree", "list", "--porcelain").splitlines():
        if line.startswith("worktree "):
            where = Path(line[len("worktree ") :])
        elif line == f"branch refs/heads/{branch}":
            return where
    return None


def admin_directories(project: Project, below: Path | None = None) -> list[Path]:
    """What git keeps of each linked worktree (of those in `below`), also of those that are gone."""
    common = Path(git(project.root, "rev-parse", "--path-format=absolute", "--git-common-dir"))
    found = sorted((common / "worktrees").glob("*"))
    if below is None:
        return found
    home = os.path.realpath(below)
    return [a for a in found if (place := place_of(a)) is not None and os.path.realpath(place.parent) == home]


def place_of(admin: Path) -> Path | None:
    """The work tree that a directory of `.git/worktrees` speaks of."""
    try:
        text = (admin / "gitdir").read_bytes().decode("utf-8", "surrogateescape")
    except OSError:
        return None
    return (admin / text.removesuffix("\n")).parent


def open_worktree(project: Project, experiment: str, commit: str) -> Path:
    """Create the isolated copy of an experiment at `commit`; its project directory is returned."""
    where = project.worktree(experiment)
    if os.path.lexists(where):
        raise BadInput(
            f"{experiment} already has a worktree", fix="Choose another id", next="autoresearch status"
        )
    where.parent.mkdir(parents=True, exist_ok=True)
    forget_worktree(project, experiment)
    try:
        git(project.root, *EXACT, "worktree", "add", "--quiet", "--detach", str(where), commit)
    except GitError as exc:
        close_worktree(project, experiment)
        raise BadInput(f"cannot open a worktree for {experiment}: {exc.said}") from None
    return where / prefix(project)


def close_worktree(project: Project, experiment: str) -> None:
    """Remove an experiment's copy; its candidate stays in git under refs/autoresearch/exp/."""
    where = project.worktree(experiment)
    with contextlib.suppress(GitError):
        git(project.root, "worktree", "remove", "--force", "--force", str(where))
    remove(where)
    forget_worktree(project, experiment)


def forget_worktree(project: Project, experiment: str) -> bool:
    """Remove what git remembers of an experiment's copy that is gone. Not `git worktree prune`, which would take
    the index of a user's own worktree with it if its disk is not mounted now."""
    where = project.worktree(experiment)
    found = False
    for admin in admin_directories(project):
        place = place_of(admin)
        ours = place is not None and os.path.realpath(place) == os.path.realpath(where)
        if ours and not (where / ".git").exists():
            remove(admin)
            found = True
    return found


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


def snapshot(project: Project, experiment: str, parent: str, overlaid: dict[str, str]) -> Candidate:
    """Read a candidate from its worktree as git objects.

    `overlaid` maps files that we put into the worktree (path from the repository's top) to their sha256: left as
    they are they do not count as changes; edited, they show up in `changes` and the evaluator refuses them.
    """
    where = project.worktree(experiment)
    if not (where / ".git").exists():
        raise BadInput(f"{experiment} has no worktree", next=f"autoresearch new {experiment}")
    own_index = Path(git(where, "rev-parse", "--git-path", "index"))
    with private_index(project, own_index if own_index.is_absolute() else where / own_index) as env:
        try:
            git(where, *EXACT, "add", "--all", "--", ".", env=env)
        except GitError as exc:
            raise BadInput(f"cannot read the files of {experiment}: {exc.said}") from None
        ours = [p for p, digest in overlaid.items() if _sha256(where / p) == digest]
        _restore_paths(where, parent, ours, env)
        tree = git(where, "write-tree", env=env)
    commit = _commit(project, tree, parent, f"autoresearch candidate {experiment}")
    move_ref(project, f"{EXPERIMENT_REFS}/{experiment}", commit)
    patch = diff(where, parent, tree)
    added, removed = _line_counts(where, parent, tree)
    return Candidate(
        experiment, parent, commit, tree, changes_between(where, parent, tree),
        hashlib.sha256(patch).hexdigest(), added, removed,
    )  # fmt: skip


def _restore_paths(where: Path, parent: str, paths: list[str], env: dict[str, str]) -> None:
    """Set index entries back to what `parent` has there, dropping those it has not."""
    for path in paths:
        entry = git(where, "ls-tree", parent, "--", path)
        if entry:
            mode, _, blob = entry.split("\t")[0].split(" ")
            git(where, "update-index", "--add", "--cacheinfo", f"{mode},{blob},{path}", env=env)
        else:
            git(where, "update-index", "--force-remove", "--", path, env=env)


def _sha256(path: Path) -> str | None:
    if path.is_symlink() or not path.is_file():
        return None
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _line_counts(where: Path, old: str, new: str) -> tuple[int, int]:
    added = removed = 0
    for line in git(where, "diff-tree", "-r", "--numstat", "--no-renames", old, new).splitlines():
        plus, minus, *_ = line.split("\t")
        added += int(plus) if plus.isdigit() else 0
        removed += int(minus) if minus.isdigit() else 0
    return added, removed


def _commit(project: Project, tree: str, parent: str, message: str) -> str:
    return git(
        project.root, "commit-tree", tree, "-p", parent, "-F", "-",
        env=identity(project.root), stdin=message.encode("utf-8", "replace"),
    )  # fmt: skip


def common_base(project: Project, candidate: Candidate, tip: str) -> str:
    """The newest commit that `tip` and the candidate share: what the candidate would add is relative to it."""
    return git(project.root, "merge-base", tip, candidate.commit)


def onto(project: Project, candidate: Candidate, tip: str) -> str:
    """The tree of the candidate's change applied to `tip`; raises `Conflict` where it does not fit.

    The change is the difference to the newest common ancestor of `tip` and the candidate, so a candidate that
    was opened from an older best commit, or from another experiment, is measured as what it would add to the tip.
    """
    base = common_base(project, candidate, tip)
    if base == tip:
        return candidate.tree
    patch = diff(project.root, base, candidate.tree)
    with private_index(project) as env:
        git(project.root, "read-tree", tip, env=env)
        if patch:
            try:
                run_git(
                    toplevel(project.root),
                    ["apply", "--cached", "--3way", "--whitespace=nowarn", "-"], env=env, stdin=patch,
                )  # fmt: skip
            except GitError as exc:
                raise Conflict(str(exc)) from None
        return git(project.root, "write-tree", env=env)


def export(project: Project, tree: str, to: Path) -> None:
    """Write a tree's files below `to`. Not `git archive`, which obeys export-ignore and export-subst.

    Filters of the repository's config are not run, except for Git LFS: one could write another program than the commit
    holds.
    """
    to.mkdir(parents=True, exist_ok=True)
    with private_index(project) as env:
        git(project.root, *EXACT, "read-tree", tree, env=env)
        plain = {**env, **_without_filters(project)}
        git(
            toplevel(project.root), *EXACT, "checkout-index", "--all", "--force", f"--prefix={to}/", env=plain
        )


def _without_filters(project: Project) -> dict[str, str]:
    """Environment in which no filter of a configuration has a command of its own."""
    try:
        names = git(project.root, "config", "-z", "--name-only", "--get-regexp", r"^filter\.").split("\0")
    except GitError:  # there is none
        return {}
    drivers = {name[len("filter.") :].rpartition(".")[0] for name in names if name}
    values = {}
    for driver in sorted(drivers):
        lfs = driver == "lfs"
        values[f"filter.{driver}.smudge"] = "git-lfs smudge -- %f" if lfs else ""
        values[f"filter.{driver}.process"] = "git-lfs filter-process" if lfs else ""
        values[f"filter.{driver}.required"] = "true" if lfs else "false"
    found = {"GIT_CONFIG_COUNT": str(len(values))}
    for number, (name, value) in enumerate(values.items()):
        found |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    return found


def commit_winner(project: Project, tree: str, tip: str, message: str) -> str:
    """Make the commit object of a winner on top of `tip`. The branch moves with `advance`; until then a ref of its
    own keeps it from `git gc`."""
    commit = _commit(project, tree, tip, message)
    move_ref(project, NEXT_REF, commit)
    return commit


def require_free(project: Project, branch: str) -> None:
    """Refuse to move a branch that is checked out: its files would suddenly look changed."""
    here = checked_out_at(project, branch)
    if here is not None:
        raise IntegrityFault(
            f"branch {branch} is checked out in {here}, and moving it would make those files look changed",
            fix=f"Check out another branch there (git -C {here} switch -), then repeat the command",
        )


def advance(project: Project, branch: str, new: str, old: str) -> None:
    """Move the session branch from `old` to `new`; refused if it is checked out or was moved by somebody else."""
    require_free(project, branch)
    try:
        move_ref(project, f"refs/heads/{branch}", new, old)
    except GitError as exc:
        if ".lock" in exc.said:
            raise
        raise IntegrityFault(f"branch {branch} was moved by somebody else: {exc}") from None


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


def check_branch(project: Project, branch: str) -> None:
    """Refuse a name that git cannot give a branch, or that another branch is in the way of."""
    try:
        git(project.root, "check-ref-format", f"refs/heads/{branch}")
    except GitError:
        raise BadInput(
            f"git allows no branch {branch}", fix="Choose another name in autoresearch.yaml"
        ) from None
    taken = git(project.root, "for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads").split("\n")
    for other in taken:
        if other != branch and (f"{branch}/".startswith(f"{other}/") or f"{other}/".startswith(f"{branch}/")):
            raise BadInput(
                f"branch {other} is in the way of {branch}: git allows one of the two",
                fix=f"Rename it (git branch -m {other} old-{other}), or choose another name in autoresearch.yaml",
            )
        if other != branch and other.casefold() == branch.casefold():
            raise BadInput(
                f"branch {other} and {branch} differ in upper and lower case only, which some disks cannot hold",
                fix="Choose another name in autoresearch.yaml",
            )


def create_branch(project: Project, branch: str, commit: str) -> None:
    """Create the session branch; an existing one is refused."""
    if resolve(project.root, f"refs/heads/{branch}") is not None:
        raise BadInput(
            f"branch {branch} already exists", fix="Choose another name in autoresearch.yaml, or delete it"
        )
    move_ref(project, f"refs/heads/{branch}", commit, "")
