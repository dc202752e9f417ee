"""Is this VM good enough? A VM is judged by the smallest effect that an interleaved A/B can show on it. Pure.

After STATISTICS.md's noise detector: the short-term noise between neighbouring runs decides; a standard deviation
would throw good VMs away, as slow weather cancels in an A/B.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from autoresearch.engines.skypilot.model import Noise
from autoresearch.verdict import stats

# Readings so much noisier than at the VM's qualification, which itself is good to about a factor of 1.5 with 20 runs.
DRIFT = 2.5
ENOUGH = 8


class Yardstick(NamedTuple):
    """What the session asks of a VM; `max_runs` of an A/B."""

    direction: str = "lower"
    min_effect_pct: float = 1.0
    max_runs: int = 60


def judge(records: Iterable[Mapping[str, Any]], need: Yardstick) -> Noise | None:
    """A noise trial's word on its VM; None when it did not get through or has too few values."""
    from autoresearch.judging.noise import assess  # for start-up time: the session's engine judges nothing

    lines = list(records)
    end: Mapping[str, Any] = next((r for r in reversed(lines) if r.get("type") == "end"), {})
    values = _values(lines, "A")
    if end.get("status") != "done" or len(values) < 4:
        return None
    report = assess(values, direction=need.direction, min_effect_pct=need.min_effect_pct, max_runs=need.max_runs)
    # Equal readings are no VM's fault, however coarse: a count has no noise, and another VM no finer one.
    fit = report.good_enough or len(set(values)) == 1
    return Noise(fit, report.sigma_short_pct, report.mde_pct, report.line())


def drift(records: Iterable[Mapping[str, Any]], before_pct: float | None, need: Yardstick) -> str:
    """Why the VM should be measured anew after this A/B; "" when nothing speaks for it.

    Only the base's readings count: a candidate may be noisier than the base by its own fault.
    """
    values = [v for v in _values(records, "A") if v > 0]
    if before_pct is None or len(values) < ENOUGH:
        return ""
    sigma = 100.0 * stats.sigma_short([math.log(v) for v in values])
    least = stats.mde(sigma, need.max_runs)
    if sigma <= DRIFT * before_pct or least <= need.min_effect_pct:
        return ""
    return f"short-term noise {sigma:.2g} %, at its qualification {before_pct:.2g} %"


def _values(records: Iterable[Mapping[str, Any]], side: str) -> list[float]:
    return [
        float(r["value"])
        for r in records
        if r.get("type") == "sample" and r.get("side") == side and not r.get("warmup") and r.get("value") is not None
    ]
