"""When is a keep a keep? The rule over the e-process. Pure, standard library, Python 3.8: goes to the worker.

Keep when E >= 1 / alpha. By the randomisation argument and Ville's inequality (both in `eprocess`) the chance
of ever keeping a change without effect is then at most alpha, whatever the noise and whenever one looks. The
other stops only discard, so they cannot raise it: the gain is refuted at min_effect_pct, or the runs left
could not prove what is still likely, or the budget is spent, or the candidate overran its time limit.

A run that was ended at its time limit is censored: all that is known is that it was worse than any other. It
takes a place behind all readings so far, whichever side it is (so the argument of `eprocess` holds), and the
effect is read from medians, which need no more than its rank.
"""

from __future__ import annotations

# ruff: noqa: B905 - Python 3.8 has no zip(strict=)
import math
from dataclasses import replace
from typing import Any, Dict, Iterable, List, Optional, Sequence, Tuple

from autoresearch.verdict import Reason, stats
from autoresearch.verdict.eprocess import GRID_DIGITS, ORDERS, PAIRS, Block, EProcess, interval
from autoresearch.verdict.rule import Rule
from autoresearch.verdict.verdict import Verdict, explain

# The value of a run that was ended at its time limit.
TIMED_OUT = math.inf
# How far behind the worst reading a time-out is placed, in spreads: where `eprocess` clips.
STAND_OFF = 3.5
# Time-outs of the candidate beyond the base's that end a test.
MAX_TIMED_OUT = 2
# The largest growth of ln E that is counted on per future block: 0.8 ln 6.
MAX_GROWTH = 0.8 * math.log(6.0)
# Median of the lesser of two |d|, d the difference of two readings of sd 1.
LESSER_OF_TWO = 0.531
# A side's own two readings that lie this many quiet sd apart may have been disturbed; they are said to be beyond
# twice that, as one in ten short tests on a quiet machine has such a pair.
DISTURBED = 5.0
# Sizes of a gain, in sd of a run, that promise no more: there E grows as fast as it can.
MOST_SD = 2.0
# Steps this fine (five significant digits) are not what makes readings repeat.
FINE = 1e-4
# Two gains closer than this share are the same gain, written by different arithmetic.
CLOSE = 1.0 - 1e-9


