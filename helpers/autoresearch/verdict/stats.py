"""Robust estimators of location, scale and trend. Pure, standard library, Python 3.8: travels to the worker.

Sequences are flat lists of finite floats; nothing here logs, scales or drops values.
"""

from __future__ import annotations

import math
from typing import Any, List, Optional, Sequence

# Makes the median absolute deviation estimate the sd of a normal: 1 / Phi^-1(3/4).
MAD_TO_SD = 1.4826
# Makes the mean absolute deviation estimate the sd of a normal: sqrt(pi / 2).
MEAN_AD_TO_SD = 1.2533
# Measured power constant of the block test: the effect found in about 8 of 10 tests of 60 runs is 1.3 sigma.
MDE_FACTOR = 1.3
MDE_RUNS = 60


def bounded(value: float) -> float:
    """The value, or 1e100 of its sign: sums and squares of absurd values stay finite."""
    return max(-1e100, min(1e100, value))


def e_value(log_e: float) -> float:
    """E, with the largest ones cut to what a float holds."""
    return math.exp(min(log_e, 600.0))


def rounded(value: Any, digits: int = 6) -> Any:
    """A float to its significant digits, None for one that JSON does not have; anything else as it is."""
    if not isinstance(value, float):
        return value
    return float(f"{value:.{digits}g}") if math.isfinite(value) else None


def median(values: Sequence[float]) -> float:
    """The middle value, or the mean of the two middle ones. ValueError when empty."""
    if not values:
        raise ValueError("median of no values")
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2.0


def mad(values: Sequence[float]) -> float:
    """Median absolute deviation from the median, unscaled (Hampel 1974). ValueError when empty."""
    centre = median(values)
    return median([abs(v - centre) for v in values])


def mean(values: Sequence[float]) -> float:
    """Arithmetic mean, summed exactly. ValueError when empty."""
    if not values:
        raise ValueError("mean of no values")
    return math.fsum(values) / len(values)


def sd(values: Sequence[float]) -> float:
    """Sample standard deviation with n - 1. ValueError below two values."""
    if len(values) < 2:
        raise ValueError("standard deviation needs two values")
    centre = mean(values)
    return math.sqrt(math.fsum((v - centre) ** 2 for v in values) / (len(values) - 1))


def sigma_from_differences(differences: Sequence[float]) -> float:
    """sd of one reading from differences of two alike readings: 1.4826 median|d| / sqrt 2.

    A median of 0 (a coarse timer) falls back to the mean: 1.2533 mean|d| / sqrt 2.
    """
    sizes = [abs(d) for d in differences]
    robust = MAD_TO_SD * median(sizes)
    return (robust if robust > 0.0 else MEAN_AD_TO_SD * mean(sizes)) / math.sqrt(2.0)


def sigma_short(values: Sequence[float]) -> float:
    """Short-term sd: 1.4826 median|y_2k - y_2k-1| / sqrt 2 over disjoint neighbours in time order.

    What an interleaved A/B sees: slow weather cancels between neighbours. ValueError below two values.
    """
    if len(values) < 2:
        raise ValueError("short-term sigma needs two values")
    return sigma_from_differences([values[i + 1] - values[i] for i in range(0, len(values) - 1, 2)])


def ranks(values: Sequence[float]) -> List[float]:
    """Ranks from 1, ties get their mean rank; same order as the input."""
    order = sorted(range(len(values)), key=lambda i: values[i])
    out = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end + 1 < len(order) and values[order[end + 1]] == values[order[start]]:
            end += 1
        for position in range(start, end + 1):
            out[order[position]] = (start + end) / 2.0 + 1.0
        start = end + 1
    return out


def normal_cdf(x: float) -> float:
    """P(Z <= x) of the standard normal."""
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


def trend_p(values: Sequence[float]) -> Optional[float]:
    """One-sided p of drift or regimes: Bartels' rank version of von Neumann's ratio.

    RVN = sum (R_i - R_i+1)^2 / sum (R_i - mean R)^2 has mean 2 and variance
    4 (n-2) (5n^2 - 2n - 9) / (5n (n+1) (n-1)^2) for independent values (Bartels 1982, JASA 77:40-46);
    neighbours that are alike make it small. None below ten values or when all are equal.
    """
    n = len(values)
    if n < 10:
        return None
    rank = ranks(values)
    centre = (n + 1) / 2.0
    total = math.fsum((r - centre) ** 2 for r in rank)
    if total == 0.0:
        return None
    ratio = math.fsum((rank[i] - rank[i + 1]) ** 2 for i in range(n - 1)) / total
    variance = 4.0 * (n - 2) * (5.0 * n * n - 2.0 * n - 9.0) / (5.0 * n * (n + 1) * (n - 1) ** 2)
    return normal_cdf((ratio - 2.0) / math.sqrt(variance))


def outlier_share(values: Sequence[float], cut: float = 3.5) -> float:
    """Share (0 to 1) of values with modified z = 0.6745 |x - median| / MAD above `cut`.

    Iglewicz & Hoaglin 1993; a MAD of 0 falls back to |x - median| / (1.2533 mean absolute deviation).
    """
    if not values:
        return 0.0
    centre = median(values)
    sizes = [abs(v - centre) for v in values]
    scale = median(sizes) / 0.6745
    if scale == 0.0:
        scale = MEAN_AD_TO_SD * mean(sizes)
    return sum(s > cut * scale for s in sizes) / len(sizes) if scale > 0.0 else 0.0


def mde(sigma: float, max_runs: int) -> float:
    """Smallest effect that `max_runs` runs can show, in the unit of `sigma`: 1.3 sigma sqrt(60 / runs)."""
    return MDE_FACTOR * sigma * math.sqrt(MDE_RUNS / max(1, max_runs))


def runs_for(effect: float, sigma: float) -> Optional[int]:
    """Runs (a multiple of four, at least 12) that show `effect` at noise `sigma`: `mde` solved for runs.

    None when no number of runs would do (effect <= 0) or none that anyone would wait for (> 100,000).
    """
    if not (0.0 < effect < math.inf and sigma <= 100.0 * effect):
        return None
    exact = MDE_RUNS * (MDE_FACTOR * sigma / effect) ** 2
    return None if exact > 100_000 else max(12, 4 * math.ceil(exact / 4.0 - 1e-9))


def resolution(values: Sequence[float]) -> float:
    """Smallest decimal step at which all values can be written: 0.01 for 0.12 and 0.3; 1 for integers."""
    return 10.0 ** -max([_decimals(v) for v in values], default=0)


def _decimals(value: float) -> int:
    """Digits after the point in the shortest text that reads back as `value`."""
    mantissa, _, exponent = repr(float(value)).partition("e")
    fraction = mantissa.partition(".")[2].rstrip("0")
    return max(0, len(fraction) - int(exponent or 0))
