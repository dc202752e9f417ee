"""An engine's notes on its machines, for the ledger: qualified, replaced, lost, and why. The session copies them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autoresearch.ledger.store import end_torn_line
from autoresearch.safetext import one_line

NOTES = "machines.jsonl"


def append_note(state: Path, kind: str, vm: str, reason: str, data: Mapping[str, Any]) -> None:
    """Append a note. Its time stamp is newer than that of all before: by it the session knows what it has copied."""
    path = state / NOTES
    last = read_notes(path)[-1:]
    stamp = max(int(time.time() * 1000), int(last[0]["timestamp"]) + 1 if last else 0)
    record = {"type": "vm", "kind": kind, "vm": vm, "reason": one_line(reason, 400), **data, "timestamp": stamp}
    end_torn_line(path)  # a killed writer's must not swallow ours
    with path.open("ab") as file:
        file.write(json.dumps(record).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read_notes(path: Path) -> list[dict[str, Any]]:
    """All whole notes, oldest first; a torn line counts as none."""
    found = []
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        return []
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and isinstance(record.get("timestamp"), int):
            found.append(record)
    return found
