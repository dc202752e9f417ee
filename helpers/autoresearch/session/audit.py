"""The audit: is the stack of keeps worth what it claims? The tip against the original baseline, measured anew.

Detached like the baseline: what was submitted stands in `.autoresearch/audit.json` until the ledger has the answer.
The number of blocks is fixed beforehand: an estimate that stops when it looks good flatters.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from autoresearch.budget.purse import refuse_if_used_up, spend_fields
from autoresearch.config import Objective
from autoresearch.engines import JobState
from autoresearch.engines.choose import engine_of
from autoresearch.errors import (
    AUDIT_ABLATE,
    AUDIT_RUNS,
    BadInput,
    EnvironmentMissing,
    IntegrityFault,
    NotYet,
    poll_audit,
)
from autoresearch.files import sha256_of
from autoresearch.judging import claims
from autoresearch.judging.honesty import doubt
from autoresearch.judging.outcome import Outcome, read_outcome
from autoresearch.judging.units import seconds_per_unit
from autoresearch.judging.weighing import judge_limits, saved_by, told
from autoresearch.ledger.history import Session
from autoresearch.ledger.in_flight import Ask, Measurement, Work, in_flight, save, work_path
from autoresearch.ledger.lines import AuditLine, Record, RunLine, now_ms, read_as
from autoresearch.safetext import one_line
from autoresearch.session.dispatch import hand_over, placed
from autoresearch.session.integrity import tip_of, verify_evaluator
from autoresearch.session.reverting import without
from autoresearch.session.trial_spec import rule_for, trial_spec
from autoresearch.verdict.rule import Rule
from autoresearch.verdict.sequential import TIMED_OUT, SequentialTest
from autoresearch.verdict.stats import rounded
from autoresearch.verdict.verdict import Verdict
from autoresearch.workspace import evaluator, objects
from autoresearch.workspace.candidate import Conflict
from autoresearch.workspace.git import git

HELDOUT = "autoresearch.heldout.sh"
# One end of the 95 % interval: "proven" and "the interval lies above 0" are the same statement.
ALPHA = 1.0 / 40.0


@dataclass(frozen=True)
class Step:
    """Either `jobs` that still run ({name: job}), or the audit's ledger line."""

    jobs: dict[str, str]
    line: AuditLine | None = None


@dataclass(frozen=True)
class Reading:
    """What one A/B of fixed length showed. With a `doubt` its gain is not believed, so it proves nothing."""

    outcome: Outcome
    verdict: Verdict | None
    rule: Rule | None = None
    doubt: str = ""

    @property
    def proven(self) -> bool:
        """A gain above 0 (above the margin where the layout was fixed)."""
        found = self.verdict
        if found is None or self.doubt:
            return False
        exact = found.ci_low_pct is not None and found.ci_low_pct == found.ci_high_pct
        if exact:
            return (found.effect_pct or 0.0) > 0.0
        return found.e_value is not None and found.e_value >= found.e_needed

    @property
    def nothing(self) -> bool:
        """It cannot be better by the smallest gain worth keeping (chance of a wrong word: the rule's beta)."""
        return self.verdict is not None and not self.proven and self.verdict.reason in ("below_min", "identical")

    def fields(self) -> Record:
        """The figures of a ledger line."""
        told = self.verdict.to_json() if self.verdict is not None else {}
        names = ("effect_pct", "ci_low_pct", "ci_high_pct", "e_value", "e_needed")
        return {name: told.get(name) for name in names} | {"runs_used": len(self.outcome.samples)}

    @property
    def error(self) -> str:
        found = self.outcome
        return self.doubt or (
            "" if self.verdict is not None else found.error or found.invalid or found.checks or found.status
        )


