"""Replaces the rendered parts of a document and nothing else.

A rendered part stands between two lines of its own, `<!-- autoresearch:begin NAME -->` and
`<!-- autoresearch:end NAME -->`. All other bytes are the author's: they are carried over unread, whatever
their encoding or line ends.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

# In bytes, so that a document in another encoding survives.
_MARKER = re.compile(
    rb"^<!-- autoresearch:(?P<edge>begin|end) (?P<name>[a-z][a-z0-9-]{0,39}) -->[ \t]*(?P<newline>\r?\n|\Z)",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Spot:
    """A complete part: the bytes between the two marker lines, and the line end its author uses."""

    name: str
    start: int
    end: int
    newline: bytes


def begin(name: str) -> str:
    return f"<!-- autoresearch:begin {name} -->"


def end(name: str) -> str:
    return f"<!-- autoresearch:end {name} -->"


def find(document: bytes) -> tuple[list[Spot], list[str]]:
    """The complete parts in order, and a warning per marker that has lost its partner.

    A begin belongs to the next marker of any kind; if that is not its own end, the begin is damaged and what
    follows it is taken for the author's.
    """
    spots: list[Spot] = []
    warnings: list[str] = []
    opened: re.Match[bytes] | None = None
    for marker in _MARKER.finditer(document):
        if marker["edge"] == b"begin":
            if opened is not None:
                warnings.append(_damaged(document, opened))
            opened = marker
        elif opened is not None and opened["name"] == marker["name"]:
            newline = opened["newline"] or b"\n"
            spots.append(Spot(marker["name"].decode(), opened.end(), marker.start(), newline))
            opened = None
        else:
            warnings.append(_damaged(document, marker))
    if opened is not None:
        warnings.append(_damaged(document, opened))
    return spots, warnings


def fill(document: bytes, parts: Mapping[str, tuple[str, str]]) -> tuple[bytes, list[str]]:
    """The document with `parts` (name -> heading, body) rendered in place, and warnings of damaged markers.

    A part that the document has no complete pair of markers for is appended under its heading. Filling twice
    gives the same bytes.
    """
    spots, warnings = find(document)
    pieces: list[bytes] = []
    at = 0
    for spot in spots:
        if spot.name in parts:
            pieces += [document[at : spot.start], _bytes(_tidy(parts[spot.name][1]), spot.newline)]
            at = spot.end
    pieces.append(document[at:])
    result = b"".join(pieces)
    newline = b"\r\n" if b"\r\n" in document else b"\n"
    for name, (heading, body) in parts.items():
        if all(spot.name != name for spot in spots):
            gap = "" if not result else "\n" if result.endswith(b"\n") else "\n\n"
            section = f"{gap}## {heading}\n\n{begin(name)}\n{_tidy(body)}{end(name)}\n"
            result += _bytes(section, newline)
    return result, warnings


def _tidy(body: str) -> str:
    return body.strip("\n") + "\n"


def _bytes(text: str, newline: bytes) -> bytes:
    return text.encode("utf-8", "replace").replace(b"\n", newline)


def _damaged(document: bytes, marker: re.Match[bytes]) -> str:
    line = document.count(b"\n", 0, marker.start()) + 1
    partner = "end" if marker["edge"] == b"begin" else "begin"
    name = marker["name"].decode()
    return (
        f"line {line}: the marker '{marker['edge'].decode()} {name}' has no '{partner} {name}'; left as it "
        "is, delete the line"
    )
