"""What an audit says of a segment's keeps. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from autoresearch.ledger.lines import AuditLine, HeldoutFields
from autoresearch.report.fields import effect_of, percent
from autoresearch.verdict.verdict import interval_text


@dataclass(frozen=True)
class Audit:
    """A fresh A/B of the best commit against the segment's baseline; percent, positive = better.

    `effect` is None where the commit did not run. `later` counts the keeps and reverts since: 0 = of this tip.
    """

    effect: float | None
    low: float | None
    high: float | None
    verified: bool
    runs: int
    claimed: float | None
    shrunken: float | None
    heldout: float | None
    refuted: tuple[str, ...]
    fitted: bool = False  # there is a held-out benchmark, and it proves no gain
    later: int = 0

    def effect_text(self) -> str:
        """Such as `+4.9 % [+1.6, +8.3]`."""
        if self.effect is None:
            return "not measurable"
        return percent(self.effect) + interval_text(self.low, self.high)


def read_audit(line: AuditLine, later: int) -> Audit:
    """The audit of a ledger line, and how many keeps and reverts came after it."""
    heldout = line.heldout or HeldoutFields()
    return Audit(
        effect=effect_of(line.effect_pct),
        low=effect_of(line.ci_low_pct),
        high=effect_of(line.ci_high_pct),
        verified=line.verified,
        runs=line.runs_used,
        claimed=effect_of(line.claimed_pct),
        shrunken=effect_of(line.shrunken_pct),
        heldout=effect_of(heldout.effect_pct),
        refuted=tuple(line.refuted),
        fitted=heldout.proven is False,
        later=later,
    )
