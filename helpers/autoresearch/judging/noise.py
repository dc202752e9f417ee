"""Is this machine good enough? Robust noise figures of repeated runs of one build. Pure, standard library.

An interleaved A/B sees the short-term noise between neighbouring runs; slow weather cancels in it. So a machine
is judged by the smallest effect a test can show on it, not by its standard deviation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from autoresearch.judging.met import Conditions
from autoresearch.verdict import stats
from autoresearch.verdict.rule import PRESETS

# The field's words for sd / mean.
QUIET_PCT = 2.0
NOISY_PCT = 5.0
# Weather this many times the short-term noise means drift or neighbours.
WEATHER = 2.0
TREND_P = 0.01
ENOUGH = 12


@dataclass(frozen=True)
class NoiseReport:
    """Noise of one build's runs; percentages are of the median's size, None = not known from so few values.

    `cv_pct` sd / mean; `sigma_short_pct` what an interleaved A/B sees; `weather_ratio` sd over short-term noise;
    `outlier_pct` share with modified z > 3.5; `trend_p` Bartels' test; `mde_pct` the smallest effect that
    `max_runs` runs can show; `grade` quiet (< 2 %), fair or noisy (> 5 %) by cv; `good_enough` MDE <= min_effect.
    `delay_pct` is the share of a run in which it waited for its core, `ref_cv_pct` the spread of a paired benchmark's
    reference (`met.Conditions`).
    """

    n: int
    median: float
    cv_pct: float | None
    sigma_short_pct: float | None
    weather_ratio: float | None
    outlier_pct: float
    trend_p: float | None
    mde_pct: float | None
    min_effect_pct: float
    max_runs: int
    grade: str
    good_enough: bool
    warmup_runs: int
    advice: str
    warnings: tuple[str, ...] = ()
    delay_pct: dict[str, float] | None = None
    ref_cv_pct: float | None = None

    def to_json(self) -> dict[str, Any]:
        """All fields as JSON values, `grade` under the name `class`; of what was met, what is known."""
        names = {name: "class" if name == "grade" else name for name in self.__dataclass_fields__}
        out = {told: stats.rounded(getattr(self, name), 4) for name, told in names.items()}
        for name in ("delay_pct", "ref_cv_pct"):
            if out[name] is None:
                del out[name]
        return {**out, "median": self.median, "warnings": list(self.warnings)}

    def line(self) -> str:
        """The report on one line for a person."""
        if self.sigma_short_pct is None or self.cv_pct is None or self.mde_pct is None:
            return f"{self.grade}: {self.n} runs — {self.advice}"
        return (
            f"{self.grade}: cv {self.cv_pct:.2g} %, short-term noise {self.sigma_short_pct:.2g} %, "
            f"can see ≥ {self.mde_pct:.2g} % in {self.max_runs} runs — {self.advice}"
        )


def assess(
    values: Sequence[float],
    *,
    direction: str = "lower",
    min_effect_pct: float = 1.0,
    max_runs: int = PRESETS["default"]["max_runs"],
    warm_up: bool = True,
    timed: bool = True,
    met: Conditions | None = None,
) -> NoiseReport:
    """Noise report of at least two runs of one build, in time order. ValueError for fewer or non-finite values.

    `direction` says which end is slow, for the warm-up (left out of the figures if `warm_up`). Values at or
    below 0 are taken relative to their median size instead of as logs. `timed` says that they are times or rates, so
    that what the runs `met` may be why they vary.
    """
    if len(values) < 2:
        raise ValueError(f"noise needs at least 2 values, got {len(values)}")
    if not all(math.isfinite(v) for v in values):
        raise ValueError("noise needs finite values")
    if direction not in ("lower", "higher"):
        raise ValueError(f"direction must be lower or higher, not {direction!r}")
    warnings: list[str] = []
    warmup = warmup_runs(values, direction) if warm_up else 0
    if warmup:
        warnings.append(f"the first {'run is' if warmup == 1 else f'{warmup} runs are'} slow: warm up before counting")
    kept = values[warmup:]
    size = stats.median([abs(v) for v in kept])
    if min(kept) > 0.0:
        y = [math.log(v) for v in kept]
    else:
        y = [stats.bounded(v / size) for v in kept] if size > 0.0 else list(kept)
    trend, identical = stats.trend_p(y), len(set(kept)) == 1
    common: dict[str, Any] = {
        "n": len(values), "median": stats.median(kept), "outlier_pct": 100.0 * stats.outlier_share(y), "trend_p": trend,
        "min_effect_pct": min_effect_pct, "max_runs": max_runs, "warmup_runs": warmup,
        "ref_cv_pct": met.ref_cv_pct if met else None,
    }  # fmt: skip
    if met is not None and met.met.waited_pct is not None:
        common["delay_pct"] = {"median": met.met.waited_pct, "p90": met.met.worst_pct}
    if size == 0.0:  # there is no percentage of nothing
        warnings.append("the median is 0, so there are no percentages")
        advice = "the median is 0: choose a metric whose size is not 0"
        if identical:
            advice = "always 0: nothing to improve below it"
        return NoiseReport(
            cv_pct=None, sigma_short_pct=None, weather_ratio=None, mde_pct=None, advice=advice,
            grade="quiet" if identical else "noisy", good_enough=identical, warnings=tuple(warnings), **common,
        )  # fmt: skip
    step = stats.resolution(kept) / size
    sigma, weather = stats.sigma_short(y), stats.sd(y)
    hidden = 0.0 if identical and step <= 1e-4 else step / math.sqrt(12.0)
    sigma = max(sigma, hidden)
    shares = [stats.bounded(v / size) for v in kept]
    centre = stats.mean(shares)
    cv = 100.0 * stats.sd(shares) / abs(centre) if centre else 100.0 * weather
    mde = 100.0 * stats.mde(sigma, max_runs)
    ratio = weather / sigma if sigma > 0.0 else None
    if len(kept) < ENOUGH:
        warnings.append(f"only {len(kept)} runs: the noise is known to a factor of 2 at best; 20 are better")
    if ratio is not None and ratio > WEATHER:
        warnings.append(
            f"weather is {ratio:.1f} times the short-term noise: drift or neighbours, harmless if interleaved"
        )
    if trend is not None and trend < TREND_P:
        warnings.append(f"neighbouring runs are alike (p={trend:.1g}): never compare with a stored baseline here")
    if hidden and step > max(1e-4, weather):
        warnings.append(f"readings come in steps of {100 * step:.2g} %: a finer timer or a longer run sees more")
    cause = (met.cause if met else "") if timed else "score more cases a run, or fix what is drawn at random"
    advice = _advice(100.0 * sigma, mde, min_effect_pct, max_runs, cause)
    if identical and mde > min_effect_pct:
        advice = f"all runs give {kept[0]:g}, in steps of {100 * step:.2g} %: nothing smaller shows. "
        advice += "Print more digits, or count more cases"
    return NoiseReport(
        cv_pct=cv, sigma_short_pct=100.0 * sigma, weather_ratio=ratio, mde_pct=mde,
        grade="quiet" if cv < QUIET_PCT else "noisy" if cv > NOISY_PCT else "fair",
        good_enough=mde <= min_effect_pct or sigma == 0.0,
        advice=advice, warnings=tuple(warnings), **common,
    )  # fmt: skip


def warmup_runs(values: Sequence[float], direction: str = "lower") -> int:
    """How many of the first runs (at most a quarter) are slower than the rest beyond doubt.

    A first run counts when its modified z (Iglewicz & Hoaglin 1993) against all later runs, in the slow
    direction, is above 3.5 and it is at least 2 % off; needs eight runs.
    """
    n = len(values)
    if n < 8:
        return 0
    sign = 1.0 if direction == "lower" else -1.0
    rest = [sign * v for v in values[n // 4 :]]
    centre = stats.median(rest)
    scale = max(stats.MAD_TO_SD * stats.mad(rest), 0.02 * abs(centre) / 3.5)
    slow = [sign * v - centre > 3.5 * scale for v in values[: n // 4]]
    # One slow stretch at the start; a later one is a neighbour, not a warm-up.
    return slow.index(False) if False in slow else len(slow)


def _advice(sigma: float, mde: float, least: float, max_runs: int, cause: str) -> str:
    """`cause` is why the values vary, and the remedy; empty where that is not known."""
    if sigma == 0.0:
        return "no noise at all: one comparison decides"
    if mde <= least:
        return f"good enough: {max_runs} runs can show {mde:.2g} %, and {least:g} % is the least worth keeping"
    needed, longer = stats.runs_for(least, sigma), "make the benchmark longer"
    first = f"{max_runs} runs show only gains of {mde:.2g} % and more, not {least:g} %"
    if needed is not None and needed <= 4 * max_runs:
        more = f"raise max_runs to {needed}"
        return (
            f"{first}: {cause}; or {more}" if cause else f"{first}: {more}, {longer}, or keep only gains ≥ {mde:.2g} %"
        )
    others = f"{longer} or steadier, take another machine, or keep only gains ≥ {mde:.2g} %"
    return f"{first}: {cause or others}"
