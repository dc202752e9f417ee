"""When is a keep a keep? The rule over the e-process. Pure, standard library, Python 3.8: goes to the worker.

Keep when E >= 1 / alpha. By the randomisation argument and Ville's inequality (both in `eprocess`) the chance
of ever keeping a change without effect is then at most alpha, whatever the noise and whenever one looks. The
other stops only discard, so they cannot raise it: the gain is refuted at min_effect_pct, or the runs left
could not prove what is still likely, or the budget is spent.
"""

from __future__ import annotations

# ruff: noqa: B905 - Python 3.8 has no zip(strict=)
import math
from dataclasses import dataclass, replace
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from autoresearch import stats
from autoresearch.eprocess import ORDERS, PAIRS, EProcess, draw_order, interval

__all__ = (
    "ORDERS", "PRESETS", "Rule", "SequentialTest", "Verdict", "draw_order", "epoch_start", "explain", "judge",
    "judge_samples", "next_alpha",
)  # fmt: skip

# The largest growth of ln E that is counted on per future block: 0.8 ln 6.
MAX_GROWTH = 0.8 * math.log(6.0)
# Readings this fine (five significant digits) do not repeat by luck: repeats mean that there is no noise.
FINE = 1e-4
# Two gains closer than this share are the same gain, written by different arithmetic.
CLOSE = 1.0 - 1e-9


@dataclass(frozen=True)
class Rule:
    """How a test decides. Percentages are of the base; max_runs counts both sides.

    alpha: chance of a false keep; beta: chance that a gain of min_effect_pct is refused as too small;
    z: optimism of the futility stop, in standard errors; margin_pct: a keep must prove more than this (for
    builds whose layout is not randomised); layout: fresh, prebuilt:k, fixed or unknown, passed on.
    """

    alpha: float = 0.02
    beta: float = 0.2
    min_effect_pct: float = 1.0
    max_runs: int = 60
    z: float = 1.0
    direction: str = "lower"
    margin_pct: float = 0.0
    layout: str = "unknown"

    def __post_init__(self) -> None:
        for name in ("alpha", "beta"):
            if not 0.0 < getattr(self, name) < 1.0:
                raise ValueError(f"{name} must lie between 0 and 1, not {getattr(self, name)!r}")
        for name, most in (("min_effect_pct", 100.0), ("margin_pct", 50.0)):
            if not 0.0 <= getattr(self, name) < most:
                raise ValueError(f"{name} must be from 0 to below {most:g}, not {getattr(self, name)!r}")
        if self.direction not in ("lower", "higher"):
            raise ValueError(f"direction must be lower or higher, not {self.direction!r}")
        if self.max_runs < 4:
            raise ValueError(f"max_runs must be at least 4, one block, not {self.max_runs!r}")

    @classmethod
    def preset(cls, name: str, **changes: Any) -> Rule:
        """`lean` (slow benchmarks), `default` or `thorough` (claims, cv >= 5 %); changes of None are ignored."""
        if name not in PRESETS:
            raise ValueError(f"preset must be one of {', '.join(PRESETS)}, not {name!r}")
        return replace(cls(**PRESETS[name]), **{k: v for k, v in changes.items() if v is not None})

    @property
    def least_pct(self) -> float:
        """The smallest gain worth keeping: a margin needs twice itself to be seen."""
        return max(self.min_effect_pct, 2.0 * self.margin_pct)


PRESETS: Dict[str, Dict[str, Any]] = {
    "lean": {"alpha": 0.05, "max_runs": 36, "z": 1.0},
    "default": {"alpha": 0.02, "max_runs": 60, "z": 1.0},
    "thorough": {"alpha": 0.01, "max_runs": 120, "z": 1.5},
}


