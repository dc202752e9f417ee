"""Decides an experiment: the one way to a keep. Verdict -> ledger line -> commit or patch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from autoresearch.budget.purse import spend_fields
from autoresearch.engines.choose import engine_of
from autoresearch.errors import POLL_WAIT, AutoresearchError, EnvironmentMissing, Exit, IntegrityFault, NotYet
from autoresearch.files import write_atomic
from autoresearch.judging.outcome import Outcome, read_outcome
from autoresearch.judging.screening import screen
from autoresearch.judging.units import quantity
from autoresearch.ledger.history import MOST_REWORKS, Experiment, Session
from autoresearch.ledger.lines import Record, RunLine, now_ms, read_as
from autoresearch.safetext import one_line
from autoresearch.session import idea_marks, review
from autoresearch.session.admission import (
    describe_candidate,
    first_three,
    last_known,
    mode_fields,
    refusals,
    refuse_if_nothing,
)
from autoresearch.session.integrity import frozen_manifest, tip_of, verify_evaluator
from autoresearch.session.recover import put_copy_aside
from autoresearch.session.stages import AGAIN, Stage, judged, stage_of, what_it_met
from autoresearch.session.strength import strength_of
from autoresearch.verdict.verdict import effect_text
from autoresearch.workspace import copies, objects
from autoresearch.workspace.branch import advance, commit_winner, require_free
from autoresearch.workspace.candidate import Candidate, onto

# What is said of checks that fail now and then.
STEADY = "Tell the user which check is not steady, and measure again"


@dataclass(frozen=True)
class Decision:
    """What was decided: the ledger's run line, the exit code, and the next legal step."""

    line: RunLine
    code: Exit
    next: str


def decide(
    session: Session,
    name: str,
    *,
    description: str = "",
    literature: str = "",
    abandon: bool = False,
    tokens: int | None = None,
    reviewed: Mapping[str, str] | None = None,
    final: bool = False,
) -> Decision:
    """Judge an experiment, write its ledger line, and commit it or store its patch. `tokens` is what its agent used.

    Needs an A/B of exactly the present files against the present best commit, unless the experiment crashed, failed
    its checks, broke the rules, or is given up (`abandon`). A disturbed A/B that may be repeated is `NotYet`, unless it
    is to be the last (`final`). A keep needs a whole review (`review.FIELDS`), unless the config turns that off;
    `BadInput` lists what is missing, and nothing is written. What a refused call
    was told, the next one need not be told again.
    """
    experiment = session.undecided(name)
    told: dict[str, Any] = {"description": description, "source": literature, "tokens": tokens}
    told |= {field: text for field, text in (reviewed or {}).items() if len(text.strip()) >= review.LEAST}
    known = review.remembered(session.project, name) | {field: text for field, text in told.items() if text}
    try:
        return _decide(session, experiment, known, dict(reviewed or {}), abandon=abandon, final=final)
    except AutoresearchError:
        review.remember(session.project, name, known)
        raise


