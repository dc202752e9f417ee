"""One run's value: what the output of a finished benchmark says about the metric."""

from __future__ import annotations

import math
from typing import Mapping, NamedTuple, Sequence

from autoresearch import metrics, stats
from autoresearch.trial.procs import Finished


class Reading(NamedTuple):
    """`value` is None when there is a `problem`. A `conflict` is a number not to be trusted."""

    value: float | None
    metrics: Mapping[str, float]
    values: int
    problem: str | None
    conflict: bool


def read(finished: Finished, metric: str, values_per_run: int | None, guarded: Sequence[str] = ()) -> Reading:
    """Judge one run. `values_per_run` is how often the metric must be printed; None accepts any count.

    One value printed several times alike counts as one. More than one value: the run's value is their median.
    A metric in `guarded` may have one value only.
    """
    if not finished.ok:
        return _no("benchmark " + _ending(finished))
    parsed = metrics.parse(finished.output)
    found = parsed.samples.get(metric, [])
    if not found:
        return _no("no METRIC " + metric)
    if values_per_run is None:
        expected = len(found)
    elif values_per_run == 1 and len(set(found)) == 1:
        expected, found = 1, found[:1]
    else:
        expected = values_per_run
    others = {name: value for name, value in parsed.metrics.items() if math.isfinite(value)}
    if len(found) != expected:
        problem = "conflicting METRIC %s: %d values, expected %d" % (metric, len(found), expected)
        return Reading(None, others, len(found), problem, True)
    for name in guarded:
        if len(set(parsed.samples.get(name, []))) > 1:
            problem = "conflicting METRIC %s: %d values" % (name, len(parsed.samples[name]))
            return Reading(None, others, len(found), problem, True)
    value = stats.median(found)
    return Reading(value, {**others, metric: value}, len(found), None, False)


def _ending(finished: Finished) -> str:
    return finished.failure() if not finished.flooded else "printed more than the output limit"


def _no(problem: str) -> Reading:
    return Reading(None, {}, 0, problem, False)
