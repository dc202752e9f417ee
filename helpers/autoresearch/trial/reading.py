"""One run's value: what the output of a finished benchmark says about the metric."""

from __future__ import annotations

import math
import re
from typing import FrozenSet, Mapping, NamedTuple, Optional, Sequence

from autoresearch import metrics
from autoresearch.trial import signing
from autoresearch.trial.procs import Finished
from autoresearch.verdict import stats

# A line of its own that an evaluator may print when it is ready to measure: what was printed before is no result.
_BEGIN = re.compile(r"^BENCHMARK_BEGIN[ \t]*\r?$", re.MULTILINE)


# What we measure of every run from outside: processor seconds of its whole tree, and its largest process's peak memory.
CPU, RSS = "cpu_s", "peak_rss_mb"
MEASURED = (CPU, RSS)
WALL = "wall_s"  # the name of a duration that we measured from outside, start to end
OWN = "own_s"  # of one without the wait for a core (`conditions.own_seconds`)


# What an evaluator may sign beside the objective to guard it (`judging.rounds`): one value each, as the objective has.
ROUNDS = ("time_mean_s", "time_own_s", "time_cpu_s", "ref_s", "ref_cpu_s")


class RunValue(NamedTuple):
    """`value` is None when there is a `problem`. A `conflict` is a number not to be trusted.

    `signed` are the names that came with a right signature, `begins` how often the benchmark said that it begins,
    `measured` those of `MEASURED` that are ours.
    """

    value: float | None
    metrics: Mapping[str, float]
    values: int
    problem: str | None
    conflict: bool
    signed: FrozenSet[str] = frozenset()
    begins: int = 0
    measured: FrozenSet[str] = frozenset()


class Expected(NamedTuple):
    """How the base's evaluator speaks, as in `RunValue`; `begins` None: as often as it likes."""

    signed: FrozenSet[str]
    begins: Optional[int]
    measured: FrozenSet[str] = frozenset(MEASURED)


def read(
    finished: Finished,
    metric: str,
    values_per_run: int | None,
    guarded: Sequence[str] = (),
    token: str | None = None,
    expected: Optional[Expected] = None,
) -> RunValue:
    """Judge one run. `values_per_run` is how often the metric must be printed; None accepts any count.

    One value printed several times alike counts as one. More than one value: the run's value is their median.
    A metric in `guarded` may have one value only. With a `token`, a signed value is the evaluator's word, and a
    line that says otherwise is a conflict; `expected` (None: not known yet) tells what the same evaluator did for the
    base, and a run that signs less, or begins less often, is a conflict too.

    Those of `MEASURED` that the base's evaluator does not print itself stand in the metrics, too.
    """
    if not finished.ok:
        return _no("benchmark " + _ending(finished))
    parsed = metrics.parse(finished.output)
    signed = signing.signed(finished.output, token) if token else {}
    if expected is not None:
        # What the base's evaluator does not sign, somebody else has signed.
        signed = {name: found for name, found in signed.items() if name in expected.signed}
    # An evaluator that prints one of the names means something of its own by it.
    ours = {
        name: value for name, value in measured(finished).items()
        if (name not in parsed.samples and name not in signed if expected is None else name in expected.measured)
    }  # fmt: skip
    begins = [match.end() for match in _BEGIN.finditer(finished.output)]
    samples = {**parsed.samples, **signed, **{name: [value] for name, value in ours.items()}}
    others = {name: found[-1] for name, found in samples.items() if math.isfinite(found[-1])}
    found = samples.get(metric, [])

    def conflict(problem: str) -> RunValue:
        return RunValue(None, others, len(found), problem, True, frozenset(signed), len(begins), frozenset(ours))

    if not found:
        return _no("no METRIC " + metric)
    for name in sorted(expected.signed if expected else signed):
        if name not in signed:
            return conflict("unsigned METRIC %s: the evaluator signs it, this run did not" % name)
        if set(parsed.samples.get(name, [])) - set(signed[name]):
            return conflict("conflicting METRIC %s: a line differs from the signed value" % name)
    for name in ours:
        if name in parsed.samples:
            return conflict("conflicting METRIC %s: it is measured from outside, and this run prints another" % name)
    if expected is not None and expected.begins not in (None, len(begins)):
        return conflict("BENCHMARK_BEGIN was printed %d times, expected %d" % (len(begins), expected.begins))
    early = metrics.parse(finished.output[: begins[0]]).samples if begins else {}
    for name in (metric, *guarded):
        if name in early:
            return conflict("METRIC %s was printed before the benchmark began" % name)
    if values_per_run is None:
        wanted = len(found)
    elif values_per_run == 1 and len(set(found)) == 1:
        wanted, found = 1, found[:1]
    else:
        wanted = values_per_run
    if len(found) != wanted:
        return conflict("conflicting METRIC %s: %d values, expected %d" % (metric, len(found), wanted))
    for name in (*guarded, *(name for name in ROUNDS if name in signed)):
        if len(set(samples.get(name, []))) > 1:
            return conflict("conflicting METRIC %s: %d values" % (name, len(samples[name])))
    value = stats.median(found)
    others = {**others, metric: value}
    return RunValue(value, others, len(found), None, False, frozenset(signed), len(begins), frozenset(ours))


def measured(finished: Finished) -> Mapping[str, float]:
    """What is known of `MEASURED`."""
    peak = finished.met.peak_rss_mb
    return {CPU: finished.cpu_seconds, **({} if peak is None else {RSS: peak})}


def wall(finished: Finished) -> RunValue:
    """Judge a run of a program that prints no METRIC by its duration, in seconds."""
    if not finished.ok:
        return _no("benchmark " + _ending(finished))
    if metrics.parse(finished.output).samples:
        return _no("it prints METRIC lines, the base's first run printed none")
    return RunValue(finished.seconds, {WALL: finished.seconds}, 1, None, False)


def within_slot(got: RunValue, done: Finished, cpus: int) -> RunValue:
    """A pinned program may pin itself anew: more processor time than its `cpus` (0: not pinned) have says so."""
    if not cpus or got.value is None or done.cpu_seconds <= 1.1 * cpus * done.seconds + 0.05:
        return got
    used = "processor time: %.2f s in a run of %.2f s on %d cores: it left those of its slot" % (
        done.cpu_seconds, done.seconds, cpus,
    )  # fmt: skip
    return got._replace(value=None, problem=used, conflict=True)


def medians(readings: Sequence[RunValue]) -> dict[str, float]:
    """The median of each metric over runs."""
    found: dict[str, list[float]] = {}
    for got in readings:
        for name, value in got.metrics.items():
            found.setdefault(name, []).append(value)
    return {name: stats.median(values) for name, values in found.items()}


def _ending(finished: Finished) -> str:
    return finished.failure() if not finished.flooded else "printed more than the output limit"


def _no(problem: str) -> RunValue:
    return RunValue(None, {}, 0, problem, False)
