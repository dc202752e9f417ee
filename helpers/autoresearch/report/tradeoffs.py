"""Renders the Pareto front of a segment's candidates: which are beaten by no other in every metric. Pure."""

from __future__ import annotations

from autoresearch.judging.pareto import front
from autoresearch.ledger.records import number
from autoresearch.report.escape import markdown
from autoresearch.report.fields import percent
from autoresearch.report.view import ExperimentView, SegmentView
from autoresearch.report.words import plural

ROWS = 40
# Numbers of these are no measurement that anyone believes.
_NOT_BELIEVED = ("invalid", "implausible")
_STATES = {"met": "kept to", "violated": "broken", "unclear": "unclear"}


def gains(experiment: ExperimentView) -> dict[str, float]:
    """Percent better than its own base, metric by metric; empty when second metrics were not measured."""
    if experiment.line.judged.reason in _NOT_BELIEVED:
        return {}
    values = {name: number(value) for name, value in experiment.line.judged.gains.items()}
    return {name: value for name, value in values.items() if value is not None}


def section(segment: SegmentView) -> str:
    """The front as a table, best in the objective first; the unchanged code is a candidate, too."""
    measured = [(e, gains(e)) for e in segment.experiments if gains(e)]
    if not measured:
        return "No candidate of this segment has been measured in several metrics."
    names = list(measured[-1][1])
    points = [(None, [0.0] * len(names))] + [
        (e, [found[name] for name in names]) for e, found in measured if set(names) <= set(found)
    ]
    best = [points[i] for i in front([values for _, values in points])]
    best.sort(key=lambda point: point[1], reverse=True)
    intro = (
        f"The Pareto front of {plural(len(points) - 1, 'measured candidate')}: no other one, nor the unchanged code, "
        "beats any of these in every metric. Percent better than its own base, as estimated; intervals are wider."
    )
    lines = [
        intro,
        "",
        f"| candidate | status | {' | '.join(markdown(name, 64) for name in names)} | limits |",
        f"|---|---|{'--:|' * len(names)}---|",
    ]
    for experiment, values in best[:ROWS]:
        cells = " | ".join(percent(value) for value in values)
        if experiment is None:
            lines.append(f"| (unchanged) | – | {cells} | – |")
        else:
            shown = markdown(experiment.id, 64)
            lines.append(f"| {shown} | {experiment.status} | {cells} | {_limits(experiment)} |")
    if len(best) > ROWS:
        lines += ["", f"{len(best) - ROWS} more are on the front; the ledger has them all."]
    return "\n".join(lines)


def _limits(experiment: ExperimentView) -> str:
    told = [
        f"{markdown(limit.metric, 64)} {_STATES[limit.status]}"
        for limit in experiment.line.judged.limits
        if limit.status in _STATES
    ]
    return ", ".join(told) or "–"