@dataclass(frozen=True)
class Verdict:
    """What a test found. Percentages are of the base, positive = better; None = unknown or unbounded.

    `reason`: proven, deterministic (keep); identical, below_min, hopeless, budget, undecided, invalid
    (discard). `test` is blocks, or for recorded samples signed_rank or rank_sum, which have a p_value.
    """

    verdict: str
    reason: str
    reason_text: str
    effect_pct: Optional[float] = None
    ci_low_pct: Optional[float] = None
    ci_high_pct: Optional[float] = None
    e_value: Optional[float] = None
    e_needed: float = 50.0
    runs_used: int = 0
    blocks: int = 0
    sigma_short_pct: Optional[float] = None
    mde_pct: Optional[float] = None
    layout: str = "unknown"
    alpha: float = 0.02
    order_known: bool = True
    test: str = "blocks"
    p_value: Optional[float] = None
    base_median: Optional[float] = None
    candidate_median: Optional[float] = None
    effect_units: Optional[float] = None
    warnings: Tuple[str, ...] = ()

    def to_json(self) -> Dict[str, Any]:
        """All fields as JSON values; numbers rounded to what they are worth."""
        out = {name: _rounded(getattr(self, name)) for name in self.__dataclass_fields__}
        return {**out, "warnings": list(self.warnings)}

    def line(self) -> str:
        """The verdict on one line for a person."""
        parts = [self.verdict.upper()]
        if self.e_value is not None and self.reason not in ("deterministic", "identical", "invalid"):
            parts.append(f"e={self.e_value:.3g} (needed {self.e_needed:.4g})")
        if self.p_value is not None:
            parts.append(f"p={self.p_value:.2g} (needed {self.alpha:.2g})")
        if self.effect_pct is not None:
            parts.append(f"{self.effect_pct:+.1f} %")
        if self.ci_low_pct is not None and self.ci_high_pct is not None:
            parts.append(f"[{self.ci_low_pct:+.1f}, {self.ci_high_pct:+.1f}]")
        parts.append(f"{self.runs_used} runs")
        if self.sigma_short_pct is not None and self.mde_pct is not None:
            parts[-1] += f", noise {self.sigma_short_pct:.1f} %, can see ≥ {self.mde_pct:.1f} %"
        return " ".join(parts) + f" — {self.reason_text}"


def next_alpha(t: int, keeps: int, fdr: float = 0.2, horizon: int = 100) -> float:
    """alpha of a session's test number `t` (from 1) by e-LOND: fdr (keeps + 1) / horizon.

    Xu & Ramdas 2024, "Online multiple testing with e-values": with sum gamma_t <= 1, here gamma = 1/horizon,
    the expected share of false keeps is at most `fdr` under any dependence. The budget lasts `horizon` tests;
    then a new epoch begins, with the same bound of its own: `keeps` counts the keeps since `epoch_start(t)`.
    """
    if t < 1 or keeps < 0 or horizon < 1 or not 0.0 < fdr <= 1.0:
        raise ValueError(f"next_alpha: t, keeps, fdr or horizon out of range: {t}, {keeps}, {fdr}, {horizon}")
    # No more keeps than tests so far in this epoch: a caller that counts all keeps gains little by it.
    keeps = min(keeps, t - epoch_start(t, horizon))
    return min(fdr * (keeps + 1) / horizon, 0.999)


def epoch_start(t: int, horizon: int = 100) -> int:
    """Number (from 1) of the first test in the epoch of test `t`."""
    return (t - 1) // horizon * horizon + 1


