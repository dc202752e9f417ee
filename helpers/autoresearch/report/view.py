"""The ledger as a person wants to see it. Pure: a history in, an immutable view out.

Numbers of different hours are never compared. In a session of ours every experiment carries an effect
measured side by side with its own base, so the place of a keep is a chain: level = previous best level x (1 -
effect), with the baseline at level 1. A log of another tool has only single readings; it is shown as claimed,
relative to its first run, and `SegmentView.verified` is False.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

from msgspec.structs import replace

from autoresearch.judging.met import together, told
from autoresearch.ledger.history import History, Segment
from autoresearch.ledger.lines import AuditLine, RunLine
from autoresearch.ledger.records import STATUSES, UNKNOWN, Run
from autoresearch.report.fields import effect_of, percent, text_of
from autoresearch.verdict.verdict import effect_text, interval_text

# Verdicts that end without an interval; elsewhere a missing one means that more blocks are needed.
_EXACT = ("deterministic", "identical", "invalid")
# A keep that `finalize --drop` has taken back. No status of the ledger: the run line says keep for ever.
REVERTED = "reverted"


@dataclass(frozen=True)
class ExperimentView:
    """One run line. Effects in percent, positive = better, against the experiment's own base.

    `number` counts from 0 (the baseline) within the segment. `position`, `low`, `high` and `best` are percent
    better than the segment's baseline: of this candidate, of its interval, and of the best kept commit after
    it. An interval's end is None where it is unbounded.
    """

    number: int
    run: Run = field(repr=False)
    line: RunLine = field(repr=False)
    metric: float | None
    effect: float | None = None
    effect_low: float | None = None
    effect_high: float | None = None
    position: float | None = None
    low: float | None = None
    high: float | None = None
    best: float = 0.0
    met: str = ""  # what its runs met on their machine, where that is of note
    overruled: bool = False  # kept although no verdict says so
    reverted: str = ""  # why a keep was taken back

    @property
    def id(self) -> str:
        return self.line.experiment or f"run {self.run.run}"

    @property
    def status(self) -> str:
        """One of the four status words, `reverted` for a keep taken back, or `unknown` in another tool's log."""
        return REVERTED if self.reverted else self.run.status

    @property
    def description(self) -> str:
        return self.run.description

    @property
    def source(self) -> str:
        """The literature behind it, if any was named."""
        return self.line.literature_source or self.line.source

    @property
    def hypothesis(self) -> str:
        return self.line.hypothesis or text_of(self.line.asi, "hypothesis")

    @property
    def reason(self) -> str:
        """Why it ended as it did, in words: the error, the failed check, or the verdict's sentence."""
        checks = self.line.checks if self.status == "checks_failed" else ""
        return (
            self.reverted or self.line.error or (f"checks {checks}" if checks else "") or self.line.judged.reason_text
        )

    @property
    def runs(self) -> int:
        """Benchmark runs that it cost."""
        return self.line.cost_runs

    def effect_text(self) -> str:
        """The shortest honest rendering, such as `+4.9 % [+1.6, +8.3]`; empty when nothing was measured."""
        if self.effect is None:
            return "" if self.position is None or self.number == 0 else f"{percent(self.position)} claimed"
        if self.effect_low is None and self.effect_high is None:
            exact = self.line.judged.reason in _EXACT
            return effect_text(self.effect) + ("" if exact else " [needs more blocks]")
        return effect_text(self.effect) + interval_text(self.effect_low, self.effect_high, unknown="…")


@dataclass(frozen=True)
class SegmentView:
    """What stands between two config lines: one objective, one evaluator, one baseline."""

    index: int
    folded: Segment
    verified: bool
    baseline: ExperimentView | None
    experiments: tuple[ExperimentView, ...]  # in ledger order, without the baseline
    audit: AuditLine | None = None

    @property
    def goal(self) -> str:
        return self.folded.line.goal or self.folded.header.name

    @property
    def metric(self) -> str:
        return self.folded.header.metric_name or "metric"

    @property
    def unit(self) -> str:
        return self.folded.header.metric_unit

    @property
    def direction(self) -> str:
        return self.folded.header.direction or "lower"

    @property
    def later(self) -> int:
        """Keeps and reverts since the audit: 0 = it is of this tip."""
        return self.folded.changes

    @property
    def keeps(self) -> tuple[ExperimentView, ...]:
        return tuple(e for e in self.experiments if e.status == "keep")

    @property
    def claimed(self) -> float:
        """Percent that the standing keeps claim together; `audit` has what of it was re-verified."""
        return self.experiments[-1].best if self.experiments else 0.0

    @property
    def counts(self) -> dict[str, int]:
        """Experiments by status, the four words first; `unknown` only where there is such."""
        return _ordered(Counter(e.status for e in self.experiments))

    @property
    def _costly(self) -> list[RunLine | AuditLine]:
        return [*(line for _, line in self.folded.runs), *(self.folded.audits if self.verified else ())]

    @property
    def runs(self) -> int:
        return sum(max(0, line.cost_runs) for line in self._costly)

    @property
    def seconds(self) -> float:
        return math.fsum(max(0.0, line.seconds) for line in self._costly)

    @property
    def met(self) -> str:
        """What its runs met on their machine, where that is of note."""
        return told(together(line.met for _, line in self.folded.runs), self.metric, self.unit)


