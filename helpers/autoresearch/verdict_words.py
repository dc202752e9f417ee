"""A verdict's reason in words. Pure, standard library, Python 3.8: goes to the worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoresearch import stats
from autoresearch.verdict_rule import Rule

if TYPE_CHECKING:
    from autoresearch.verdict import Verdict


def explain(found: "Verdict", rule: Rule, peak: float) -> str:
    """The reason in words; a discard says what would settle it. `peak` is the largest E of the test."""
    least, sigma, effect = (
        max(rule.min_effect_pct, 2.0 * rule.margin_pct),
        found.sigma_short_pct,
        found.effect_pct,
    )
    shown = "no percentage" if effect is None else f"{effect:+.2g} %"
    if found.reason == "proven":
        beyond = f" by more than {rule.margin_pct:g} %" if rule.margin_pct else ""
        tests = f"{peak:.3g}" if peak < 1e3 else f"{peak:,.0f}" if peak < 1e6 else f"{peak:.1g}"
        return f"better{beyond}: luck alone looks like this in at most 1 of {tests} tests"
    if found.reason == "deterministic":
        return f"every run of a side gives exactly the same value, and the candidate's is {shown} better"
    if found.reason == "identical":
        return "both sides give exactly the same value"
    if found.reason == "below_min":
        return f"cannot be {least:g} % better (measured {shown})"
    if found.reason == "timeouts":
        return "the candidate overran the time limit of a run more often than the base"
    if found.reason == "undecided":
        return "not decided yet: measure another block"
    goal = least if effect is None or effect < least else effect
    total = None if sigma is None else stats.runs_for(goal, sigma)
    more = None if total is None else max(4, total - found.runs_used)
    settle = "no affordable number of runs would settle it"
    if more is not None and found.reason == "hopeless" and more <= rule.max_runs - found.runs_used:
        settle = (
            "preset thorough goes on longer" if rule.patience < 3 else "a quieter machine would settle it"
        )
    elif more is not None:
        settle = f"{goal:.2g} % needs about {more} more runs at this noise"
    if found.reason == "budget":
        return f"not settled in {found.runs_used} runs (measured {shown}): {settle}"
    if effect is not None and effect <= -least:
        return f"worse (measured {shown}): the runs left could not prove a gain"
    if effect is not None and effect <= 0.0:
        return f"no gain in sight (measured {shown}): the runs left could not prove one; {settle}"
    return f"this machine cannot tell (measured {shown}): the runs left could not prove it; {settle}"
