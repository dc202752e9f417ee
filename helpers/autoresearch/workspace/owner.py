"""Which of several sessions in one repository something of git's belongs to.

Linked work trees and the directories of a monorepo share branches and refs. So refs carry the session's id, which is
made of its place, and a ref beside each branch of ours says whose it is.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from autoresearch.errors import BadInput
from autoresearch.project import Project
from autoresearch.workspace.git import commits, git
from autoresearch.workspace.objects import commit_tree, places_of, prefix


def _place(project: Project) -> tuple[str, str]:
    """What git calls the work tree ("" for the main one), and the session's directory in it: both outlive a move."""
    _, common, own = places_of(project)
    inside = os.path.relpath(os.path.realpath(own), os.path.realpath(common))
    return "" if inside == "." else inside, prefix(project)


def namespace(project: Project) -> str:
    """Where the session's own refs are. (Before 0.4.0 all sessions of a repository shared `refs/autoresearch`; those
    refs stay where they are, and what the ledger says of their commits is read instead.)"""
    said = "\0".join(_place(project)).encode("utf-8", "surrogateescape")
    return f"refs/autoresearch/{hashlib.sha256(said).hexdigest()[:12]}"


def candidates(project: Project) -> str:
    """Below it are the candidates of the session's experiments, by their ids."""
    return f"{namespace(project)}/exp"


def owner_ref(branch: str) -> str:
    """The ref whose commit says which session has a branch."""
    return f"refs/autoresearch/owner/{branch}"


def elsewhere(project: Project, said: str | None) -> Path | None:
    """Where the other session is that a branch belongs to, by the text of its `owner_ref`'s commit.

    None where it is this one's, nobody's, or of a session that is no more. One on a disk that is away still is.
    """
    found = _read(said)
    if found is None or (found["worktree"], found["directory"]) == _place(project):
        return None
    common = places_of(project)[1]
    top = Path(found["path"])
    if found["worktree"]:
        try:
            top = Path(os.fsdecode((common / found["worktree"] / "gitdir").read_bytes()).removesuffix("\n")).parent
        except OSError:
            return None  # git knows of no such work tree any more
    elif common.name == ".git":
        top = common.parent
    other = Project(top / found["directory"])
    gone = top.exists() and not (other.ledger.exists() or (other.state / "baseline.json").exists())
    return None if gone else other.root


def claim(project: Project, branch: str, commit: str, said: str | None) -> None:
    """Write down that a branch, which is nobody else's by the text `said`, is this session's."""
    found = _read(said)
    place = _place(project)
    if found is not None and (found["worktree"], found["directory"]) == place:
        return
    about = {"worktree": place[0], "directory": place[1], "path": str(places_of(project)[0])}
    made = commit_tree(
        project, f"{commit}^{{tree}}", commit, f"autoresearch: {branch} is of this session\n\n{json.dumps(about)}\n"
    )
    (old,) = commits(project.root, [owner_ref(branch)])
    git(project.root, "update-ref", owner_ref(branch), made, "" if old is None else old[0])


def taken(branch: str, where: Path) -> BadInput:
    """The refusal of a branch that another session has."""
    return BadInput(
        f"branch {branch} is of the session in {where}",
        fix="Go on there, or choose another name in autoresearch.yaml. Is that work tree gone for good? "
        "git worktree prune",
    )


def _read(said: str | None) -> dict[str, str] | None:
    try:
        found = json.loads((said or "").rstrip().rpartition("\n")[2])
        return {name: str(found[name]) for name in ("worktree", "directory", "path")}
    except (ValueError, TypeError, KeyError):
        return None
