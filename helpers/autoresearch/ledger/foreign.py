"""Other loops' logs, read as they are: pi-autoresearch's layouts, Karpathy's `results.tsv` and its relatives."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autoresearch.errors import BadInput
from autoresearch.ledger.records import (
    UNKNOWN,
    Config,
    Reader,
    Run,
    direction_word,
    status_word,
    timestamp_ms,
)
from autoresearch.ledger.store import blocks, open_ledger, physical_lines, read
from autoresearch.metrics import to_number

# Where a log stands in a directory; the first that exists wins, so `.auto/` before the older layout.
PLACES = (
    ".auto/log.jsonl",
    "autoresearch.jsonl",
    "results.tsv",
    "autoresearch-results.tsv",
    "autoresearch/results.tsv",
)
KARPATHY = ("commit", "val_bpb", "memory_gb", "status", "description")

_COMMIT = ("commit", "git_commit", "commit_hash", "hash", "sha")
_STATUS = ("status", "decision", "verdict", "result", "kept", "keep", "accepted")
_CORRECT = ("correct", "checks_passed", "checks", "passed")
_RUN = ("run", "iteration", "experiment", "iter", "run_id", "exp", "id", "#")
_DESCRIPTION = ("description", "notes", "note", "change", "hypothesis", "strategy")
_STAMP = ("timestamp", "time", "date", "datetime")
_METRIC = ("metric", "metric_value", "primary_metric", "value", "val_bpb", "metric_after", "score")
# Numbers that say what a run was or cost, not how good it was.
_NOT_METRIC = re.compile(
    r"(?:.*_)?id|seed|#|run|iter(?:ation)?|exp(?:eriment)?|cycle|.*_(?:gb|mb|before)|delta.*|guard.*|num_.*|n_.*"
    r"|seconds|.*_seconds|time|timestamp|.*_time|memory.*|commit|batch_size|lines|confidence|segment"
)


@dataclass(frozen=True, slots=True)
class Problem:
    """A physical line (from 1) that gave no record, and why."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Other:
    """A record that is neither header nor run: a hook, a note, a started experiment."""

    raw: dict[str, Any] = field(repr=False)


Entry = Config | Run | Problem | Other


def locate(path: Path | str) -> Path:
    """The log that `path` means: the file itself, or the one that stands in the directory."""
    path = Path(path)
    if not path.is_dir():
        return path
    for place in ("log.jsonl", *PLACES) if path.name == ".auto" else PLACES:
        if (path / place).is_file():
            return path / place
    raise BadInput(
        f"no experiment log in {path}", fix=f"Name the file, or a directory with {', '.join(PLACES[:3])}"
    )


def sniff(head: bytes) -> str:
    """`jsonl`, `tsv` or `empty`, from the first block of a file. Anything that is no table is read as JSON lines."""
    for line in _text(head).split("\n"):
        if not line.strip():
            continue
        if line.startswith("#"):
            if "metric_direction" in line:
                return "tsv"
            continue
        return "tsv" if not line.startswith(("{", "[")) and _header(line.split("\t")) else "jsonl"
    return "jsonl" if _text(head).strip() else "empty"


def kind_of(path: Path | str) -> str:
    """What `sniff` says of a file; BadInput when it cannot be read or holds nothing."""
    with open_ledger(path) as handle:
        kind = next((sniff(block) for block in blocks(handle) if block.strip()), "empty")
    if kind == "empty":
        raise BadInput(f"{path} is empty: it holds no experiments")
    return kind


def entries(path: Path | str, direction: str | None = None) -> Iterator[Entry]:
    """Everything in a log, in order, whatever its format. `direction` overrides what the log says."""
    if kind_of(path) == "tsv":
        yield from (entry for entry in Table(direction).read(path) if entry is not None)
        return
    reader = Reader(direction)
    for line in read(path):
        if line.record is None:
            yield Problem(line.number, line.problem or "not a record")
        else:
            yield reader.take(line.record) or Other(line.record)