def _decide(
    session: Session,
    experiment: Experiment,
    known: dict[str, Any],
    reviewed: dict[str, str],
    *,
    abandon: bool,
    final: bool,
) -> Decision:
    said_of = review.Said(**{field: text for field, text in known.items() if field not in review.FIELDS})
    name, tokens, literature, description = experiment.id, said_of.tokens, said_of.source, said_of.description
    reviewed = {field: text for field, text in known.items() if field in review.FIELDS} | reviewed
    text = one_line(description or experiment.opened.hypothesis or name, 500)
    given_up = {"error": "given up before a verdict"}
    frozen = frozen_manifest(session) if abandon else verify_evaluator(session)
    try:
        tip = experiment.parent if abandon else tip_of(session)
        candidate = describe_candidate(session, experiment, frozen)
        broken = refusals(session, candidate, frozen)
    except (AutoresearchError, OSError):
        if not abandon:
            raise
        # Given up it can be all the same: as git has it, and what its copy holds beyond that is put aside.
        candidate = last_known(session, experiment)
        facts = _facts(session, experiment, candidate, text, literature)
        return _finish(session, candidate, facts | given_up, aside=True)
    facts = _facts(session, experiment, candidate, text, literature)
    facts |= spend_fields(session, [job.job for job in experiment.jobs], tokens)
    said = review.compose(reviewed, description, experiment.opened.hypothesis or "")
    if reviewed:
        facts["review"] = said
    if broken:
        refused = one_line(f"refused: {first_three(broken)}", 400)
        return _finish(session, candidate, facts | {"error": refused, "violations": len(broken)}, Exit.INTEGRITY)
    if abandon:
        return _finish(session, candidate, facts | given_up)
    refuse_if_nothing(experiment, changed=bool(candidate.changes))
    stage = stage_of(session, experiment)
    outcome = _outcome(session, experiment, stage, candidate, tip)
    if stage.name == "flaky":
        raise NotYet(f"{name} has no verdict: {stage.detail}", fix=STEADY, next=stage.next)
    if stage.name == "disturbed" and not final:
        raise NotYet(f"{name} is disturbed: {AGAIN}", fix="To take its discard as it is: --final", next=stage.next)
    record = facts | _measured(stage, outcome) | _before(session, experiment)
    if outcome.status in ("crash", "checks_failed"):
        return _finish(session, candidate, record | {"status": outcome.status})
    if outcome.invalid or outcome.verdict is None or outcome.verdict.verdict != "keep":
        reason = f"invalid: {outcome.invalid}" if outcome.invalid else ""
        return _finish(session, candidate, record | {"error": reason})
    if "hidden" in frozen.settings and not outcome.unseen:
        raise NotYet(
            f"the hidden checks did not run in the A/B of {name}",
            fix="Measure it again",
            next=f"autoresearch ab {name}",
        )
    if session.config.review:
        review.require(name, said, known)
        record["review"] = said
    return _keep(session, candidate, record, tip)


def preview(session: Session, experiment: Experiment) -> dict[str, Any]:
    """What the newest job of an experiment says, without deciding: for `ab`."""
    stage = stage_of(session, experiment)
    if stage.record is None or not stage.records:
        return {"verdict": "discard", "reason": stage.name, "line": f"{stage.name}: {stage.detail}"}
    if stage.name == "flaky":
        told = {"reason": "flaky", "reason_text": stage.detail, "line": f"no verdict: {stage.detail}"}
        return {"verdict": None, **told, "repeat": STEADY, "next": stage.next}
    test = stage.record
    modes = {"modes": test.modes} if test.modes else {}
    outcome = stage.outcome or judged(session, test, stage.records)
    if outcome.verdict is None:
        reason = outcome.status if outcome.status != "done" else "invalid"
        text = outcome.invalid or outcome.error or outcome.checks
        return {
            "verdict": "discard", "reason": reason, "reason_text": text, "line": f"{reason}: {text}", **modes
        }  # fmt: skip
    fields = ("verdict", "reason", "reason_text", "effect_pct", "ci_low_pct", "ci_high_pct", "e_value", "e_needed",
              "runs_used", "blocks", "layout", "sigma_short_pct", "mde_pct")  # fmt: skip
    told = outcome.verdict.to_json()
    return {
        **{key: told.get(key) for key in fields}, **({"disturbed": True} if outcome.verdict.disturbed else {}),
        "seed": test.seed, "alpha": test.alpha, "t": test.t,
        **({"met": outcome.met} if outcome.met else {}), **modes,
        "line": outcome.verdict.line(what_it_met(session, outcome), quantity(session.config.objective)),
        **({"repeat": f"disturbed: {AGAIN}", "next": stage.next} if stage.name == "disturbed" else {}),
    }  # fmt: skip


