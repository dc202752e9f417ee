"""That the best commit, the frozen evaluator and the kept commits are as the house left them."""

from __future__ import annotations

import re

from autoresearch.errors import AutoresearchError, IntegrityFault
from autoresearch.ledger.history import Experiment, Session
from autoresearch.ledger.lines import RunLine
from autoresearch.workspace import evaluator, owner
from autoresearch.workspace.git import commits


def look(session: Session) -> str | None:
    """Ask git for the tip of the session's branch, None where it is missing, whose it is, and for all kept commits not
    yet read."""
    named = [line.commit_full for line in session.kept]
    unread = [name for name in named if _HEX.fullmatch(name) and name not in session.commits]
    branch = session.branch
    tip, told, *texts = commits(session.project.root, [f"refs/heads/{branch}", owner.owner_ref(branch), *unread])
    session.tip = None if tip is None else tip[0]
    session.owner = None if told is None else told[1]
    for name, found in zip(unread, texts, strict=True):
        session.commits[name] = None if found is None or found[0] != name else found[1]
    return session.tip


def tip_of(session: Session) -> str:
    """The current best commit: the session branch's tip, as it was when the command began or left it."""
    tip = session.tip or look(session)
    if tip is None:
        raise IntegrityFault(f"branch {session.branch} is missing", fix="Run autoresearch status to restore it")
    return tip


def frozen_manifest(session: Session) -> evaluator.Manifest:
    """The evaluator as the ledger's header froze it."""
    header = session.started()
    return evaluator.Manifest(dict(header.evaluator or {}), dict(header.settings))


def verify_evaluator(session: Session) -> evaluator.Manifest:
    """The frozen evaluator, after checking that it, the ledger's keeps and the branch are as the house left them."""
    frozen = frozen_manifest(session)
    evaluator.verify(session.project, session.config, frozen)
    verify_keeps(session)
    verify_branch(session, tip_of(session))
    return frozen


def broken(session: Session) -> AutoresearchError | None:
    """What of the evaluator, the kept commits and the branch is not as the house left it; changes nothing."""
    try:
        frozen = frozen_manifest(session)
        evaluator.verify(session.project, session.config, frozen)
        verify_keeps(session)
        tip, truth = tip_of(session), session.head or session.started().base_commit
        if tip != truth:
            raise _parted(session.branch, tip, truth)
    except AutoresearchError as fault:
        return fault
    return None


_HEX = re.compile(r"[0-9a-f]{40,64}")


def verify_keeps(session: Session) -> None:
    """Raise `IntegrityFault` for a keep of the ledger without evidence."""
    for record in session.kept:
        wrong = _doubt(session, record)
        if wrong:
            raise IntegrityFault(
                f"the ledger says that run {record.run} was kept, but {wrong}: no command wrote that line",
                fix=f"Take that line out of {session.project.ledger.name} (git diff shows it), or restore the file",
                next="autoresearch log",
            )


def verify_branch(session: Session, tip: str) -> None:
    """Raise `IntegrityFault` when the session's branch, at `tip`, is another's, or has commits that nothing decided."""
    header = session.started()
    branch, truth = session.branch, session.head or header.base_commit
    other = owner.elsewhere(session.project, session.owner)
    if other is not None:
        raise IntegrityFault(
            f"branch {branch} is of the session in {other}, and two cannot move it",
            fix="Go on there. To go on here on a branch of its own, decide or give up what is open, then follow it",
            next=f"autoresearch init --after {header.name}",
        )
    if tip != truth:
        raise _parted(branch, tip, truth)
    owner.claim(session.project, branch, truth, session.owner)


def _parted(branch: str, tip: str, truth: str) -> IntegrityFault:
    return IntegrityFault(
        f"branch {branch} has commits that no decision made ({tip[:12]} follows {truth[:12]})",
        fix=f"Take them off it ({moved_back(branch, tip, truth)}), or make them the new base: "
        "autoresearch baseline --new-segment",
    )


def moved_back(branch: str, tip: str, truth: str) -> str:
    """The commands that move a branch to the ledger's commit, and keep what is on it under another name first: it may
    be what another session has won."""
    return f"git branch {branch}-{tip[:8]} {tip[:12]} && git branch -f {branch} {truth[:12]}"


def last_candidate(session: Session, experiment: Experiment) -> str | None:
    """The commit of an experiment's newest files that git has, by our ref or by the ledger."""
    named = [f"{owner.candidates(session.project)}/{experiment.id}"]
    named += [job.candidate for job in reversed(experiment.jobs)]
    found = commits(session.project.root, [name for name in named if name])
    return next((commit[0] for commit in found if commit is not None), None)


def _doubt(session: Session, record: RunLine) -> str:
    """What is wrong with a keep's line; empty when nothing is."""
    name = record.experiment
    experiment = session.experiments.get(name)
    if experiment is None:
        return f"no experiment {name!r} was opened"
    commit, parent = record.commit_full, record.parent
    test = next((job for job in experiment.jobs if job.is_test and job.job == record.job), None)
    if test is None or test.base != parent or test.diff_sha256 != record.diff_sha256:
        return f"no A/B of {name} against that parent and with that diff is on record"
    if _HEX.fullmatch(commit) and commit not in session.commits:
        look(session)
    said = session.commits.get(commit)
    if said is None:
        return f"its commit {commit[:12]!r} does not exist"
    header, _, message = said.partition("\n\n")
    parents = [line for line in header.split("\n") if line.startswith("parent ")]
    wanted = {f"Autoresearch-Experiment: {name}", f"Autoresearch-Run: {record.run}"}
    if parents != [f"parent {parent}"] or not wanted.issubset(message.split("\n")):
        return f"commit {commit[:12]} is not the one that decide made for it"
    return ""
