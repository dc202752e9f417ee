"""Freezes the evaluator, measures the noise floor, and opens the ledger (or a new segment of it)."""

from __future__ import annotations

import json
from statistics import median

from autoresearch.budget.purse import max_runs, refuse_if_used_up, spend_fields
from autoresearch.engines import JobResult
from autoresearch.engines.choose import engine_of
from autoresearch.errors import POLL_BASELINE, BadInput, EnvironmentMissing
from autoresearch.files import write_atomic
from autoresearch.judging.met import conditions
from autoresearch.judging.noise import assess
from autoresearch.judging.outcome import Outcome, read_outcome
from autoresearch.judging.units import is_speed
from autoresearch.judging.weighing import second_metrics
from autoresearch.ledger.history import Session
from autoresearch.ledger.in_flight import Pending, pending, pending_path
from autoresearch.ledger.lines import MetFields, Record, RunLine, now_ms, read_as
from autoresearch.safetext import one_line, tail
from autoresearch.session.dispatch import submit_noise
from autoresearch.session.integrity import look, tip_of
from autoresearch.session.stages import was_killed
from autoresearch.workspace import evaluator
from autoresearch.workspace.branch import check_branch, create_branch
from autoresearch.workspace.git import in_progress, resolve
from autoresearch.workspace.owner import claim, elsewhere, taken


def start(session: Session, *, new_segment: bool = False) -> Pending:
    """Freeze the evaluator and submit the noise job, or return the one in flight for the same files."""
    if session.baseline is not None and not new_segment and pending(session) is None:
        raise BadInput("the baseline is measured already", next="autoresearch status")
    manifest = evaluator.survey(session.project, session.config)
    commit = session.predecessor or resolve(session.project.root, "HEAD")
    if session.header is not None:
        commit = tip_of(session)
    if commit is None:
        raise BadInput("this repository has no commit yet", fix="git add -A && git commit -m start")
    now = pending(session)
    if now is not None and (now.commit, now.digest) == (commit, manifest.digest):
        return now
    if session.header is None:
        # What could only be found out after measuring: no honest start, or no room for the session's branch.
        busy = in_progress(session.project.root)
        if busy is not None:
            raise BadInput(
                f"{busy[0]} is in progress, so the last commit is no start for a session",
                fix=f"End it ({busy[1]}), then repeat",
                next=POLL_BASELINE,
            )
        check_branch(session.project, session.branch)
    refuse_if_taken(session, commit)
    if now is not None:
        engine_of(session).cancel(now.job)
    refuse_if_used_up(session)
    claim(session.project, session.branch, commit, session.owner)
    evaluator.freeze(session.project, manifest)
    bare = Session(project=session.project, config=session.config)
    job = submit_noise(bare, manifest, commit)
    made = Pending(job, commit, manifest.digest, session.header is not None)
    write_atomic(pending_path(session), json.dumps(made.__dict__).encode())
    return made


def refuse_if_taken(session: Session, commit: str) -> None:
    """Raise `BadInput` where the branch of a session that starts at `commit` is not this one's to move."""
    tip, branch = look(session), session.branch
    other = elsewhere(session.project, session.owner)
    if other is not None:
        raise taken(branch, other)
    # Ours without a ledger is what a killed baseline has left; any other may hold what somebody has won.
    if session.header is None and tip is not None and (session.owner is None or tip != commit):
        raise BadInput(
            f"branch {branch} exists{'' if tip == commit else ' with other commits'}, but no ledger here is of it",
            fix="Choose another name in autoresearch.yaml",
        )


