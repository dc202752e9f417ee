"""What a ledger says as a whole, in one pass and in constant memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from msgspec import DecodeError, Meta, Struct
from msgspec.json import Decoder

from autoresearch.errors import BadInput
from autoresearch.ledger.records import FAILED, RUN_TYPES, STATUSES, UNKNOWN, Header, Reader, Run, is_better
from autoresearch.ledger.store import blocks, open_ledger, read_odd
from autoresearch.peers.foreign import Problem, Table, sniff

# Problems beyond this many are counted, not kept.
SKIPPED_LIMIT = 100
# Records of any other type, without a run number, are neither header nor run.
_LOOKED_AT = frozenset((None, "", "config", "init", *RUN_TYPES))


class Head(Struct, gc=False):
    """The few fields of a record that a summary is made of; all others are passed over without being built."""

    run: Annotated[int, Meta(ge=-(2**53), le=2**53)] | None = None
    type: str | None = None
    metric: float | None = None
    status: str | None = None
    commit: str | None = None
    description: str | None = None
    direction: str | None = None


@dataclass
class Summary:
    """Counts over the whole log; best and baseline of its last segment, as {run, metric, commit, description}.

    `direction_known` is False when nothing in the log says which way is better; then lower is, but in a table whose
    kept values rise.
    """

    path: str
    format: str
    lines: int = 0
    runs: int = 0
    configs: int = 0
    others: int = 0
    segments: int = 0
    by_status: dict[str, int] = field(default_factory=dict)
    skipped: list[dict[str, Any]] = field(default_factory=list)
    skipped_total: int = 0
    name: str = ""
    metric_name: str = ""
    metric_unit: str = ""
    direction: str = "lower"
    direction_known: bool = False
    best: dict[str, Any] | None = None
    baseline: dict[str, Any] | None = None
    last_segment_runs: int = 0

    @property
    def recognised(self) -> bool:
        """False when the file holds nothing that a log holds."""
        return bool(self.runs or self.configs or self.others or self.format != "jsonl")


def summarise(path: Path | str, direction: str | None = None) -> Summary:
    """Read a log of any known format once. `direction` overrides the log's own; BadInput if unreadable or empty."""
    with open_ledger(path) as handle:
        source = blocks(handle)
        first, blank = next(source, b""), 0
        while first and not first.strip():
            blank += first.count(b"\n")
            first = next(source, b"")
        kind = sniff(first)
        if kind == "empty":
            raise BadInput(f"{path} is empty: it holds no experiments")
        tally = _Tally(Summary(str(path), kind, lines=blank), direction)
        everything = _chain(first, source)
        if kind == "jsonl":
            tally.json_lines(everything)
        else:
            tally.table(Table(direction, kind), everything)
    return tally.finish()


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