@dataclass(frozen=True)
class View:
    """All segments that hold a run (or the last header alone); numbers never cross a segment's edge."""

    segments: tuple[SegmentView, ...]

    @property
    def current(self) -> SegmentView:
        return self.segments[-1]

    @property
    def counts(self) -> dict[str, int]:
        return _ordered(Counter(e.status for s in self.segments for e in s.experiments))

    @property
    def experiments(self) -> int:
        return sum(len(s.experiments) for s in self.segments)

    @property
    def runs(self) -> int:
        return sum(s.runs for s in self.segments)

    @property
    def seconds(self) -> float:
        return sum(s.seconds for s in self.segments)


def build(history: History) -> View:
    """The view of a ledger, ours or another loop's."""
    segments = [s for s in history.segments if s.runs] or (history.segments or [Segment()])[-1:]
    return View(tuple(_view(index, segment) for index, segment in enumerate(segments)))


def _view(index: int, segment: Segment) -> SegmentView:
    if segment.line.ours or any(line.verdict is not None for _, line in segment.runs):
        return _chained(index, segment)
    return _claimed(index, segment)


def _chained(index: int, segment: Segment) -> SegmentView:
    """Ours: levels are products of effects measured side by side, of the keeps that still stand."""
    baseline: ExperimentView | None = None
    best = 1.0
    levels: dict[str, float] = {}
    found: list[ExperimentView] = []
    measured = segment.header.metric_name, segment.header.metric_unit
    for run, line in segment.runs:
        verdict = line.judged
        met = told(line.met, *measured, disturbed=verdict.disturbed)
        if line.kind == "baseline" or (baseline is None and not line.experiment):
            baseline = baseline or ExperimentView(0, run, line, run.metric, position=0.0, met=met)
            levels.setdefault(line.commit_full, 1.0)
            continue
        effect, low, high = map(effect_of, (verdict.effect_pct, verdict.ci_low_pct, verdict.ci_high_pct))
        revert = segment.reverted.get(line.experiment) if run.status == "keep" else None
        kept = run.status == "keep" and revert is None
        # A keep is applied to the best commit; anything else stands where its own base stood.
        base = best if kept else levels.get(line.parent, best)
        if kept and effect is not None:
            best *= 1 - effect / 100
        if run.status == "keep":
            levels[line.commit_full] = best
        found.append(
            ExperimentView(
                len(found) + 1, run, line, run.metric, effect=effect, effect_low=low, effect_high=high,
                position=_gain(base, effect), low=_gain(base, low), high=_gain(base, high), best=100 * (1 - best),
                met=met, overruled=kept and verdict.verdict != "keep",
                reverted=(revert.reason or "taken back") if revert else "",
            )
        )  # fmt: skip
    audit = _bounded(segment.audits[-1]) if segment.audits else None
    return SegmentView(index, segment, True, baseline, tuple(found), audit)


def _bounded(audit: AuditLine) -> AuditLine:
    """An audit of whose effects only those stand that a measurement can have."""
    names = ("effect_pct", "ci_low_pct", "ci_high_pct", "claimed_pct", "shrunken_pct")
    unseen = audit.heldout and replace(audit.heldout, effect_pct=effect_of(audit.heldout.effect_pct))
    return replace(audit, heldout=unseen, **{name: effect_of(getattr(audit, name)) for name in names})


def _claimed(index: int, segment: Segment) -> SegmentView:
    """Another tool's log: single readings against the segment's first one, as claimed there."""
    sign = 1.0 if segment.header.direction == "higher" else -1.0
    baseline: ExperimentView | None = None
    best = 0.0
    found: list[ExperimentView] = []
    for run, line in segment.runs:
        value = run.measured
        if baseline is None and value is not None:
            baseline = ExperimentView(0, run, line, value, position=0.0)
            continue
        position = None
        if baseline is not None and baseline.metric and value is not None:
            position = effect_of(sign * 100 * (value - baseline.metric) / abs(baseline.metric), most=1e6)
        if position is not None and run.status == "keep":
            best = max(best, position)
        found.append(ExperimentView(len(found) + 1, run, line, value, position=position, best=best))
    return SegmentView(index, segment, False, baseline, tuple(found))


def _gain(base: float, effect: float | None) -> float | None:
    return None if effect is None else 100 * (1 - base * (1 - effect / 100))


def _ordered(found: Counter[str]) -> dict[str, int]:
    words = (*STATUSES, REVERTED, UNKNOWN)
    return {status: found[status] for status in words if status in STATUSES or found[status]}