def _facts(
    session: Session, experiment: Experiment, candidate: Candidate, text: str, literature: str
) -> dict[str, Any]:
    """The fields that do not depend on the measurement, the peers' first and in their order."""
    # One that can be looked up (`arxiv:2101.00001`, a DOI, a URL) is literature, unlike `profile` or `agent`.
    source = one_line(literature or experiment.opened.source, 300)
    return {
        "run": session.last_run + 1,
        "commit": candidate.commit[:7],
        "metric": 0,
        "metrics": {},
        "status": "discard",
        "description": text,
        "timestamp": now_ms(),
        "segment": max(session.segment, 0),
        "confidence": None,
        "asi": {"hypothesis": experiment.opened.hypothesis or text},
        "literature_source": source if ":" in source or "/" in source else None,
        "experiment": experiment.id,
        "kind": "experiment",
        "commit_full": candidate.commit,
        "parent": candidate.parent,
        "opened_at": candidate.parent,
        "runs_used": 0,
        "idea": experiment.opened.idea,
        "source": source,
        "hypothesis": experiment.opened.hypothesis,
        "predicted_pct": experiment.opened.predicted_pct,
        "diff_sha256": candidate.diff_sha256,
        "files": [one_line(change.path, 200) for change in candidate.changes[:50]],
        "lines_added": candidate.lines_added,
        "lines_removed": candidate.lines_removed,
        **mode_fields(candidate),
        "jobs": len(experiment.jobs),
        "reworks": experiment.reworks,
        "engine": session.config.engine,
    }


def _outcome(session: Session, experiment: Experiment, stage: Stage, candidate: Candidate, tip: str) -> Outcome:
    """The outcome of the newest job, if it measured what is to be decided; otherwise `NotYet`."""
    name = experiment.id
    if stage.name == "running":
        raise NotYet(f"{name} is still running ({stage.detail})", next=POLL_WAIT)
    if stage.record is None or stage.name in ("open", "lost"):
        raise NotYet(f"{name} has no finished job ({stage.detail})", next=f"autoresearch run {name}")
    if stage.record.diff_sha256 != candidate.diff_sha256:
        # A failure that was mended often enough is measured no more, so the edit after it cannot be.
        last = stage.name == "failed" and experiment.reworks >= MOST_REWORKS
        follow = f"autoresearch decide {name} --abandon" if last else f"autoresearch run {name}"
        raise NotYet(f"the files of {name} changed since its last job", next=follow)
    is_ab = stage.record.is_test
    outcome = stage.outcome or (judged(session, stage.record, stage.records) if is_ab else read_outcome(stage.records))
    if outcome.base_failed:
        raise EnvironmentMissing(
            f"the base failed in the A/B of {name}: {outcome.error}",
            fix="The machine or the base is broken, not the candidate. Mend it and measure again",
            next="autoresearch doctor",
        )
    if outcome.status in ("crash", "checks_failed"):
        return outcome
    if stage.name == "poor":
        return replace(outcome, verdict=screen(session, experiment.parent, stage.records))
    if not is_ab and not outcome.invalid:
        raise NotYet(f"{name} has no A/B yet; a screening run never decides a keep", next=f"autoresearch ab {name}")
    if is_ab and stage.record.base != tip:
        raise NotYet(
            f"the best commit moved since the A/B of {name}", fix="Measure it again", next=f"autoresearch ab {name}"
        )
    return outcome


def _before(session: Session, experiment: Experiment) -> dict[str, int]:
    """The runs of A/Bs that were disturbed and repeated: they were made, and count."""
    if not experiment.repeats:
        return {}
    fetched = (engine_of(session).fetch(job.job) for job in experiment.jobs[:-1] if job.is_test)
    return {"runs_before": sum(len(read_outcome(result.records).samples) for result in fetched)}


def _measured(stage: Stage, outcome: Outcome) -> dict[str, Any]:
    verdict = outcome.verdict.to_json() if outcome.verdict is not None else None
    test = stage.record
    if verdict is not None:
        # Which A/B of the session it was, its share of the error budget, and the seed of its order.
        verdict |= {name: getattr(test, name, None) for name in ("t", "alpha", "seed")}
        if outcome.instructions:
            verdict |= {"instructions": outcome.instructions}
        if outcome.gains:
            verdict |= {"gains": outcome.gains, "limits": list(outcome.findings)}
    # `parent` is what the effect is relative to: for an A/B its base, which may be newer than where the copy began.
    base = {"parent": test.base} if test and test.base else {}
    return base | {
        "metric": outcome.metric if outcome.metric is not None else 0,
        "metrics": outcome.metrics,
        "base_metric": outcome.base_metric,
        "verdict": verdict,
        "samples": [list(pair) for pair in outcome.samples],
        "runs_used": len(outcome.samples),
        "checks": outcome.checks,
        "error": outcome.error,
        **({"met": outcome.met} if outcome.met else {}),
        **({"said": outcome.said} if outcome.said else {}),
        "job": test.job if test else None,
        "machine": outcome.environment.get("machine"),
        "environment": {k: v for k, v in outcome.environment.items() if k != "type"},
        "seconds": round(outcome.seconds, 3),
        "builds": outcome.builds,
    }