def step(session: Session, *, runs: int = AUDIT_RUNS, ablate: int = AUDIT_ABLATE) -> Step:
    """Submit what is missing, or conclude what has ended; call it again until it has a record.

    An audit of the same commits, evaluator and length that stands in the ledger is returned, not measured again.
    """
    header = session.started()
    frozen = verify_evaluator(session)
    ask = Ask(header.base_commit, tip_of(session), frozen.digest, runs, _heldout_digest(session))
    work = in_flight(session)
    if work is not None and session.audit is not None and session.audit.job == work.total.job:
        work_path(session).unlink(missing_ok=True)  # killed after the ledger line, before this
        work = None
    if not session.kept:
        raise NotYet("nothing is kept, so there is nothing to audit", next="autoresearch status")
    if session.audit is not None and _answers(session.audit, ask, ablate):
        return Step({}, session.audit)
    engine = engine_of(session)
    if work is not None and work.ask != ask:
        for part in work.parts():
            if part.job and not engine.poll([part.job])[part.job].final:
                engine.cancel(part.job)
        work = None
    if work is None:
        total = Measurement("audit", ask.base, ask.tip, secrets.randbits(32))
        heldout = Measurement("heldout", ask.base, ask.tip, secrets.randbits(32)) if ask.heldout else None
        work = Work(ask, ablate, total, heldout)
    while True:
        running = _drive(session, frozen, work)
        if running:
            return Step(running)
        if not work.planned:
            _plan(session, work)
            continue
        record = _conclude(session, work)
        session.append(record)
        work_path(session).unlink(missing_ok=True)
        return Step({}, read_as(AuditLine, record))


def _drive(session: Session, frozen: evaluator.Manifest, work: Work) -> dict[str, str]:
    """Submit the parts that have no job; the jobs that still run. A lost job is submitted anew by the next call."""
    for part in work.parts():
        if part.job is None and not part.conflict:
            part.job = _submit(session, frozen, part, work.ask.runs, heldout=part is work.heldout)
            save(session, work)
    jobs = {part.name: part.job for part in work.parts() if part.job}
    states = engine_of(session).poll(list(jobs.values()))
    lost = [part for part in work.parts() if part.job and _is_lost(session, states[part.job])]
    if lost:
        for part in lost:
            part.job = None
        save(session, work)
        raise EnvironmentMissing(
            f"the job of {lost[0].name} was killed, or could not write its result",
            fix="Repeat the command: it is measured again (a full disk shows in autoresearch doctor)",
            next=poll_audit(work.ask.runs, work.ablate),
        )
    return {name: job for name, job in jobs.items() if not states[job].final}


def _is_lost(session: Session, state: JobState) -> bool:
    """Whether a job ended without the trial's last word: killed, or unable to write it. That is no word on a side."""
    if state.state == "failed":
        return not engine_of(session).fetch(state.job).of_type("end")
    return state.state in ("lost", "cancelled")


def _submit(session: Session, frozen: evaluator.Manifest, part: Measurement, runs: int, *, heldout: bool) -> str:
    """Both trees fresh from git with the pinned evaluator over them, as for any A/B, but of fixed length."""
    refuse_if_used_up(session)
    project, test = session.project, session.config.test
    spec = trial_spec(session, frozen, part.name, "ab") | {
        "test": {
            "alpha": ALPHA, "preset": test.preset, "max_runs": runs, "fixed_blocks": runs // 4, "seed": part.seed,
        },
    }  # fmt: skip
    if heldout:
        metric = {**spec["metric"], "values_per_run": None}
        spec |= {"benchmark": f"bash {HELDOUT}", "checks": None, "metric": metric}
    with placed(project, {"a": part.base, "b": part.candidate}, frozen) as places:
        for tree in places.values() if heldout else ():
            _place_heldout(project.root / HELDOUT, tree / objects.prefix(project) / HELDOUT)
        return hand_over(session, spec, places)


def _place_heldout(source: Path, to: Path) -> None:
    if to.is_symlink() or to.is_dir():
        raise IntegrityFault(f"{HELDOUT} is a link or a directory in the measured tree")
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, to)