def finish(session: Session, now: Pending) -> RunLine:
    """Read the finished noise job, write the header and run line of the baseline; returns the run line."""
    if pending(session) != now and session.baseline is not None:
        return session.baseline  # another process that waited for the same job has written it down
    engine = engine_of(session)
    state = engine.poll([now.job])[now.job]
    result = engine.fetch(now.job)
    outcome = read_outcome(result.records)
    objective = session.config.objective
    values = [value for _, value in outcome.samples if value is not None]
    if state.state in ("lost", "cancelled") or was_killed(result):
        pending_path(session).unlink(missing_ok=True)
        raise EnvironmentMissing(
            f"the baseline's job was {'cancelled' if state.state == 'cancelled' else 'killed'}: {state.detail}",
            fix="Repeat the command: it is measured again", next=POLL_BASELINE,
        )  # fmt: skip
    if outcome.status != "done" or outcome.invalid or len(values) < 4:
        pending_path(session).unlink(missing_ok=True)
        why = outcome.error or outcome.invalid or outcome.checks
        raise EnvironmentMissing(
            f"the base commit does not pass its own evaluator: {outcome.status}: {one_line(why, 200)}",
            fix=f"Mend the benchmark, the checks or the code, commit, and repeat. {_last_words(result)}",
            next="autoresearch doctor",
        )
    missing = [name for name in second_metrics(session.config) if name not in outcome.metrics]
    if missing:
        pending_path(session).unlink(missing_ok=True)
        raise BadInput(
            f"autoresearch.sh prints no METRIC {missing[0]}, which constraints or rescue in autoresearch.yaml name",
            fix="Print it in every run, or take it out of autoresearch.yaml",
            next=POLL_BASELINE,
        )
    manifest = evaluator.survey(session.project, session.config)
    if manifest.digest != now.digest:
        raise BadInput("the evaluator changed while its baseline ran", next=POLL_BASELINE)
    if state.state != "done":
        pending_path(session).unlink(missing_ok=True)
        raise EnvironmentMissing(f"the baseline's job ended as {state.state}", next=POLL_BASELINE)
    report = assess(
        values, direction=objective.direction, min_effect_pct=objective.min_effect_pct, max_runs=max_runs(session),
        timed=is_speed(objective), met=conditions(result.records, MetFields(**outcome.met)),
    )  # fmt: skip
    if session.header is None and resolve(session.project.root, f"refs/heads/{session.branch}") is None:
        create_branch(session.project, session.branch, now.commit)
    header = _header(session, manifest, now.commit)
    # The header of a command that was killed before its run line: one is enough.
    half_done = session.header if session.baseline is None else None
    run = _run_line(session, now, outcome, report.to_json())
    if half_done is None or _plain(half_done.raw) != _plain(header):
        session.append(header)
    session.append(run)
    pending_path(session).unlink(missing_ok=True)
    return read_as(RunLine, run)


def _plain(header: Record) -> Record:
    return {key: value for key, value in header.items() if key != "timestamp"}


def _last_words(result: JobResult) -> str:
    said = next((record["tail"] for record in reversed(result.records) if record.get("tail")), "")
    return "It said: " + one_line(tail(str(said), 4, 300), 300) if said else ""


def _header(session: Session, manifest: evaluator.Manifest, commit: str) -> Record:
    objective = session.config.objective
    return {
        "type": "config",
        "name": session.config.name,
        "metricName": objective.metric,
        "metricUnit": objective.unit,
        "bestDirection": objective.direction,
        "schema": 1,
        "base_commit": commit,
        "branch": session.branch,
        "goal": session.config.goal,
        **({"after": session.config.after} if session.predecessor else {}),
        "evaluator": manifest.files,
        "evaluator_digest": manifest.digest,
        "settings": manifest.settings,
        "timestamp": now_ms(),
    }


def _run_line(session: Session, now: Pending, outcome: Outcome, noise: Record) -> Record:
    return {
        "run": session.last_run + 1,
        "commit": now.commit[:7],
        "metric": median(value for _, value in outcome.samples if value is not None),
        "metrics": outcome.metrics,
        "status": "keep",
        "description": "baseline",
        "timestamp": now_ms(),
        "segment": session.next_segment,
        "confidence": None,
        "asi": {},
        "experiment": "baseline",
        "kind": "baseline",
        "commit_full": now.commit,
        "values_per_run": outcome.values_per_run,
        "noise": noise,
        "samples": [list(pair) for pair in outcome.samples],
        "warmups": [list(pair) for pair in outcome.warmups],
        "runs_used": len(outcome.samples),
        "checks": outcome.checks,
        "cores": outcome.cores,
        **({"met": outcome.met} if outcome.met else {}),
        **({"said": outcome.said} if outcome.said else {}),
        **({"fixed": outcome.fixed} if outcome.fixed else {}),
        "job": now.job,
        "engine": session.config.engine,
        "machine": outcome.environment.get("machine"),
        "environment": {k: v for k, v in outcome.environment.items() if k != "type"},
        "seconds": round(outcome.seconds, 3),
        "builds": outcome.builds,
        **spend_fields(session, [now.job]),
    }
