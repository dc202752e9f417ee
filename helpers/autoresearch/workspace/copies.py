"""The isolated copies that experiments are edited in, and the work trees that git knows of."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from autoresearch.errors import BadInput
from autoresearch.files import remove
from autoresearch.project import Project
from autoresearch.workspace.git import EXACT, GitError, git, run_git
from autoresearch.workspace.objects import places_of, prefix


def dirty_files(project: Project) -> list[str]:
    """Tracked files with uncommitted changes; they are not part of the base commit."""
    places_of(project)  # or says what is wrong
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
    found = sorted((places_of(project)[1] / "worktrees").glob("*"))
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


def admin_of(project: Project, experiment: str) -> Path | None:
    """What git keeps of an experiment's copy; None where it knows of none."""
    ours = admin_directories(project, project.worktrees)
    return next((a for a in ours if (place := place_of(a)) is not None and place.name == experiment), None)


def open_worktree(project: Project, experiment: str, commit: str) -> Path:
    """Create the isolated copy of an experiment at `commit`; its project directory is returned."""
    where = project.worktree(experiment)
    if os.path.lexists(where):
        raise BadInput(f"{experiment} already has a worktree", fix="Choose another id", next="autoresearch status")
    where.parent.mkdir(parents=True, exist_ok=True)
    forget_worktree(project, experiment)
    try:
        git(project.root, *EXACT, "worktree", "add", "--quiet", "--detach", str(where), commit)
    except GitError as exc:
        close_worktree(project, experiment)
        raise BadInput(f"cannot open a worktree for {experiment}: {exc.said}") from None
    return where / prefix(project)


def close_worktree(project: Project, experiment: str) -> None:
    """Remove an experiment's copy; its candidate stays in git under a ref."""
    where = project.worktree(experiment)
    with contextlib.suppress(GitError):
        git(project.root, "worktree", "remove", "--force", "--force", str(where))
    remove(where)
    forget_worktree(project, experiment)


def forget_worktree(project: Project, experiment: str) -> None:
    """Remove what git remembers of an experiment's copy that is gone. Not `git worktree prune`, which would take
    the index of a user's own worktree with it if its disk is not mounted now."""
    admin = admin_of(project, experiment)
    if admin is not None and not (project.worktree(experiment) / ".git").exists():
        remove(admin)
