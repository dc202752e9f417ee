"""The isolated copies that experiments are edited in, and the work trees that git knows of."""

from __future__ import annotations

import contextlib
import os
from itertools import count
from pathlib import Path

from autoresearch import notices
from autoresearch.errors import BadInput, IntegrityFault
from autoresearch.files import remove, scratch, write_atomic
from autoresearch.project import Project
from autoresearch.workspace.git import EXACT, GitError, git, run_git
from autoresearch.workspace.intake import filters_at_home
from autoresearch.workspace.objects import places_of, prefix, settings_of


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
        words = ("worktree", "add", "--quiet", "--detach", str(where), commit)
        git(project.root, *EXACT, *words, env=filters_at_home(project))
    except GitError as exc:
        close_worktree(project, experiment)
        raise BadInput(f"cannot open a worktree for {experiment}: {exc.said}") from None
    admin = admin_of(project, experiment)
    if admin is not None:
        _is_own_tree(project, admin, where)
    return where / prefix(project)


def is_linked(project: Project, experiment: str) -> bool:
    """Whether an experiment's copy and the repository know of each other."""
    admin, named = admin_of(project, experiment), _named(project.worktree(experiment))
    return admin is not None and named is not None and os.path.realpath(named) == os.path.realpath(admin)


def link(project: Project, experiment: str, parent: str) -> Path:
    """See to it that git in an experiment's copy means this repository and that copy; what git keeps of it.

    The project may have been renamed, copied or mounted elsewhere, and what `.git` there says is anybody's word.
    `parent` is the commit that the copy began at.
    """
    where, known = project.worktree(experiment), admin_of(project, experiment)
    if where.is_symlink():
        raise IntegrityFault(
            f"the copy of {experiment} is a symbolic link",
            fix="Remove the link, and autoresearch doctor --repair opens the copy again",
        )
    if (where / ".git").is_dir() and not (where / ".git").is_symlink():
        place = place_aside(project, f"{experiment}.git")
        (where / ".git").rename(place)
        notices.say(f"put a repository in the copy of {experiment} aside in {place.relative_to(project.root)}")
    if not is_linked(project, experiment):
        known = known or _left_behind(project, experiment)
        with scratch(project.state, "link-") as fresh:
            if known is None:  # git has forgotten it: known again, by the link of an empty one
                words = ("worktree", "add", "--quiet", "--no-checkout", "--detach", str(fresh / experiment), parent)
                git(project.root, *words)
                known = _named(fresh / experiment)
                assert known is not None
            write_atomic(known / "gitdir", os.fsencode(f"{where / '.git'}\n"), follow_links=False)
            write_atomic(where / ".git", os.fsencode(f"gitdir: {known}\n"), follow_links=False)
        notices.say(f"linked the copy of {experiment} with this repository again")
    assert known is not None
    _is_own_tree(project, known, where)
    return known


def _is_own_tree(project: Project, admin: Path, where: Path) -> None:
    """Where a submodule's settings hold for all its work trees, its directory would be each copy's, too."""
    if b"worktreeconfig" not in (places_of(project)[1] / "config").read_bytes().lower():
        return
    settings, own = settings_of(project), admin / "config.worktree"
    shared = "core.worktree" in settings and settings.get("extensions.worktreeconfig") == "true"
    if shared and not (own.exists() and os.fsencode(where) in own.read_bytes()):
        git(project.root, "config", "--file", str(own), "core.worktree", str(where))


def _named(where: Path) -> Path | None:
    """git's directory that the `.git` file of a work tree names."""
    marker = where / ".git"
    if where.is_symlink() or marker.is_symlink() or not marker.is_file():
        return None
    with marker.open("rb") as file:
        named = os.fsdecode(file.read(1 << 13)).removesuffix("\n")
    return where / named[len("gitdir: ") :] if named.startswith("gitdir: ") and "\0" not in named else None


def _left_behind(project: Project, experiment: str) -> Path | None:
    """What git here keeps of the copy under the place that it had before: one that is gone, or is of another
    repository."""
    named = _named(project.worktree(experiment))
    admin = places_of(project)[1] / "worktrees" / (named.name if named is not None else experiment)
    place = place_of(admin)
    if place is None or place.parts[-3:] != (".autoresearch", "worktrees", experiment):
        return None
    theirs = _named(place)
    return None if theirs is not None and os.path.realpath(theirs) == os.path.realpath(admin) else admin


def place_aside(project: Project, name: str) -> Path:
    """A free place for what is nobody's any more, and is not to be deleted."""
    left = project.state / "left"
    left.mkdir(exist_ok=True)
    return next(place for n in count(1) if not os.path.lexists(place := left / f"{name}-{n}"))


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
