"""What a keep may cost elsewhere, and what may save a neutral one. Pure; the evidence is that of `eprocess`.

A relative limit is a test of non-inferiority (Wellek 2010, "Testing Statistical Hypotheses of Equivalence and
Noninferiority"): the hypothesis is "worse than the limit", and it must be refuted. With the candidate's readings
shifted by the limit, the randomised-block e-process has mean at most 1 under it, so by Ville's inequality a change at
or beyond the limit passes with chance at most `ALPHA`, whatever the noise and whenever the trial stopped.

Splitting alpha over objective and rescue metrics: each of the m tests needs E >= m / alpha, so by Bonferroni a change
without any effect is kept with chance at most alpha. The mean of the m e-values is then at least 1 / alpha, and is
an e-value itself, so e-LOND's bound over the session stands too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from autoresearch.verdict import stats
from autoresearch.verdict.eprocess import Block, EProcess
from autoresearch.verdict.rule import Rule
from autoresearch.verdict.sequential import SequentialTest, differences
from autoresearch.verdict.verdict import Verdict

LimitStatus = Literal["met", "violated", "unclear"]
# Chance that a change at its limit passes a relative limit.
ALPHA = 0.05
# Differences below this share are different arithmetic, not a different value.
CLOSE = 1e-9


@dataclass(frozen=True)
class Limit:
    """`pct`: at most this much worse than the base, in percent of it. `most` and `least` bound the candidate itself."""

    metric: str
    direction: str = "lower"
    pct: float | None = None
    most: float | None = None
    least: float | None = None


@dataclass(frozen=True)
class LimitResult:
    """`gain_pct`: percent of the base, positive = better; None without a base.

    `e_value`: evidence that the limit holds, at its peak; None where a comparison decided.
    """

    metric: str
    status: LimitStatus
    gain_pct: float | None
    text: str
    e_value: float | None = None


def hold(limit: Limit, blocks: Sequence[Block]) -> LimitResult:
    """Judge a limit by complete blocks (order such as ABBA, finite values in time order). ValueError without blocks."""
    gain = gain_pct(limit.direction, blocks)
    status, text, log_e = _judge(limit, blocks, gain)
    return LimitResult(limit.metric, status, gain, text, None if log_e is None else stats.e_value(log_e))


def _judge(limit: Limit, blocks: Sequence[Block], gain: float | None) -> tuple[LimitStatus, str, float | None]:
    """The status, its words, and ln E where evidence decided."""
    base, candidate = (stats.median(_side(blocks, side)) for side in "AB")
    if limit.most is not None and candidate > limit.most:
        text = f"{limit.metric} is {candidate:.6g} (median), more than its max of {limit.most:g}"
        return "violated", text, None
    if limit.least is not None and candidate < limit.least:
        text = f"{limit.metric} is {candidate:.6g} (median), less than its min of {limit.least:g}"
        return "violated", text, None
    if limit.pct is None:
        return "met", f"{limit.metric} is within its bounds ({candidate:.6g})", None
    within, beyond = (
        f"{limit.metric} is {_worse(gain)}, {word} its limit of {limit.pct:g} % worse" for word in ("within", "beyond")
    )
    if repeats(blocks):
        worse = candidate - base if limit.direction == "lower" else base - candidate
        met = worse <= limit.pct / 100.0 * abs(base) + CLOSE * abs(base)
        return ("met", within, None) if met else ("violated", beyond, None)
    flat = [v for _, values in blocks for v in values]
    allowed = f"{limit.metric} is not shown to be at most {limit.pct:g} % worse"
    if min(flat) <= 0.0:
        text = f"{allowed}: it is noisy and not positive, so there are no percentages. State a max or min instead"
        return "unclear", text, None
    step = 100.0 * stats.resolution(flat) / stats.median(flat)
    if step > limit.pct > 0.0:
        text = f"{allowed}: its readings come in steps of {step:.2g} %. Print more digits, or set a wider limit"
        return "unclear", text, None
    passes, fails = evidence(limit, blocks)
    needed = math.log(1.0 / ALPHA)
    if max(passes, fails) >= needed:
        return ("violated", beyond, passes) if fails >= needed else ("met", within, passes)
    sigma = 100.0 * _sigma(blocks)
    runs = stats.runs_for(limit.pct + (gain or 0.0), sigma)
    settle = (
        "no affordable number of runs would show it" if runs is None
        else f"about {max(4, runs - len(flat))} more runs would settle it at its noise of {sigma:.2g} % "
        "(test.keep_blocks in autoresearch.yaml)"
    )  # fmt: skip
    return "unclear", f"{allowed} in {len(flat)} runs (measured {_worse(gain)}): {settle}", passes


def evidence(limit: Limit, blocks: Sequence[Block]) -> tuple[float, float]:
    """Peaks of ln E for "within the limit" and for "beyond the limit". Values must be positive."""
    process = EProcess()
    passes = fails = 0.0
    for order, y in shifted(limit, blocks):
        process.add(order, y)
        passes, fails = max(passes, process.log_up), max(fails, process.log_down)
    return passes, fails


def shifted(limit: Limit, blocks: Sequence[Block]) -> list[Block]:
    """Blocks of logs in which a candidate exactly at its limit reads like the base.

    They are snapped to a grid, which is label-blind: a metric that nearly repeats and stands exactly at its limit would
    otherwise be judged by the rounding errors of the logarithm.
    """
    assert limit.pct is not None
    lower = limit.direction == "lower"
    shift = -math.log1p(limit.pct / 100.0) if lower else math.log1p(-limit.pct / 100.0)
    found: list[Block] = []
    for order, values in blocks:
        y = [math.log(v) if lower else -math.log(v) for v in values]
        z = [round(v + (shift if side == "B" else 0.0), 9) for side, v in zip(order, y, strict=True)]
        found.append((order, z))
    return found


def prove(rule: Rule, blocks: Sequence[Block]) -> Verdict:
    """Whether blocks that were measured for another metric prove a gain of this one, with all of them used.

    Nobody stopped for this metric, so giving up early does not apply; E may have crossed 1 / alpha at any block.
    """
    test = SequentialTest(replace(rule, max_runs=max(4, 4 * len(blocks))))
    for order, values in blocks:
        test.step(order, values)
    found = test.verdict()
    if test.exact():
        return found
    better = found.effect_pct is None or found.effect_pct > 0.0
    if test.peak_log_e >= math.log(1.0 / rule.alpha) and better and test.reason != "below_min":
        return replace(found, verdict="keep", reason="proven")
    return replace(found, verdict="discard", reason="budget" if found.reason == "proven" else found.reason)


def required_pct(least_pct: float, pct_per_100_lines: float, free_lines: int, lines: int) -> float:
    """The gain that a change of `lines` more lines (added - removed) must reach: free below `free_lines`."""
    return least_pct + pct_per_100_lines * max(0, lines - free_lines) / 100.0


def gain_pct(direction: str, blocks: Sequence[Block]) -> float | None:
    """Gain in percent of the base, positive = better: the median log ratio within blocks, else that of the medians."""
    a, b = _side(blocks, "A"), _side(blocks, "B")
    if min(*a, *b) > 0.0 and not repeats(blocks):
        logs = [(order, [math.log(v) for v in values]) for order, values in blocks]
        ratio = math.exp(-stats.median(differences(logs))) - 1.0
    else:
        base = stats.median(a)
        difference = stats.median(b) - base
        if base == 0.0 and difference != 0.0:
            return None
        ratio = difference / abs(base) if base else 0.0
    return 100.0 * (-ratio if direction == "lower" else ratio)


def repeats(blocks: Sequence[Block]) -> bool:
    """Every re-reading of a side equals its first one: a count, a size, an allocation."""
    return all(len(set(_side(blocks, side))) == 1 for side in "AB")


def _side(blocks: Sequence[Block], side: str) -> list[float]:
    return [v for order, values in blocks for s, v in zip(order, values, strict=True) if s == side]


def _sigma(blocks: Sequence[Block]) -> float:
    """sd of one run's log, from the differences of a block's own-side readings."""
    gaps = []
    for block in blocks:
        for side in "AB":
            first, second, *_ = [math.log(v) for v in _side([block], side)]
            gaps.append(second - first)
    return stats.sigma_from_differences(gaps)


def _worse(gain: float | None) -> str:
    if gain is None:
        return "changed from 0"
    return f"{gain:.2g} % better" if gain > 0.0 else f"{-gain:.2g} % worse"
