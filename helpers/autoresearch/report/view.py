"""The ledger as a person wants to see it. Pure: records in, an immutable view out.

Numbers of different hours are never compared. In a session of ours every experiment carries an effect
measured side by side with its own base, so the place of a keep is a chain: level = previous best level x (1 -
effect), with the baseline at level 1. A log of another tool has only single readings; it is shown as claimed,
relative to its first run, and `Segment.verified` is False.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from autoresearch.ledger.records import STATUSES, UNKNOWN, Config, Reader, Run, number
from autoresearch.report.audited import After, Audit
from autoresearch.report.fields import Record, effect_of, mapping_of, percent, text_of
from autoresearch.verdict.verdict import effect_text, interval_text

__all__ = ("REVERTED", "Experiment", "Record", "Segment", "View", "build", "percent")

# Verdicts that end without an interval; elsewhere a missing one means that more blocks are needed.
_EXACT = ("deterministic", "identical", "invalid")
# A keep that `finalize --drop` has taken back. No status of the ledger: the run line says keep for ever.
REVERTED = "reverted"


@dataclass(frozen=True)
class Experiment:
    """One run line. Effects in percent, positive = better, against the experiment's own base.

    `number` counts from 0 (the baseline) within the segment. `position`, `low`, `high` and `best` are percent
    better than the segment's baseline: of this candidate, of its interval, and of the best kept commit after
    it. An interval's end is None where it is unbounded.
    """

    number: int
    run: Run = field(repr=False)
    metric: float | None
    effect: float | None = None
    effect_low: float | None = None
    effect_high: float | None = None
    position: float | None = None
    low: float | None = None
    high: float | None = None
    best: float = 0.0
    overruled: bool = False  # kept although no verdict says so
    reverted: str = ""  # why a keep was taken back

    def text(self, key: str) -> str:
        """A text field of the record; empty when absent."""
        return text_of(self.run.raw, key)

    @property
    def id(self) -> str:
        return self.text("experiment") or f"run {self.run.run}"

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
        return self.text("literature_source") or self.text("source")

    @property
    def hypothesis(self) -> str:
        return self.text("hypothesis") or text_of(mapping_of(self.run.raw.get("asi")), "hypothesis")

    @property
    def verdict(self) -> Record:
        return mapping_of(self.run.raw.get("verdict"))

    @property
    def reason(self) -> str:
        """Why it ended as it did, in words: the error, the failed check, or the verdict's sentence."""
        checks = self.text("checks") if self.status == "checks_failed" else ""
        return (
            self.reverted
            or self.text("error")
            or (f"checks {checks}" if checks else "")
            or text_of(self.verdict, "reason_text")
        )

    @property
    def files(self) -> tuple[str, ...]:
        value = self.run.raw.get("files")
        return tuple(v for v in value if isinstance(v, str)) if isinstance(value, list) else ()

    @property
    def runs(self) -> int:
        """Benchmark runs that it cost."""
        return int(self.run.raw["runs_used"])

    @property
    def seconds(self) -> float:
        return max(0.0, number(self.run.raw.get("seconds")) or 0.0)

    def effect_text(self) -> str:
        """The shortest honest rendering, such as `+4.9 % [+1.6, +8.3]`; empty when nothing was measured."""
        if self.effect is None:
            return "" if self.position is None or self.number == 0 else f"{percent(self.position)} claimed"
        if self.effect_low is None and self.effect_high is None:
            exact = self.verdict.get("reason") in _EXACT
            return effect_text(self.effect) + ("" if exact else " [needs more blocks]")
        return effect_text(self.effect) + interval_text(self.effect_low, self.effect_high, unknown="…")


@dataclass(frozen=True)
class Segment:
    """What stands between two config lines: one objective, one evaluator, one baseline."""

    index: int
    header: Config
    verified: bool
    baseline: Experiment | None
    experiments: tuple[Experiment, ...]  # in ledger order, without the baseline
    baseline_runs: int = 0
    baseline_seconds: float = 0.0
    audit: Audit | None = None

    @property
    def goal(self) -> str:
        return text_of(self.header.raw, "goal") or self.header.name

    @property
    def metric(self) -> str:
        return self.header.metric_name or "metric"

    @property
    def unit(self) -> str:
        return self.header.metric_unit

    @property
    def direction(self) -> str:
        return self.header.direction or "lower"

    @property
    def keeps(self) -> tuple[Experiment, ...]:
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
    def runs(self) -> int:
        return self.baseline_runs + sum(e.runs for e in self.experiments)

    @property
    def seconds(self) -> float:
        return self.baseline_seconds + sum(e.seconds for e in self.experiments)


@dataclass(frozen=True)
class View:
    """All segments that hold a run (or the last header alone); numbers never cross a segment's edge."""

    segments: tuple[Segment, ...]

    @property
    def current(self) -> Segment:
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


