"""The METRIC grammar: `METRIC name=value` on a line of its own, as the peers read it, with hints on near misses.

The accepted lines are exactly those of pi-autoresearch, whose definition is the ECMAScript expression
`/^METRIC\\s+([\\w.µ]+)=(\\S+)\\s*$/gm` followed by `Number()` and `Number.isFinite()` (ECMA-262, 22.2 and 7.1.4.1).
Python's `\\w`, `\\s`, `$`, `float()` and `str.splitlines()` all differ from it, so each is spelt out here.

This file travels to the worker: Python 3.8, standard library only.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Dict, Iterator, List, Match, Optional, Set, Tuple

DENIED_NAMES = frozenset(("__proto__", "constructor", "prototype"))
WARNING_LIMIT = 20

# ECMAScript LineTerminator and WhiteSpace; `\s` there is both.
_ENDS = "\n\r\u2028\u2029"
_SPACE = "\t\v\f \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000\ufeff" + _ENDS
_LINE = re.compile(f"METRIC[{_SPACE}]+([A-Za-z0-9_.µ]+)=([^{_SPACE}]+)[{_SPACE}]*(?=[{_ENDS}]|\\Z)")
_LINE_END = re.compile(f"\r\n|[{_ENDS}]")

_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_RADIX = re.compile(r"0(?:[xX]([0-9a-fA-F]+)|[oO]([0-7]+)|[bB]([01]+))")
# More digits than this are above 2**1024, so infinite whatever they say.
_MAX_BITS = 1024

_UNIT = re.compile(r"(%|[A-Za-zµμΩ°][A-Za-zµμΩ°²³/%]*)")

# A hint is made from this much of a line, so that a line of any length costs the same.
_WINDOW = 300
_MENTION = re.compile(r"metric", re.IGNORECASE)
_ESCAPE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_NEAR = re.compile(r"(metrics?)([\s:=]*)([^\s=:]+)(\s*)([=:])(\s*)(.*)", re.IGNORECASE | re.DOTALL)
_ASSIGNMENT = re.compile(r"metrics?[\s:=]+[^\s=:]+\s*[=:]\s*[\"'$€£~≈<>]*[+-]?\.?[0-9]", re.IGNORECASE)


@dataclass
class Parsed:
    """What an output says. `metrics` holds the last value of each name, `samples` all of them in order."""

    metrics: Dict[str, float] = field(default_factory=dict)
    samples: Dict[str, List[float]] = field(default_factory=dict)
    warnings: List[str] = field(default_factory=list)


def to_number(text: str) -> Optional[float]:
    """The finite value of a METRIC field as ECMAScript's `Number()` reads it, else None."""
    if _DECIMAL.fullmatch(text):
        value = float(text)
        return value if math.isfinite(value) else None
    radix = _RADIX.fullmatch(text)
    if not radix:
        return None
    for group, base, bits in ((1, 16, 4), (2, 8, 3), (3, 2, 1)):
        digits = radix.group(group)
        if digits is not None:
            digits = digits.lstrip("0") or "0"
            if (len(digits) - 1) * bits > _MAX_BITS:
                return None
            try:
                return float(int(digits, base))
            except OverflowError:
                return None
    return None


def split_unit(text: str) -> Optional[Tuple[float, str]]:
    """`12.5ms` as (12.5, "ms"), for the lenient mode; None when the rest is no unit."""
    number = _DECIMAL.match(text)
    if not number:
        return None
    unit = text[number.end() :]
    value = to_number(number.group())
    # `1e` and `0x` are numbers cut short, not values with the units e and x.
    if value is None or not _UNIT.fullmatch(unit) or unit in ("e", "E", "x", "X", "o", "O"):
        return None
    return value, unit


