"""Results tables of other loops: Karpathy's five columns and their relatives, with tabs, commas or as markdown."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from autoresearch.ledger.records import (
    COST,
    NEUTRAL,
    NOT_METRIC,
    UNKNOWN,
    Run,
    direction_word,
    status_word,
    timestamp_ms,
)
from autoresearch.ledger.store import physical_lines
from autoresearch.metrics import show, to_number
from autoresearch.peers.digits import plain, style_of

KARPATHY = ("commit", "val_bpb", "memory_gb", "status", "description")
# Tables that are found without their header, in the order of trust: what each column is.
_LAYOUTS = (
    KARPATHY,
    ("commit", "val_bpb", "status", "description"),
    ("iteration", "commit", "metric", "delta", "status", "description"),
    ("iteration", "commit", "metric", "delta", "guard", "status", "description"),
    ("iteration", "commit", "metric", "delta", "guard", "guard_metric", "status", "description"),
)
_COMMIT = ("commit", "git_commit", "commit_hash", "commit_sha", "experiment_commit", "hash", "sha")
_STATUS = (
    "status", "decision", "verdict", "outcome", "result", "kept", "keep", "accepted", "keep/discard", "keep_discard",
)  # fmt: skip
_CORRECT = ("correct", "checks_passed", "checks", "passed")
_STEP = (
    "run", "iteration", "experiment", "iter", "exp", "cycle", "round", "trial", "attempt", "gen", "generation",
)  # fmt: skip
# Columns of nothing but a loop that goes on: its count, or the number that Karpathy's goes on about.
_PLACED = (*_STEP, "val_bpb")
_RUN = (*_STEP, "run_id", "exp_id", "experiment_id", "id", "#", "no")
_DESCRIPTION = (
    "description", "desc", "change", "change_description", "change_summary", "changes", "changes_summary",
    "what_changed", "what", "hypothesis", "idea", "summary", "strategy", "mutation", "approach", "title", "name",
    "notes", "note", "comment", "comments", "reason",
)  # fmt: skip
_STAMP = ("timestamp", "time", "date", "datetime", "ts")
_DIRECTION = ("metric_direction", "direction", "best_direction")
_METRIC = (
    "metric", "metric_value", "primary_metric", "value", "val_bpb", "metric_after", "new_score", "score", "after",
    "result",
)  # fmt: skip
_KNOWN = frozenset((*_COMMIT, *_STATUS, *_CORRECT, *_RUN, *_DESCRIPTION, *_STAMP, *_DIRECTION, *_METRIC))
_KEPT = frozenset(("kept", "keep", "accepted"))
_BOOLEANS = {
    **dict.fromkeys(("true", "yes", "\u2705", "\u2713", "\u2714"), "keep"),
    **dict.fromkeys(("false", "no", "\u274c", "\u2717", "\u2718"), "discard"),
}
# Words of a loop and of hardly anything else: what tells a row of one where no header does.
_SURE = frozenset(("keep", "kept", "discard", "discarded", "crash", "crashed", "revert", "reverted", "baseline"))
_LEADING = re.compile(r"(\w+)\s*(?:[\u2013\u2014:]|-\s)")
_NUMBER = re.compile(
    r"(?:\S{1,32}\s*(?:\u2192|->)\s*)?"  # "22 -> 27": what it was before
    r"([-+]?[0-9.]\S{0,31}?)\s*(%|[a-zA-Z\u00b5]{1,4}(?:/[a-zA-Z]{1,5})?)?(?:\s+\([^()]*\))?"
)
_SAID = re.compile(r"direction:\s*(\w+)|\b(higher|lower)[ _-](?:is[ _-])?better", re.IGNORECASE)
_NAMED = re.compile(r"#\s*(?:metric|metric_name|primary_metric):\s*([A-Za-z_][\w.]*)\s*")
_WORDS = _KNOWN - {*_METRIC, *_CORRECT}
_DELIMITERS = {"csv": ",", "ssv": ";"}
# How many lines are looked at for a row that shows a file to be such a table.
_LOOKED_AT = 200


@dataclass(frozen=True, slots=True)
class Problem:
    """A physical line (from 1) that gave no record, and why."""

    line: int
    reason: str


def sniff_table(text: str) -> str:
    """`tsv`, `csv`, `ssv` (semicolons) or `markdown` for the beginning of a results table, else nothing.

    Any program may write a table with a status or a score; what makes it a loop's is a commit, a verdict that loops
    use, or numbered attempts with a number each.
    """
    lines = text.split("\n")[:_LOOKED_AT]
    for kind, mark in (("tsv", "\t"), ("tsv", "\\t"), ("markdown", "|"), ("ssv", ";"), ("csv", ",")):
        if mark in text and _is_results(Table(kind=kind), lines):
            return kind
    return ""


def _is_results(table: Table, lines: list[str]) -> bool:
    runs: list[Run] = []
    table.learn(lines)
    for number, line in enumerate(lines, 1):
        entry = table.take(number, line)
        if isinstance(entry, Problem) and not table.header:
            return False
        if isinstance(entry, Run):
            runs.append(entry)
    names = frozenset(table.header)
    judged, committed, placed = (bool(names.intersection(kind)) for kind in (_STATUS, _COMMIT, _PLACED))
    if not runs:
        return committed or (judged and placed)
    if any(run.status != UNKNOWN for run in runs):
        return committed or placed or any(run.metric is not None for run in runs)
    if any(run.metric is not None for run in runs):
        return committed or placed
    return committed and judged


class Table:
    """Reads a table line by line. `kind` is how its cells are parted; `direction` overrides what it says."""

    def __init__(self, direction: str | None = None, kind: str = "tsv") -> None:
        self.header: list[str] = []
        self.metric_name = ""
        self.metric_unit = ""
        self.direction = direction
        self.kind = kind
        self.runs = 0
        self.segment = 0
        self.style = ""
        self._label = ""
        self._column = ""
        self._inside = False

    def read(self, path: Path | str) -> Iterator[Run | Problem | None]:
        """One entry a line; None for the header, comments and blank lines."""
        self.learn(_text(line) for line in physical_lines(path))
        for number, line in enumerate(physical_lines(path), 1):
            yield self.take(number, _text(line))

    def learn(self, lines: Iterable[str]) -> None:
        """What a comma means in this table, by all of its lines."""
        cells = (cell for line in lines if "," in line for cell in self._cells(line) or ())
        self.style = style_of(match[1] if (match := _NUMBER.fullmatch(cell[:128])) else cell for cell in cells)

    def take(self, number: int, line: str) -> Run | Problem | None:
        line = line.rstrip("\r\x00")
        cells = self._cells(line)
        if cells is None:
            self._remark(line)
            self._inside = False
            return None
        if self.kind == "markdown" and all(re.fullmatch(r":?-+:?", cell) for cell in cells):
            return None
        first = _name(cells[0])
        names = _header(cells) if not self.header or first in _KNOWN or first == self.header[0] else None
        if self.kind == "markdown" and not self._inside:
            self._inside = True
            # Documents hold other tables too; "name, rank, status" is none of a loop's.
            own = names and (len(_KNOWN.intersection(names)) > 2 or {*_COMMIT, *_PLACED}.intersection(names))
            self._open(names if names and own else [])
            return None
        if names is not None:
            if names != self.header:
                self._open(names)
            return None  # else written again by a restarted loop
        if line.startswith("#") and self.header[:1] != ["#"]:
            return None
        if not self.header:
            if self.kind == "markdown":
                return None  # a row of a table about something else
            guessed = _layout(cells) if self.kind == "tsv" else None
            if guessed is None:
                return Problem(number, "not a header of a results table")
            self._open(guessed)
        return self._row(number, cells)

    def _cells(self, line: str) -> list[str] | None:
        """The cells of a line; None for one that is no part of a table: blank, a comment, prose around markdown."""
        if self.kind == "markdown":
            line = line.strip()
            parts = re.split(r"(?<!\\)\|", line.removeprefix("|").removesuffix("|"))
            return [cell.replace("**", "").strip("*`_ \t") for cell in parts] if line.startswith("|") else None
        if not line.strip() or (line.startswith("#") and "\t" not in line):
            return None
        if self.kind in _DELIMITERS:
            try:
                return [cell.strip() for cell in next(csv.reader([line], delimiter=_DELIMITERS[self.kind]))]
            except csv.Error:
                return [line]
        if "\t" not in line:
            line = line.replace("\\t", "\t")  # an echo that did not expand it
        return [cell.strip() for cell in line.split("\t")]

    def _remark(self, line: str) -> None:
        said = _SAID.search(line[:400])
        if said and not self.direction:
            self.direction = direction_word(said[1] or said[2])
        named = _NAMED.fullmatch(line[:200])
        self._label = named[1] if named else self._label

    def _open(self, names: list[str]) -> None:
        """Another header over other columns begins a segment, since numbers of two tables are never one series."""
        self.header = names
        if not names:
            return
        self.segment += self.runs > 0
        self._column = self.metric_name = self.metric_unit = ""

    def _row(self, number: int, cells: list[str]) -> Run | Problem:
        width = len(self.header)
        if len(cells) == 1 and width > 1:
            return Problem(number, f"1 of {width} columns")
        cells = self._aligned(cells)
        cells = [*cells[: width - 1], *([" ".join(cells[width - 1 :])] if len(cells) >= width else ())]
        row = dict(zip(self.header, cells, strict=False))
        status, commit = self._status(row), _pick(row, _COMMIT)
        metric = self._metric(row)
        cell = row.get(self._column, "")
        if self._number(cell)[0] is None and self._looks(cell):
            return Problem(number, f"its value {show(cell)} can be read in two ways: write points for decimals only")
        if metric is None and not commit and not _pick(row, _STATUS):
            return Problem(number, "no status, value or commit")
        self.runs += 1
        identity = _pick(row, _RUN)
        values = {n: self._number(cell)[0] for n, cell in row.items() if n not in _WORDS and n != self._column}
        return Run(
            run=int(identity) if re.fullmatch(r"[0-9]{1,18}", identity, re.ASCII) else identity or self.runs,
            commit=commit, metric=metric,
            metrics={name: value for name, value in values.items() if value is not None}, status=status,
            description=_pick(row, _DESCRIPTION) or (cells[-1] if len(cells) < width else ""),
            timestamp_ms=timestamp_ms(_pick(row, _STAMP)), segment=self.segment, raw=row,
        )  # fmt: skip

    def _aligned(self, cells: list[str]) -> list[str]:
        """A row with a cell too many or too few, moved so that its verdict stands under the header's."""
        if len(cells) == len(self.header) or "status" not in self.header:
            return cells
        due = self.header.index("status")
        if due < len(cells) and status_word(cells[due]) != UNKNOWN:
            return cells
        found = next((i for i, cell in enumerate(cells) if cell.lower() in _SURE), None)
        return cells if found is None else [*cells[: min(due, found)], *[""] * (due - found), *cells[found:]]

    def _status(self, row: dict[str, str]) -> str:
        for name in _STATUS:
            word = row.get(name, "").lower()
            if name in _KEPT and word in ("0", "1"):
                return "keep" if word == "1" else "discard"
            status = _BOOLEANS.get(word) or status_word(word)
            if status != UNKNOWN or word not in NEUTRAL:
                return status
        if any(name in self.header for name in _STATUS):
            return UNKNOWN
        # No verdict column: it may lead the description, or a column says whether the result is valid at all.
        leading = _LEADING.match(_pick(row, _DESCRIPTION))
        if leading and leading[1].lower() in _SURE:
            return status_word(leading[1])
        wrong = _pick(row, _CORRECT).lower() in ("fail", "failed", "false", "no", "0")
        return "checks_failed" if wrong else UNKNOWN

    def _metric(self, row: dict[str, str]) -> float | None:
        self.direction = self.direction or direction_word(_pick(row, _DIRECTION))
        if not self._column:
            self._column = self._objective(row)
            if self._column and not self.metric_name:
                named = row.get("metric_name") or row.get("metric", "")
                of_row = named if self._column in _METRIC and re.fullmatch(r"[A-Za-z_]\S*", named) else ""
                self.metric_name = of_row or (self._label if self._column == "metric" else "") or self._column
        value, unit = self._number(row.get(self._column, ""))
        if value is not None and unit:
            self.metric_unit = self.metric_unit or unit
        return value if unit in ("", self.metric_unit) else None

    def _objective(self, row: dict[str, str]) -> str:
        """The first column with a number in it that can be the objective; failed rows may come before it."""
        usual = [name for name in _METRIC if name in row]
        other = [
            name
            for name in row
            if name not in (*_DESCRIPTION, *_CORRECT, *_STAMP, *_STATUS, *_COMMIT, *_RUN)
            and not NOT_METRIC.fullmatch(name[:64])
        ]
        good = [name for name in other if not COST.fullmatch(name[:64])]
        for names in (usual, good or other):
            found = next((name for name in names if self._looks(row[name])), "")
            if found:
                return found
        return ""

    def _number(self, cell: str) -> tuple[float | None, str]:
        return _number(cell, self.style)

    def _looks(self, cell: str) -> bool:
        """Whether it is a number, also one that may be two."""
        return any(_number(cell, style)[0] is not None for style in (self.style, "thousands"))


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace").lstrip("\ufeff")


