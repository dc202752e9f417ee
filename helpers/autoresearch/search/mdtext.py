"""Text in and out of markdown cells: what is written reads back equal and renders as the text it was.

Escapes are CommonMark's backslash before ASCII punctuation (section 2.4); a line break is `<br>`. A code span
stays as it is when nothing inside it could break a table row. Cells follow GFM tables (extension 4.10).
"""

from __future__ import annotations

import itertools
import re

_CODE = re.compile(r"(?<!`)(`+)(?!`)(.*?)(?<!`)\1(?!`)", re.DOTALL)
_SPECIAL = re.compile(r"[\\|`\[\]<>&*~]|(?<![^\W_])_|_(?![^\W_])")
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])|<br\s*/?>", re.IGNORECASE)
_TOKEN = re.compile(r"\\.|\|", re.DOTALL)


def encode(text: str) -> str:
    """Plain text as inline markdown that fits one table cell."""
    text = text.strip().replace("\r\n", "\n").replace("\r", "\n")
    out, end = [], 0
    for span in _CODE.finditer(text):
        if "`" in text[end : span.start()] or set("|\\\n") & set(span[0]):
            continue  # stays in the text before the next span, where its backticks are escaped
        out += [_escape(text[end : span.start()]), span[0]]
        end = span.end()
    return "".join([*out, _escape(text[end:])])


def decode(markup: str) -> str:
    """The text of inline markdown: escapes undone outside code spans, `<br>` a newline."""
    out, end = [], 0
    for start, stop in _code_spans(markup):
        # A pipe inside a code span of a cell can only be written escaped (GFM).
        out += [_unescape(markup[end:start]), markup[start:stop].replace("\\|", "|")]
        end = stop
    return "".join([*out, _unescape(markup[end:])]).strip()


def cells(line: str) -> list[tuple[int, int]]:
    """Where the trimmed cells of a table row begin and end in `line`; escaped pipes do not divide."""
    body = line.rstrip()
    bars = [found.start() for found in _TOKEN.finditer(body) if found[0] == "|"]
    edges = [-1, *bars, len(body)]
    if bars and not body[: bars[0]].strip():
        edges = edges[1:]
    if len(edges) > 2 and bars and bars[-1] == len(body) - 1:
        edges = edges[:-1]
    found_cells = []
    for left, right in itertools.pairwise(edges):
        content = body[left + 1 : right]
        start = left + 1 + len(content) - len(content.lstrip())
        found_cells.append((start, max(start, left + 1 + len(content.rstrip()))))
    return found_cells


def escape(text: str, also: str = "") -> str:
    """Like `encode` with code spans escaped too, and with the characters of `also` behind a backslash."""
    escaped = _escape(text.strip())
    for char in also:
        escaped = escaped.replace(char, "\\" + char)
    return escaped


def normalise(text: str) -> str:
    """Text for comparison: lower case, letters and digits only, single spaces."""
    return " ".join(re.findall(r"[^\W_]+", text.casefold()))


def _escape(text: str) -> str:
    return _SPECIAL.sub(lambda found: "\\" + found[0], text).replace("\n", "<br>")


def _unescape(markup: str) -> str:
    return _ESCAPED.sub(lambda found: found[1] if found[1] else "\n", markup)


def _code_spans(markup: str) -> list[tuple[int, int]]:
    """Code spans as CommonMark finds them: a backtick run that a backslash does not precede, to its like."""
    spans, at = [], 0
    while (opening := re.compile(r"\\[!-/:-@\[-`{-~]|`+").search(markup, at)) is not None:
        at = opening.end()
        if opening[0].startswith("\\"):
            continue
        closing = re.compile(rf"(?<!`){opening[0]}(?!`)").search(markup, at)
        if closing is not None:
            spans.append((opening.start(), closing.end()))
            at = closing.end()
    return spans
