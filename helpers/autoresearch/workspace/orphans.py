"""Copies and candidates that no open experiment has: closed, put aside, opened again, let go; never just deleted."""

from __future__ import annotations

import contextlib
from pathlib import Path

from autoresearch.errors import BadInput, IntegrityFault
from autoresearch.files import ensure_directory, remove, write_atomic
from autoresearch.project import Project
from autoresearch.workspace.candidate import check_out
from autoresearch.workspace.copies import (
    admin_directories,
    admin_of,
    close_worktree,
    forget_worktree,
    open_worktree,
    place_aside,
    place_of,
)
from autoresearch.workspace.git import EXACT, git, resolve
from autoresearch.workspace.intake import add_all, asked_of
from autoresearch.workspace.objects import changes_between, diff, places_of, private_index
from autoresearch.workspace.owner import candidates


def forgotten_worktrees(project: Project) -> list[Path]:
    """git's directories of our copies that are no longer there."""
    ours = admin_directories(project, project.worktrees)
    return [admin for admin in ours if not ((place := place_of(admin)) and (place / ".git").exists())]


def reopen(project: Project, experiment: str, files: str, parent: str) -> None:
    """Open the copy of an experiment again at `parent`, with the files of its last candidate `files`."""
    open_worktree(project, experiment, parent)
    check_out(project, files, project.worktree(experiment))


def let_go(project: Project, experiment: str) -> None:
    """Delete the ref of an experiment's candidate; its diff is kept as a patch."""
    ref = f"{candidates(project)}/{experiment}"
    patch = project.patches / f"{experiment}.patch"
    if not patch.exists():
        ensure_directory(patch.parent)
        before = resolve(project.root, f"{ref}^") or git(project.root, "hash-object", "-t", "tree", "/dev/null")
        write_atomic(patch, diff(project.root, before, ref))
    git(project.root, "update-ref", "-d", ref)


def put_aside(project: Project, experiment: str, ours: set[str]) -> Path | None:
    """Close a copy that no open experiment has. None when git holds all that it holds, as it does after a decision
    or a killed `new`; else the copy is moved to `.autoresearch/left`, and that place returned.

    `ours` are paths that we put into it. Files that are missing or ignored are no edits.
    """
    where = project.worktree(experiment)
    # The second is where it was before 0.4.0: whoever has put it there, git holds those files.
    refs = (f"{candidates(project)}/{experiment}", f"refs/autoresearch/exp/{experiment}")
    known = [resolve(project.root, ref) for ref in refs]
    admin = admin_of(project, experiment)
    if admin is not None:
        with contextlib.suppress(OSError):
            known.append(resolve(project.root, (admin / "HEAD").read_text("utf-8", "replace").strip()))
    if not _has_edits(project, where, [commit for commit in known if commit is not None], ours):
        close_worktree(project, experiment)
        return None
    place = place_aside(project, experiment)
    where.rename(place)
    if not place.is_symlink():
        remove(place / ".git")
    forget_worktree(project, experiment)
    return place


def _has_edits(project: Project, where: Path, known: list[str], ours: set[str]) -> bool:
    """Whether it holds a file that no commit of `known` has like that."""
    if where.is_symlink() or not where.is_dir():
        return True  # nothing that we have made
    if not known:
        return any(p.is_file() for p in where.rglob("*") if p.relative_to(where).as_posix() not in {".git", *ours})
    common = places_of(project)[1]
    with private_index(project) as env:
        git(project.root, *EXACT, "read-tree", known[0], env=env)
        try:
            add_all(where, {**env, **asked_of(project, common, where)}, ours=ours)
        except (BadInput, IntegrityFault):
            return True  # what no candidate may hold
        tree = git(project.root, "write-tree", env=env)
    edits = [
        {change.path for change in changes_between(project.root, commit, tree) if change.kind != "D"} - ours
        for commit in known
    ]
    return bool(set.intersection(*edits))