def _number(cell: str, style: str = "") -> tuple[float | None, str]:
    """A finite number and its unit: "42", "42.3s", "68.6%", "18 (+157%)", "22 -> 27"; else (None, "").

    `style` says what a comma is in this table; without it, `1,234` is no number.
    """
    value = to_number(plain(cell[:64], style) or "")
    if value is not None:
        return value, ""
    match = _NUMBER.fullmatch(cell) if len(cell) <= 128 else None
    value = to_number(plain(match[1], style) or "") if match else None
    return (None, "") if match is None or value is None else (value, match[2] or "")


def _pick(row: dict[str, str], names: tuple[str, ...]) -> str:
    for name in names:
        cell = row.get(name, "")
        if cell not in ("", "-", "\u2014"):
            return cell
    return ""


def _header(cells: list[str]) -> list[str] | None:
    """Column names in lower case, those we know in one spelling; None for what is no header of such a table."""
    names = [_name(cell) for cell in cells]
    known = _KNOWN.intersection(names)
    judged = known.intersection((*_STATUS, *_COMMIT))
    described = known.intersection(_PLACED) and known.intersection(_DESCRIPTION)
    kinds = len(known) + ("guard" in names)
    if len(names) < 2 or not (judged or described) or kinds < 2:
        return None
    # A row of values may hold such words by chance, but then a number stands beside them.
    return None if any(_number(name)[0] is not None for name in names) else names


