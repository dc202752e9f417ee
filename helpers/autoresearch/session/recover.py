"""Finishes what a killed command left half done. The ledger is the truth; the branch follows it."""

from __future__ import annotations

from autoresearch.engines.notes import NOTES, read_notes
from autoresearch.errors import IntegrityFault
from autoresearch.git import GitError, git, resolve
from autoresearch.session.state import Session


def finish_half_done(session: Session) -> None:
    """Move the session branch to the last keep or revert of the ledger, if a command was killed before it could."""
    header = session.started() if session.baseline else session.header
    if header is None:
        return
    root, branch = session.project.root, session.branch
    truth = session.head or str(header["base_commit"])
    tip = resolve(root, f"refs/heads/{branch}")
    if tip == truth or (tip is not None and _is_ancestor(session, truth, tip)):
        return
    if resolve(root, truth) is None:
        raise IntegrityFault(
            f"the ledger names commit {truth[:12]}, which this repository does not have",
            fix="Fetch it, or start a new session in a fresh clone",
        )
    if tip is None:
        git(root, "update-ref", f"refs/heads/{branch}", truth)
    elif _is_ancestor(session, tip, truth):
        from autoresearch import workspace

        workspace.advance(session.project, branch, truth, tip)
    else:
        raise IntegrityFault(
            f"branch {branch} ({tip[:12]}) and the ledger's last commit ({truth[:12]}) have parted",
            fix=f"Move the branch back with git branch -f {branch} {truth[:12]}",
        )


def take_notes(session: Session) -> None:
    """Copy the engine's notes on its machines into the ledger, each once: those newer than the last one there."""
    path = session.project.state / NOTES
    if path.exists():
        for note in read_notes(path):
            if note["timestamp"] > session.noted_ms:
                session.append(note)
                session.noted_ms = note["timestamp"]


def tip_of(session: Session) -> str:
    """The current best commit: the session branch's tip."""
    tip = resolve(session.project.root, f"refs/heads/{session.branch}")
    if tip is None:
        raise IntegrityFault(
            f"branch {session.branch} is missing", fix="Run autoresearch status to restore it"
        )
    return tip


def _is_ancestor(session: Session, old: str, new: str) -> bool:
    try:
        git(session.project.root, "merge-base", "--is-ancestor", old, new)
    except GitError:
        return False
    return True
