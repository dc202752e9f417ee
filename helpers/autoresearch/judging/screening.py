"""The first tier: one run that may spare the full A/B. It can only discard, so it cannot raise the error rate.

A candidate is held against the commit that it started from: what won meanwhile is not in it. That commit's metric was
taken at another time, and a wave of runs shares caches and memory, so only a loss that no weather explains counts:
`test.screen_pct` at least (twice as slow by default), and six times the spread of the baseline's own runs. Time in
which others had the core is no loss either.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autoresearch.judging.outcome import Outcome, read_outcome
from autoresearch.judging.units import is_speed
from autoresearch.ledger.history import Session
from autoresearch.verdict.verdict import Verdict

SPREADS = 6.0


def screen(session: Session, parent: str, records: list[Mapping[str, Any]]) -> Verdict | None:
    """A discard, where a finished screening run is out of reach of the commit `parent` that the candidate started from;
    None where an A/B is due, as it is where that commit was never measured."""
    known = [run for run in (session.baseline, *session.kept) if run is not None]
    # The best commit may be one that took a keep back: it is as fast as the last keep that stands.
    standing = known[-1] if known and parent == session.head else None
    reference = next((run for run in known if run.commit_full == parent), standing)
    least = session.config.test.screen_pct
    outcome = read_outcome(records)
    if least is None or reference is None or outcome.metric is None:
        return None
    machine = outcome.environment.get("machine")
    if machine is None or machine != reference.machine:
        return None  # numbers of two machines are never compared
    best, value = reference.metric, outcome.metric
    if best is None or best <= 0.0 or value <= 0.0:
        return None
    lower = session.config.objective.direction == "lower"
    had = _share_had(session, outcome)
    loss = 100.0 * (had * (value / best if lower else best / value) - 1.0)
    noise = session.baseline.noise if session.baseline else None
    limit = max(least, SPREADS * ((noise.cv_pct if noise else None) or 0.0))
    if loss <= limit:
        return None
    whose = "the best commit's" if reference is known[-1] else "its parent's"
    text = f"one run was {loss:.0f} % worse than {whose} {best:.6g} (limit {limit:.0f} %): not worth an A/B"
    # As a gain in percent of the base: what was twice as slow is 100 % worse.
    effect = -loss if lower else 100.0 * (value / best - 1.0)
    return Verdict(
        "discard", "screened", text, effect_pct=effect, runs_used=1, base_median=best, candidate_median=value
    )


def _share_had(session: Session, outcome: Outcome) -> float:
    """Which part of the cores that the baseline kept busy this run had, 0 to 1; 1 where the metric is no speed.

    Busy neighbours take a run's core away for most of its time, and then every candidate looks several times slower.
    """
    usual = session.baseline.cores if session.baseline else None
    if not is_speed(session.config.objective) or not usual or outcome.cores is None:
        return 1.0
    return min(1.0, outcome.cores / usual)
