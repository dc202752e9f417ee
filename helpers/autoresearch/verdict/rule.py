"""What a test is asked for: the rule and its presets, and the session's account of errors. Pure; travels.

The presets' numbers come from simulation (`benchmarks/keep_rules.py`): with the default's a change without effect
costs at most 10.5 runs on every machine model, and a session finds most for its runs. A second block before a test may
end would find 1 to 4 more of 100 gains of 5 %, beside other work, too, and cost a quarter more runs for each change
without effect: 16 to 25 % less gain for the same runs, on the models and on recorded busy machines alike.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Dict

# A keep must prove this gain when both sides keep one build each: its layout's luck is no progress. Simulated with a
# layout of sd 0.75 %, 1.4 % of the changes without effect pass; a margin of 1 % lets 5.9 % pass.
FIXED_LAYOUT_MARGIN_PCT = 1.5


@dataclass(frozen=True)
class Rule:
    """How a test decides. Percentages are of the base; max_runs counts both sides.

    alpha: chance of a false keep; beta: chance that a gain of min_effect_pct is refused as too small;
    z: optimism of the futility stop, in standard errors; patience: blocks before it may end a test; margin_pct: a keep
    must prove more than this (for builds whose layout is not randomised); layout: fresh, prebuilt:k, fixed or unknown,
    passed on; counted: the metric is a size or a count (`units`).
    """

    alpha: float = 0.02
    beta: float = 0.2
    min_effect_pct: float = 1.0
    max_runs: int = 72
    z: float = 0.75
    patience: int = 1
    direction: str = "lower"
    margin_pct: float = 0.0
    layout: str = "unknown"
    counted: bool = False

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
    "default": {"alpha": 0.02, "max_runs": 72, "z": 0.75},
    "thorough": {"alpha": 0.01, "max_runs": 120, "z": 1.5, "patience": 3},
}


def next_alpha(t: int, keeps: int, fdr: float = 0.1, horizon: int = 100) -> float:
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
