"""The session's money and time: what its ledger and its engine say of them, and whether a submission still fits."""

from __future__ import annotations

from functools import cached_property

from autoresearch.budget.spend import Forecast, PerExperiment, Spend, add_up, beyond, forecast, per_experiment, used_up
from autoresearch.engines.choose import engine_of
from autoresearch.errors import AUDIT_RUNS, BadInput, Stopped
from autoresearch.ledger.history import Session
from autoresearch.ledger.in_flight import jobs_in_flight
from autoresearch.ledger.lines import Record, SpentFields
from autoresearch.verdict.rule import Rule


def spend_of(session: Session) -> Spend:
    """What the session has cost up to now."""
    machines = engine_of(session).machines([*session.job_ids, *jobs_in_flight(session)])
    return add_up(machines, session.spent, session.tokens, session.config.budget.price_per_hour)


def spend_fields(session: Session, jobs: list[str], tokens: int | None = None) -> Record:
    """For a ledger line: `cost` of what `jobs` took, and `spent`, all of the session with it.

    `cost.machine_s` are the seconds of the jobs themselves; waiting and idle machines are in `spent` alone.
    """
    spend = spend_of(session)
    known = engine_of(session).poll(dict.fromkeys(jobs)) if jobs else {}
    seconds = sum(state.seconds for state in known.values())
    dollars = None if spend.price is None else round(seconds / 3600.0 * spend.price, 6)
    fields: Record = {"cost": {"machine_s": round(seconds, 3), "dollars": dollars}}
    told = spend.to_json()
    if tokens is not None:
        fields["tokens"] = tokens
        told["tokens"] += tokens
    return {**fields, "spent": told}


class Purse:
    """One command's view of the budgets: it looks once, and counts what the command submits itself."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._budget = session.config.budget
        self._drawn: set[str] = set()

    @cached_property
    def spend(self) -> Spend:
        return spend_of(self._session)

    @cached_property
    def each(self) -> PerExperiment | None:
        """What one experiment of this session takes."""
        session = self._session
        # Another segment may have had another benchmark, and its hours are not among those since this baseline.
        done = session.results
        before = (session.baseline.spent if session.baseline else None) or SpentFields()
        return per_experiment(
            [line.cost for line in done if line.cost],
            [line.tokens for line in done if line.tokens],
            hours_since_baseline=self.spend.vm_hours - before.vm_hours,
            baseline=session.baseline,
            max_runs=max_runs(session),
        )

    @cached_property
    def in_flight(self) -> set[str]:
        """Experiments with a job that runs or waits."""
        newest = {e.id: e.jobs[-1].job for e in self._session.open_experiments if e.jobs}
        states = engine_of(self._session).poll(list(newest.values())) if newest else {}
        return {name for name, job in newest.items() if not states[job].final}

    def forecast(self, experiments: int) -> Forecast | None:
        """What so many experiments will roughly take; None before anything was measured."""
        if self.each is None or not experiments:
            return None
        return forecast(experiments, self.each, self.spend, engine_of(self._session).width)

    def draw(self, name: str) -> None:
        """Refuse experiment `name` with `Stopped` when the budget does not hold it and what is in flight."""
        if self._budget.dollars is self._budget.vm_hours is self._budget.tokens is None or self.each is None:
            return
        ahead = forecast(len(self.in_flight | self._drawn | {name}), self.each, self.spend)
        reason = beyond(self._budget, self.spend, ahead, self._reserve())
        if reason:
            raise Stopped(
                f"{name} is not submitted: {reason}",
                fix="Decide what is measured; to go on, the user may raise budget: in autoresearch.yaml",
                next="autoresearch status",
            )
        self._drawn.add(name)

    def _reserve(self) -> float:
        """Machine-hours of the audit at the end, where there is something to audit."""
        baseline = self._session.baseline
        if baseline is None or not baseline.runs_used or not self._session.kept:
            return 0.0
        return AUDIT_RUNS * baseline.seconds / baseline.runs_used / 3600.0


def max_runs(session: Session) -> int:
    """Runs that an A/B takes at most."""
    test = session.config.test
    return int(Rule.preset(test.preset, max_runs=test.max_runs).max_runs)


def enforce(session: Session, spend: Spend) -> str:
    """Tell the engine whether the money is used up, so that it gives its machines back; returns why, or ""."""
    reason = used_up(session.config.budget, spend)
    engine_of(session).halt(reason)
    return reason


def refuse_if_used_up(session: Session) -> None:
    """Raise `Stopped` where nothing may be measured any more, not even an audit."""
    reason = enforce(session, spend_of(session))
    if reason:
        raise Stopped(
            f"nothing more is measured: {reason}",
            fix="Only the user may raise budget: in autoresearch.yaml",
            next="autoresearch report",
        )


def require_price(session: Session, spend: Spend) -> None:
    """A budget in dollars needs a price, or it would never bite."""
    if session.config.budget.dollars is not None and spend.price is None:
        raise BadInput(
            "budget.dollars is set, but nobody names the price of a machine",
            fix="Set budget.price_per_hour (dollars per machine-hour) in autoresearch.yaml",
        )