class _Tally:
    def __init__(self, summary: Summary, direction: str | None) -> None:
        self.summary = summary
        self.reader = Reader(direction)
        self.counts = dict.fromkeys((*STATUSES, UNKNOWN), 0)
        self.segment = 0
        self.first_run = 0
        self.best: float | None = None
        self.decode: Callable[[bytes], dict[str, Any]]
        self.odd: tuple[type[Exception], ...]

    def finish(self) -> Summary:
        summary, reader = self.summary, self.reader
        summary.runs, summary.configs = reader.runs, reader.configs
        summary.segments = reader.segments
        summary.last_segment_runs = reader.runs - self.first_run
        summary.by_status = {status: count for status, count in self.counts.items() if count}
        summary.name, summary.metric_name = reader.name, reader.metric_name
        summary.metric_unit = reader.metric_unit
        summary.direction_known = reader.direction is not None
        summary.direction = reader.direction or summary.direction
        if summary.best is None:
            summary.best = summary.baseline
        return summary

    def table(self, table: Table, source: Iterator[bytes]) -> None:
        trend = _Trend()
        for block in source:
            for line in block.removesuffix(b"\n").split(b"\n"):
                self.summary.lines += 1
                entry = table.take(self.summary.lines, line.decode("utf-8", "replace").lstrip("\ufeff"))
                if isinstance(entry, Problem):
                    self._skip(entry.line, entry.reason)
                elif entry is not None:
                    trend = trend if entry.segment == self.segment else _Trend()
                    self._open_segment(entry.segment)
                    trend.add(entry)
                    self.reader.runs += 1
                    self.reader.direction = table.direction
                    self._run(entry)
        if table.direction is None and trend.rises > 0 and trend.highest is not None:
            self.summary.direction = "higher"
            self.summary.best = _entry(trend.highest)
        self.reader.segment = self.segment
        self.reader.direction = table.direction
        self.reader.metric_name, self.reader.metric_unit = table.metric_name, table.metric_unit

    def json_lines(self, source: Iterator[bytes]) -> None:
        """Whole blocks are decoded at once into the few fields that count; a block that does not decode so is taken
        line by line, and a line with anything unusual field by field."""
        decoder = Decoder(Head)
        odd = self.odd = (DecodeError, UnicodeDecodeError, RecursionError)
        self.decode = Decoder(dict[str, Any]).decode
        for block in source:
            try:
                heads = decoder.decode_lines(block)
            except odd:
                heads = []
            if heads and self._heads(heads, block):
                continue
            for line in block.removesuffix(b"\n").split(b"\n"):
                try:
                    heads = [decoder.decode(line)]
                except odd:
                    heads = []
                if not heads or not self._heads(heads, line):
                    self._odd_line(line, self.summary.lines + 1)
                    self.summary.lines += 1

    def _heads(self, heads: list[Any], block: bytes) -> bool:
        """Count the lines of a block by their heads, and decode in full what is not a plain run.

        False, with nothing counted, unless the n-th head is the n-th line's.
        """
        count = block.count(b"\n") + (block[-1:] != b"\n")
        plain = STATUSES
        unusual = [
            index
            for index, head in enumerate(heads)
            if head.run is None or head.metric is None or head.status not in plain or head.type or head.direction
        ]
        lines = block.split(b"\n", count) if unusual else []
        if len(heads) != count or not all(line[:1] == b"{" and line.rstrip()[-1:] == b"}" for line in lines[:count]):
            return False
        before, looked_at = 0, _LOOKED_AT
        for index in unusual:
            self._plain(heads[before:index])
            before = index + 1
            if heads[index].run is None and heads[index].type not in looked_at:
                self.summary.others += 1
            else:
                self._whole_line(lines[index], self.summary.lines + before)
        self._plain(heads[before:] if before else heads)
        self.summary.lines += count
        return True

    def _plain(self, heads: list[Any]) -> None:
        """Count runs that have everything: the hot path."""
        counts, failed, summary = self.counts, FAILED, self.summary
        self.reader.runs += len(heads)
        for head in heads:
            status = head.status
            counts[status] += 1
            if status not in failed:
                if summary.baseline is None:
                    summary.baseline = _entry(head)
                if status == "keep" and (self.best is None or is_better(head.metric, self.best, self.reader.direction)):
                    self.best = head.metric
                    summary.best = _entry(head)

    def _whole_line(self, line: bytes, number: int) -> None:
        try:
            record = self.decode(line)
        except self.odd:
            self._odd_line(line, number)
        else:
            self._record(record)

    def _odd_line(self, line: bytes, number: int) -> None:
        for part in read_odd(number, line):
            if part.record is None:
                self._skip(part.number, part.problem or "not a record")
            else:
                self._record(part.record)

    def _record(self, record: dict[str, Any]) -> None:
        taken = self.reader.take(record)
        if isinstance(taken, Run):
            self._run(taken)
        elif isinstance(taken, Header):
            self._open_segment(taken.segment)
        else:
            self.summary.others += 1

    def _run(self, run: Run) -> None:
        self.counts[run.status] += 1
        value = run.measured
        if value is None:
            return
        if self.summary.baseline is None:
            self.summary.baseline = _entry(run)
        if run.status == "keep" and (self.best is None or is_better(value, self.best, self.reader.direction)):
            self.best = value
            self.summary.best = _entry(run)

    def _open_segment(self, segment: int) -> None:
        if segment != self.segment:
            self.segment = segment
            self.best = self.summary.best = self.summary.baseline = None
            self.first_run = self.reader.runs

    def _skip(self, line: int, reason: str) -> None:
        self.summary.skipped_total += 1
        if len(self.summary.skipped) < SKIPPED_LIMIT:
            self.summary.skipped.append({"line": line, "reason": reason})


class _Trend:
    """Which way the kept values of a table go: what its loop took for better, where nothing in it says so."""

    def __init__(self) -> None:
        self.rises = 0
        self.last: float | None = None
        self.highest: Run | None = None

    def add(self, run: Run) -> None:
        value = run.measured
        if value is None or (run.status != "keep" and self.last is not None):
            return
        if self.last is not None:
            self.rises += (value > self.last) - (value < self.last)
        self.last = value
        if run.status == "keep" and (self.highest is None or is_better(value, self.highest.metric or 0.0, "higher")):
            self.highest = run


def _entry(run: Any) -> dict[str, Any]:
    value = float(run.metric)
    return {
        "run": run.run, "metric": int(value) if value.is_integer() and abs(value) < 2**53 else value,
        "commit": run.commit or "", "description": run.description or "",
    }  # fmt: skip
