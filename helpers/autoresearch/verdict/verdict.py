"""What a test found, as a value that knows its words. Pure, standard library, Python 3.8: goes to the worker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Optional, Tuple

from autoresearch.verdict import Reason, Word, stats
from autoresearch.verdict.rule import Rule
from autoresearch.verdict.words import Effect, Quantity, is_worse


@dataclass(frozen=True)
class Verdict:
    """What a test found. Percentages are of the base, positive = better; None = unknown or unbounded.

    `test` is blocks, or for recorded samples signed_rank or rank_sum, which have a p_value. `disturbed`: in some block
    a side's own two readings lay much further apart than the machine's quiet noise explains.
    """

    verdict: Word
    reason: Reason
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
    disturbed: bool = False
    warnings: Tuple[str, ...] = ()

    def to_json(self) -> Dict[str, Any]:
        """All fields as JSON values; numbers rounded to what they are worth."""
        out = {name: stats.rounded(getattr(self, name)) for name in self.__dataclass_fields__}
        return {**out, "warnings": list(self.warnings)}

    @property
    def change(self) -> Effect:
        """What was compared, as `words` says it."""
        return Effect(
            self.effect_pct, self.ci_low_pct, self.ci_high_pct, self.sigma_short_pct, self.runs_used, self.base_median,
            self.candidate_median, linear=self.effect_units is not None, decided=self.verdict == "keep",
        )  # fmt: skip

    def line(self, met: str = "", of: Quantity = Quantity()) -> str:  # noqa: B008 - a value without identity
        """The verdict on one line for a person; `met` is what to say of the runs, `of` what is measured."""
        change, word = self.change, self.verdict.upper()
        if self.reason == "screened":
            said = f"one run, {word}"
        else:
            said = ", ".join(filter(None, [of.said(change), met, word]))
        proof = []
        if self.e_value is not None and self.reason not in ("deterministic", "identical", "invalid", "screened"):
            proof.append(f"e={self.e_value:.3g}, needed {self.e_needed:.4g}")
        if self.p_value is not None:
            proof.append(f"p={self.p_value:.2g}, needed {self.alpha:.2g}")
        if self.sigma_short_pct is not None and self.mde_pct is not None:
            proof.append(f"noise {self.sigma_short_pct:.1f} %, can see ≥ {self.mde_pct:.1f} %")
        why = f" ({'; '.join(proof)})" if proof else ""
        return ", ".join(filter(None, [of.values(change), said])) + f" — {self.reason_text}{why}"


def effect_text(effect: float, low: Optional[float] = None, high: Optional[float] = None) -> str:
    """Such as `+4.9 % [+1.6, +8.3]`, all in percent; without the interval where one of its ends is not known."""
    return f"{effect:+.1f} %{interval_text(low, high)}"


def interval_text(low: Optional[float], high: Optional[float], unknown: str = "") -> str:
    """With a leading space; an end that is not known reads `unknown`, and without that word there is no interval."""
    if not unknown and (low is None or high is None):
        return ""
    ends = [unknown if end is None else f"{end:+.1f}" for end in (low, high)]
    return f" [{', '.join(ends)}]"


def explain(found: Verdict, rule: Rule, peak: float) -> str:
    """The reason in words; a discard says what would settle it. `peak` is the largest E of the test."""
    least, sigma, effect = (max(rule.min_effect_pct, 2.0 * rule.margin_pct), found.sigma_short_pct, found.effect_pct)
    shown = "no percentage" if effect is None else f"{effect:+.2g} %"
    if found.reason == "proven":
        beyond = f" by more than {rule.margin_pct:g} %" if rule.margin_pct else ""
        tests = f"{peak:.3g}" if peak < 1e3 else f"{peak:,.0f}" if peak < 1e6 else f"{peak:.1g}"
        return f"better{beyond}: luck alone looks like this in at most 1 of {tests} tests"
    if found.reason == "deterministic":
        return f"every run of a side gives exactly the same value, and the candidate's is {shown} better"
    if found.reason == "identical":
        return "both sides give exactly the same value"
    if found.reason == "below_min":
        return f"cannot be {least:g} % better (measured {shown})"
    if found.reason == "timeouts":
        return "the candidate overran the time limit of a run more often than the base"
    if found.reason == "undecided":
        return "not decided yet: measure another block"
    goal = least if effect is None or effect < least else effect
    total = None if sigma is None else stats.runs_for(goal, sigma)
    more = None if total is None else max(4, total - found.runs_used)
    settle = "no affordable number of runs would settle it"
    if more is not None and found.reason == "hopeless" and more <= rule.max_runs - found.runs_used:
        settle = "preset thorough goes on longer" if rule.patience < 3 else "a quieter machine would settle it"
    elif more is not None:
        settle = f"{goal:.2g} % needs about {more} more runs at this noise"
    if found.reason == "budget":
        return f"not settled in {found.runs_used} runs (measured {shown}): {settle}"
    if is_worse(found.change):
        return f"worse (measured {shown}): the runs left could not prove a gain"
    if found.disturbed:
        return f"not seen (measured {shown}): too few quiet runs, and those left could not prove it; {settle}"
    if effect is not None and effect <= 0.0:
        return f"no difference shown (measured {shown}): the runs left could not prove a gain; {settle}"
    return f"this machine cannot tell (measured {shown}): the runs left could not prove it; {settle}"
