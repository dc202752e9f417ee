"""What kind of quantity an objective is, asked of the table of units."""

from __future__ import annotations

from autoresearch.config import Objective
from autoresearch.verdict import units
from autoresearch.verdict.rule import FIXED_LAYOUT_MARGIN_PCT
from autoresearch.verdict.words import Quantity


def quantity(objective: Objective) -> Quantity:
    """What the words of a verdict need of it."""
    return Quantity(objective.metric, objective.unit, objective.direction)


def seconds_per_unit(objective: Objective) -> float | None:
    """What one unit of the metric is in seconds, None when it is no time that is to fall."""
    return units.seconds_in(objective.metric, objective.unit) if objective.direction == "lower" else None


def is_rate(objective: Objective) -> bool:
    """Whether the metric is a rate that is to rise."""
    return objective.direction == "higher" and units.is_rate(objective.metric, objective.unit)


def is_speed(objective: Objective) -> bool:
    """Whether the metric is a time or a rate."""
    return seconds_per_unit(objective) is not None or units.is_rate(objective.metric, objective.unit)


def layout_margin_pct(objective: Objective, layout: str) -> float:
    """What a keep must prove beyond 0 because the builds' layout may have given it: nothing for sizes and counts."""
    return FIXED_LAYOUT_MARGIN_PCT if layout == "fixed" and not counted(objective) else 0.0


def counted(objective: Objective) -> bool:
    """Whether the metric is a size or a count."""
    return units.is_count(objective.metric, objective.unit)
