"""`autoresearch.ideas.md` as text: the entries in its tables and lists, and the smallest edits to them.

Text in, text out; every byte that is not the changed field stays. An entry is
- a row of a table that has an idea column (names and order of columns are free), or
- a top-level bullet, checkbox or numbered item outside tables, code and comments, or
- a numbered heading (`### 1. Larger tiles`); the list below it is its detail.
Under a heading such as "Notes" nothing is an idea; under one such as "Tried" or "Dead ends" all are done.

A field without a column stands in a tag before the text: `- [ ] [i4; running: e7; gain 5] Text`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from autoresearch.errors import BadInput
from autoresearch.safetext import clean
from autoresearch.search.ideas import OPEN
from autoresearch.search.ideas.fields import (
    TAG,
    UNDECIDED,
    format_number,
    format_status,
    format_tag,
    read_confidence,
    read_cost,
    read_number,
    read_status,
    read_tag,
)
from autoresearch.search.ideas.idea import DEFAULT_COST, Idea
from autoresearch.search.mdtext import cells, decode, encode

HEADER = ("id", "idea", "gain %", "confidence", "cost", "source", "class", "status")
TABLE = f"| {' | '.join(HEADER)} |\n|{'---|' * len(HEADER)}\n"

_FIELDS = ("id", "text", "gain", "confidence", "cost", "source", "class", "status")
_COLUMNS = {
    "id": "id",
    **dict.fromkeys(("idea", "ideas", "hypothesis", "experiment", "optimization", "optimisation"), "text"),
    **dict.fromkeys(("technique", "approach", "option", "change", "description", "title", "task"), "text"),
    **dict.fromkeys(("gain", "expected gain", "est gain", "impact", "expected impact"), "gain"),
    "confidence": "confidence", **dict.fromkeys(("cost", "effort"), "cost"),
    **dict.fromkeys(("source", "sources"), "source"), **dict.fromkeys(("class", "category", "kind", "type"), "class"),
    **dict.fromkeys(("status", "state", "result", "outcome", "verdict"), "status"),
}  # fmt: skip
_ID = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,31}")
_ITEM = re.compile(
    r"(?P<indent>[ \t]*)(?P<mark>[-*+]|\d{1,9}[.)])(?P<gap>[ \t]+)(?:\[(?P<box>[ xX~-])\](?P<boxgap>[ \t]+))?"
)
_RULE = re.compile(r":?-+:?")
_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(.*)")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
# What entries under a heading are, by the first word that tells.
_SECTION = re.compile(
    r"\b(?:(?P<open>open|remaining|unexplored|not yet|next|todo|promising)"
    r"|(?P<done>done|tried|tested|completed?|executed|explored|exhausted|rejected|reverted|discarded|dropped"
    r"|pruned|dead|stale|kept|failed|won'?t fix|implemented|applied|archived?)"
    r"|(?P<notes>notes?|insights?|learned|lessons|findings?|reference|summary))\b",
    re.IGNORECASE,
)
# An indentation that makes every item below a numbered heading its detail.
_UNDER_NUMBERED = -9
_NUMBERED = re.compile(r" {0,3}#{3,6}[ \t]+\d{1,4}[.)][ \t]+(?=\S)")


@dataclass
class Entry:
    """Where an idea stands: its line (from 0), and for each field the columns of the line that hold it."""

    line: int
    spans: dict[str, tuple[int, int]]
    section_done: bool = False
    box: str | None = None
    more: list[int] = field(default_factory=list)  # lines that continue a list item


class Document:
    """A parsed file. `text` is the whole of it; edits replace parts of single lines."""

    def __init__(self, text: str) -> None:
        self.lines = text.split("\n")
        self._scan()

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def ideas(self, highest: int = 0) -> list[Idea]:
        """All entries in order; those without an id get the next free one above `highest` and all present."""
        raw = [self._read(entry) for entry in self.entries]
        taken: set[str] = set()
        names: list[str | None] = []
        for idea in raw:
            names.append(idea.id if idea.id and idea.id not in taken else None)
            taken.add(idea.id)
        number = max([highest, *(int(n[1:]) for n in taken if re.fullmatch(r"i\d{1,9}", n))])
        found = []
        for idea, name in zip(raw, names, strict=True):
            if name is None:
                number += 1
            found.append(replace(idea, id=name or f"i{number}", recorded=name is not None))
        return found

    def number(self, highest: int = 0) -> int:
        """Write ids into the entries that have none; how many those were."""
        ideas = self.ideas(highest)
        fresh = [(entry, idea) for entry, idea in zip(self.entries, ideas, strict=True) if not idea.recorded]
        for entry, idea in fresh:
            self._write(entry, {"id": idea.id})
        self._scan()
        return len(fresh)

    def update(self, old: Idea, new: Idea) -> None:
        """Write the fields in which `new` differs from `old`, an idea of this document that has its id."""
        before, after = _shown(old), _shown(new)
        changed = {name: after[name] for name in _FIELDS if before[name] != after[name] and name != "text"}
        entry = next(e for e in self.entries if e.line == old.line - 1)
        if changed:
            self._write(entry, changed)
            self._scan()

    def append(self, idea: Idea) -> None:
        """Add a row at the end of our table, which is made at the end of the file when there is none."""
        values = _shown(idea)
        end = "\r" if self.lines[0].endswith("\r") else ""
        count = len(self.entries)
        if self.home is None:
            at, columns = self._new_table(end), list(_FIELDS)
        else:
            at, columns = self.home[0], [name or "" for name in self.home[1]]
        if at == len(self.lines) - 1:
            self.lines[at] += end if not self.lines[at].endswith("\r") else ""
            self.lines.append("")
        self.lines.insert(at + 1, "| " + " | ".join(values.get(name, "") for name in columns) + " |" + end)
        self._scan()
        if len(self.entries) != count + 1:
            raise BadInput(
                "the ideas file ends inside a code block or a comment, where a row would not be seen", fix="Close it"
            )

    def _new_table(self, end: str) -> int:
        """Put the head of our table at the end of the file; the number of its last line."""
        if self.lines[-1]:
            self.lines[-1] += end if not self.lines[-1].endswith("\r") else ""
            self.lines.append("")
        lines = TABLE.rstrip("\n").split("\n")
        if self.section != OPEN:
            # A heading of its own keeps the rows out of a section such as "Tried".
            lines = ["## Ideas", "", *lines]
        if len(self.lines) > 1 and self.lines[-2].strip():
            lines = ["", *lines]
        self.lines[-1:] = [line + end for line in lines]
        return len(self.lines) - 1

    # Reading

    def _scan(self) -> None:
        self.entries: list[Entry] = []
        self.home: tuple[int, list[str | None]] | None = None  # last line and columns of the first full table
        self.section: str = OPEN
        levels: list[tuple[int, str]] = []
        columns: list[str | None] | None = None
        item: Entry | None = None
        base: int | None = None  # indentation of the list we are in
        ours = False
        for number, line in self._visible():
            heading = _HEADING.match(line)
            row = columns is not None and bool(line.strip()) and "|" in line
            if not row:
                columns, ours = None, False
            if heading:
                item, base = None, None
                self.section = _section(levels, len(heading[1]), heading[2], first=not levels)
                numbered = _NUMBERED.match(line)
                if numbered:
                    self._add_heading(number, line, numbered.end())
                    base = _UNDER_NUMBERED
            elif row and columns is not None:
                if not _is_rule(line):
                    self._add_row(number, line, columns)
                if ours:
                    self.home = (number, columns)
            elif "|" in line and self._rule_after(number):
                columns = self._table_columns(line)
                ours = self.home is None and columns is not None and {"id", "text", "status"} <= set(columns)
                item, base = None, None
            else:
                item, base = self._add_item(number, line, item, base)

    def _visible(self) -> Iterator[tuple[int, str]]:
        """Lines that are not in a fenced code block or an HTML comment; a blank stands for each that is."""
        fence, comment = "", False
        for number, line in enumerate(self.lines):
            opening = _FENCE.match(line)
            if comment:
                comment = "-->" not in line
            elif fence:
                if opening and opening[1].startswith(fence) and not line[opening.end() :].strip():
                    fence = ""
            elif opening:
                fence = opening[1]
            elif line.lstrip().startswith("<!--"):
                comment = "-->" not in line
            else:
                yield number, line
                continue
            yield number, ""

    def _rule_after(self, number: int) -> bool:
        following = self.lines[number + 1] if number + 1 < len(self.lines) else ""
        return _is_rule(following) and len(cells(following)) == len(cells(self.lines[number]))

    def _table_columns(self, line: str) -> list[str | None] | None:
        """The field of each column, None for one we do not know; None when no column holds ideas."""
        columns: list[str | None] = []
        for start, end in cells(line):
            name = " ".join(re.findall(r"[a-z]+", line[start:end].lower()))
            meaning = _COLUMNS.get(name)
            columns.append(None if meaning in columns else meaning)
        return columns if "text" in columns else None

    def _add_row(self, number: int, line: str, columns: list[str | None]) -> None:
        spans = {name: span for name, span in zip(columns, cells(line), strict=False) if name is not None}
        if "text" not in spans:
            return
        start, end = spans["text"]
        if start == end or self.section == "notes":
            return
        self._add(Entry(number, spans, self.section == "done"), line)

    def _add_item(
        self, number: int, line: str, item: Entry | None, base: int | None
    ) -> tuple[Entry | None, int | None]:
        found = _ITEM.match(line)
        indent = len(line[: len(line) - len(line.lstrip())].expandtabs(4))
        if found and line[found.end() :].strip() and not re.fullmatch(r"[\s*_-]+", line):
            if indent > (base if base is not None else 2) + 1:
                return None, base  # a detail of the item above, or code
            if self.section == "notes":
                return None, indent
            entry = Entry(number, {"text": (found.end(), len(line.rstrip()))}, self.section == "done", found["box"])
            self._add(entry, line)
            return entry, indent
        if not line.strip():
            return None, base
        if item is not None and indent > (base or 0):
            item.more.append(number)
            return item, base
        return None, base if indent or base == _UNDER_NUMBERED else None

    def _add_heading(self, number: int, line: str, start: int) -> None:
        if self.section != "notes":
            self._add(Entry(number, {"text": (start, len(line.rstrip()))}, self.section == "done"), line)

    def _add(self, entry: Entry, line: str) -> None:
        start, end = entry.spans["text"]
        tag = TAG.match(line, start, end)
        if tag:
            entry.spans["tag"] = (start, tag.end())
            entry.spans["text"] = (tag.end(), end)
        self.entries.append(entry)

    def _read(self, entry: Entry) -> Idea:
        line = self.lines[entry.line]
        values = {name: line[start:end] for name, (start, end) in entry.spans.items()}
        tagged = read_tag(values.pop("tag", ""))
        text = " ".join([values["text"], *(self.lines[more].strip() for more in entry.more)])
        decoded = {name: clean(decode(value)) for name, value in values.items()}
        both = {name: decoded.get(name) or tagged.get(name, "") for name in _FIELDS}
        both["id"] = tagged.get("id") or both["id"]  # ours, where the column's own is another kind or taken
        status, measured, note = read_status(both["status"])
        struck = values["text"].startswith("~~") and values["text"].endswith("~~")
        if (entry.section_done or struck or entry.box in ("x", "X")) and status in UNDECIDED:
            status = "done"
        identity = both["id"] if _ID.fullmatch(both["id"]) else ""
        return Idea(
            id=identity, text=clean(decode(text)), gain_pct=read_number(both["gain"]),
            confidence=read_confidence(both["confidence"]), cost=read_cost(both["cost"]), source=both["source"],
            kind=both["class"].lower(), status=status, measured_pct=measured, note=note, line=entry.line + 1,
        )  # fmt: skip

    # Writing

    def _write(self, entry: Entry, changed: Mapping[str, str]) -> None:
        line = self.lines[entry.line]
        edits: list[tuple[int, int, str]] = []
        tag_start, tag_end = entry.spans.get("tag", (entry.spans["text"][0],) * 2)
        tagged = read_tag(line[tag_start:tag_end])
        new_tag = dict(tagged)
        for name, value in changed.items():
            # An id of a foreign kind (1, A3) in the id column stays; ours goes into the tag.
            column = entry.spans.get(name)
            if column and name not in tagged and not (name == "id" and column[0] < column[1]):
                start, end = column
                edits.append((start, end, value) if start < end else _filled(line, start, value))
            else:
                new_tag[name] = decode(value)
        if new_tag != tagged:
            edits.append((tag_start, tag_end, format_tag(new_tag)))
        if entry.box is not None and "status" in changed:
            closed = read_status(decode(changed["status"]))[0] not in UNDECIDED
            at = line.index("[", len(line) - len(line.lstrip())) + 1
            edits.append((at, at + 1, "x" if closed else " "))
        for start, end, value in sorted(edits, reverse=True):
            line = line[:start] + value + line[end:]
        self.lines[entry.line] = line


def _shown(idea: Idea) -> dict[str, str]:
    """Each field as it stands in a cell."""
    return {
        "id": idea.id, "text": encode(idea.text), "gain": format_number(idea.gain_pct),
        "confidence": format_number(idea.confidence),
        "cost": format_number(DEFAULT_COST if idea.cost is None else idea.cost), "source": encode(idea.source),
        "class": encode(idea.kind), "status": encode(format_status(idea)),
    }  # fmt: skip


def _is_rule(line: str) -> bool:
    """Whether this is the line of dashes below a table's head; `- |` begins a list item."""
    return (
        "-" in line and not _ITEM.match(line) and all(_RULE.fullmatch(line, start, end) for start, end in cells(line))
    )


def _filled(line: str, at: int, value: str) -> tuple[int, int, str]:
    """The edit that puts a value into the empty cell around `at`, one space on either side."""
    left = len(line[:at].rstrip(" \t"))
    right = len(line) - len(line[at:].lstrip(" \t"))
    return left, right, f" {value} "


def _section(levels: list[tuple[int, str]], level: int, title: str, *, first: bool) -> str:
    """What entries under a heading are: `open`, `done` or `notes`. One that says nothing inherits.

    `levels`: the headings above; gets this one. A file's first heading is its title and says nothing.
    """
    while levels and levels[-1][0] >= level:
        levels.pop()
    found = None if first else _SECTION.search(title)
    section = found.lastgroup if found and found.lastgroup else levels[-1][1] if levels else OPEN
    levels.append((level, section))
    return section
