"""The one door through which foreign text enters a rendered document.

Descriptions, hypotheses, file names, goals and sources were written by an agent, a candidate or another tool.
In a markdown file they may become words, never structure: no table cell, heading, link, image, HTML tag,
comment (it could forge a render marker) or invisible instruction.
"""

from __future__ import annotations

import re
import unicodedata

from autoresearch.safetext import one_line

# Invisible (soft hyphens; Unicode tags, which a model reads and a person does not see), private, unpaired.
_INVISIBLE = frozenset({"Cc", "Cf", "Co", "Cs"})

# CommonMark 0.31 section 2.4 allows a backslash before any ASCII punctuation. Entities are used where some
# reader looks at the raw text first: a cell border, a code span, a tag, an entity.
_ESCAPED = {char: "\\" + char for char in "\\*[]{}#~$"} | {
    "|": "&#124;",
    "`": "&#96;",
    "<": "&lt;",
    ">": "&gt;",
    # GitHub finds e-mail addresses and mentions after it decodes entities, so the sign itself must go.
    "@": "＠",
}
_SPECIAL = re.compile(
    r"(?P<char>[\\*\[\]{}#~$|`<>@])"
    r"|(?P<entity>&(?=[#\w]))"
    r"|(?P<emphasis>(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))"
    r"|(?P<scheme>:(?=//))"
    r"|(?P<www>www(?=\.))",
    re.IGNORECASE,
)


def plain(text: object, limit: int = 200) -> str:
    """One visible line of at most `limit` characters, for a picture or a terminal; None becomes empty."""
    if text is None:
        return ""
    flat = one_line(str(text), limit * 2)
    seen = " ".join("".join(c for c in flat if unicodedata.category(c) not in _INVISIBLE).split())
    return seen if len(seen) <= limit else seen[: limit - 1] + "…"


def markdown(text: object, limit: int = 200) -> str:
    """`plain`, escaped so that GitHub's markdown shows just these characters, in a paragraph or a table."""
    return _SPECIAL.sub(_replace, plain(text, limit))


def _replace(match: re.Match[str]) -> str:
    found = match.group()
    if match.lastgroup == "char":
        return _ESCAPED[found]
    if match.lastgroup == "entity":
        return "&amp;"
    if match.lastgroup == "emphasis":
        return "\\_"
    # `http://x` and `www.x` link by themselves; an escaped next character ends the match and shows the same.
    return ":\\" if match.lastgroup == "scheme" else found + "\\"
