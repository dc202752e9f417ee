"""Does the printed number agree with what the run as a whole shows? Pure: samples in, a word out.

The evaluator's clock can be fooled from inside the program (a patched timer, work moved before or behind the timed
part, an answer printed instead of worked for). The trial's own clock, outside, cannot: here the two are compared.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from autoresearch.config import Objective
from autoresearch.judging.outcome import Outcome, Timed
from autoresearch.judging.units import seconds_per_unit
from autoresearch.verdict import Reason, stats

# The whole run must save at least this share of what the metric says was saved; the rest is left to noise.
SAVED_SHARE = 0.5
# Without a signature nothing but its size tells a forged time from a real one; beyond this it is not believed.
UNSIGNED_CEILING_PCT = 95.0
# A reported time may exceed the run that it was measured in by so much: rounding, and clocks read in turn.
_LONGER_SHARE, _LONGER_SECONDS = 1.05, 0.005


class Doubt(NamedTuple):
    """Why a gain is not believed."""

    word: Reason
    text: str


def doubt(objective: Objective, outcome: Outcome, effect_pct: float | None) -> Doubt | None:
    """The first reason not to believe an A/B that would be kept, or None."""
    blocks = [block for block in outcome.timed if block]
    if not blocks:
        return None
    runs = [run for block in blocks for run in block]
    base, candidate = [r for r in runs if r.side == "A"], [r for r in runs if r.side == "B"]
    if not base or not candidate:
        return None
    scale = seconds_per_unit(objective)
    if not objective.constant_ok and _constant(base, candidate):
        return Doubt(
            "constant",
            f"all {len(candidate)} runs of the candidate gave {candidate[0].value:.6g} to the last digit, while the "
            "base varies: a printed or remembered answer looks like this. If it can be real, set objective.constant_ok",
        )
    if scale is not None and not _longer(base, scale) and _longer(candidate, scale):
        worst = max(candidate, key=lambda r: r.value * scale - r.wall)
        return Doubt(
            "timer",
            f"the metric says {worst.value * scale:.3g} s in a run that took {worst.wall:.3g} s as a whole: its clock "
            "is wrong, or the number was printed instead of measured",
        )
    share = objective.timed_share
    # Where the base's time is longer than its runs, it is no part of them (a sum over threads, a simulated time).
    if share is None and scale is not None and not _longer(base, scale):
        found = _moved(blocks, scale)
    elif share and effect_pct is not None:
        found = _out_of_proportion(blocks, share * effect_pct / 100.0)
    else:
        found = None
    if found is not None:
        return found
    unbounded = scale is not None and objective.ceiling_pct is None and not outcome.signed
    if unbounded and effect_pct is not None and effect_pct > UNSIGNED_CEILING_PCT:
        return Doubt(
            "implausible",
            f"{effect_pct:+.1f} % in a time that the evaluator does not sign is not believed: sign it (see "
            "templates/autoresearch.sh), or set objective.ceiling_pct, and open a new segment: "
            "autoresearch baseline --new-segment",
        )
    return None


def _constant(base: Sequence[Timed], candidate: Sequence[Timed]) -> bool:
    """One value again and again where the base's noise, scaled to it, is several steps of its last digit."""
    values = {r.value for r in candidate}
    if len(candidate) < 4 or len(values) > 1:
        return False
    readings = [r.value for r in base]
    if len(set(readings)) < min(4, len(readings)):
        return False
    value, centre = next(iter(values)), stats.median(readings)
    noise = stats.sd(readings) * (abs(value / centre) if centre else 1.0)
    return noise > 2.0 * stats.resolution([*readings, value])


def _longer(runs: Sequence[Timed], scale: float) -> bool:
    return any(r.value * scale > _LONGER_SHARE * r.wall + _LONGER_SECONDS for r in runs)


def _moved(blocks: Sequence[Sequence[Timed]], scale: float) -> Doubt | None:
    """Whether the whole run saved much less than the metric says; both in seconds, contrasts within blocks."""
    claimed = [scale * _contrast([(r.side, r.value) for r in block]) for block in blocks]
    saved = [_contrast([(r.side, r.wall) for r in block]) for block in blocks]
    if _refuted([s - SAVED_SHARE * c for s, c in zip(saved, claimed, strict=True)], blocks):
        return _moved_work(
            f"the metric says that {_time(stats.mean(claimed))} a run were saved, the whole run saved "
            f"{_time(stats.mean(saved))}"
        )
    return None


def _out_of_proportion(blocks: Sequence[Sequence[Timed]], least: float) -> Doubt | None:
    """Whether the whole run gained much less than the share `least` of its time."""
    base = stats.mean([r.wall for block in blocks for r in block if r.side == "A"])
    saved = [_contrast([(r.side, r.wall) for r in block]) for block in blocks]
    if base > 0 and _refuted([s - SAVED_SHARE * least * base for s in saved], blocks):
        return _moved_work(
            f"by objective.timed_share the whole run should be {100 * least:.3g} % faster, and it is "
            f"{100 * stats.mean(saved) / base:.2g} %"
        )
    return None


def _moved_work(text: str) -> Doubt:
    return Doubt("moved_work", text + ": work was moved out of what is timed, or the timer is fooled")


def _refuted(differences: Sequence[float], blocks: Sequence[Sequence[Timed]]) -> bool:
    """Whether the mean is below 0 by more than its standard error."""
    if len(differences) > 1:
        error = stats.sd(differences) / math.sqrt(len(differences))
    else:  # one block: the runs of a side differ by the same noise
        sides = [[r.wall for r in blocks[0] if r.side == side] for side in "AB"]
        error = max(max(side) - min(side) for side in sides)
    return stats.mean(differences) + error < 0.0


def _contrast(values: Sequence[tuple[str, float]]) -> float:
    """Mean of the base's minus mean of the candidate's."""
    base, candidate = [v for s, v in values if s == "A"], [v for s, v in values if s == "B"]
    return stats.mean(base) - stats.mean(candidate)


def _time(seconds: float) -> str:
    return f"{seconds:.3g} s" if abs(seconds) >= 1 else f"{1000 * seconds:.3g} ms"
