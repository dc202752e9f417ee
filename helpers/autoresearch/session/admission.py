"""Whether a candidate may be measured: its diff, its scope, what of it runs already, how often it was mended."""

from __future__ import annotations

import hashlib
from typing import Any

from autoresearch import notices
from autoresearch.engines.choose import engine_of
from autoresearch.errors import BadInput, IntegrityFault, NotYet
from autoresearch.ledger.history import MOST_REWORKS, Experiment, Session
from autoresearch.safetext import one_line
from autoresearch.session.integrity import last_candidate, tip_of
from autoresearch.session.stages import stage_of
from autoresearch.workspace import copies, evaluator, objects
from autoresearch.workspace.candidate import Candidate, snapshot
from autoresearch.workspace.git import git
from autoresearch.workspace.intake import asked_of
from autoresearch.workspace.scope import in_scope, violations


def describe_candidate(session: Session, experiment: Experiment, frozen: evaluator.Manifest) -> Candidate:
    """Read the experiment's worktree as git objects."""
    placed = evaluator.overlay_digests(frozen, objects.prefix(session.project))
    return snapshot(session.project, experiment.id, experiment.parent, placed, tip_of(session), session.config.diff)


def last_known(session: Session, experiment: Experiment) -> Candidate:
    """The experiment as git and the ledger have it, where its worktree cannot be read."""
    parent = experiment.parent
    commit = last_candidate(session, experiment) or parent
    found = objects.compare(session.project, session.project.root, parent, commit)
    return Candidate(
        experiment.id, parent, commit, commit, found.changes, hashlib.sha256(found.patch).hexdigest(),
        found.lines_added, found.lines_removed, found.patch,
    )  # fmt: skip


def left_out(session: Session, name: str) -> list[str]:
    """New files in scope that git ignores, and so are no part of the candidate; told with its first job only."""
    if len(session.experiments[name].jobs) != 1:
        return []
    where, inside = session.project.worktree(name), objects.prefix(session.project)
    admin = copies.admin_of(session.project, name)
    env = asked_of(session.project, admin, where) if admin else None
    words = ("ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory", "--", inside or ".")
    found = [path.removeprefix(inside) for path in git(where, *words, env=env).split("\0") if path]
    return [one_line(path, 80) for path in found if in_scope(path, session.config)][:5]


def refusals(session: Session, candidate: Candidate, frozen: evaluator.Manifest) -> list[str]:
    """Why the candidate may not be measured; empty when it may.

    All that it would add to the best commit is judged, not only what was edited in its worktree: its parent may
    be a commit that nobody has judged.
    """
    root, changes = session.project.root, candidate.added
    links = {c.path: git(root, "cat-file", "blob", c.blob) for c in changes if c.new_mode == "120000"}
    return violations(changes, session.config, frozen, objects.prefix(session.project), links)


def running_or_done(
    session: Session, experiment: Experiment, candidate: Candidate, kind: str, repeat: bool = False
) -> str | None:
    """The newest job, if it answers what is asked: the same files, for an A/B also the same best commit.

    An A/B answers what a screening does: one that runs is that job's, and one that is done stays the newest (`NotYet`).
    A job of other files that still runs is ended, which is told: nobody waits for its answer. A finished A/B answers no
    `repeat`.
    """
    newest = experiment.jobs[-1] if experiment.jobs else None
    if newest is None:
        return None
    job = newest.job
    engine = engine_of(session)
    state = engine.poll([job])[job]
    same = newest.diff_sha256 == candidate.diff_sha256 and (newest.is_test or kind == "job")
    if newest.is_test:
        same = same and newest.base == tip_of(session)
    if not state.final and not same:
        engine.cancel(job)
        if newest.is_test:
            why = "the best commit moved" if newest.diff_sha256 == candidate.diff_sha256 else "its files changed"
            notices.say(f"ended the A/B {job}: {why} since it began")
    if same and newest.is_test and kind == "job":
        stage = stage_of(session, experiment)
        if stage.name in ("measured", "disturbed"):
            raise NotYet(f"the A/B of {experiment.id} is done, and says more than a run", next=stage.next)
    # A finished screening may be repeated (a flaky check, say); a finished A/B may not: it is a new test.
    done = kind == "test" and state.state == "done" and not repeat
    return job if same and (not state.final or done) else None


def is_repeat(session: Session, experiment: Experiment, again: int) -> bool:
    """Whether the `again`-th repeat of a disturbed A/B is due: what runs or was done is not begun once more."""
    return again == experiment.repeats + 1 and stage_of(session, experiment).name == "disturbed"


def refuse_if_nothing(experiment: Experiment, *, changed: bool) -> None:
    """Raise `BadInput` where a candidate is the best commit as it stands: to measure it would cost all the same."""
    if not changed:
        raise BadInput(
            f"{experiment.id} changes nothing",
            fix="Edit its worktree, or give it up with --abandon",
            next=f"autoresearch decide {experiment.id} --abandon",
        )


def admit(session: Session, experiment: Experiment, frozen: evaluator.Manifest) -> Candidate:
    """The candidate, if its diff is in scope; `IntegrityFault` names what is not."""
    candidate = describe_candidate(session, experiment, frozen)
    broken = refusals(session, candidate, frozen)
    if broken:
        raise IntegrityFault(
            f"{experiment.id} may not be measured: {first_three([one_line(text, 120) for text in broken])}",
            fix=f"Undo those edits in {session.project.worktree(experiment.id).relative_to(session.project.root)}",
            next=f"autoresearch run {experiment.id}",
        )
    return candidate


def first_three(found: list[str]) -> str:
    """The first of them, and how many there are more."""
    return "; ".join(found[:3]) + (f" and {len(found) - 3} more" if found[3:] else "")


def mode_fields(candidate: Candidate) -> dict[str, list[str]]:
    """The changed file modes for a ledger line; no field where there is none."""
    modes = [one_line(text, 200) for text in objects.mode_changes(candidate.changes)]
    return {"modes": modes[:20]} if modes else {}


def ids(candidate: Candidate) -> dict[str, Any]:
    return {
        "candidate": candidate.commit, "tree": candidate.tree, "diff_sha256": candidate.diff_sha256,
        "lines_added": candidate.lines_added, "lines_removed": candidate.lines_removed,
        **mode_fields(candidate),
    }  # fmt: skip


def admit_rework(session: Session, experiment: Experiment, diff_sha256: str) -> dict[str, Any]:
    """What the next job's ledger line says of it, {} for a first try; `NotYet` when it was mended often enough."""
    stage = stage_of(session, experiment)
    before = experiment.reworks
    base_failed = any(r.get("type") == "end" and r.get("base_failed") for r in stage.records)
    if stage.name != "failed" or base_failed:
        return {"rework": before} if before else {}
    if before < MOST_REWORKS:
        return {"rework": before + 1}
    name = experiment.id
    same = stage.record is not None and stage.record.diff_sha256 == diff_sha256
    raise NotYet(
        f"{name} was reworked {before} times and failed again ({stage.detail})",
        fix="Decide it; what was learned is worth a new experiment",
        next=f"autoresearch decide {name}" + ("" if same else " --abandon"),
    )
