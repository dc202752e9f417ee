"""What kind of quantity the metric is, by its unit or its name: a time, a rate, or a count that has no layout."""

from __future__ import annotations

from autoresearch.config import Objective
from autoresearch.verdict.rule import FIXED_LAYOUT_MARGIN_PCT, is_count

SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ns": 1e-9}
_SUFFIXES = {"_s": 1.0, "_sec": 1.0, "_seconds": 1.0, "_ms": 1e-3, "_us": 1e-6, "_µs": 1e-6, "_ns": 1e-9}


def seconds_per_unit(objective: Objective) -> float | None:
    """What one unit of the metric is in seconds, by its unit or its name; None when it is no time."""
    if objective.direction != "lower":
        return None
    if objective.unit:
        return SECONDS.get(objective.unit)
    return next((scale for end, scale in _SUFFIXES.items() if objective.metric.endswith(end)), None)


def is_speed(objective: Objective) -> bool:
    """Whether the metric is a time or a rate."""
    return seconds_per_unit(objective) is not None or objective.unit.endswith("/s")


def layout_margin_pct(objective: Objective, layout: str) -> float:
    """What a keep must prove beyond 0 because the builds' layout may have given it: nothing for sizes and counts."""
    return FIXED_LAYOUT_MARGIN_PCT if layout == "fixed" and not counted(objective) else 0.0


def counted(objective: Objective) -> bool:
    """Whether the metric is a size or a count."""
    return is_count(objective.metric, objective.unit)