def _read(session: Session, part: Measurement, runs: int) -> Reading:
    """All blocks of one A/B, whatever the rule would have said on the way."""
    result = engine_of(session).fetch(str(part.job))
    outcome = read_outcome(result.records)
    if outcome.status != "done" or outcome.invalid or len(outcome.samples) < 4:
        return Reading(outcome, None)
    rule = rule_for(session.config, session.config.test.preset, ALPHA, runs, outcome.layout)
    found = estimate(rule, outcome.samples)
    # Many keeps together may gain more than one is believed to: the ceiling of unsigned times is for one.
    trusted = replace(outcome, signed=True)
    doubted = doubt(session.config.objective, trusted, found.effect_pct) if (found.effect_pct or 0.0) > 0.0 else None
    return Reading(outcome, found, rule, f"{doubted.word}: {doubted.text}" if doubted else "")


def estimate(rule: Rule, samples: Sequence[tuple[str, float | None]]) -> Verdict:
    """The verdict after all blocks of four (side, value; None = timed out), in time order."""
    test = SequentialTest(rule)
    for begin in range(0, len(samples) - 3, 4):
        block = samples[begin : begin + 4]
        values = [TIMED_OUT if value is None else value for _, value in block]
        test.step("".join(side for side, _ in block), values)
    return test.verdict()


def own_time(reading: Reading, objective: Objective) -> Verdict | None:
    """What the seconds of the program's rounds alone say, where the objective is their ratio to a reference.

    No reference can be slowed to better these; a machine of two speeds makes their interval wide."""
    blocks = reading.outcome.series("time_own_s")
    if not blocks or reading.rule is None or seconds_per_unit(objective) is None:
        return None
    rule = replace(reading.rule, direction="lower", counted=False, margin_pct=0.0)
    return estimate(rule, [pair for order, values in blocks for pair in zip(order, values, strict=True)])


def _loses(found: Verdict | None) -> bool:
    return found is not None and found.ci_high_pct is not None and found.ci_high_pct < 0.0


def _total(session: Session, work: Work) -> Reading:
    total = _read(session, work.total, work.ask.runs)
    if total.outcome.base_failed:
        work_path(session).unlink(missing_ok=True)
        raise EnvironmentMissing(
            f"the original baseline {work.ask.base[:12]} failed in the audit: {total.outcome.error}",
            fix="The machine or the evaluator is broken, not the session. Mend it, then repeat",
            next="autoresearch doctor",
        )
    return total


def _doubted(total: Reading, claimed: float | None) -> bool:
    if total.verdict is None:
        return False  # it does not run: taking out single keeps would compare with a tip that does not run
    share = claims.ratio(total.verdict.effect_pct, claimed)
    short = share is not None and share < claims.LEAST_RATIO
    return short or not total.proven or claims.excludes(total.verdict.ci_high_pct, claimed)


def _plan(session: Session, work: Work) -> None:
    """Leave-one-out, weakest evidence first, where the total is short of its claims."""
    if _doubted(_total(session, work), claims.naive(session.kept)):
        base_tree = git(session.project.root, "rev-parse", f"{work.ask.base}^{{tree}}")
        for keep in claims.weakest_first(session.kept)[: work.ablate]:
            part = Measurement(f"audit-{keep.experiment}", "", work.ask.tip, secrets.randbits(32))
            try:
                part.base = without(session, keep, work.ask.tip)
            except Conflict as exc:
                part.conflict = one_line(str(exc), 200)
            if part.base == base_tree:
                # Nothing else is kept: the total has measured just this.
                part.job, part.seed = work.total.job, work.total.seed
            work.ablation.append(part)
    work.planned = True
    save(session, work)


