"""What runs met on their machine, in numbers and words: who else had their core, and at how many speeds it ran. Pure.

It explains a figure and never decides one. The words are the same wherever they are said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median, stdev
from typing import Any

from autoresearch.judging.outcome import DISTURBED_SHARE
from autoresearch.ledger.lines import MetFields
from autoresearch.verdict.units import is_count

LOUD_PCT = 100.0 * DISTURBED_SHARE
# The same work at two speeds: slow to quick, a tenth of the looks left out at either end.
TWO_SPEEDS = 1.25
# Fewer runs know no tenth, and shorter ones are mostly start-up.
_ENOUGH, _LEAST_CPU = 10, 0.05
PAIR = "templates/paired.py"


@dataclass(frozen=True)
class Conditions:
    """What repeated runs of one build met; None = not known. `paired`: each round beside one of a frozen reference,
    which varied by `ref_cv_pct` from run to run. `speeds` is slow to quick: of the reference's rounds, else of the
    runs' processor time.
    """

    met: MetFields
    paired: bool = False
    ref_cv_pct: float | None = None
    speeds: float | None = None

    @property
    def cause(self) -> str:
        """Why such runs vary, and the remedy; empty where nothing of the kind was met."""
        waited = self.met.waited_pct
        if waited is not None and waited > LOUD_PCT:
            remedy = "its pairs mend most of that" if self.paired else f"use {PAIR} (own time)"
            return f"{waiting(waited, self.met.exact)}; {remedy}"
        if not self.paired and self.speeds is not None and self.speeds > TWO_SPEEDS:
            return f"{two_speeds(self.speeds)}; pair it with a reference: {PAIR}"
        return ""


def conditions(records: Iterable[Mapping[str, Any]], met: MetFields) -> Conditions:
    """What the counted runs of a noise trial met: from its records, and what is known of them already."""
    runs = [r for r in records if r.get("type") == "sample" and not r.get("warmup")]
    printed = [metrics for r in runs if isinstance(metrics := r.get("metrics"), Mapping)]
    spreads, references = _series(printed, "speed_spread"), _series(printed, "ref_s")
    cpu = [float(r["cpu_seconds"]) for r in runs if r.get("cpu_seconds") is not None]
    speeds = median(spreads) if spreads else None
    if speeds is None and len(cpu) >= _ENOUGH and min(cpu) >= _LEAST_CPU:
        speeds = slow_to_quick(cpu)
    known = len(references) > 1 and min(references) > 0
    return Conditions(
        met, any(map(is_paired, printed)), 100.0 * stdev(references) / mean(references) if known else None, speeds
    )


def is_paired(metrics: Mapping[str, Any]) -> bool:
    """Whether a run prints what its reference took (`judging.rounds`): its value is a ratio to that."""
    return "ref_s" in metrics


def slow_to_quick(values: Sequence[float]) -> float:
    """The 90th to the 10th percentile: a tenth of the looks may be anything, and what is left is a speed."""
    ranked = sorted(values)
    tenth = len(ranked) // 10
    return ranked[-1 - tenth] / ranked[tenth]


def waiting(pct: float, exact: bool) -> str:
    """That a benchmark did not have its core, and why."""
    if exact:
        return f"the benchmark waited for its core {pct:.0f} % of the time: other programs run here"
    return f"other programs had the benchmark's cores up to {pct:.0f} % of the time"


def two_speeds(ratio: float) -> str:
    """That the core itself is slower at times, and why."""
    return f"the same work takes x{ratio:.1f} at times: a neighbour on the same physical core"


def told(met: MetFields | None, metric: str, unit: str, *, disturbed: bool = False) -> str:
    """Such as `waited for the core 23 % of the time, 2 of 8 runs disturbed`; empty where nothing of note was met.

    `disturbed` is the verdict's word on the readings, which sees what no signal does. Sizes and counts know no load.
    """
    if is_count(metric, unit):
        return ""
    share = None if met is None else met.waited_pct
    if met is None or share is None:
        return "some runs disturbed" if disturbed else ""
    worst = max(share, met.worst_pct or 0.0)
    if worst <= LOUD_PCT:
        return "some runs disturbed, though they had their core" if disturbed else ""
    at_worst = f" ({worst:.0f} % at worst)" if share <= LOUD_PCT else ""
    waited = "waited for the core" if met.exact else "others had its core up to"
    return f"{waited} {share:.0f} % of the time{at_worst}, {met.disturbed} of {met.runs} runs disturbed"


def together(found: Iterable[MetFields | None]) -> MetFields | None:
    """All runs of several tests as one; None where none of them knows."""
    known = [(met, met.waited_pct) for met in found if met is not None and met.waited_pct is not None and met.runs > 0]
    if not known:
        return None
    runs = sum(met.runs for met, _ in known)
    return MetFields(
        waited_pct=round(sum(met.runs * share for met, share in known) / runs, 1),
        worst_pct=max(met.worst_pct or 0.0 for met, _ in known), runs=runs,
        disturbed=sum(met.disturbed for met, _ in known), exact=all(met.exact for met, _ in known),
    )  # fmt: skip


def _series(printed: Iterable[Mapping[str, Any]], name: str) -> list[float]:
    return [float(metrics[name]) for metrics in printed if isinstance(metrics.get(name), int | float)]
