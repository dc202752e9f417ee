"""When a session should change course or end. Pure: counts and limits in, words out.

The bound on the hit rate after K dry experiments is 1 - 0.05^(1/K): the exact binomial (Clopper-Pearson) one-sided
95 % limit for no success in K trials.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from autoresearch.config import StopRules

# Experiments that the gain per hour looks back on.
WINDOW = 10


@dataclass(frozen=True)
class StopView:
    """`stop` is final (exit code 4 for `new` and `run`); `advice` is for the agent."""

    stop: bool
    reason: str
    advice: str
    rules: dict[str, str]


def look(
    rules: StopRules,
    *,
    dry: int,
    decided: int,
    hours: float,
    best: float | None,
    direction: str,
    runs: int = 0,
    gain_per_hour: float | None = None,
) -> StopView:
    """Judge all stop rules; `rules` in the answer says how near each is, such as {"dry": "12/20"}.

    `runs` counts benchmark runs; `gain_per_hour` is `rate` of the last experiments.
    """
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
    if rules.runs is not None:
        near["runs"] = f"{runs}/{rules.runs}"
        if runs >= rules.runs:
            reasons.append(f"{runs} benchmark runs used (stop.runs is {rules.runs})")
    floor = rules.min_gain_per_hour_pct
    if floor is not None and gain_per_hour is None:
        near["gain_per_hour"] = f"from {WINDOW} experiments on"
    elif floor is not None and gain_per_hour is not None:
        near["gain_per_hour"] = f"{gain_per_hour:.3g} %, at least {floor:g}"
        if gain_per_hour < floor:
            reasons.append(
                f"the last {WINDOW} experiments gained {gain_per_hour:.3g} % per hour of measuring "
                f"(stop.min_gain_per_hour_pct is {floor:g})"
            )
    return StopView(bool(reasons), "; ".join(reasons), _advice(rules, dry), near)


def rate(done: Sequence[tuple[float, float]]) -> float | None:
    """Gain in percent per hour of the last `WINDOW` experiments: (effect if kept else 0 in percent, seconds) each.

    Kept effects multiply. None before there are so many experiments, or when they took no time.
    """
    last = done[-WINDOW:]
    hours = math.fsum(seconds for _, seconds in last) / 3600.0
    if len(last) < WINDOW or hours <= 0.0:
        return None
    return 100.0 * (1.0 - math.prod(1.0 - effect / 100.0 for effect, _ in last)) / hours


def _advice(rules: StopRules, dry: int) -> str:
    if dry < rules.advise:
        return ""
    bound = 100 * (1 - 0.05 ** (1 / dry))
    fact = f"{dry} experiments without a keep: the hit rate is below {bound:.0f} % (95 %)."
    if dry >= rules.recommend:
        return f"{fact} Stopping is recommended."
    return f"{fact} Change the approach: profile again, read papers, try another part of the code."
