"""Other people's logs: public ones when they are at hand, and tables as a test writes them."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from autoresearch.ledger.records import Run
from autoresearch.peers.foreign import entries

CORPUS = Path(os.environ.get("AUTORESEARCH_CORPUS") or Path(__file__).resolve().parents[2] / "shared" / "corpus")


def logs() -> list[tuple[Path, int]]:
    index = CORPUS / "index.csv"
    if not index.is_file():
        pytest.skip(f"no corpus of public logs at {CORPUS}; set AUTORESEARCH_CORPUS to one with an index.csv")
    with index.open(encoding="utf-8", newline="") as handle:
        rows = [row for row in csv.DictReader(handle) if row["kind"] in ("jsonl", "tsv")]
    assert rows, "the index names no logs"
    return [(CORPUS / row["file"], int(row["lines"])) for row in rows]


def runs(path: Path) -> list[Run]:
    return [entry for entry in entries(path) if isinstance(entry, Run)]


def table(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "results.tsv"
    path.write_text(text, encoding="utf-8")
    return path
