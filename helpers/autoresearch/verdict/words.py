"""What was measured, in words that say which way: both values, the change, its interval. Pure, Python 3.8: travels.

One convention: the word says the direction ("faster", "larger"), the number is what the second value is away from the
first in percent of it, and the interval is in the direction of the word. A direction is claimed where the interval
excludes 0; else no difference is shown, and the words say how far it may be either way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Optional, Tuple

from autoresearch.verdict import units

# Standard errors below 0 at which a candidate is called worse, and of the interval where the test's own has no ends
# yet (below three blocks). At most 6 % of the changes without effect are called worse on the models of
# `benchmarks/noise_models.py`; on recorded busy machines it is 4 % on average.
WORSE = 3.0
_SIZES = frozenset(["B", "kB", "KB", "MB", "GB", "KiB", "MiB", "GiB", "byte", "bytes"])


@dataclass(frozen=True)
class Effect:
    """A comparison as a verdict has it: percentages of the base, positive = better (100 (1 - exp(-T)) for positive
    values, which `linear` ones are not); None = not known. `decided` says that the rule has called it better."""

    effect_pct: Optional[float]
    low_pct: Optional[float] = None
    high_pct: Optional[float] = None
    sigma_pct: Optional[float] = None
    runs: int = 0
    base: Optional[float] = None
    candidate: Optional[float] = None
    linear: bool = False
    decided: bool = False


@dataclass(frozen=True)
class Quantity:
    """What is measured."""

    metric: str = ""
    unit: str = ""
    direction: str = "lower"

    @property
    def words(self) -> Tuple[str, str]:
        """What a better candidate is, and what a worse one is."""
        if self.direction != "higher" and units.seconds_in(self.metric, self.unit) is not None:
            return "faster", "slower"
        size = self.unit.strip() in _SIZES if self.unit.strip() else self.metric.rpartition("_")[2] in ("bytes", "size")
        less, more = ("smaller", "larger") if size else ("lower", "higher")
        return (more, less) if self.direction == "higher" else (less, more)

    def values(self, change: Effect) -> str:
        """Such as `642 -> 458 ms`; empty where a value is not known."""
        if change.base is None or change.candidate is None:
            return ""
        digits = next((n for n in (4, 6, 9) if amount(change.base, n) != amount(change.candidate, n)), 4)
        both = f"{amount(change.base, digits)} -> {amount(change.candidate, digits)}"
        return f"{both} {self.unit}".rstrip()

    def said(self, change: Effect, *, runs: bool = True) -> str:
        """Such as `26.0 % faster [8.0, 40.0], 36 runs`, or `no difference shown (4 runs, between ... and ...)`."""
        count = f"{change.runs} run{'s' if change.runs != 1 else ''}"
        tail = f", {count}" if runs else ""
        if change.effect_pct is None:
            return count if runs else ""
        low, high = ends(change)
        better, worse = self.words
        effect = change.effect_pct
        if low is None or high is None:
            word = better if effect > 0.0 else worse
            way = f"{self._pct(effect, change)} {word} by the medians" if effect else "no difference"
            return f"{way} (its interval is not known){tail}"
        if low == high == 0.0:
            return f"the same value in every run{tail}"
        if low == high:
            return f"exactly {self._pct(effect, change)} {better if effect > 0.0 else worse}{tail}"
        if change.decided or low > 0.0:
            return f"{self._pct(effect, change)} {better} [{self._end(low, change)}, {self._end(high, change)}]{tail}"
        if high < 0.0:
            near, far = self._end(high, change, -1.0), self._end(low, change, -1.0)
            return f"{self._pct(effect, change)} {worse} [{near}, {far}]{tail}"
        sides = f"between {self._pct(low, change)} {worse} and {self._pct(high, change)} {better}"
        return f"no difference shown ({count}, {sides})" if runs else f"no difference shown ({sides})"

    def _pct(self, effect: float, change: Effect) -> str:
        return f"{_digits(abs(self._away(effect, change)))} %"

    def _end(self, effect: float, change: Effect, sign: float = 1.0) -> str:
        return _digits(sign * self._away(effect, change))

    def _away(self, effect: float, change: Effect) -> float:
        """What the candidate is away from the base in percent of it, positive = better."""
        if change.linear or self.direction != "higher":
            return effect
        return 100.0 / max(1.0 - effect / 100.0, 1e-9) - 100.0


def ends(change: Effect) -> Tuple[Optional[float], Optional[float]]:
    """The interval of an effect: the test's own, or `WORSE` standard errors where that has no ends or these say that
    the candidate is worse."""
    own = change.low_pct, change.high_pct
    if change.low_pct is None or change.high_pct is None:
        return _by_errors(change)
    if change.decided or change.low_pct > 0.0 or change.high_pct < 0.0:
        return own
    wide = _by_errors(change)
    return wide if wide[1] is not None and wide[1] < 0.0 else own


def is_worse(change: Effect) -> bool:
    """Whether the candidate is shown to be worse."""
    high = ends(change)[1]
    return high is not None and high < 0.0


def _by_errors(change: Effect) -> Tuple[Optional[float], Optional[float]]:
    effect, sigma = change.effect_pct, change.sigma_pct
    blocks = change.runs // 4
    if effect is None or not sigma or not blocks or (not change.linear and effect >= 100.0):
        return None, None
    # In a block of four the effect has the sd of one run.
    off = WORSE * sigma / math.sqrt(blocks)
    if change.linear:
        return effect - off, effect + off
    gain = -math.log1p(-effect / 100.0)
    low, high = (-100.0 * math.expm1(min(-(gain + sign * off / 100.0), 600.0)) for sign in (-1.0, 1.0))
    return low, high


def amount(value: float, digits: int = 4) -> str:
    """Four digits that tell; whole numbers as they are."""
    if not math.isfinite(value):
        return "timed out"
    if abs(value) >= 1e15 or 0.0 < abs(value) < 1e-5:
        return f"{value:.{digits}g}"
    if value == int(value) or abs(value) >= 10.0**digits:
        return f"{value:.0f}"
    return f"{value:.{digits}g}"


def _digits(value: float) -> str:
    if abs(value) >= 99.95:
        return f"{value:,.0f}"
    return f"{value:.1f}" if not value or abs(value) >= 0.095 else f"{value:.2g}"
