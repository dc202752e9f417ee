"""Does the printed number agree with what the run as a whole shows? Pure: samples in, a word out.

The evaluator's clock can be fooled from inside the program (a patched timer, work moved before or behind the timed
part, an answer printed instead of worked for). The trial's own clock, outside, cannot: here the two are compared.
"""

from __future__ import annotations

from collections.abc import Sequence

from autoresearch.config import Objective
from autoresearch.judging import rounds
from autoresearch.judging.outcome import Outcome, Timed
from autoresearch.judging.outside import (
    Blocks,
    Doubt,
    Measure,
    added,
    base_median,
    exceeds,
    excess,
    fewer,
    own,
    saved,
    seconds,
    unsaved,
    used,
    wall,
)
from autoresearch.judging.units import is_rate, seconds_per_unit
from autoresearch.trial import pace
from autoresearch.verdict import stats

# Without a signature nothing but its size tells a forged time from a real one; beyond this it is not believed.
UNSIGNED_CEILING_PCT = 95.0
# A reported time may exceed the run that it was measured in by so much: rounding, and clocks read in turn.
_LONGER_SHARE, _LONGER_SECONDS = 1.05, 0.005


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
    paired = scale is not None and rounds.paired(blocks)
    # Where the base's time is longer than its runs, it is no part of them (a sum over threads, a simulated time).
    within = scale is not None and not paired and not _longer(base, scale)
    if scale is not None and within and _longer(candidate, scale):
        worst = max(candidate, key=lambda r: r.value * scale - r.wall)
        return Doubt(
            "timer",
            f"the metric says {worst.value * scale:.3g} s in a run that took {worst.wall:.3g} s as a whole: its clock "
            "is wrong, or the number was printed instead of measured",
        )
    found = rounds.doubt(blocks) if scale is not None else None
    if found is not None:
        return found
    share = objective.timed_share
    timed = rounds.timed(blocks) if paired else _scaled(scale) if within and scale is not None else None
    if share is None and timed is not None:
        found = _moved(blocks, timed)
    elif share is None and is_rate(objective):
        found = _rate(blocks, outcome.fixed)
    elif share and effect_pct is not None:
        found = _out_of_proportion(blocks, share * effect_pct / 100.0)
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


def unseen(objective: Objective, outcome: Outcome) -> str:
    """What to say of a kept gain in time or rate that the whole run does not show by itself; empty where it does."""
    blocks = [block for block in outcome.timed if block]
    timed = seconds_per_unit(objective) is not None or is_rate(objective)
    if not blocks or not timed or objective.timed_share is not None:
        return ""
    if is_rate(objective) and outcome.fixed == pace.TIME:
        return "its runs last a set time, so that they cannot show it"
    if any(fewer(blocks, measure) for measure in (wall, own, used)):
        return ""
    return "this machine cannot tell whether the whole runs are shorter, too"


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


def _scaled(scale: float) -> Measure:
    return lambda run: scale * run.value


def _rate(blocks: Blocks, fixed: str) -> Doubt | None:
    """Whether runs that do a set amount of work took as long as ever, or runs that last a set time got longer.

    What their amount is nobody told. As if the rate were about half of the run, a gain shows in more than a quarter.
    """
    if any(run.value <= 0.0 for block in blocks for run in block):
        return None
    if fixed == pace.WORK:
        half = 0.5 * base_median(blocks, wall) / base_median(blocks, _inverse)
        return _moved(blocks, lambda run: half / run.value)
    if fixed != pace.TIME:
        return None
    faster = 1.0 - base_median(blocks, _inverse, "B") / base_median(blocks, _inverse)
    measures = [wall, used] if all(run.cpu is not None for block in blocks for run in block) else [wall]
    if faster <= 0.0 or not all(exceeds(blocks, m, faster * base_median(blocks, m)) for m in measures):
        return None
    longer = seconds(excess(blocks, wall).estimate)
    return _moved_work(f"runs that last as long at any rate take {longer} more with the candidate")


def _inverse(run: Timed) -> float:
    return 1.0 / run.value


def _moved(blocks: Blocks, timed: Measure) -> Doubt | None:
    """Whether the rest of the run got longer by what was saved of the `timed` seconds."""

    def rest(measure: Measure) -> Measure:
        return rounds.steady(blocks, lambda run: measure(run) - timed(run))

    claimed = -excess(blocks, rounds.steady(blocks, timed)).estimate
    if claimed <= 0.0 or not unsaved(blocks, lambda _: claimed, rest):
        return None
    return _moved_work(f"the metric says that {seconds(claimed)} a run were saved, the whole run saved {saved(blocks)}")


def _out_of_proportion(blocks: Blocks, least: float) -> Doubt | None:
    """Whether the whole run gained much less than the share `least` of its time."""

    def due(measure: Measure) -> float:
        return least * base_median(blocks, measure)

    if not unsaved(blocks, due, lambda measure: added(measure, due(measure))):
        return None
    share = -excess(blocks, wall).estimate / base_median(blocks, wall)
    return _moved_work(
        f"by objective.timed_share the whole run should be {100 * least:.3g} % faster, and it is {100 * share:.2g} %"
    )


def _moved_work(text: str) -> Doubt:
    return Doubt("moved_work", text + ": work was moved out of what is timed, or the timer is fooled")
