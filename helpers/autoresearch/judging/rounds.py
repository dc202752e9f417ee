"""What a benchmark in rounds prints beside its time, and what has to agree with it at a keep. Pure.

The contract, which `tell` of templates/paired.py keeps: METRIC lines with these names, positive, of the same rounds as
the objective, which is a time. Each is looked at where every run of the base printed it; where none did nothing is
asked. The evaluator signs them, and each may have one value (`trial.reading`), so a candidate cannot leave them out.

| name | what it is |
|---|---|
| `time_mean_s` | the objective over all rounds together, where it is a middle one itself |
| `time_own_s`, `time_cpu_s` | seconds of the program's rounds: own time (the ratio's), and of the processor |
| `ref_s`, `ref_cpu_s` | the reference's middle round, and the processor seconds of its rounds |
"""

from __future__ import annotations

import math

from autoresearch.judging.outcome import Timed
from autoresearch.judging.outside import Blocks, Doubt, Measure, base_median, exceeds, excess, seconds, used
from autoresearch.trial.reading import ROUNDS

# The mean of the rounds and their middle one are the same quantity within this factor.
_ALIKE = 4.0


def doubt(blocks: Blocks) -> Doubt | None:
    """The first reason not to believe a gain in a time of rounds, from what was printed beside it."""
    known = [name for name in ROUNDS if _told(blocks, name)]
    for name in known:
        if any(not run.printed.get(name, 0.0) > 0.0 for block in blocks for run in block):
            return Doubt("invalid", f"the base prints METRIC {name} above 0 in every run, and the candidate does not")
    gain = _gain(blocks)
    if gain <= 0.0:
        return None
    found = None
    if "time_mean_s" in known and _same(blocks):
        found = _slow_rounds(blocks, gain)
    if "time_cpu_s" in known:
        found = found or _untimed(blocks, gain, [name for name in ("time_cpu_s", "ref_cpu_s") if name in known])
    if "ref_s" in known:
        found = found or _slow_reference(blocks, gain)
    return found


def paired(blocks: Blocks) -> bool:
    """Whether the objective is a ratio to a reference: its seconds are not those of the run."""
    return _told(blocks, "ref_s")


def timed(blocks: Blocks) -> Measure | None:
    """The seconds of a run that the ratio was made of, None where they were not printed."""
    return _printed("time_own_s") if _told(blocks, "time_own_s") else None


def steady(blocks: Blocks, measure: Measure) -> Measure:
    """The measure of a run as if the machine had done the reference's work as fast as in the base's middle one."""
    if not _told(blocks, "ref_cpu_s"):
        return measure
    usual = base_median(blocks, _printed("ref_cpu_s"))
    return lambda run: measure(run) * usual / run.printed["ref_cpu_s"]


def _slow_rounds(blocks: Blocks, gain: float) -> Doubt | None:
    mean = _log("time_mean_s")
    if not exceeds(blocks, lambda run: mean(run) - math.log(run.value), gain):
        return None
    together = _pct(-excess(blocks, mean).estimate)
    return Doubt(
        "slow_rounds",
        f"faster in most rounds, slower in a few: {_pct(gain)} by the middle one, {together} by all (time_mean_s)",
    )


def _untimed(blocks: Blocks, gain: float, names: list[str]) -> Doubt | None:
    def outside(run: Timed) -> float:
        return used(run) - sum(run.printed[name] for name in names)

    own = timed(blocks)
    claimed = (1.0 - math.exp(-gain)) * base_median(blocks, _printed("time_cpu_s"))
    if own is not None:
        claimed = -excess(blocks, steady(blocks, own)).estimate
    if any(run.cpu is None for block in blocks for run in block) or not exceeds(
        blocks, steady(blocks, outside), claimed
    ):
        return None
    more = seconds(excess(blocks, steady(blocks, outside)).estimate)
    return Doubt(
        "untimed_work",
        f"processor time outside of what was timed: {more} a run more than the base's, and {seconds(claimed)} are said "
        "to be saved. Do the work, and wait for every process that does it, in the timed part",
    )


def _slow_reference(blocks: Blocks, gain: float) -> Doubt | None:
    if not exceeds(blocks, _log("ref_s"), gain):
        return None
    slower = 100.0 * math.expm1(excess(blocks, _log("ref_s")).estimate)
    return Doubt(
        "slow_reference",
        f"the reference is {slower:.3g} % slower beside the candidate than beside the base (ref_s), and the gain in "
        f"their ratio is {_pct(gain)}",
    )


def _told(blocks: Blocks, name: str) -> bool:
    return all(run.printed.get(name, 0.0) > 0.0 for block in blocks for run in block if run.side == "A")


def _same(blocks: Blocks) -> bool:
    """Whether `time_mean_s` is about the objective, in its unit, and not about another time of the same run."""
    ratio = base_median(blocks, lambda run: run.value) / base_median(blocks, _printed("time_mean_s"))
    return 1.0 / _ALIKE < ratio < _ALIKE


def _gain(blocks: Blocks) -> float:
    """In logs; 0 where there are none."""
    if any(run.value <= 0.0 for block in blocks for run in block):
        return 0.0
    return -excess(blocks, lambda run: math.log(run.value)).estimate


def _printed(name: str) -> Measure:
    return lambda run: run.printed.get(name, 0.0)


def _log(name: str) -> Measure:
    return lambda run: math.log(run.printed[name])


def _pct(gain: float) -> str:
    return f"{-100.0 * math.expm1(-gain):+.3g} %"
