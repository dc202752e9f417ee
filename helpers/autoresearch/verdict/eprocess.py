"""The randomised-block e-process. Pure, standard library, Python 3.8: travels to the worker.

Two arguments carry the error rate; nothing is assumed about the noise.

1. Randomisation (Fisher 1935; Rosenbaum 2002, ch. 2). A block is four runs, two of the base (A) and two of
   the candidate (B), in one of six orders drawn uniformly. If A and B behave alike, the order says nothing
   about the four slot values, whatever the machine does. So f(drawn order) / mean of f over the six orders
   has mean 1 given the slots, for any positive f that looks at the labels only through the order.
2. Ville's inequality (1939). The product over blocks, and a mixture of such products, is a non-negative
   martingale of mean 1, so P(it ever reaches 1 / alpha) <= alpha: no fixed number of runs, any stopping.

Here f(o) = exp(theta (m/4) T(o) / s), T = mean of A's slots - mean of B's. Half of the bets are on the values,
clipped, with s a label-blind spread: they win most where the noise is even. Half are on the ranks within the
block, with s = 1: to them a run that other programs held up is the last of its block, no more, however long it
took. Values are logs, so T is a log ratio and positive means the candidate is better. What the bound does not
cover: the luck of one build's memory layout, and a benchmark that knows which side it runs.
"""

from __future__ import annotations

# ruff: noqa: B905 - Python 3.8 has no zip(strict=) and no list[float] at run time
import math
import random
from functools import lru_cache
from typing import List, Optional, Sequence, Tuple

from autoresearch.verdict import stats

ORDERS = ("AABB", "ABAB", "ABBA", "BAAB", "BABA", "BBAA")
PAIRS = ("AB", "BA")
# The mixture over theta needs no guess of the effect's size: small ones win slowly, large ones at once.
THETAS = (0.4, 0.8, 1.6, 3.2, 6.4)
CLIP = 3.5
# 1 / 0.025: each end of the two-sided 95 % interval that holds at any stopping time.
INTERVAL_E = 40.0

# An order and its values in time order.
Block = Tuple[str, Sequence[float]]


def draw_order(rng: random.Random) -> str:
    """One of the six orders of AABB, each with probability 1/6."""
    return ORDERS[rng.randrange(6)]


# Decimal digits of the slot values (logs, or values over their scale) that are believed.
GRID_DIGITS = 12


class EProcess:
    """Evidence that the candidate's gain exceeds `shift` (`up`) and that it falls short of it (`down`).

    Fed with transformed slot values; a block is four slots (six orders) or a pair (AB, BA), drawn uniformly.
    """

    def __init__(self, shift: float = 0.0) -> None:
        self.shift = shift
        # ln of each bet so far: first those on the values, then those on the ranks.
        self._up = [0.0] * (2 * len(THETAS))
        self._down = [0.0] * (2 * len(THETAS))
        self._spreads: List[float] = []

    def add(self, order: str, y: Sequence[float]) -> None:
        """Multiply in one block."""
        m = len(y)
        # On a grid, label-blind: readings that repeat exactly at the shift must not be judged by rounding errors.
        z = [round(v + self.shift if side == "B" else v, GRID_DIGITS) for side, v in zip(order, y)]
        ordered = sorted(z)
        centre = (ordered[m // 2 - 1] + ordered[m // 2]) / 2.0
        w = [v - centre for v in z]
        spread = stats.MEAN_AD_TO_SD * m / (m - 1) * sum(map(abs, w)) / m
        self._spreads.append(spread)
        # A coarse timer can make most spreads 0; any label-blind scale keeps the test exact.
        scale = stats.median(self._spreads) or spread
        if spread == 0.0:
            return
        w = [max(-CLIP * scale, min(CLIP * scale, v)) / scale for v in w]
        # From -(m-1)/2 to (m-1)/2, equal values alike.
        ranks = [sum([(v > u) - (v < u) for u in z]) / 2.0 for v in z]
        for first, x in ((0, w), (len(THETAS), ranks)):
            t = sum([v if side == "A" else -v for side, v in zip(order, x)]) / 2.0
            for i, (theta, log_mean) in enumerate(zip(THETAS, _log_means(tuple(x))), first):
                step = theta * t
                self._up[i] += step - log_mean
                self._down[i] += -step - log_mean

    @property
    def spread(self) -> float:
        """Median over the blocks of the label-blind spread of one run; 0 before the first block."""
        return stats.median(self._spreads) if self._spreads else 0.0

    @property
    def log_up(self) -> float:
        """ln E: evidence for gain > shift."""
        return _log_mean_exp(self._up)

    @property
    def log_down(self) -> float:
        """ln E-: evidence for gain < shift."""
        return _log_mean_exp(self._down)


def evidence(blocks: Sequence[Block], shift: float) -> EProcess:
    """The e-process after all `blocks`, (order, transformed values)."""
    process = EProcess(shift)
    for order, y in blocks:
        process.add(order, y)
    return process


def interval(blocks: Sequence[Block], gain: float, sigma: float) -> Tuple[Optional[float], Optional[float]]:
    """All gains around `gain` that neither direction refutes at `INTERVAL_E`, by bisection outwards.

    `sigma` sets the first step. (None, None) while unbounded: below three blocks, as E grows at most sixfold in one.
    """
    if len(blocks) < 3:
        return None, None
    ends = []
    for sign in (-1.0, 1.0):
        inside, step = gain, max(sigma, 1e-9)
        while not _refuted(blocks, gain + sign * step, sign):
            inside, step = gain + sign * step, step * 2.0
            if step > 1e4 * max(sigma, 1e-3):
                return None, None
        outside = gain + sign * step
        while abs(outside - inside) > max(0.004 * abs(outside - gain), 1e-7):
            middle = (inside + outside) / 2.0
            inside, outside = (inside, middle) if _refuted(blocks, middle, sign) else (middle, outside)
        ends.append(outside)
    return ends[0], ends[1]


def _refuted(blocks: Sequence[Block], shift: float, sign: float) -> bool:
    process = evidence(blocks, shift)
    return (process.log_up if sign < 0 else process.log_down) >= math.log(INTERVAL_E)


@lru_cache(maxsize=256)
def _log_means(x: Tuple[float, ...]) -> List[float]:
    """For each theta, ln of the mean of exp(theta (m/4) T) over all orders; ranks come again and again."""
    # The orders come in mirrored pairs, so half of them and cosh cover all. |x| <= CLIP, so nothing overflows.
    if len(x) == 4:
        a, b, c, d = x
        halves = [(a + b - c - d) / 2.0, (a - b + c - d) / 2.0, (a - b - c + d) / 2.0]
    else:
        halves = [(x[0] - x[1]) / 2.0]
    return [math.log(sum([math.cosh(theta * t) for t in halves]) / len(halves)) for theta in THETAS]


def _log_mean_exp(logs: Sequence[float]) -> float:
    top = max(logs)
    return top + math.log(sum([math.exp(v - top) for v in logs]) / len(logs))
