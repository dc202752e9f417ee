"""Exact one-sided rank tests with Hodges-Lehmann intervals, for samples whose order was not kept. Pure.

Differences are in the units of the input; a positive shift means that the first sample (the base) is larger.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from autoresearch.verdict import stats

# Above this many values the normal approximation is closer than anyone needs.
EXACT = 60
# More values than this a side are thinned to quantiles for the interval, which needs all pairs.
THIN = 150


@dataclass(frozen=True)
class Shift:
    """A one-sided p-value for "the shift is above 0", the estimate, and a two-sided interval (None = unbounded)."""

    p_value: float
    estimate: float
    low: float | None
    high: float | None


def signed_rank(differences: Sequence[float], level: float = 0.95) -> Shift:
    """Wilcoxon 1945: if the sign of each difference is a fair coin, given its size, the p-value is exact.

    Zeros take part in the ranking and then say nothing (Pratt 1959). The estimate is the median of the Walsh
    averages (Hodges & Lehmann 1963). ValueError when empty.
    """
    if not differences:
        raise ValueError("signed_rank of no pairs")
    doubled = [round(2 * r) for r in stats.ranks([abs(d) for d in differences])]
    live = [r for r, d in zip(doubled, differences, strict=True) if d != 0.0]
    seen = sum(r for r, d in zip(doubled, differences, strict=True) if d > 0.0)
    if len(live) <= EXACT:
        p = _tail(_product(live), seen) if live else 1.0
    else:
        p = _normal_tail(seen, sum(live) / 2.0, math.sqrt(sum(r * r for r in live)) / 2.0)
    thin = _thin(differences)
    n = len(thin)
    walsh = sorted((thin[i] + thin[j]) / 2.0 for i in range(n) for j in range(i, n))
    total = n * (n + 1) / 2.0
    spread = math.sqrt(n * (n + 1) * (2 * n + 1) / 24.0)
    poly = _product(list(range(1, n + 1))) if n <= EXACT else None
    return Shift(p, stats.median(walsh), *_ends(walsh, poly, total / 2.0, spread, level, len(differences) / n))


def rank_sum(base: Sequence[float], candidate: Sequence[float], level: float = 0.95) -> Shift:
    """Mann & Whitney 1947, exact given the ties: p for "the base is larger" if all runs were independent.

    The estimate is the median of all differences base - candidate (Hodges & Lehmann 1963). ValueError if empty.
    """
    if not base or not candidate:
        raise ValueError("rank_sum needs values on both sides")
    n, m = len(base), len(candidate)
    doubled = [round(2 * r) for r in stats.ranks([*base, *candidate])]
    seen = sum(doubled[:n])
    if n + m <= EXACT:
        p = _tail(_choose(doubled, n), seen)
    else:
        mean = stats.mean(doubled)
        spread = math.sqrt(n * m * math.fsum((r - mean) ** 2 for r in doubled) / ((n + m) * (n + m - 1.0)))
        p = _normal_tail(seen, n * mean, spread)
    left, right = _thin(base), _thin(candidate)
    gaps = sorted(a - b for a in left for b in right)
    n1, n2 = len(left), len(right)
    poly = _choose(list(range(1, n1 + n2 + 1)), n1) if n1 + n2 <= EXACT else None
    if poly is not None:
        poly = _Counts(poly.packed >> (n1 * (n1 + 1) // 2 * poly.width), poly.width)
    spread = math.sqrt(n1 * n2 * (n1 + n2 + 1) / 12.0)
    return Shift(p, stats.median(gaps), *_ends(gaps, poly, n1 * n2 / 2.0, spread, level, (n + m) / (n1 + n2)))


def in_blocks(blocks: Sequence[tuple[str, Sequence[float]]]) -> Shift:
    """Rank sums within blocks of drawn order (such as "ABBA", values in time order): p for "the base is larger".

    Exact whatever the noise: had a side's name no part in its values, all orders of a block were as likely. The
    estimate is the median of the differences base - candidate within blocks (Hodges & Lehmann 1963): a disturbed run is
    the last of its block, no more. No interval. ValueError if empty."""
    chance: dict[int, float] = {0: 1.0}
    seen, gaps = 0, []
    for order, values in blocks:
        doubled = [round(2 * r) for r in stats.ranks(values)]
        base = [i for i, side in enumerate(order) if side == "A"]
        seen += sum(doubled[i] for i in base)
        gaps += [values[i] - v for i in base for v, side in zip(values, order, strict=True) if side == "B"]
        sums = [sum(chosen) for chosen in combinations(doubled, len(base))]
        added: dict[int, float] = {}
        for before, p in chance.items():
            for rise in sums:
                added[before + rise] = added.get(before + rise, 0.0) + p / len(sums)
        chance = added
    return Shift(math.fsum(p for total, p in chance.items() if total >= seen), stats.median(gaps), None, None)


@dataclass(frozen=True)
class _Counts:
    """How many arrangements give each rank sum: coefficients of a polynomial, packed into one integer.

    Python multiplies and shifts big integers at C speed, so the exact distribution costs milliseconds.
    """

    packed: int
    width: int

    def below(self, limit: int) -> int:
        """Arrangements with a sum below `limit`."""
        return _digit_sum(self.packed & ((1 << (max(0, limit) * self.width)) - 1), self.width)

    def total(self) -> int:
        return _digit_sum(self.packed, self.width)


def _digit_sum(packed: int, width: int) -> int:
    # Modulo 2^w - 1 a number in base 2^w is its digit sum; the width leaves room for all of it.
    return packed % ((1 << width) - 1)


def _product(ranks: Sequence[int]) -> _Counts:
    """Sums over all subsets."""
    width = len(ranks) + 2
    packed = 1
    for rank in ranks:
        packed += packed << (rank * width)
    return _Counts(packed, width)


def _choose(ranks: Sequence[int], size: int) -> _Counts:
    """Sums over the subsets of `size` members."""
    width = len(ranks) + 2
    table = [1] + [0] * size
    for rank in ranks:
        for k in range(size, 0, -1):
            table[k] += table[k - 1] << (rank * width)
    return _Counts(table[size], width)


def _tail(counts: _Counts, seen: int) -> float:
    """P(sum >= seen)."""
    total = counts.total()
    return (total - counts.below(seen)) / total


def _normal_tail(seen: float, mean: float, spread: float) -> float:
    """P(sum >= seen) with a continuity correction; ranks are doubled, so half a step is 1."""
    return stats.normal_cdf((mean - seen + 1.0) / spread) if spread > 0.0 else 1.0


def _ends(
    ordered: Sequence[float], counts: _Counts | None, mean: float, spread: float, level: float, thinned: float
) -> tuple[float | None, float | None]:
    """The order statistics that cut off (1 - level) / 2 at each end."""
    tail = (1.0 - level) / 2.0
    if counts is not None:
        total, cut = counts.total(), 0
        while counts.below(cut + 1) <= tail * total:
            cut += 1
    else:
        # Thinned values stand for `thinned` as many, so their rank is that much less uncertain.
        cut = math.floor(mean - 1.96 * spread / math.sqrt(thinned))
    return (ordered[cut - 1], ordered[-cut]) if cut >= 1 else (None, None)


def _thin(values: Sequence[float]) -> list[float]:
    """The values, or THIN evenly spaced quantiles of many."""
    ordered = sorted(values)
    n = len(ordered)
    return ordered if n <= THIN else [ordered[(2 * i + 1) * n // (2 * THIN)] for i in range(THIN)]
