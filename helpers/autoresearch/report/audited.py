"""What a ledger says of its keeps afterwards: audits, and keeps taken back. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from autoresearch.ledger.records import number
from autoresearch.report.fields import Record, effect_of, mapping_of, percent, text_of
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


@dataclass
class After:
    """What a segment's records say of its keeps afterwards: audits, and keeps taken back."""

    changes: int = 0
    reverted: dict[str, str] = field(default_factory=dict)
    audit: Audit | None = None
    runs: int = 0
    seconds: float = 0.0

    def take(self, record: Record) -> None:
        """Fold a record that is neither header nor run; others than ours are passed over."""
        if record.get("type") == "revert" and text_of(record, "experiment"):
            self.reverted[text_of(record, "experiment")] = text_of(record, "reason") or "taken back"
            self.changes += 1
        elif record.get("type") == "audit" and text_of(record, "tip"):
            self.audit, self.changes = read_audit(record), 0
            self.runs += max(0, int(number(record.get("cost_runs")) or 0))
            self.seconds += max(0.0, number(record.get("seconds")) or 0.0)

    def newest(self) -> Audit | None:
        """The last audit, with its age."""
        return replace(self.audit, later=self.changes) if self.audit is not None else None


def read_audit(record: Record) -> Audit:
    """The audit of a ledger line; what is no number there is None here."""
    heldout, refuted = mapping_of(record.get("heldout")), record.get("refuted")
    return Audit(
        effect=effect_of(record.get("effect_pct")),
        low=effect_of(record.get("ci_low_pct")),
        high=effect_of(record.get("ci_high_pct")),
        verified=record.get("verified") is True,
        runs=int(number(record.get("runs_used")) or 0),
        claimed=effect_of(record.get("claimed_pct")),
        shrunken=effect_of(record.get("shrunken_pct")),
        heldout=effect_of(heldout.get("effect_pct")),
        refuted=tuple(r for r in refuted if isinstance(r, str)) if isinstance(refuted, list) else (),
        fitted=heldout.get("proven") is False,
    )