class Table:
    """Reads tab-separated results: Karpathy's five columns, or others' with the same kind of names."""

    def __init__(self, direction: str | None = None) -> None:
        self.header: list[str] = []
        self.metric_name = ""
        self.direction = direction
        self.runs = 0

    def read(self, path: Path | str) -> Iterator[Run | Problem | None]:
        """One entry a line; None for the header, comments and blank lines."""
        for number, line in enumerate(physical_lines(path), 1):
            yield self.take(number, _text(line))

    def take(self, number: int, line: str) -> Run | Problem | None:
        line = line.rstrip("\r\x00")
        if not line.strip():
            return None
        if line.startswith("#") and "\t" not in line:
            said = re.search(r"metric_direction:\s*(\w+)", line)
            self.direction = self.direction or (direction_word(said.group(1)) if said else None)
            return None
        cells = [cell.strip() for cell in line.split("\t")]
        if not self.header:
            names = _header(cells)
            if names is None:
                return Problem(number, "not a header of a results table")
            self.header = names
            if [name.lower() for name in cells] == names:
                return None
        elif [name.lower() for name in cells] == self.header:
            return None  # written again by a restarted loop
        return self._row(number, cells)

    def _row(self, number: int, cells: list[str]) -> Run | Problem:
        width = len(self.header)
        if len(cells) == 1 and width > 1:
            return Problem(number, f"1 of {width} columns")
        if len(cells) > width:
            cells = [*cells[: width - 1], " ".join(cells[width - 1 :])]
        row = dict(zip(self.header, cells, strict=False))
        status = self._status(row)
        metric = self._metric(row)
        if metric is None and not _pick(row, _STATUS) and not _pick(row, _COMMIT):
            return Problem(number, "no status, value or commit")
        self.runs += 1
        identity = _pick(row, _RUN)
        fixed = {*_COMMIT, *_STATUS, *_RUN, *_STAMP, self.metric_name}
        values = {name: _number(cell) for name, cell in row.items() if name not in fixed}
        return Run(
            run=int(identity) if re.fullmatch(r"[0-9]{1,18}", identity, re.ASCII) else identity or self.runs,
            commit=_pick(row, _COMMIT),
            metric=metric,
            metrics={name: value for name, value in values.items() if value is not None},
            status=status,
            description=_pick(row, _DESCRIPTION),
            timestamp_ms=timestamp_ms(_pick(row, _STAMP)),
            segment=0,
            raw=row,
        )

    def _status(self, row: dict[str, str]) -> str:
        word = _pick(row, _STATUS)
        if word.lower() in ("true", "yes", "false", "no"):
            return "keep" if word.lower() in ("true", "yes") else "discard"
        if word or any(name in self.header for name in _STATUS):
            return status_word(word)
        # No verdict at all, but a column that says whether the result is valid: a wrong result is no value.
        wrong = _pick(row, _CORRECT).lower() in ("fail", "failed", "false", "no", "0")
        return "checks_failed" if wrong else UNKNOWN

    def _metric(self, row: dict[str, str]) -> float | None:
        if not self.metric_name:
            # The first column with a number in it that can be the objective; failed rows may come before it.
            names = [name for name in _METRIC if name in row] or [
                name
                for name in row
                if name not in (*_DESCRIPTION, *_CORRECT) and not _NOT_METRIC.fullmatch(name)
            ]
            self.metric_name = next((name for name in names if _number(row[name]) is not None), "")
        return _number(row.get(self.metric_name, ""))


def _number(cell: str) -> float | None:
    return to_number(cell[:64].removesuffix("%"))


def _pick(row: dict[str, str], names: tuple[str, ...]) -> str:
    for name in names:
        cell = row.get(name, "")
        if cell not in ("", "-"):
            return cell
    return ""


def _header(cells: list[str]) -> list[str] | None:
    """Column names in lower case; those of Karpathy for a table that lost its header; None for no table."""
    names = [cell.strip().lower() for cell in cells]
    if len(names) < 2:
        return None
    if len(names) in (4, 5) and status_word(names[-2]) != UNKNOWN and (_number(names[1]) is not None):
        return list(KARPATHY if len(names) == 5 else (*KARPATHY[:2], *KARPATHY[3:]))
    known = {*_COMMIT, *_STATUS, *_RUN, *_DESCRIPTION, *_METRIC}
    return (
        names if known.intersection(names) and not any(_number(name) is not None for name in names) else None
    )


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace").lstrip("\ufeff")
