"""What a trial prints: its own lines only, ASCII, one at a time."""

from __future__ import annotations

import json
import os
from typing import IO, Any, Mapping

from autoresearch import safetext

PREFIX = "AR_RECORD "


class Recorder:
    """Prints records and the result block to `out`, and keeps the samples in `samples.jsonl` below `root`."""

    def __init__(self, out: IO[str], root: str) -> None:
        self._out = out
        self._samples = os.path.join(root, "samples.jsonl")
        with open(self._samples, "w", encoding="ascii"):
            """A file left by an earlier trial is no part of this one."""

    def record(self, kind: str, **fields: Any) -> None:
        """Print one event, flushed: a killed trial leaves all that it has measured."""
        line = json.dumps({"type": kind, **fields}, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
        self._print(PREFIX + line)
        if kind == "sample":
            with open(self._samples, "a", encoding="ascii") as file:
                file.write(line + "\n")

    def result(self, status: str, error: str | None, checks: str, metrics: Mapping[str, float] | None = None) -> None:
        """Print METRIC lines and the block that ends every experiment, in the template's words."""
        for name, value in (metrics or {}).items():
            self._print("METRIC %s=%r" % (name, float(value)))
        self._print("EXPERIMENT_STATUS: " + status)
        if error:
            self._print("EXPERIMENT_ERROR: " + safetext.one_line(error))
        self._print("CHECKS_STATUS: " + checks)

    def _print(self, line: str) -> None:
        # The micro sign is the one character outside ASCII that the grammar of metric names allows.
        safe = "".join(c if c < "\x7f" or c == "\u00b5" else "?" for c in line)
        self._out.write(safe + "\n")
        self._out.flush()
