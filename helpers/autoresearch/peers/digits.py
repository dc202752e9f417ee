"""Numbers as spreadsheets of many countries write them: decimal commas, and separators between thousands.

`1,234` alone is either; what a whole table shows elsewhere (`0,731`, `1,234,567`) says which. Where nothing does, it
is no number: a guess would be wrong by a factor of a thousand.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# Between groups of three digits: blanks, narrow and not breaking ones, apostrophes, underscores.
_BLANKS = re.compile("(?<=[0-9])[ \u00a0\u202f\u2009'\u2019_](?=[0-9]{3}(?![0-9]))")
_ONE_COMMA = re.compile(r"[-+]?([0-9]*),([0-9]+)(?:[eE][-+]?[0-9]+)?")
_GROUPED = {sign: re.compile(rf"[-+]?[1-9][0-9]{{0,2}}(?:{re.escape(sign)}[0-9]{{3}})+") for sign in ",."}


def reading(text: str) -> tuple[str, str]:
    """The number with a point for its decimals and nothing between thousands, and what its commas are.

    "decimal", "thousands", "" without any, or "either": then it is `text` as it stands.
    """
    bare = _BLANKS.sub("", text)
    if "," not in bare:
        whole = _GROUPED["."].fullmatch(bare) and bare.count(".") > 1
        return (bare.replace(".", ""), "decimal") if whole else (bare, "")
    head, _, tail = bare.rpartition(",")
    if "." in tail and _GROUPED[","].fullmatch(bare.partition(".")[0]):
        return bare.replace(",", ""), "thousands"
    if "." in head and _GROUPED["."].fullmatch(head) and tail.isdigit():
        return f"{head.replace('.', '')}.{tail}", "decimal"
    one = _ONE_COMMA.fullmatch(bare)
    if one is None:
        return (bare.replace(",", ""), "thousands") if _GROUPED[","].fullmatch(bare) else (text, "")
    if len(one[2]) == 3 and _GROUPED[","].fullmatch(bare):
        return text, "either"
    return bare.replace(",", "."), "decimal"


def style_of(cells: Iterable[str]) -> str:
    """What a comma means in a table: "decimal" or "thousands" where its cells agree, else nothing."""
    found = {reading(cell.strip()[:64])[1] for cell in cells if "," in cell or "." in cell} - {"", "either"}
    return found.pop() if len(found) == 1 else ""


def plain(text: str, style: str) -> str | None:
    """`text` as Python reads numbers, by the table's style; None where it may be two numbers."""
    number, commas = reading(text)
    if commas == "either":
        return {"decimal": text.replace(",", "."), "thousands": text.replace(",", "")}.get(style)
    # Where commas are decimal, 1.234 is more than a thousand as likely as it is not.
    return None if style == "decimal" and not commas and _GROUPED["."].fullmatch(number) else number