def parse(text: str, lenient: bool = False) -> Parsed:
    """Every METRIC line of `text` (stdout and stderr alike), in order, and what nearly was one.

    `lenient` also takes a value with a unit glued on and drops the unit. Never raises; time is linear in the
    text; at most `WARNING_LIMIT` warnings and one that counts the rest, none with a control character.
    """
    parsed = Parsed()
    warnings = _Warnings(text)
    units: Dict[str, Set[str]] = {}
    for match in _matches(text):
        name, raw = match.group(1), match.group(2)
        value = to_number(raw)
        unit = ""
        if value is None and lenient:
            with_unit = split_unit(raw)
            if with_unit:
                value, unit = with_unit
                warnings.add(match.start(), ": the unit %s of %s was dropped" % (show(unit), show(name)))
        if name in DENIED_NAMES:
            warnings.near_miss(match.start(), "the name %s is reserved" % show(name))
        elif value is None:
            warnings.near_miss(match.start(), _value_problem(raw))
        else:
            if _LINE_END.search(match.group(), 0, match.start(1) - match.start()):
                warnings.add(match.start(), ": METRIC and %s stand on different lines" % show(name))
            parsed.samples.setdefault(name, []).append(value)
            units.setdefault(name, set()).add(unit)
    warnings.scan()
    for name, values in parsed.samples.items():
        parsed.metrics[name] = values[-1]
        if any(value != values[0] for value in values):
            warnings.append(
                "%s has %d values that differ (%r to %r); its value is the last one, %r"
                % (show(name), len(values), min(values), max(values), values[-1])
            )
        if len(units[name]) > 1:
            warnings.append("%s comes with different units; its values may not be comparable" % show(name))
    parsed.warnings = warnings.finish()
    return parsed


def show(text: str, limit: int = 40) -> str:
    """Untrusted text quoted on one line: cut to `limit`, with anything unprintable escaped."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return "'%s'" % "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in cut)


def _matches(text: str) -> Iterator[Match[str]]:
    """Matches of the grammar at line starts, left to right and not overlapping, as a global expression finds them."""
    position = text.find("METRIC")
    while position >= 0:
        after = position + 6
        if position == 0 or text[position - 1] in _ENDS:
            match = _LINE.match(text, position)
            if match:
                yield match
                after = match.end()
        position = text.find("METRIC", after)


class _Warnings:
    """Collects warnings by line, up to the limit; line numbers are counted once, going forward."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.found: List[Tuple[int, str]] = []
        self.tail: List[str] = []
        self.dropped = 0

    def add(self, position: int, what: str) -> None:
        if len(self.found) < WARNING_LIMIT:
            self.found.append((position, what))
        else:
            self.dropped += 1

    def near_miss(self, position: int, what: str) -> None:
        self.add(position, " looks like a metric, but " + what)

    def append(self, what: str) -> None:
        if len(self.tail) < WARNING_LIMIT:
            self.tail.append(what)
        else:
            self.dropped += 1

    def scan(self) -> None:
        """Names the lines that mention a metric and were not accepted, at most one hint a line."""
        near: List[Tuple[int, str]] = []
        dropped, self.dropped = self.dropped, 0
        earlier, self.found = self.found, near
        line_start = 0
        accepted = _matches(self.text)
        skip = next(accepted, None)
        mention = _MENTION.search(self.text)
        while mention:
            at = mention.start()
            while skip and skip.end() <= at:
                skip = next(accepted, None)
            if skip and skip.start() <= at:
                resume = skip.end()
            else:
                line_start = max([line_start] + [self.text.rfind(end, line_start, at) + 1 for end in _ENDS])
                end = _LINE_END.search(self.text, at)
                resume = end.start() if end else len(self.text)
                before = self.text[max(line_start, at - _WINDOW) : at]
                problem = _line_problem(before, self.text[at : min(resume, at + _WINDOW)])
                if problem:
                    self.near_miss(at, problem)
                line_start = resume
            mention = _MENTION.search(self.text, resume)
        self.found = sorted(earlier + near)[:WARNING_LIMIT]
        self.dropped += dropped + len(earlier) + len(near) - len(self.found)

    def finish(self) -> List[str]:
        lines: List[str] = []
        number, counted = 1, 0
        for position, what in self.found:
            number += sum(1 for _ in _LINE_END.finditer(self.text, counted, position))
            counted = position
            lines.append("line %d%s" % (number, what))
        # Differing values matter more than the twentieth near miss, so a few of them always have room.
        shown = lines[: WARNING_LIMIT - min(len(self.tail), 5)]
        shown += self.tail[: WARNING_LIMIT - len(shown)]
        more = self.dropped + len(lines) + len(self.tail) - len(shown)
        return [*shown, "%d more warnings like these" % more] if more else shown


