"""When a session should change course or end. Pure: counts and limits in, words out.

The bound on the hit rate after K dry experiments is 1 - 0.05^(1/K): the exact binomial (Clopper-Pearson) one-sided
95 % limit for no success in K trials.
"""

from __future__ import annotations

from dataclasses import dataclass

from autoresearch.config import StopRules


@dataclass(frozen=True)
class StopView:
    """`stop` is final (exit code 4 for `new` and `run`); `advice` is for the agent."""

    stop: bool
    reason: str
    advice: str
    rules: dict[str, str]


def look(
    rules: StopRules, *, dry: int, decided: int, hours: float, best: float | None, direction: str
) -> StopView:
    """Judge all stop rules; `rules` in the answer says how near each is, such as {"dry": "12/20"}."""
    near = {"dry": f"{dry}/{rules.dry}"}
    reasons = []
    if dry >= rules.dry:
        reasons.append(f"{dry} experiments without a keep (stop.dry is {rules.dry})")
    if rules.max_experiments is not None:
        near["experiments"] = f"{decided}/{rules.max_experiments}"
        if decided >= rules.max_experiments:
            reasons.append(f"{decided} experiments decided (stop.max_experiments)")
    if rules.hours is not None:
        near["hours"] = f"{hours:.1f}/{rules.hours:g}"
        if hours >= rules.hours:
            reasons.append(f"{hours:.1f} hours used (stop.hours is {rules.hours:g})")
    if rules.target is not None and best is not None:
        near["target"] = f"{best:.6g} -> {rules.target:g}"
        if best <= rules.target if direction == "lower" else best >= rules.target:
            reasons.append(f"target {rules.target:g} reached with {best:.6g}")
    return StopView(bool(reasons), "; ".join(reasons), _advice(rules, dry), near)


def _advice(rules: StopRules, dry: int) -> str:
    if dry < rules.advise:
        return ""
    bound = 100 * (1 - 0.05 ** (1 / dry))
    fact = f"{dry} experiments without a keep: the hit rate is below {bound:.0f} % (95 %)."
    if dry >= rules.recommend:
        return f"{fact} Stopping is recommended."
    return f"{fact} Change the approach: profile again, read papers, try another part of the code."