class SequentialTest:
    """One A/B test, fed block by block; the same blocks always give the same verdict."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.blocks = 0
        self.reason = "undecided"
        self.peak_log_e = 0.0
        self._raw: List[Tuple[str, Sequence[float]]] = []
        self._y: List[Tuple[str, Sequence[float]]] = []
        self._scale: Optional[float] = None  # None: y are logs; else plain values over this scale
        self._mixed = False
        self._gain = EProcess()
        self._enough = EProcess()

    def add_block(self, order: str, values: Sequence[Optional[float]]) -> Optional[Verdict]:
        """Take the values of one block in time order; the verdict when decided, None = measure another block.

        A missing or non-finite value makes the block invalid for both sides: the answer says so and the block
        is not taken. ValueError when `order` is not one of `ORDERS` (or AB, BA) or the lengths differ.
        """
        good = [v for v in values if v is not None and math.isfinite(v)]
        if len(good) < len(values):
            text = "a run gave no number, so its block decides nothing for either side"
            return replace(self.verdict(), verdict="discard", reason="invalid", reason_text=text)
        return None if self.step(order, good) == "undecided" else self.verdict()

    def step(self, order: str, values: Sequence[float]) -> str:
        """`add_block` for finite values, answering the reason only (the interval costs most of a verdict)."""
        if order not in ORDERS + PAIRS or len(values) != len(order):
            raise ValueError(f"a block is an order such as ABBA and its values, not {order!r}, {len(values)}")
        if self._scale is None and min(values) <= 0.0:
            # Logs end here. Earlier blocks keep their factors: E stays a martingale. The scale sees no label.
            self._scale = stats.median([abs(v) for v in [*self._flat(), *values]]) or 1.0
            self._mixed = self.blocks > 0
        if self.blocks == 0:
            self._gain = EProcess(self._delta(self.rule.margin_pct))
            self._enough = EProcess(self._delta(self.rule.least_pct))
        sign = 1.0 if self.rule.direction == "lower" else -1.0
        # The bound keeps sums of absurd values finite; it sees no label.
        y = [sign * max(-1e100, min(1e100, self._unit(v))) for v in values]
        self._raw.append((order, tuple(values)))
        self._y.append((order, y))
        self.blocks += 1
        self._gain.add(order, y)
        self._enough.add(order, y)
        self.peak_log_e = max(self.peak_log_e, self._gain.log_up)
        self.reason = self._decide()
        return self.reason

    def verdict(self) -> Verdict:
        """The state now, with the interval and the words."""
        rule, reason = self.rule, self.reason if self.blocks else "invalid"
        common: Dict[str, Any] = {
            "verdict": "keep" if reason in ("proven", "deterministic") else "discard",
            "reason": reason, "e_needed": 1.0 / rule.alpha, "alpha": rule.alpha, "layout": rule.layout,
        }  # fmt: skip
        if not self.blocks:
            return Verdict(reason_text="no block of runs was measured", **common)
        base, candidate = stats.median(self.side("A")), stats.median(self.side("B"))
        gain, sigma = self._gain_mean(), self._sigma()
        ends: Tuple[Optional[float], Optional[float]] = (None, None)
        if self.exact():
            ends = gain, gain
        elif not self._mixed and not self._repeats():  # a coarse timer's repeats hide their own error
            ends = interval(self._y, gain, sigma)
        sign = 1.0 if rule.direction == "lower" else -1.0
        out = Verdict(
            reason_text="", effect_pct=self._pct(gain, base), ci_low_pct=self._pct(ends[0], base),
            ci_high_pct=self._pct(ends[1], base), e_value=math.exp(min(self._gain.log_up, 600.0)),
            runs_used=len(self._flat()), blocks=self.blocks, sigma_short_pct=self._share(sigma, base),
            mde_pct=self._share(stats.mde(sigma, rule.max_runs), base), base_median=base,
            candidate_median=candidate, effect_units=sign * (base - candidate) if self._scale else None,
            warnings=tuple(self._warnings(base)), **common,
        )  # fmt: skip
        return replace(out, reason_text=explain(out, rule, math.exp(min(self.peak_log_e, 600.0))))

    def side(self, side: str) -> List[float]:
        """The values of one side ("A" or "B") as measured, in time order."""
        return [v for order, block in self._raw for s, v in zip(order, block) if s == side]

    def _unit(self, value: float) -> float:
        return math.log(value) if self._scale is None else value / self._scale

    def _flat(self) -> List[float]:
        return [v for _, block in self._raw for v in block]

    def _decide(self) -> str:
        rule, left, gain = self.rule, self.rule.max_runs // 4 - self.blocks, self._gain_mean()
        needed = math.log(1.0 / rule.alpha)
        repeats = self._repeats()
        if repeats and self.exact():
            if gain == 0.0:
                return "identical"
            least = self._delta(max(rule.min_effect_pct, rule.margin_pct))
            return "deterministic" if gain > 0.0 and gain >= least * CLOSE else "below_min"
        if self._gain.log_up >= needed:
            return "below_min" if repeats and gain < self._delta(rule.least_pct) * CLOSE else "proven"
        if repeats and gain == 0.0 and self.blocks > 1:
            return "identical"
        if self._enough.log_down >= math.log(1.0 / rule.beta):
            return "below_min"
        if left <= 0:
            return "budget"
        # What the blocks left can add to ln E if the gain is z standard errors better than it looks.
        tau = max(stats.median([_own_spread(*block) for block in self._y]), self._grain(), 1e-12)
        best = max(0.0, gain - self._gain.shift + rule.z * tau / math.sqrt(self.blocks))
        if self._gain.log_up + left * min(min(best / tau, 9.0) ** 2 / 2.0, MAX_GROWTH) < needed:
            return "hopeless"
        return "undecided"

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

    def _gain_mean(self) -> float:
        """T averaged over the blocks."""
        if not self._mixed:
            return stats.mean([_contrast(*block) for block in self._y])
        raw = stats.mean([_contrast(*block) for block in self._raw])
        return (raw if self.rule.direction == "lower" else -raw) / (self._scale or 1.0)

    def _sigma(self) -> float:
        """sd of one run, from the differences of a block's own-side readings, pooled over blocks."""
        sides = [side for block in self._y if len(block[1]) == 4 for side in _split(*block)]
        hidden = 0.0 if self.exact() else self._grain()
        return max(stats.sigma_from_differences([s[1] - s[0] for s in sides]) if sides else 0.0, hidden)

    def _grain(self) -> float:
        """sd that the rounding of the readings hides: step / sqrt 12, in the units of y."""
        flat = self._flat()
        return stats.resolution(flat) / (self._scale or stats.median(flat)) / math.sqrt(12.0)

    def _repeats(self) -> bool:
        """Every re-reading of a side equals its first one."""
        return all(len(set(self.side(side))) == 1 for side in "AB") and len(self._flat()) > 3

    def exact(self) -> bool:
        """`_repeats`, in steps too fine for luck: sizes, counts and allocations, not a coarse timer."""
        return self._repeats() and self._grain() * math.sqrt(12.0) <= FINE

    def _warnings(self, base: float) -> Iterable[str]:
        if self.rule.layout == "fixed" and not self.exact():
            yield "layout not randomised: gains below about 1.5 % may be link-order luck"
        step = self._grain() * math.sqrt(12.0)
        if step > FINE and step > self._sigma():
            yield f"readings come in steps of {100 * step:.2g} %: a finer timer or a longer run sees more"
        if self._mixed:
            yield "the metric fell to 0 or below during the test, so there is no interval"
        if self._scale is not None and base == 0.0:
            yield "the base median is 0, so there is no percentage; effect_units is the difference"


