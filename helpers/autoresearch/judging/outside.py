"""Did a candidate's runs take more of something than those of the base, beside a gain that is claimed? Pure.

What is asked about is untouched by an honest candidate: what a run took beyond what was timed, say, by a measure that
the program cannot reach. Then the side has no part in it, and all orders of a block are as likely: exact, whatever the
noise. So one check doubts a real gain with a chance of `CHANCE` at most, and in practice more rarely, as the excess has
to be over half of the gain besides. Where the noise hides half of the gain nothing is seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from autoresearch.judging import ranktests
from autoresearch.judging.outcome import Timed
from autoresearch.verdict import Reason, stats

# A gain is doubted where more than this share of it is missing.
MISSING_SHARE = 0.5
# The chance that luck passes for an excess.
CHANCE = 0.02
Blocks = Sequence[Sequence[Timed]]
Measure = Callable[[Timed], float]


class Doubt(NamedTuple):
    """Why a gain is not believed."""

    word: Reason
    text: str


def excess(blocks: Blocks, measure: Measure) -> ranktests.Shift:
    """Candidate minus base: the middle difference within blocks, and the chance of so much by luck."""
    rows = [("".join(run.side for run in block), [-measure(run) for run in block]) for block in blocks]
    return ranktests.in_blocks(rows)


def exceeds(blocks: Blocks, measure: Measure, claimed: float) -> bool:
    """Whether the excess is over half of `claimed` (a gain, in the measure's units) and no luck."""
    found = excess(blocks, measure)
    # So few blocks may show no smaller chance than that of their one best order.
    least = 1.000001 * 6.0 ** -len(blocks)
    return found.estimate > MISSING_SHARE * claimed and found.p_value <= max(CHANCE, least)


def fewer(blocks: Blocks, measure: Measure) -> bool:
    """Whether the candidate took less, and not by luck."""
    return excess(blocks, lambda run: -measure(run)).p_value <= CHANCE


def unsaved(blocks: Blocks, due: Callable[[Measure], float], rest: Callable[[Measure], Measure]) -> bool:
    """Whether neither the clock nor the processor's account shows the whole run to have saved what it should have.

    A gain in work shows in both, in waiting and by parallel work in the clock's alone, and beside other programs maybe
    in the processor's alone. `rest` makes of a measure what should be alike on both sides, `due` what should be saved.
    """
    # Where the timed seconds hold waits for the core, what a run saves of them is in the plain clock alone: enough of
    # it there, and no luck, is saved.
    plain, enough = rest(wall), MISSING_SHARE * due(wall)
    if excess(blocks, added(lambda run: -plain(run), enough)).p_value <= CHANCE:
        return False
    measures = [_clock(blocks, rest)]
    if all(run.cpu is not None for block in blocks for run in block):
        measures.append(used)
    return all(exceeds(blocks, rest(measure), due(measure)) for measure in measures)


def added(measure: Measure, due: float) -> Measure:
    """The measure, as it would be if the candidate had not saved `due`."""
    return lambda run: measure(run) + (due if run.side == "B" else 0.0)


def base_median(blocks: Blocks, measure: Measure, side: str = "A") -> float:
    return stats.median([measure(run) for block in blocks for run in block if run.side == side])


def saved(blocks: Blocks) -> str:
    """What the whole run saved by the clock, in words."""
    return seconds(-excess(blocks, wall).estimate)


def seconds(value: float) -> str:
    return f"{value:.3g} s" if abs(value) >= 1 else f"{1000 * value:.3g} ms"


def wall(run: Timed) -> float:
    return run.wall


def own(run: Timed) -> float:
    """Seconds without the wait for a core, which is exact where it is known."""
    return run.wall - (run.waited or 0.0)


def used(run: Timed) -> float:
    """Processor seconds of all its processes."""
    return run.cpu or 0.0


def _clock(blocks: Blocks, rest: Callable[[Measure], Measure]) -> Measure:
    """With the wait for a core or without: where the metric knows of that wait, taking it off makes the rest noisier.

    It is taken off only where that makes the readings of a side much more alike, which asks for no side's name.
    """
    if any(run.waited is None for block in blocks for run in block):
        return wall
    return own if _spread(blocks, rest(own)) < 0.5 * _spread(blocks, rest(wall)) else wall


def _spread(blocks: Blocks, measure: Measure) -> float:
    """The middle difference of two readings of a side in a block."""
    gaps = []
    for block in blocks:
        for side in "AB":
            values = [measure(run) for run in block if run.side == side]
            gaps.append(abs(values[0] - values[-1]))
    return stats.median(gaps)