def build(records: Iterable[Record]) -> View:
    """Fold ledger records, in file order, into a view; one `Reader` for our ledgers and others'."""
    reader = Reader()
    header = Config("", "", "", None, 0, {})
    runs: list[Run] = []
    after = After()
    segments: list[Segment] = []
    for record in records:
        taken = reader.take(record)
        if isinstance(taken, Config):
            if runs:
                segments.append(_segment(len(segments), header, runs, after))
            header, runs, after = taken, [], After()
        elif taken is not None:
            runs.append(replace(taken, raw=_slim(record)))
            after.changes += taken.status == "keep"
        else:
            after.take(record)
    if not header.raw:
        header = replace(header, metric_name=reader.metric_name, direction=reader.direction)
    if runs or not segments:
        segments.append(_segment(len(segments), header, runs, after))
    return View(tuple(segments))


_SHOWN = (
    *(
        "experiment",
        "kind",
        "commit_full",
        "parent",
        "source",
        "literature_source",
        "hypothesis",
        "asi",
        "files",
    ),
    *(
        "review",
        "lines_added",
        "lines_removed",
        "modes",
        "verdict",
        "checks",
        "error",
        "machine",
        "seconds",
        "noise",
    ),
)


def _slim(record: Record) -> Record:
    """What is shown of a run line: samples and environments of a long session need not stay in memory."""
    return {key: record[key] for key in _SHOWN if key in record} | {"runs_used": _runs(record)}


def _segment(index: int, header: Config, runs: list[Run], after: After) -> Segment:
    ours = "schema" in header.raw and "bestDirection" in header.raw
    if ours or any(isinstance(run.raw.get("verdict"), Mapping) for run in runs):
        return _chained(index, header, runs, after)
    return _claimed(index, header, runs)


def _chained(index: int, header: Config, runs: list[Run], after: After) -> Segment:
    """Ours: levels are products of effects measured side by side, of the keeps that still stand."""
    baseline: Experiment | None = None
    spent_runs, spent_seconds, best = after.runs, after.seconds, 1.0
    levels: dict[str, float] = {}
    found: list[Experiment] = []
    for run in runs:
        if run.raw.get("kind") == "baseline" or (baseline is None and not text_of(run.raw, "experiment")):
            entry = Experiment(0, run, run.metric, position=0.0)
            spent_runs, spent_seconds = spent_runs + entry.runs, spent_seconds + entry.seconds
            baseline = baseline or entry
            levels.setdefault(entry.text("commit_full"), 1.0)
            continue
        verdict = mapping_of(run.raw.get("verdict"))
        effect, low, high = (effect_of(verdict.get(f"{key}_pct")) for key in ("effect", "ci_low", "ci_high"))
        reverted = after.reverted.get(text_of(run.raw, "experiment"), "") if run.status == "keep" else ""
        kept = run.status == "keep" and not reverted
        # A keep is applied to the best commit; anything else stands where its own base stood.
        base = best if kept else levels.get(text_of(run.raw, "parent"), best)
        if kept and effect is not None:
            best *= 1 - effect / 100
        if run.status == "keep":
            levels[text_of(run.raw, "commit_full")] = best
        found.append(
            Experiment(
                len(found) + 1,
                run,
                run.metric,
                effect=effect,
                effect_low=low,
                effect_high=high,
                position=_gain(base, effect),
                low=_gain(base, low),
                high=_gain(base, high),
                best=100 * (1 - best),
                overruled=kept and verdict.get("verdict") != "keep",
                reverted=reverted,
            )
        )
    return Segment(index, header, True, baseline, tuple(found), spent_runs, spent_seconds, after.newest())


def _claimed(index: int, header: Config, runs: list[Run]) -> Segment:
    """Another tool's log: single readings against the segment's first one, as claimed there."""
    sign = 1.0 if header.direction == "higher" else -1.0
    baseline: Experiment | None = None
    best = 0.0
    found: list[Experiment] = []
    for run in runs:
        value = run.measured
        if baseline is None and value is not None:
            baseline = Experiment(0, run, value, position=0.0)
            continue
        position = None
        if baseline is not None and baseline.metric and value is not None:
            position = effect_of(sign * 100 * (value - baseline.metric) / abs(baseline.metric), most=1e6)
        if position is not None and run.status == "keep":
            best = max(best, position)
        found.append(Experiment(len(found) + 1, run, value, position=position, best=best))
    spent = (baseline.runs, baseline.seconds) if baseline else (0, 0.0)
    return Segment(index, header, False, baseline, tuple(found), *spent)


def _runs(record: Record) -> int:
    """Benchmark runs that an experiment cost: as its verdict counts them, else its samples, else one."""
    for place in (mapping_of(record.get("verdict")), record):
        counted = number(place.get("runs_used"))
        if counted is not None:
            return max(0, int(counted))
    samples = record.get("samples")
    return len(samples) if isinstance(samples, list) else 1


def _gain(base: float, effect: float | None) -> float | None:
    return None if effect is None else 100 * (1 - base * (1 - effect / 100))


def _ordered(found: Counter[str]) -> dict[str, int]:
    words = (*STATUSES, REVERTED, UNKNOWN)
    return {status: found[status] for status in words if status in STATUSES or found[status]}
