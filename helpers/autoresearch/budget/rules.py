"""How near the session is to its stop rules."""

from __future__ import annotations

from dataclasses import replace

from autoresearch.budget.purse import enforce, require_price, spend_of
from autoresearch.budget.spend import Spend, near
from autoresearch.budget.stop import StopView, look, rate
from autoresearch.errors import NotYet, Stopped
from autoresearch.ledger.history import Session
from autoresearch.ledger.lines import now_ms


def stop_view(session: Session, spend: Spend | None = None) -> StopView:
    """How near each stop rule and each budget is; `spend` spares a second look at the engine."""
    config = session.config
    hours = (now_ms() - session.started_ms) / 3.6e6 if session.started_ms else 0.0
    rules = look(
        config.stop, dry=session.dry, decided=session.decided, hours=hours,
        best=best_value(session), direction=config.objective.direction,
        runs=session.runs_used, gain_per_hour=rate(_gains_and_costs(session)),
    )  # fmt: skip
    budgets, used_up = near(config.budget, spend or spend_of(session))
    reason = "; ".join(filter(None, [rules.reason, *used_up]))
    return replace(rules, stop=bool(reason), reason=reason, rules=rules.rules | budgets)


def _gains_and_costs(session: Session) -> list[tuple[float, float]]:
    """(effect of what is still kept, else 0; seconds of measuring) of this segment's experiments, oldest first."""
    kept = {line.run for line in session.kept}
    return [((line.effect_pct or 0.0) if line.run in kept else 0.0, line.seconds) for line in session.results]


def best_value(session: Session) -> float | None:
    """Metric of the last keep, else of the baseline, as it was measured then."""
    last = session.kept[-1] if session.kept else session.baseline
    return None if last is None or last.metric is None else float(last.metric)


def refuse_if_stopped(session: Session) -> None:
    """Raise `Stopped` when a stop rule or a budget has been reached."""
    spend = spend_of(session)
    require_price(session, spend)
    enforce(session, spend)
    view = stop_view(session, spend)
    if view.stop:
        raise Stopped(
            f"the session is over: {view.reason}",
            fix="Read the report; to go on, raise the rule under stop: or budget: in autoresearch.yaml",
            next="autoresearch report",
        )


def refuse_if_full(session: Session) -> None:
    """Raise `NotYet` when the open experiments are all that `stop.max_experiments` leaves."""
    most = session.config.stop.max_experiments
    opened = len(session.open_experiments)
    if most is not None and session.decided + opened >= most:
        raise NotYet(
            f"{session.decided} experiments are decided and {opened} open: stop.max_experiments is {most}",
            fix="Decide the open ones",
            next="autoresearch status",
        )
