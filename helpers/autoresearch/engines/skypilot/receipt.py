"""Is a job's output whole, and the result of what was sent? Pure: what is not certain is refused, never guessed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from autoresearch.engines.output import records_in, strip_prefixes

_BUNDLE = re.compile(r"^EXPERIMENT_BUNDLE: (\S+) ([0-9a-f]{64})[ \t]*$", re.MULTILINE)
_LAST = re.compile(r"^CHECKS_STATUS:.*$", re.MULTILINE)
_EXIT = re.compile(r"^EXPERIMENT_EXIT: (\d+)[ \t]*$", re.MULTILINE)


def fault(text: str, experiment: str, sha256: str, *, ours: bool) -> str:
    """Why this output is not the result of that bundle; "" when it is.

    `ours`: the shipped task ran, whose last word is the result block; else our wrapper around the user's own, whose
    last word is an exit code.
    """
    text = strip_prefixes(text)
    said = _BUNDLE.search(text)
    if said is None:
        stale = "stale_source" in text
        return "the VM did not have the bundle that was sent" if stale else "the output does not name its bundle"
    if said.groups() != (experiment, sha256):
        return f"the output is of another bundle ({said.group(1)[:40]} {said.group(2)[:12]})"
    if not (_LAST if ours else _EXIT).search(text, said.end()):
        return "the output is cut off"
    if ours:
        records, damaged = records_in(text)
        if damaged:
            return f"{damaged} lines of the output are damaged"
        return _gaps(records)
    return ""


def _gaps(records: Iterable[Mapping[str, Any]]) -> str:
    """Whether a sample is missing in the middle: their slots count up from 0."""
    slots = [r.get("slot") for r in records if r.get("type") == "sample" and not r.get("warmup")]
    return "" if slots == list(range(len(slots))) else "samples are missing in the output"


def exit_code(text: str, code: int) -> int | None:
    """The job's exit code where the output tells it; `code` is SkyPilot's word (0 succeeded, 100 failed)."""
    found = _EXIT.findall(strip_prefixes(text))
    if found:
        return int(found[-1])
    return 0 if code == 0 else None