def _value_problem(raw: str) -> str:
    """Why the value of an otherwise well-formed line is no number."""
    if raw[-1] in ",;" and to_number(raw[:-1]) is not None:
        return "its value ends in %s" % show(raw[-1])
    if re.fullmatch(r"[+-]?[1-9][0-9]{0,2},[0-9]{3}", raw):
        return "its value %s has a decimal comma or thousands separators; print plain digits and a point" % show(raw)
    if re.fullmatch(r"[+-]?[1-9][0-9]{0,2}(?:,[0-9]{3})+(?:\.[0-9]*)?", raw):
        return "its value %s has thousands separators; print plain digits" % show(raw)
    if re.fullmatch(r"[+-]?[0-9]+,[0-9]+", raw):
        return "its value %s has a decimal comma; print a point" % show(raw)
    if re.fullmatch(r"[+-]?[0-9]+(?:_[0-9]+)+(?:\.[0-9]*)?", raw):
        return "its value %s has underscores; print plain digits" % show(raw)
    if raw.lower().lstrip("+-") in ("nan", "inf", "infinity") or _DECIMAL.fullmatch(raw) or _RADIX.fullmatch(raw):
        return "its value %s is not a finite number" % show(raw)
    unit = split_unit(raw)
    if unit:
        return "its value %s has the unit %s glued on; print the number alone" % (show(raw), show(unit[1]))
    if _ESCAPE.search(raw):
        return "it holds colour codes"
    if raw[0] in "\"'" and to_number(raw.strip("\"'")) is not None:
        return "its value %s is quoted" % show(raw)
    return "its value %s is not a number" % show(raw)


def _line_problem(before: str, rest: str) -> str:
    """Why a line that mentions a metric is none; empty when it does not look like one."""
    plain_before = _ESCAPE.sub("", before)
    plain = _ESCAPE.sub("", rest)
    word = plain[:6]
    at_start = not plain_before.strip()
    # Prose that mentions metrics is not worth a hint: without the exact word at the line's start, a number must follow.
    if not (at_start and word == "METRIC" and re.match(r"[\s:=]", plain[6:7])) and not _ASSIGNMENT.match(plain):
        return ""
    if not at_start and (plain_before[-1:].isalnum() or plain_before[-1:] in "_-."):
        return ""
    if plain != rest or plain_before != before:
        return "it holds colour codes"
    if not at_start:
        return "there is text before METRIC"
    if before:
        return "there is white space before METRIC"
    near = _NEAR.match(plain)
    if near and near.group(1) != "METRIC":
        return "it must start with METRIC, not %s" % show(near.group(1))
    if not near:
        return "it has no name=value after METRIC"
    _, gap, name, left, sign, right, raw = near.groups()
    if gap.strip():
        return "METRIC is followed by %s instead of a space" % show(gap.strip())
    if sign == ":":
        return "its name and value are joined by ':' instead of '='"
    if left or right:
        return "there are spaces around '='" if raw.strip() else "it has no value"
    if not re.fullmatch(r"[A-Za-z0-9_.µ]+", name):
        return "its name %s has other characters than letters, digits, '_', '.' and 'µ'" % show(name)
    if len(raw.split()) > 1:
        second = "=" in raw.split(None, 1)[1]
        return "it holds two pairs; print one a line" if second else "there is text after its value"
    return "it has no value" if not raw.strip() else "it is not of the form METRIC name=value"
