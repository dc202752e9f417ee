"""The small grammars inside an idea's entry: its status, its estimates, and its tag.

A status reads `WORD[, measured X %][: note]`. A tag, for what has no column, is
`[i4; STATUS; gain 5; source arxiv:2101.00001]`; it starts `[i;` where a column holds the id.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from autoresearch.search.ideas import OPEN, STATUSES
from autoresearch.search.ideas.idea import Idea
from autoresearch.search.mdtext import decode, escape

TAG = re.compile(r"\[(?P<id>i\d+|i(?=;))(?P<rest>;(?:\\.|[^\]\\])*)?\](?=\s|$)[ \t]*")
UNDECIDED = (OPEN, "claimed", "running")

_STATUS = re.compile(
    r"(?P<word>[^,:]*?)\s*(?:,\s*measured\s+(?P<pct>[+-]?[\d.]+)\s*%)?\s*(?::\s*(?P<note>.*))?", re.DOTALL
)
_FREE_STATUS = re.compile(r"(?P<word>\w+)\b(?P<note>.*)", re.DOTALL)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)")
_PERCENT = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))\s*%")
_WORDS = {
    **{word: word for word in STATUSES},
    **dict.fromkeys(("", "todo", "new", "pending", "untested", "untried", "-", "—", "?"), OPEN),
    **dict.fromkeys(("taken", "in progress", "wip", "doing"), "running"),
    **dict.fromkeys(("kept", "accepted"), "keep"),
    **dict.fromkeys(("discarded", "rejected", "reverted"), "discard"),
    **dict.fromkeys(("x", "complete", "completed", "tried"), "done"),
}
_EFFORT = {"low": 1.0, "small": 1.0, "s": 1.0, "medium": 2.0, "m": 2.0, "high": 4.0, "large": 4.0, "l": 4.0}
_SURE = {"low": 0.2, "medium": 0.5, "high": 0.8, "very high": 0.9}


def read_status(text: str) -> tuple[str, float | None, str]:
    """(status, measured percent, note) of a status cell; an undefined word gives `other`, all of it note."""
    text = " ".join(text.split())
    if "✓" in text or "✅" in text:
        return "done", None, text
    found = _STATUS.fullmatch(text)
    status = _WORDS.get(found["word"].strip(" *_").lower()) if found else None
    if found is not None and status is not None and status != "other":
        return status, read_number(found["pct"] or ""), (found["note"] or "").strip()
    free = _FREE_STATUS.match(text.lstrip("*_ "))
    status = _WORDS.get(free["word"].lower()) if free else None
    if free is None or status is None or status == "other":
        return "other", None, text
    percent = _PERCENT.search(free["note"])
    return status, read_number(percent[1]) if percent else None, free["note"].strip(" *_,:;-–—")


def format_status(idea: Idea) -> str:
    """The status cell of an idea; `read_status` reads it back."""
    if idea.status == "other":
        return idea.note or "other"
    measured = f", measured {format_number(idea.measured_pct)} %" if idea.measured_pct is not None else ""
    return idea.status + measured + (f": {idea.note}" if idea.note else "")


def read_tag(tag: str) -> dict[str, str]:
    """The fields of a tag by name; empty where there is none."""
    found = TAG.match(tag)
    if found is None:
        return {}
    values = {} if found["id"] == "i" else {"id": found["id"]}
    for part in re.findall(r"(?:\\.|[^;\\])+", found["rest"] or ""):
        name, _, value = part.strip().partition(" ")
        if name in ("gain", "confidence", "cost", "source", "class"):
            values[name] = decode(value)
        elif part.strip():
            values["status"] = decode(part)
    return values


def format_tag(values: Mapping[str, str]) -> str:
    """A tag and the space after it; `read_tag` reads it back."""
    parts = [values.get("id", "i")]
    for name in ("status", "gain", "confidence", "cost", "source", "class"):
        value = escape(values.get(name, ""), also=";")
        if value and not (name == "status" and value == OPEN):
            parts.append(value if name == "status" else f"{name} {value}")
    return f"[{'; '.join(parts)}] " if len(parts) > 1 or parts != ["i"] else ""


def read_number(text: str) -> float | None:
    """The first number in a text such as `~5-10 %`."""
    found = _NUMBER.search(text)
    value = float(found[0]) if found else math.nan
    return value if math.isfinite(value) else None


def format_number(value: float | None) -> str:
    """At most four decimals and never an exponent, which `read_number` would not read."""
    if value is None:
        return ""
    text = f"{value:.4f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def read_cost(text: str) -> float | None:
    """Relative effort, a number above zero or low/medium/high = 1/2/4."""
    value = read_number(text)
    value = _EFFORT.get(text.strip().lower()) if value is None else value
    return value if value is not None and value > 0 else None


def read_confidence(text: str) -> float | None:
    """A probability: `0.6`, `60 %`, or low/medium/high/very high = 0.2/0.5/0.8/0.9."""
    text = text.strip().lower()
    if not re.match(r"\.?\d", text):
        return _SURE.get(text)
    value = read_number(text)
    value = value / 100 if value is not None and "%" in text else value
    return value if value is not None and 0 <= value <= 1 else None
