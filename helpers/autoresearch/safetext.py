"""Makes untrusted text safe to show: output is data, whatever a candidate prints, names or writes."""

from __future__ import annotations

import re

# CSI, OSC/DCS/APC/PM/SOS strings (closed by BEL or ST) and two-byte escapes, ECMA-48 section 5.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])")
# C0 but tab and newline, DEL, C1, line/paragraph separators, bidirectional controls, zero-width marks.
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)


def clean(text: str) -> str:
    """Text without escape sequences, control characters and lone surrogates; newlines and tabs stay."""
    return _CONTROLS.sub("", _ESCAPES.sub("", text.replace("\r\n", "\n").replace("\r", "\n")))


def one_line(text: str, limit: int = 200) -> str:
    """`clean` on a single line of at most `limit` characters; a cut is marked with an ellipsis."""
    flat = " ".join(clean(text[: limit * 20]).split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def tail(text: str, lines: int = 20, limit: int = 1500) -> str:
    """The last `lines` lines of cleaned text, at most `limit` characters."""
    kept = "\n".join(clean(text[-limit * 20 :]).rstrip().split("\n")[-lines:])
    return kept if len(kept) <= limit else "…" + kept[-(limit - 1) :]
