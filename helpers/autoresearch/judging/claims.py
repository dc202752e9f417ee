"""What the keeps of a session claim together, and what is left of it without their luck. Pure.

Effects are percent of the base, positive = better. They add up as logs: x = -ln(1 - effect / 100).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from autoresearch.ledger.lines import RunLine

# Below this share of what was claimed, the audit looks for the keeps that do not hold (STATISTICS: bisect the stack).
LEAST_RATIO = 0.7
_Z95 = 1.96


def naive(kept: Iterable[RunLine]) -> float | None:
    """Product of the kept effects in percent; None when one of them has no effect. `rescued` keeps claim nothing."""
    total = 0.0
    for record in filter(_claims, kept):
        gain = _gain(record)
        if gain is None:
            return None
        total += gain
    return round(_percent(total), 2)


def shrunken(kept: Sequence[RunLine], tested: Iterable[RunLine]) -> float | None:
    """The keeps' total in percent with every effect shrunken towards 0; None where a keep has no effect or error.

    Normal-normal empirical Bayes (Efron & Morris 1973, JASA 68:117-130): true effects of the tested changes are
    N(0, tau^2), a reading x of one has the error s, so its best guess is x tau^2 / (tau^2 + s^2). tau^2 is the
    moment estimate max(0, (sum x^2/s^2 - n) / sum 1/s^2) (DerSimonian & Laird 1986 with mean 0) over *all* tested
    changes that read better than their base, discards too: guesses under the prior of all that was tried need no
    correction for having picked the best (Efron 2011, JASA 106:1602-1614). Worse ones are left out, as breaking
    things badly is easy and says nothing about the size of gains; by symmetry that leaves tau^2 right.
    """
    readings = [(x, s) for r in tested if (x := _gain(r)) is not None and (s := error(r)) and x > 0.0]
    weight = math.fsum(1.0 / s**2 for _, s in readings)
    excess = math.fsum((x / s) ** 2 for x, s in readings) - len(readings)
    tau2 = max(0.0, excess / weight) if weight else 0.0
    total = 0.0
    for record in filter(_claims, kept):
        x, s = _gain(record), error(record)
        if x is None or s is None:
            return None
        total += x * tau2 / (tau2 + s**2) if s else x
    return round(_percent(total), 2)


def error(line: RunLine) -> float | None:
    """Standard error of a keep's log effect: 2 sigma / sqrt runs for two sides of runs / 2 each.

    Without a sigma, a 95 % interval's width / (2 x 1.96), which errs on the wide side; 0 when readings repeat exactly.
    """
    verdict = line.judged
    if verdict.reason == "deterministic":
        return 0.0
    if verdict.sigma_short_pct is not None and verdict.runs_used:
        return 2.0 * verdict.sigma_short_pct / 100.0 / math.sqrt(verdict.runs_used)
    low, high = verdict.ci_low_pct, verdict.ci_high_pct
    if low is None or high is None or high >= 100.0:
        return None
    return abs(_log(high) - _log(low)) / (2.0 * _Z95)


def ratio(verified: float | None, claimed: float | None) -> float | None:
    """Verified over claimed gain, both in percent; None without a positive claim."""
    return None if verified is None or claimed is None or claimed <= 0.0 else round(verified / claimed, 3)


def excludes(high: float | None, claimed: float | None) -> bool:
    """Whether an interval ends below the claim, by more than the claim's own rounding."""
    return high is not None and claimed is not None and high < claimed - max(0.01, 1e-3 * abs(claimed))


def weakest_first(kept: Iterable[RunLine]) -> list[RunLine]:
    """Keeps by their evidence: the smallest e-value first, exact comparisons last.

    Keeps for the sake of another metric (`rescued`) claim nothing of the objective, so they are left out.
    """

    def evidence(line: RunLine) -> float:
        return math.inf if line.judged.reason == "deterministic" else line.judged.e_value or 0.0

    return sorted(filter(_claims, kept), key=evidence)


def rescued(kept: Iterable[RunLine]) -> bool:
    """Whether a keep was made for the sake of another metric than the objective."""
    return not all(map(_claims, kept))


def _claims(line: RunLine) -> bool:
    return line.judged.reason != "rescued"


def _gain(line: RunLine) -> float | None:
    effect = line.effect_pct
    return None if effect is None or effect >= 100.0 else _log(effect)


def _log(effect_pct: float) -> float:
    return -math.log1p(-effect_pct / 100.0)


def _percent(gain: float) -> float:
    return -100.0 * math.expm1(-gain)
