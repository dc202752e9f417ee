"""Where each undecided experiment stands, and the next legal step. Derived from the ledger and the jobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from autoresearch.engines import JobResult
from autoresearch.engines.choose import engine_of
from autoresearch.errors import POLL_WAIT, poll_ab
from autoresearch.judging.outcome import problem_of
from autoresearch.judging.screening import screen
from autoresearch.ledger.history import MOST_REWORKS, Experiment, Session
from autoresearch.ledger.lines import JobLine
from autoresearch.session.integrity import tip_of

TRIES = 3


# Nothing ran; its job runs, was killed or cancelled; a run passed and an A/B is due, or it was far worse than the best
# commit and none is; crash or checks_failed; the A/B is done; it is done, but the best commit moved since.
StageName = Literal["open", "running", "lost", "screened", "poor", "failed", "measured", "stale"]


@dataclass(frozen=True)
class Stage:
    """Where an experiment stands: `record` is the ledger's line of the newest job, `records` what its trial printed."""

    name: StageName
    detail: str
    next: str
    record: JobLine | None = None
    records: list[Mapping[str, Any]] = field(default_factory=list)


def stage_of(session: Session, experiment: Experiment) -> Stage:
    """The stage of one experiment; asks the engine about its newest job only."""
    exp = experiment.id
    if not experiment.jobs:
        return Stage("open", "nothing ran yet", f"autoresearch run {exp}")
    record = experiment.jobs[-1]
    job = record.job
    engine = engine_of(session)
    state = engine.poll([job])[job]
    if not state.final:
        return Stage("running", state.phase or state.state, POLL_WAIT, record)
    again = f"autoresearch {'ab' if record.is_test else 'run'} {exp}"
    if state.state in ("lost", "cancelled"):
        how = "killed" if state.state == "lost" else "cancelled"
        why = f": {state.detail}" if state.detail not in ("", how) else ""
        return Stage("lost", f"its job was {how}{why}", again, record)
    result = engine.fetch(job)
    end: Mapping[str, Any] = next((r for r in reversed(result.records) if r.get("type") == "end"), {})
    if was_killed(result) and _tries(experiment, record) < TRIES:
        return Stage("lost", "its measurement was killed", again, record)
    status = str(end.get("status") or result.status or "crash")
    records: list[Mapping[str, Any]] = list(result.records)
    if not end:
        # A task without our trial (a user's own experiment.yaml), or one that died before its first word.
        error = result.error or f"the job ended with {state.phase or state.state} and no result"
        records.append({"type": "end", "status": status, "error": "" if status == "done" else error})
    problem = problem_of(records) if status == "done" else ""
    if status != "done" or problem:
        why = f"{status}: {end.get('error') or result.error or ''}".rstrip(": ")
        # To be mended after a look at its log, or decided when that was done often enough.
        follow = f"autoresearch {'decide' if experiment.reworks >= MOST_REWORKS else 'logs'} {exp}"
        return Stage("failed", f"invalid: {problem}" if problem else why, follow, record, records)
    if not record.is_test:
        poor = screen(session, records)
        if poor is not None:
            return Stage("poor", poor.reason_text, f"autoresearch decide {exp}", record, records)
        return Stage("screened", "build, benchmark and checks passed", poll_ab(exp), record, records)
    if record.base != tip_of(session):
        return Stage("stale", "the best commit moved since its A/B", poll_ab(exp), record, records)
    return Stage("measured", "A/B done", f"autoresearch decide {exp}", record, records)


def was_killed(result: JobResult) -> bool:
    """Whether the trial was ended by a signal before its last word, as by a kernel that is short of memory.

    What a benchmark does to itself is told by the trial; only who kills the trial, or its shell, keeps it from that.
    """
    return not result.of_type("end") and result.exit_code in (-9, -15, 128 + 9, 128 + 15)


def _tries(experiment: Experiment, record: JobLine) -> int:
    """Jobs of these files so far. One that kills its runner every time is a crash in the end."""
    asked = (record.type, record.diff_sha256, record.base)
    return sum((job.type, job.diff_sha256, job.base) == asked for job in experiment.jobs)


# Which stage to serve first: what costs nothing and frees the queue, before what takes time.
_ORDER: tuple[StageName, ...] = ("measured", "poor", "screened", "stale", "failed", "lost", "running", "open")


def next_step(stages: Mapping[str, Stage]) -> str | None:
    """The next legal command among the undecided experiments, or None when there are none."""
    first = min(stages.values(), key=lambda stage: _ORDER.index(stage.name), default=None)
    return None if first is None else first.next


def undecided(session: Session) -> dict[str, Stage]:
    """Stages of all experiments without a result, oldest first."""
    return {e.id: stage_of(session, e) for e in session.open_experiments}
