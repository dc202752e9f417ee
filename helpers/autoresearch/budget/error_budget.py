"""The session's error budget: how likely a false keep each further A/B may be (e-LOND, `verdict.rule.next_alpha`)."""

from __future__ import annotations

from typing import Any

from autoresearch.ledger.history import Session
from autoresearch.verdict.rule import epoch_start, next_alpha


def alpha_of(session: Session, number: int) -> float:
    """The chance of a false keep that A/B `number` of the session may have, by what is kept now."""
    return next_alpha(number, keeps_this_epoch(session, number), session.config.test.fdr)


def keeps_this_epoch(session: Session, number: int) -> int:
    """Keeps since the epoch of A/B `number` began: each one earns the later tests some budget."""
    start = epoch_start(number)
    return sum(1 for r in session.kept if (r.judged.t or 0) >= start)


def error_budget(session: Session) -> dict[str, Any]:
    """For `status`: A/Bs so far, the sum of their alphas, and the next one's alpha. Asking again is a new test."""
    # One that was measured again because nobody had seen a run of it has its number, and counts once.
    spent = sum({(e.id, job.t): job.alpha or 0.0 for e in session.experiments.values() for job in e.jobs}.values())
    return {
        "tests": session.tests,
        "fdr": session.config.test.fdr,
        "spent": float(f"{spent:.3g}"),
        "next_alpha": float(f"{alpha_of(session, session.tests + 1):.3g}"),
    }
