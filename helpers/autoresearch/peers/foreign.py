"""Other loops' logs, read as they are: pi-autoresearch's layouts, Karpathy's `results.tsv` and its relatives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autoresearch.errors import BadInput
from autoresearch.ledger.records import Header, Reader, Run
from autoresearch.ledger.store import blocks, open_ledger, read
from autoresearch.peers.table import KARPATHY as KARPATHY
from autoresearch.peers.table import Problem as Problem
from autoresearch.peers.table import Table as Table
from autoresearch.peers.table import sniff_table

# Where a log stands in a directory; the first that exists wins, so `.auto/` before the older layout.
PLACES = (
    ".auto/log.jsonl", "autoresearch.jsonl", "results.tsv", "autoresearch-results.tsv", "autoresearch/results.tsv",
)  # fmt: skip
_SNIFFED = 1 << 18


@dataclass(frozen=True, slots=True)
class Other:
    """A record that is neither header nor run: a hook, a note, a started experiment."""

    raw: dict[str, Any] = field(repr=False)


LogEntry = Header | Run | Problem | Other


def locate(path: Path | str) -> Path:
    """The log that `path` means: the file itself, or the one that stands in the directory."""
    path = Path(path)
    if not path.is_dir():
        return path
    places = ("log.jsonl", *PLACES) if path.name == ".auto" else PLACES
    found = [path / place for place in places if (path / place).is_file()]
    if not found:
        raise BadInput(
            f"no experiment log in {path}", fix=f"Name the file, or a directory with {', '.join(PLACES[:3])}"
        )
    # A results.tsv may be any program's; it does not hide a log behind it.
    return next((log for log in found if log.suffix == ".jsonl" or _holds_results(log)), found[0])


def _holds_results(path: Path) -> bool:
    with open_ledger(path) as handle:
        head = next((block for block in blocks(handle) if block.strip()), b"")
    return sniff(head) not in ("jsonl", "empty") or head.lstrip().startswith(b"{")


def sniff(head: bytes) -> str:
    """`jsonl`, `empty` or the kind of table (`tsv`, `csv`, `markdown`), from the first block of a file.

    Anything that is no results table is read as JSON lines, and its lines are then named as what they are not.
    """
    text = _text(head[:_SNIFFED]).lstrip()
    if not text:
        return "empty"
    return "jsonl" if text.startswith(("{", "[")) else sniff_table(text) or "jsonl"


def kind_of(path: Path | str) -> str:
    """What `sniff` says of a file; BadInput when it cannot be read or holds nothing."""
    with open_ledger(path) as handle:
        kind = next((sniff(block) for block in blocks(handle) if block.strip()), "empty")
    if kind == "empty":
        raise BadInput(f"{path} is empty: it holds no experiments")
    return kind


def entries(path: Path | str, direction: str | None = None) -> Iterator[LogEntry]:
    """Everything in a log, in order, whatever its format. `direction` overrides what the log says."""
    kind = kind_of(path)
    if kind != "jsonl":
        yield from (entry for entry in Table(direction, kind).read(path) if entry is not None)
        return
    reader = Reader(direction)
    for line in read(path):
        if line.record is None:
            yield Problem(line.number, line.problem or "not a record")
        else:
            yield reader.take(line.record) or Other(line.record)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace").lstrip("\ufeff")