def explain(found: Verdict, rule: Rule, peak: float) -> str:
    """The reason in words; a discard says what would settle it."""
    least, sigma, effect = (
        max(rule.min_effect_pct, 2.0 * rule.margin_pct),
        found.sigma_short_pct,
        found.effect_pct,
    )
    shown = "no percentage" if effect is None else f"{effect:+.2g} %"
    if found.reason == "proven":
        more = f" by more than {rule.margin_pct:g} %" if rule.margin_pct else ""
        return f"better{more}: luck alone looks like this in at most 1 of {peak:.3g} tests"
    if found.reason == "deterministic":
        return f"every run of a side gives exactly the same value, and the candidate's is {shown} better"
    if found.reason == "identical":
        return "both sides give exactly the same value"
    if found.reason == "below_min":
        return f"cannot be {least:g} % better (measured {shown})"
    if found.reason == "undecided":
        return "not decided yet: measure another block"
    goal = least if effect is None or effect < least else effect
    total = None if sigma is None else stats.runs_for(goal, sigma)
    settle = "no affordable number of runs would settle it" if total is None else (
        f"{goal:.2g} % needs about {max(4, total - found.runs_used)} more runs at this noise"
    )  # fmt: skip
    if found.reason == "budget":
        return f"not settled in {found.runs_used} runs (measured {shown}): {settle}"
    if effect is not None and effect <= -least:
        return f"worse (measured {shown}): the runs left could not prove a gain"
    if effect is not None and effect <= 0.0:
        return f"no gain in sight (measured {shown}): the runs left could not prove one; {settle}"
    return f"this machine cannot tell (measured {shown}): the runs left could not prove it; {settle}"


def judge(rule: Rule, blocks: Iterable[Tuple[str, Sequence[Optional[float]]]]) -> Verdict:
    """Replay recorded blocks, (order, values in time order), up to the first decision."""
    test = SequentialTest(rule)
    for order, values in blocks:
        found = test.add_block(order, values)
        if found is not None:
            return found
    return test.verdict()


def judge_samples(data: Mapping[str, Any]) -> Verdict:
    """The verdict on recorded samples; see `autoresearch.recorded`, which does not travel to the worker."""
    from autoresearch.recorded import judge_samples as judge_recorded

    return judge_recorded(data)


def _split(order: str, y: Sequence[float]) -> Tuple[List[float], List[float]]:
    return [v for s, v in zip(order, y) if s == "A"], [v for s, v in zip(order, y) if s == "B"]


def _contrast(order: str, y: Sequence[float]) -> float:
    """T: mean of A's slots minus mean of B's."""
    a, b = _split(order, y)
    return math.fsum(a) / len(a) - math.fsum(b) / len(b)


def _own_spread(order: str, y: Sequence[float]) -> float:
    """r: 1.2533 (k / (k - 1)) mean |y - own side's median|, k = 2 runs a side (0 for a pair)."""
    if len(y) < 4:
        return 0.0
    a, b = _split(order, y)
    return stats.MEAN_AD_TO_SD * 2.0 * (abs(a[0] - a[1]) + abs(b[0] - b[1])) / 4.0


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value