class SequentialTest:
    """One A/B test, fed block by block; the same blocks always give the same verdict."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.blocks = 0
        self.reason: Reason = "undecided"
        self.peak_log_e = 0.0
        self.timed_out = {"A": 0, "B": 0}
        self._raw: List[Block] = []
        self._y: List[Block] = []
        # How far a side's own two readings lie apart, the lesser first, for each block without time-outs.
        self._own: List[List[float]] = []
        self._scale: Optional[float] = None  # None: y are logs; else plain values over this scale
        self._mixed = False
        self._gain = EProcess()
        self._enough = EProcess()

    def add_block(self, order: str, values: Sequence[Optional[float]]) -> Optional[Verdict]:
        """Take the values of one block in time order; the verdict when decided, None = measure another block.

        `TIMED_OUT` stands for a run ended at its limit. A missing (None) or otherwise non-finite value makes the
        block invalid for both sides: the answer says so and the block is not taken. ValueError when `order` is
        not one of `ORDERS` (or AB, BA) or the lengths differ.
        """
        good = [v for v in values if v is not None and (math.isfinite(v) or v == TIMED_OUT)]
        if len(good) < len(values):
            text = "a run gave no number, so its block decides nothing for either side"
            return replace(self.verdict(), verdict="discard", reason="invalid", reason_text=text)
        return None if self.step(order, good) == "undecided" else self.verdict()

    def step(self, order: str, values: Sequence[float]) -> Reason:
        """`add_block` for numbers, answering the reason only (the interval costs most of a verdict)."""
        if order not in ORDERS + PAIRS or len(values) != len(order):
            raise ValueError(f"a block is an order such as ABBA and its values, not {order!r}, {len(values)}")
        known = [v for v in values if v != TIMED_OUT]
        if self._scale is None and min(known, default=1.0) <= 0.0:
            # Logs end here. Earlier blocks keep their factors: E stays a martingale. The scale sees no label.
            self._scale = stats.median([abs(v) for v in [*self._flat(), *known]]) or 1.0
            self._mixed = self.blocks > 0
        if self.blocks == 0:
            self._gain = EProcess(self._delta(self.rule.margin_pct))
            self._enough = EProcess(self._delta(self.rule.least_pct))
        sign = 1.0 if self.rule.direction == "lower" else -1.0
        # The bound keeps sums of absurd values finite; it sees no label.
        finite = [sign * stats.bounded(self._unit(v)) for v in known]
        behind = self._behind(finite) if len(known) < len(values) else 0.0
        places = iter(finite)
        y = [behind if v == TIMED_OUT else next(places) for v in values]
        self._raw.append((order, tuple(values)))
        self._y.append((order, y))
        if len(known) == 4:
            self._own.append(sorted(abs(side[0] - side[1]) for side in _split(order, y)))
        self.blocks += 1
        self._gain.add(order, y)
        self._enough.add(order, y)
        self.peak_log_e = max(self.peak_log_e, self._gain.log_up)
        self.timed_out = {side: self.side(side).count(TIMED_OUT) for side in "AB"}
        self.reason = self._decide()
        return self.reason

    def verdict(self) -> Verdict:
        """The state now, with the interval and the words."""
        rule = self.rule
        reason: Reason = self.reason if self.blocks else "invalid"
        common: Dict[str, Any] = {
            "verdict": "keep" if reason in ("proven", "deterministic") else "discard",
            "reason": reason, "e_needed": 1.0 / rule.alpha, "alpha": rule.alpha, "layout": rule.layout,
        }  # fmt: skip
        if not self.blocks:
            return Verdict(reason_text="no block of runs was measured", **common)
        base, candidate = stats.median(self.side("A")), stats.median(self.side("B"))
        gain, sigma = self._estimate(base, candidate), self._sigma()
        ends: Tuple[Optional[float], Optional[float]] = (None, None)
        if self.exact() and (rule.counted or self._is_fine()):
            ends = gain, gain
        elif gain is not None and not self._mixed and not self._censored() and not self.repeats():
            # (A coarse timer's repeats hide their own error.)
            ends = interval(self._y, gain, sigma)
        sign = 1.0 if rule.direction == "lower" else -1.0
        out = Verdict(
            reason_text="", effect_pct=self._pct(gain, base), ci_low_pct=self._pct(ends[0], base),
            ci_high_pct=self._pct(ends[1], base), e_value=stats.e_value(self._gain.log_up),
            runs_used=sum(len(values) for _, values in self._raw), blocks=self.blocks,
            sigma_short_pct=self._share(sigma, base), mde_pct=self._share(stats.mde(sigma, rule.max_runs), base),
            base_median=base, candidate_median=candidate,
            effect_units=sign * (base - candidate) if self._scale and gain is not None else None,
            disturbed=self.disturbed(), warnings=tuple(self._warnings(base)), **common,
        )  # fmt: skip
        return replace(out, reason_text=explain(out, rule, stats.e_value(self.peak_log_e)))

    def side(self, side: str) -> List[float]:
        """The values of one side ("A" or "B") as measured, in time order."""
        return [v for order, block in self._raw for s, v in zip(order, block) if s == side]

    def _unit(self, value: float) -> float:
        return math.log(value) if self._scale is None else value / self._scale

    def _flat(self) -> List[float]:
        return [v for _, block in self._raw for v in block if v != TIMED_OUT]

    def _behind(self, finite: Sequence[float]) -> float:
        """The place of a run that timed out: behind every reading so far, by a distance that no label decides."""
        before = [v for _, block in self._y for v in block]
        worst = max([*before, *finite], default=0.0)
        width = max(finite, default=0.0) - min(finite, default=0.0)
        return worst + max(STAND_OFF * self._gain.spread, width, 0.01)

    def _decide(self) -> Reason:
        rule, left, gain = self.rule, self.rule.max_runs // 4 - self.blocks, self._gain_median()
        hung = self.timed_out["B"] - self.timed_out["A"]
        if hung >= MAX_TIMED_OUT:
            return "timeouts"
        needed = math.log(1.0 / rule.alpha)
        repeats = self.repeats()
        if repeats and (rule.counted or self.exact() or self._is_fine()):
            if gain == 0.0:
                return "identical"
            if gain <= 0.0 or gain < self._delta(max(rule.min_effect_pct, rule.margin_pct)) * CLOSE:
                return "below_min"
            if self.exact():
                return "deterministic" if rule.counted or self._is_fine() else "proven"
        if self._gain.log_up >= needed and hung <= 0 and self._shown_gain() > 0.0:
            return "below_min" if repeats and gain < self._delta(rule.least_pct) * CLOSE else "proven"
        if repeats and gain == 0.0 and self.blocks > 1:
            return "identical"
        if self._enough.log_down >= math.log(1.0 / rule.beta):
            return "below_min"
        if left <= 0:
            return "budget"
        if self.blocks < rule.patience:
            return "undecided"
        # What the blocks left can add to ln E if the gain is z standard errors better than it looks.
        best = max(0.0, self._promise() + rule.z / math.sqrt(self.blocks))
        if self._gain.log_up + left * min(best**2 / 2.0, MAX_GROWTH) < needed:
            return "hopeless"
        return "undecided"

    def _promise(self) -> float:
        """The gain to hope for, in sd of a run: the mean of what sizes and what signs of the differences promise.

        A few disturbed runs spoil neither. Where there is one, the sides' best readings and the quiet spread may
        promise more.
        """
        shift, spread, quiet = self._gain.shift, self._sigma(), self._quiet()
        gain = self._gain_median() - shift
        if self._apart() > DISTURBED:
            best = [min(a) - min(b) for a, b in (_split(*block) for block in self._y)]
            gain, spread = max(gain, stats.median(best) - shift), min(spread, 2.0 * quiet)
        by_size = gain / max(spread, self._grain(), 1e-12)
        gaps = [round(gap - shift, GRID_DIGITS) for gap in differences(self._y)]
        # For normal runs a gain of d sd has the mean sign 2 Phi(d / sqrt 2) - 1, which is about d / sqrt pi.
        by_sign = math.sqrt(math.pi) * stats.mean([float((gap > 0.0) - (gap < 0.0)) for gap in gaps])
        return (max(-MOST_SD, min(MOST_SD, by_size)) + by_sign) / 2.0

    def disturbed(self) -> bool:
        """A side's own two readings lie much further apart in some block than the steadier sides' noise."""
        return self._apart() > 2.0 * DISTURBED

    def _apart(self) -> float:
        """The largest difference of a side's own two readings in a block, in sd of an undisturbed run."""
        return max([two[1] for two in self._own], default=0.0) / max(self._quiet(), 1e-4)

    def _quiet(self) -> float:
        """sd of an undisturbed run, from the steadier side of each block."""
        least = [two[0] for two in self._own]
        return max(stats.median(least) / LESSER_OF_TWO if least else 0.0, self._grain())

    def _delta(self, pct: float) -> float:
        return -math.log1p(-pct / 100.0) if self._scale is None else pct / 100.0

    def _pct(self, delta: Optional[float], base: float) -> Optional[float]:
        if delta is None:
            return None
        return -100.0 * math.expm1(min(-delta, 600.0)) if self._scale is None else self._share(delta, base)

    def _share(self, delta: float, base: float) -> Optional[float]:
        """Small differences as percent of the base; None when that is 0."""
        if self._scale is None:
            return 100.0 * delta
        return 100.0 * delta * self._scale / abs(base) if base else None

    def _estimate(self, base: float, candidate: float) -> Optional[float]:
        """The gain in units of y; with time-outs from the medians, None when one of them is a time-out."""
        if not self._censored():
            return self._gain_median()
        if TIMED_OUT in (base, candidate):
            return None
        gain = self._unit(base) - self._unit(candidate)
        return gain if self.rule.direction == "lower" else -gain

    def _gain_median(self) -> float:
        """The median of all differences A - B within blocks (Hodges & Lehmann 1963)."""
        if not self._mixed or self._censored():
            return stats.median(differences(self._y))
        raw = stats.median(differences([(order, list(map(stats.bounded, block))) for order, block in self._raw]))
        return (raw if self.rule.direction == "lower" else -raw) / (self._scale or 1.0)

    def _sigma(self) -> float:
        """sd of one run, from the differences of a block's own-side readings, pooled over blocks."""
        gaps = [gap for two in self._own for gap in two]
        hidden = 0.0 if self.exact() else self._grain()
        return max(stats.sigma_from_differences(gaps) if gaps else 0.0, hidden)

    def _grain(self) -> float:
        """sd that the rounding of the readings hides: step / sqrt 12, in the units of y."""
        flat = self._flat() or [1.0]
        return stats.resolution(flat) / (self._scale or stats.median(flat)) / math.sqrt(12.0)

    def _censored(self) -> bool:
        return any(self.timed_out.values())

    def repeats(self) -> bool:
        """Every re-reading of a side equals its first one."""
        return all(len(set(self.side(side))) == 1 for side in "AB") and len(self._flat()) > 3 and not self._censored()

    def exact(self) -> bool:
        """`repeats`, but not by luck, which is excluded at alpha. By this alone a test keeps, and needs no interval.

        However the machine behaved, given a block's values one order in six splits them so: 6^-blocks at most. Many
        digits exclude nothing: a rate from whole milliseconds has them, too. A count's readings do not hang together in
        time as those of a coarse timer do: then n of A alike and n of B alike, but better, have a chance of at most
        max p^n (1 - p)^n = 4^-n; a quarter of alpha is spent on it.
        """
        if not self.repeats():
            return False
        if self.rule.counted and self._is_fine():
            return True
        if (
            math.prod(1.0 / (len(ORDERS) if len(order) == 4 else len(PAIRS)) for order, _ in self._raw)
            <= self.rule.alpha
        ):
            return True
        return self.rule.counted and 0.25 ** (min(len(self.side(s)) for s in "AB") - 1) <= self.rule.alpha

    def _is_fine(self) -> bool:
        """Readings whose steps are no part of their repeating: enough to give a candidate up."""
        return self._grain() * math.sqrt(12.0) <= FINE

    def _shown_gain(self) -> float:
        """The effect as the verdict prints it; infinite where the time-outs leave none to print."""
        gain = self._estimate(stats.median(self.side("A")), stats.median(self.side("B")))
        return math.inf if gain is None else gain

    def _warnings(self, base: float) -> Iterable[str]:
        if self.rule.layout == "fixed" and not self.exact():
            yield "layout not randomised: a gain near 1.5 % may be link-order luck"
        if self._censored():
            a, b = (self.timed_out[side] for side in "AB")
            yield f"runs ended at the time limit (base {a}, candidate {b}) count as the slowest; no interval"
        step = self._grain() * math.sqrt(12.0)
        if step > FINE and step > self._sigma() and not self.rule.counted:
            yield f"readings come in steps of {100 * step:.2g} %: a finer timer or a longer run sees more"
        if self._mixed:
            yield "the metric fell to 0 or below during the test, so there is no interval"
        if self._scale is not None and base == 0.0:
            yield "the base median is 0, so there is no percentage; effect_units is the difference"


def _split(order: str, y: Sequence[float]) -> Tuple[List[float], List[float]]:
    return [v for s, v in zip(order, y) if s == "A"], [v for s, v in zip(order, y) if s == "B"]


def differences(blocks: Sequence[Block]) -> List[float]:
    """Every difference of a reading of A and one of B of the same block."""
    return [u - v for block in blocks for a, b in [_split(*block)] for u in a for v in b]