def _name(cell: str) -> str:
    name = cell.strip().strip("*`\"' ").lower()
    name = name.lstrip("# ").rstrip("?: ") or name
    spelt = re.sub(r"[\s-]+", "_", name)
    return spelt if spelt in _KNOWN else name


def _layout(cells: list[str]) -> list[str] | None:
    """Column names for the first row of a table that has no header."""
    at = [i for i, cell in enumerate(cells) if cell.lower() in _SURE]
    for layout in _LAYOUTS:
        if len(layout) == len(cells) and layout.index("status") in at:
            value = cells[1 if "val_bpb" in layout else 2]
            placed = "iteration" not in layout or cells[0].isdigit()
            if placed and (value == "-" or _number(value)[0] is not None):
                return list(layout)
    rest = [i for i in range(len(cells)) if i not in at]
    first = cells[0]
    if len(at) != 1 or len(cells) < 4 or not (first.isdigit() or re.fullmatch(r"HEAD|[0-9a-f]{7,40}", first)):
        return None
    names = [f"column {i + 1}" for i in range(len(cells))]
    names[0], names[at[0]] = "iteration" if first.isdigit() else "commit", "status"
    texts = [i for i in rest[1:] if _number(cells[i])[0] is None]
    if texts:
        names[max(texts, key=lambda i: len(cells[i]))] = "description"
    # Which of several numbers is the objective nothing says; one that is signed is a difference.
    numbers = [i for i in rest[1:] if i not in texts and cells[i][:1] not in "+-"]
    for i in numbers:
        names[i] = "metric" if len(numbers) == 1 else f"guard {i}"
    return names