def _conclude(session: Session, work: Work) -> Record:
    """The audit's ledger line."""
    ask, total = work.ask, _total(session, work)
    by_name = {f"audit-{keep.experiment}": keep for keep in session.kept}
    found = [_finding(session, part, by_name[part.name], ask.runs) for part in work.ablation]
    heldout = _read(session, work.heldout, ask.runs) if work.heldout is not None else None
    claimed = claims.naive(session.kept)
    figures = total.fields()
    share = claims.ratio(figures["effect_pct"], claimed)
    limits = judge_limits(session.config, total.outcome) if total.verdict is not None else []
    saved = None
    if total.rule is not None and claims.rescued(session.kept):
        saved = saved_by(session.config, total.outcome, total.rule)
    holds = (total.proven or saved is not None) and (share is None or share >= claims.LEAST_RATIO)
    # A gain that other inputs do not show was fitted to the benchmark; a rescued session claims none.
    holds = holds and (heldout is None or heldout.proven or saved is not None)
    own = own_time(total, session.config.objective)
    holds = holds and not _loses(own)
    outcomes = {p.job: _read(session, p, ask.runs).outcome for p in work.parts() if p.job}
    return {
        "type": "audit", "base": ask.base, "tip": ask.tip, **figures,
        "claimed_pct": claimed,
        "shrunken_pct": claims.shrunken(session.kept, [line for line in session.results if line.verdict]),
        "ratio": share,
        "verified": holds and all(f.status != "violated" for f in limits),
        "limits": told(limits),
        "rescued_by": saved,
        "doubted": _doubted(total, claimed),
        "error": one_line(total.error, 300),
        "checks": total.outcome.checks,
        "layout": total.outcome.layout,
        **({} if own is None else {"own_time": {
            name: rounded(getattr(own, name)) for name in ("effect_pct", "ci_low_pct", "ci_high_pct")
        }}),
        "heldout": None if heldout is None else {
            "sha256": ask.heldout, **heldout.fields(), "proven": heldout.proven,
            "error": one_line(heldout.error, 300),
        },
        "ablation": found,
        "refuted": [f["experiment"] for f in found if f["result"] == "refuted"],
        "commits": [keep.commit_full for keep in session.kept],
        "settings": {"runs": ask.runs, "ablate": work.ablate, "evaluator": ask.evaluator},
        "seed": work.total.seed,
        "samples": [list(pair) for pair in total.outcome.samples],
        "cost_runs": sum(len(o.samples) for o in outcomes.values()),
        "seconds": round(sum(o.seconds for o in outcomes.values()), 3),
        "job": work.total.job,
        "jobs": list(outcomes),
        **spend_fields(session, [job for job in outcomes if job]),
        "engine": session.config.engine,
        "machine": total.outcome.environment.get("machine"),
        "timestamp": now_ms(),
    }  # fmt: skip


def _finding(session: Session, part: Measurement, keep: RunLine, runs: int) -> Record:
    """What the tip gains by one keep: counts, refuted, unclear, or inseparable from the others."""
    known = {"experiment": keep.experiment, "commit": keep.commit_full, "claimed_pct": keep.effect_pct}
    if part.conflict:
        return {**known, "result": "inseparable", "detail": f"cannot be removed alone: {part.conflict}"}
    reading = _read(session, part, runs)
    if reading.verdict is None:
        where = "without it" if reading.outcome.base_failed else "as it is"
        text = f"cannot be removed alone: the tip {where} fails: {one_line(reading.error, 150)}"
        return {**known, "result": "inseparable", "detail": text}
    result = "counts" if reading.proven else "refuted" if reading.nothing else "unclear"
    return {**known, "result": result, **reading.fields(), "seed": part.seed, "job": part.job}


def _answers(audit: AuditLine, ask: Ask, ablate: int) -> bool:
    asked, unseen = audit.settings, audit.heldout.sha256 if audit.heldout else None
    known = Ask(audit.base, audit.tip, asked.evaluator, asked.runs, unseen)
    return known == ask and (not audit.doubted or asked.ablate >= ablate)


def _heldout_digest(session: Session) -> str | None:
    path = session.project.root / HELDOUT
    digest = sha256_of(path)
    if digest is None and path.exists():
        raise BadInput(f"{HELDOUT} is not a plain file", fix="Replace it by a script, or remove it")
    return digest