def _keep(session: Session, candidate: Candidate, record: Record, tip: str) -> Decision:
    tree = onto(session.project, candidate, tip)
    if candidate.base != tip:  # else it is the very tree that was judged
        _only_named(session, candidate, tip, tree)
    commit = commit_winner(session.project, tree, tip, commit_message(session, read_as(RunLine, record)))
    # Before the ledger line, so that the same command works once the user has mended it.
    require_free(session.project, session.branch)
    record |= {"status": "keep", "commit": commit[:7], "commit_full": commit, "parent": tip}
    strength = strength_of(session)
    if strength is not None:
        record["evaluator_strength_pct"] = strength.strength_pct
    session.append(record)
    advance(session.project, session.branch, commit, tip)
    session.tip = commit
    return _close(session, record, Exit.DONE)


def _only_named(session: Session, candidate: Candidate, tip: str, tree: str) -> None:
    """Refuse to commit a file that the judged diff does not name."""
    named = {change.path for change in candidate.added}
    brought = objects.changes_between(session.project.root, tip, tree)
    stray = [change.path for change in brought if change.path not in named]
    if stray:
        raise IntegrityFault(
            f"the commit of {candidate.experiment} would change {one_line(stray[0], 120)}, not named in its diff",
            fix="Measure it again on the best commit",
            next=f"autoresearch ab {candidate.experiment}",
        )


def _finish(
    session: Session, candidate: Candidate, record: Record, code: Exit = Exit.NO, *, aside: bool = False
) -> Decision:
    """Write a line that is no keep; the diff stays in git's experiment ref and as a patch."""
    patch = session.project.patches / f"{candidate.experiment}.patch"
    write_atomic(patch, candidate.patch)
    record["patch"] = str(patch.relative_to(session.project.root))
    session.append(record)
    if aside:
        put_copy_aside(session, candidate.experiment, "it could not be read")
    return _close(session, record, code)


def _close(session: Session, record: Record, code: Exit) -> Decision:
    line = read_as(RunLine, record)
    copies.close_worktree(session.project, line.experiment)
    review.forget(session.project, line.experiment)
    idea_marks.follow(session, line)
    return Decision(line, code, "autoresearch status")


def commit_message(session: Session, line: RunLine) -> str:
    """Subject, the measured effect, the reason, and trailers that `git log` and tools can read."""
    verdict = line.judged
    metric = session.config.objective
    effect = verdict.effect_pct
    gain = "better" if effect is None else effect_text(effect, verdict.ci_low_pct, verdict.ci_high_pct)
    unit = f" {metric.unit}" if metric.unit else ""
    subject = one_line(line.description, 68)
    rescued = verdict.reason == "rescued"
    compared = "compared with" if rescued else "better than"
    lines = [
        subject,
        "",
        f"{metric.metric}: {gain} {compared} its parent, in {verdict.runs_used} interleaved runs",
        f"({line.base_metric:g} -> {line.metric:g}{unit}, medians of the same A/B).",
        "",
        *([one_line(f"Kept for another metric: {verdict.reason_text}", 400), ""] if rescued else []),
        *_reasons(line),
        *([one_line(f"File modes: {'; '.join(line.modes)}", 400)] if line.modes else []),
        "",
        f"Autoresearch-Experiment: {line.experiment}",
        f"Autoresearch-Run: {line.run}",
        f"Autoresearch-Effect: {gain}",
        f"Autoresearch-Seed: {verdict.seed}",
    ]
    if line.literature_source:
        lines.append(f"Literature-Source: {one_line(line.literature_source, 300)}")
    return "\n".join(lines) + "\n"


def _reasons(line: RunLine) -> list[str]:
    """The review, or without one the hypothesis."""
    said = line.review or {"why": line.hypothesis}
    labels = {"what": "What", "why": "Why", "risk": "Could break", "checked": "Checked"}
    return [f"{label}: {one_line(str(said[name]), 400)}" for name, label in labels.items() if said.get(name)] or [
        "Why:"
    ]
