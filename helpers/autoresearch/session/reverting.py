"""Takes a kept change back out of the session branch: the same path as a keep, backwards."""

from __future__ import annotations

from autoresearch.errors import BadInput, NotYet, poll_audit
from autoresearch.ledger.history import Session
from autoresearch.ledger.lines import Record, RunLine, now_ms
from autoresearch.safetext import one_line
from autoresearch.session.integrity import tip_of
from autoresearch.workspace.branch import advance, commit_winner, require_free
from autoresearch.workspace.candidate import Candidate, Conflict, onto
from autoresearch.workspace.git import git


def without(session: Session, keep: RunLine, tip: str) -> str:
    """The tree of `tip` without one kept change; `Conflict` where later changes build on it.

    The change's inverse is a commit on top of it that restores its parent's files; put onto the tip like any
    candidate, it takes back just what that change brought.
    """
    project, commit, parent = session.project, keep.commit_full, keep.parent
    tree = git(project.root, "rev-parse", "--verify", f"{parent}^{{tree}}")
    name = keep.experiment
    inverse = commit_winner(project, tree, commit, f"autoresearch inverse of {name}")
    back = Candidate(name, commit, inverse, tree, (), "", 0, 0)
    return onto(project, back, tip)


def drop(session: Session, name: str, reason: str = "") -> Record:
    """Commit the removal of a kept experiment on the session branch and record it; returns the ledger line."""
    session.started()
    keep = _kept(session, name)
    tip = tip_of(session)
    try:
        tree = without(session, keep, tip)
    except Conflict as exc:
        raise NotYet(
            f"{name} cannot be removed alone: {one_line(str(exc), 200)}",
            fix="Later keeps build on it. Drop those first, the newest first",
            next="autoresearch status",
        ) from None
    why = one_line(reason, 300) or _found(session, name) or "dropped by hand"
    message = (
        f"Revert {one_line(keep.description or name, 60)}\n\nWhy: {why}\n\n"
        f"Autoresearch-Reverts: {name} {keep.commit_full}\n"
    )
    commit = commit_winner(session.project, tree, tip, message)
    # Before the ledger line, so that the same command works once the user has mended it.
    require_free(session.project, session.branch)
    record: Record = {
        "type": "revert",
        "experiment": name,
        "commit": commit,
        "parent": tip,
        "reverts": keep.commit_full,
        "claimed_pct": keep.effect_pct,
        "reason": why,
        "timestamp": now_ms(),
    }
    session.append(record)
    advance(session.project, session.branch, commit, tip)
    session.tip = commit
    return record


def _kept(session: Session, name: str) -> RunLine:
    for record in session.kept:
        if record.experiment == name:
            return record
    if any(record.experiment == name for record in session.reverted):
        raise BadInput(f"{name} was dropped already", next=poll_audit())
    session.experiment(name)
    raise BadInput(
        f"{name} is not a keep of this segment", fix="Only kept changes can be dropped", next="autoresearch status"
    )


def _found(session: Session, name: str) -> str:
    """What the last audit said of it, in words."""
    for found in session.audit.ablation if session.audit else []:
        if found.experiment == name:
            shown = "" if found.effect_pct is None else f" (it brings {found.effect_pct:+.1f} %)"
            return f"audit: {found.result}{shown}"
    return ""
