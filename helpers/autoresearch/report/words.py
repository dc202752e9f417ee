"""Small renderings that the documents, the chart and the command share. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from autoresearch.ledger.lines import AuditLine, Record, RunLine
from autoresearch.report.fields import percent
from autoresearch.verdict.verdict import interval_text
from autoresearch.verdict.words import Effect

if TYPE_CHECKING:
    from autoresearch.report.view import SegmentView

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_STATUS_WORDS = {"keep": "kept", "discard": "discarded", "crash": "crashed", "checks_failed": "failed checks"}


def change_of(line: RunLine) -> Effect:
    """What a run line says of its candidate against its own base."""
    verdict, base, value = line.judged, line.base_metric, line.metric
    known = base is not None and verdict.effect_pct is not None
    return Effect(
        verdict.effect_pct, verdict.ci_low_pct, verdict.ci_high_pct, verdict.sigma_short_pct, verdict.runs_used or 0,
        base if known else None, value if known else None, linear=known and min(base or 0.0, value or 0.0) <= 0.0,
        decided=line.status == "keep",
    )  # fmt: skip


def amount(value: float | None, unit: str = "") -> str:
    """Six significant digits and the unit; a dash for no value."""
    return "–" if value is None else f"{value:.6g} {unit}".rstrip()


def duration(seconds: float) -> str:
    """Such as `45 s`, `12 min` or `3 h 05 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = math.floor(seconds / 60 + 0.5)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def moment(milliseconds: float | None) -> str:
    """A ledger time stamp as UTC; empty when there is none or it is no date."""
    if milliseconds is None:
        return ""
    try:
        return f"{_EPOCH + timedelta(milliseconds=milliseconds):%Y-%m-%d %H:%M} UTC"
    except OverflowError:
        return ""


def plural(count: int, word: str) -> str:
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def tally(counts: Mapping[str, int]) -> str:
    """Such as `3 kept, 8 discarded, 1 crashed`; what did not occur is left out, but kept is always said."""
    said = [
        f"{count} {_STATUS_WORDS.get(status, status)}" for status, count in counts.items() if count or status == "keep"
    ]
    return ", ".join(said)


def claim(segment: SegmentView) -> str:
    """The honest total of one segment."""
    if not segment.verified:
        return f"best claim {percent(segment.claimed)} against the first run (single readings, not verified)"
    if segment.audit is None:
        return f"sum of claims {percent(segment.claimed)}, not yet re-verified"
    if segment.later:
        since = plural(segment.later, "change")
        return f"sum of claims {percent(segment.claimed)}; verified {audited(segment.audit)}, {since} ago"
    return f"verified {audited(segment.audit)} (sum of claims {percent(segment.claimed)})"


def audited(audit: AuditLine) -> str:
    """Such as `+4.9 % [+1.6, +8.3]`."""
    if audit.effect_pct is None:
        return "not measurable"
    return percent(audit.effect_pct) + interval_text(audit.ci_low_pct, audit.ci_high_pct)


def reverified(audit: AuditLine, later: int) -> Record:
    """An audit's figures; `older` when keeps or reverts, `later` of them, have moved the best commit since."""
    low, high = audit.ci_low_pct, audit.ci_high_pct
    ends = None if low is None or high is None else [low, high]
    return {"effect_pct": audit.effect_pct, "ci_pct": ends, "verified": audit.verified, "older": later > 0}


def counted(segment: SegmentView) -> str:
    """How many experiments, and how they ended."""
    return f"{plural(len(segment.experiments), 'experiment')}: {tally(segment.counts)}"


def cost(segment: SegmentView) -> str:
    """Such as `120 runs, 12 min`, and what the runs met where that is of note."""
    time = duration(segment.seconds) if segment.seconds else ""
    return ", ".join(filter(None, [plural(segment.runs, "run"), time, segment.met]))


def summary(segment: SegmentView) -> str:
    """One line: how many experiments, how they ended, what they cost and what they claim."""
    return f"{counted(segment)}; {cost(segment)}; {claim(segment)}"
