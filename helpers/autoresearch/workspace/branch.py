"""The session's branch: made, moved, and the commit of a winner on it."""

from __future__ import annotations

from autoresearch.errors import BadInput, IntegrityFault
from autoresearch.project import Project
from autoresearch.workspace.copies import checked_out_at
from autoresearch.workspace.git import GitError, git, resolve
from autoresearch.workspace.objects import commit_tree, move_ref
from autoresearch.workspace.owner import namespace


def commit_winner(project: Project, tree: str, tip: str, message: str) -> str:
    """Make the commit object of a winner on top of `tip`. The branch moves with `advance`; until then a ref of its
    own keeps it from `git gc`."""
    commit = commit_tree(project, tree, tip, message)
    move_ref(project, f"{namespace(project)}/next", commit)
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


def check_branch(project: Project, branch: str) -> None:
    """Refuse a name that git cannot give a branch, or that another branch is in the way of."""
    try:
        git(project.root, "check-ref-format", f"refs/heads/{branch}")
    except GitError:
        raise BadInput(f"git allows no branch {branch}", fix="Choose another name in autoresearch.yaml") from None
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
        raise BadInput(f"branch {branch} already exists", fix="Choose another name in autoresearch.yaml")
    move_ref(project, f"refs/heads/{branch}", commit, "")
