"""Finishes or undoes what a killed command left half done, on the next command, once. The ledger is the truth.

A command that changes the session does, in this order: prepare (objects, copies, a job), write its ledger line, follow
(branch, worktree, idea, documents). Killed before the line it has not happened, and what it prepared is undone; killed
after, what was to follow is made up for. Each thing done here is said by the command that found it.
"""

from __future__ import annotations

from pathlib import Path

from autoresearch import notices
from autoresearch.engines import has_unfinished
from autoresearch.engines.choose import engine_of
from autoresearch.engines.jobdir import stand_in
from autoresearch.engines.leftovers import clear
from autoresearch.engines.notes import NOTES, read_notes
from autoresearch.errors import IntegrityFault
from autoresearch.files import sweep
from autoresearch.ledger import in_flight
from autoresearch.ledger.history import Session
from autoresearch.session import idea_marks
from autoresearch.session.integrity import look, moved_back, verify_keeps
from autoresearch.workspace import objects, orphans
from autoresearch.workspace.branch import advance
from autoresearch.workspace.git import GitError, git, resolve
from autoresearch.workspace.owner import elsewhere


def finish_half_done(session: Session) -> None:
    """Make up for a killed command. Under the session's lock; a look at a few directories when all is well."""
    forget_measured_baseline(session)
    stand_in_for_lost_jobs(session)
    drop_unrecorded_jobs(session)
    follow_ledger(session)
    close_stale_worktrees(session)
    idea_marks.make_up(session)
    # What nobody misses: unfinished files, and trees of jobs whose runner was killed.
    sweep(session.project.state)
    clear(session.project.state)


def follow_ledger(session: Session) -> None:
    """Move the session branch to the last keep or revert of the ledger, if a command was killed before it could."""
    header = session.header
    if header is None:
        return
    root, branch = session.project.root, session.branch
    truth = session.head or header.base_commit
    tip = look(session)
    if tip == truth or (tip is not None and is_ancestor(session, truth, tip)):
        return
    if elsewhere(session.project, session.owner) is not None:
        return  # another session's branch: the commands that need it say so
    if resolve(root, truth) is None:
        raise IntegrityFault(
            f"the ledger names commit {truth[:12]}, which this repository does not have",
            fix="Fetch it, or start a new session in a fresh clone",
        )
    verify_keeps(session)
    if tip is None:
        objects.move_ref(session.project, f"refs/heads/{branch}", truth)
        notices.say(f"restored branch {branch}, which was missing, at {truth[:12]}")
    elif is_ancestor(session, tip, truth):
        advance(session.project, branch, truth, tip)
        notices.say(f"moved branch {branch} to {truth[:12]}, which a killed command had recorded")
    else:
        raise IntegrityFault(
            f"branch {branch} ({tip[:12]}) and the ledger's last commit ({truth[:12]}) have parted",
            fix=f"Move the branch back: {moved_back(branch, tip, truth)}",
        )
    session.tip = truth


def take_notes(session: Session) -> None:
    """Copy the engine's notes on its machines into the ledger, each once: those newer than the last one there."""
    path = session.project.state / NOTES
    if path.exists():
        for note in read_notes(path):
            if note["timestamp"] > session.noted_ms:
                session.append(note)


def has_measured_baseline(session: Session) -> bool:
    """Whether the figures of the baseline job that is on file as in flight stand in the ledger."""
    now = in_flight.pending(session)
    return now is not None and session.baseline is not None and session.baseline.job == now.job


def forget_measured_baseline(session: Session) -> None:
    """Forget a baseline job in flight whose figures stand in the ledger."""
    if has_measured_baseline(session):
        in_flight.pending_path(session).unlink(missing_ok=True)


def stand_in_for_lost_jobs(session: Session) -> None:
    """A job of an undecided experiment whose directory somebody has removed is lost, and measured again."""
    for experiment in session.open_experiments:
        for job in experiment.jobs:
            if stand_in(session.project.jobs, job.job, experiment.id):
                notices.say(f"job {job.job} is lost: its directory was removed")


def drop_unrecorded_jobs(session: Session) -> None:
    """End jobs that no ledger line and no file of ours names: their command was killed before it wrote one."""
    known = session.named_jobs
    if has_unfinished(session.project.state, known):
        for name in engine_of(session).drop_unknown(known | _named_in_files(session.project.state)):
            notices.say(f"ended job {name}, which a killed command had not recorded yet")


def unrecorded_jobs(session: Session) -> list[str]:
    """Unfinished jobs that `drop_unrecorded_jobs` would end."""
    state = session.project.state
    known = session.named_jobs | _named_in_files(state)
    jobs = sorted((state / "jobs").glob("*"))
    return [job.name for job in jobs if job.name not in known and not (job / "exit.json").exists()]


def _named_in_files(state: Path) -> set[str]:
    """Jobs in flight that our own files name (a baseline's, an audit's)."""
    text = "".join(path.read_text("utf-8", "replace") for path in sorted(state.glob("*.json")))
    return {path.name for path in (state / "jobs").glob("*") if f'"{path.name}"' in text}


def copies_of(session: Session, *, undecided: bool) -> list[str]:
    """Copies that stand in `worktrees`: of undecided experiments, or of those that are decided or not recorded."""
    place, wanted = session.project.worktrees, {e.id for e in session.open_experiments}
    names = sorted(path.name for path in place.iterdir()) if place.is_dir() else []
    return [name for name in names if (name in wanted) == undecided]


def close_stale_worktrees(session: Session) -> None:
    """Close copies of experiments that are decided, or that a killed `new` has not recorded.

    Edits that no candidate of git's holds are not thrown away: such a copy is put aside.
    """
    for name in copies_of(session, undecided=False):
        experiment = session.experiments.get(name)
        if experiment is not None and experiment.result is not None and experiment.result.status == "keep":
            verify_keeps(session)  # before its copy goes on the word of that line
        word = "a killed command had decided it" if experiment else "a killed command had not recorded it"
        put_copy_aside(session, name, word)


def put_copy_aside(session: Session, name: str, why: str) -> None:
    """Close a copy, or put it aside where it holds edits that no candidate of git's has; which of them is said."""
    kept = orphans.put_aside(session.project, name, _evaluator_paths(session))
    if kept is None:
        notices.say(f"closed the copy of {name}: {why}")
    else:
        shown = kept.relative_to(session.project.root)
        notices.say(f"put the copy of {name} aside in {shown}: {why}, but it holds edits")


def _evaluator_paths(session: Session) -> set[str]:
    files = (session.header.evaluator if session.header else None) or {}
    inside = objects.prefix(session.project)
    return {inside + name for name in files}


def is_ancestor(session: Session, old: str, new: str) -> bool:
    """Whether commit `new` builds on `old`; no where one of them is missing."""
    try:
        git(session.project.root, "merge-base", "--is-ancestor", old, new)
    except GitError:
        return False
    return True
