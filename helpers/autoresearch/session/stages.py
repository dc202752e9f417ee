"""Where each undecided experiment stands, and the next legal step. Derived from the ledger and the jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from autoresearch.budget.purse import Purse
from autoresearch.budget.rules import stop_view
from autoresearch.engines import JobResult
from autoresearch.engines.choose import engine_of
from autoresearch.engines.jobdir import REMOVED
from autoresearch.errors import POLL_WAIT, Stopped, poll_ab
from autoresearch.judging.met import told
from autoresearch.judging.outcome import Outcome, problem_of, read_outcome
from autoresearch.judging.screening import screen
from autoresearch.judging.units import is_speed
from autoresearch.judging.weighing import weigh
from autoresearch.ledger.history import MOST_REPEATS, MOST_REWORKS, Experiment, Session
from autoresearch.ledger.lines import JobLine, MetFields
from autoresearch.safetext import one_line
from autoresearch.session.integrity import tip_of
from autoresearch.session.trial_spec import rule_of
from autoresearch.verdict.verdict import Verdict

TRIES = 3
# What is said of a disturbed test.
AGAIN = "run `ab` again when the machine is quieter, it is a test of its own"


# Nothing ran; its job runs, was killed or cancelled; a run passed and an A/B is due, or it was far worse than its
# parent and none is; crash or checks_failed; the A/B is done; so it is, but it was disturbed and may be repeated; so
# it is, but the best commit moved since; its checks fail now and then, which is no verdict.
StageName = Literal["open", "running", "lost", "screened", "poor", "failed", "measured", "disturbed", "stale", "flaky"]


@dataclass(frozen=True)
class Stage:
    """Where an experiment stands: `record` is the ledger's line of the newest job, `records` what its trial printed.

    `outcome` is what they say of it, where that is a done A/B against the best commit.
    """

    name: StageName
    detail: str
    next: str
    record: JobLine | None = None
    records: list[Mapping[str, Any]] = field(default_factory=list)
    outcome: Outcome | None = None


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
    if end.get("flaky"):
        # No verdict on the idea; but checks that go on like that are not asked for ever.
        follow = again if _tries(experiment, record) < TRIES else f"autoresearch decide {exp} --abandon"
        return Stage("flaky", one_line(str(end.get("error")), 200), follow, record, records)
    problem = problem_of(records) if status == "done" else ""
    if status != "done" or problem:
        why = f"{status}: {end.get('error') or result.error or ''}".rstrip(": ")
        # To be mended after a look at its log, or decided when that was done often enough.
        follow = f"autoresearch {'decide' if experiment.reworks >= MOST_REWORKS else 'logs'} {exp}"
        return Stage("failed", f"invalid: {problem}" if problem else why, follow, record, records)
    if not record.is_test:
        poor = screen(session, experiment.parent, records)
        if poor is not None:
            return Stage("poor", poor.reason_text, f"autoresearch decide {exp}", record, records)
        return Stage("screened", "build, benchmark and checks passed", poll_ab(exp), record, records)
    if record.base != tip_of(session):
        return Stage("stale", "the best commit moved since its A/B", poll_ab(exp), record, records)
    outcome = judged(session, record, records)
    met = what_it_met(session, outcome)
    if _spoilt(session, outcome.verdict):
        if _may_repeat(session, experiment):
            follow = poll_ab(exp, again=experiment.repeats + 1)
            # What it met stands before what a narrow table cuts off.
            detail = AGAIN.replace(" when", f" ({met}) when") if met else AGAIN
            return Stage("disturbed", detail, follow, record, records, outcome)
        outcome = _standing(outcome, experiment.repeats)
    return Stage(
        "measured", f"A/B done{met and ', '}{met}", f"autoresearch decide {exp}", record, records, outcome,
    )  # fmt: skip


def unseen(session: Session, experiment: Experiment) -> JobLine | None:
    """The newest job, where it is an A/B that ended before anybody could see a run of it.

    It decided nothing, and whether it was ended cannot have hung on what it showed: to measure it again is the same
    test. After one run it may have been ended for what that showed, so the next is a test of its own.
    """
    newest = experiment.jobs[-1] if experiment.jobs else None
    if newest is None or not newest.is_test:
        return None
    engine = engine_of(session)
    state = engine.poll([newest.job])[newest.job]
    if state.state not in ("lost", "cancelled") or state.detail == REMOVED:
        return None
    return None if engine.fetch(newest.job).of_type("sample") else newest


def judged(session: Session, test: JobLine, records: Sequence[Mapping[str, Any]]) -> Outcome:
    """What the records of an A/B say, by the rule that it was submitted with and the whole of `autoresearch.yaml`."""
    rule = rule_of(session, test, records)
    return weigh(session.config, read_outcome(records, rule), rule, test.lines_added - test.lines_removed)


def what_it_met(session: Session, outcome: Outcome) -> str:
    """What the runs of an A/B met on their machine, in words; empty where nothing of note."""
    objective, found = session.config.objective, outcome.verdict
    disturbed = found is not None and found.disturbed
    return told(MetFields(**outcome.met), objective.metric, objective.unit, disturbed=disturbed)


def _spoilt(session: Session, found: Verdict | None) -> bool:
    """Whether a disturbed run or two may have hidden a gain: not where the candidate is shown to be worse."""
    if found is None or not found.disturbed or not is_speed(session.config.objective):
        return False
    return found.reason in ("hopeless", "budget") and (found.ci_high_pct is None or found.ci_high_pct >= 0.0)


def _may_repeat(session: Session, experiment: Experiment) -> bool:
    """Whether stop rules and budgets allow another A/B, and it was not disturbed too often already."""
    try:
        Purse(session).draw(experiment.id)
    except Stopped:
        return False
    return experiment.repeats < MOST_REPEATS and not stop_view(session).stop


def _standing(outcome: Outcome, repeats: int) -> Outcome:
    """A spoilt test that is not repeated, which says so."""
    assert outcome.verdict is not None
    why = f"disturbed in each of its {repeats + 1} A/Bs" if repeats else "disturbed, and nothing more may be measured"
    text = f"{outcome.verdict.reason_text}; {why}: the discard stands"
    return replace(outcome, verdict=replace(outcome.verdict, reason_text=text))


def was_killed(result: JobResult) -> bool:
    """Whether the trial was ended by a signal before its last word, as by a kernel that is short of memory.

    What a benchmark does to itself is told by the trial; only who kills the trial, or its shell, keeps it from that.
    """
    return not result.of_type("end") and result.exit_code in (-9, -15, 128 + 9, 128 + 15)


def _tries(experiment: Experiment, record: JobLine) -> int:
    """Jobs of these files so far. One that kills its runner every time is a crash in the end."""
    asked = (record.type, record.diff_sha256, record.base, record.again)
    return sum((job.type, job.diff_sha256, job.base, job.again) == asked for job in experiment.jobs)


# Which stage to serve first: what costs nothing and frees the queue, before what takes time, and a quieter hour last.
_ORDER: tuple[StageName, ...] = (
    "measured", "poor", "screened", "stale", "failed", "flaky", "lost", "running", "open", "disturbed",
)  # fmt: skip


def next_step(stages: Mapping[str, Stage]) -> str | None:
    """The next legal command among the undecided experiments, or None when there are none."""
    first = min(stages.values(), key=lambda stage: _ORDER.index(stage.name), default=None)
    return None if first is None else first.next


def undecided(session: Session) -> dict[str, Stage]:
    """Stages of all experiments without a result, oldest first."""
    return {e.id: stage_of(session, e) for e in session.open_experiments}
