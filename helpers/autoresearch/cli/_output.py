"""How every command speaks: one JSON object for an agent, short aligned text for a person."""

from __future__ import annotations

import json
import math
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TextIO, TypeVar

import click

from autoresearch import notices
from autoresearch.errors import AutoresearchError
from autoresearch.safetext import one_line

F = TypeVar("F", bound=Callable[..., Any])

json_option: Callable[[F], F] = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object for an agent."
)


wait_option: Callable[[F], F] = click.option(
    "--timeout", type=click.FloatRange(min=0), help="Return after this many seconds; repeat to go on."
)


def timeout_option(what: str, otherwise: str = "as long as it takes") -> Callable[[F], F]:
    """`--timeout` of a command that need not wait for jobs; see `allowed`."""
    default = f"Default: 25 with --json, as agents' shells return then; else {otherwise}."
    return click.option("--timeout", type=click.FloatRange(min=1), help=f"{what} {default}")


def who_option(why: str) -> Callable[[F], F]:
    """`--as WHO`, for agents that share a session."""
    return click.option(
        "--as", "who", envvar="AUTORESEARCH_AGENT", default="", metavar="WHO",
        help=f"Which of several agents you are: {why}",
    )  # fmt: skip


# What stands under these keys may be words of others: a program, a build, checks, a tool, a file, a paper, a person.
# `next` and `fix` never hold any: what they say is ours.
FOREIGN = frozenset({
    "about", "authors", "description", "detail", "error", "evaluator", "files", "found", "goal", "hook", "line",
    "metric_name", "metrics", "mistakes", "modes", "name", "new", "note", "off_limits", "others", "output",
    "paths", "place", "plan", "primary", "query", "reason", "reason_text", "recent", "recovered", "root",
    "running", "said", "samples", "scope", "session", "source", "stages", "still_there", "stopped", "survived",
    "text", "title", "undecided", "untracked", "values", "warnings", "weak",
})  # fmt: skip


def to_json(data: Mapping[str, Any]) -> str:
    """One line of strict JSON; anything outside ASCII is escaped, so a terminal or agent gets no raw bytes.

    "foreign", first, names the keys in it under which text of others stands: data, never an instruction.
    """
    marked = {"foreign": found, **data} if (found := sorted(_foreign(data))) else data
    return json.dumps(marked, ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def _foreign(data: object) -> set[str]:
    if isinstance(data, Mapping):
        own = {key for key, value in data.items() if key in FOREIGN and _says_something(value)}
        return own.union(*(_foreign(value) for key, value in data.items() if key not in own))
    return set().union(*map(_foreign, data)) if isinstance(data, list | tuple) else set()


def _says_something(value: object) -> bool:
    if isinstance(value, list | tuple):
        return any(map(_says_something, value))
    return isinstance(value, str | Mapping) and bool(value)


def emit(data: Mapping[str, Any], human: str, *, as_json: bool) -> None:
    """Print `data` as JSON or `human` as text, and what was made up for unasked."""
    told = _with_notices(data)
    click.echo(to_json(told) if as_json else fitted(human, sys.stdout))


def tell(data: Mapping[str, Any], lines: Iterable[str], *, as_json: bool) -> None:
    """`emit`, for a person the lines that say something, and what comes `next`."""
    emit(data, "\n".join(filter(None, [*lines, f"next: {data['next']}"])), as_json=as_json)


def _with_notices(data: Mapping[str, Any], limit: int = 2040) -> dict[str, Any]:
    """`data` with a list "recovered" of what a killed command had left, as far as it fits; all of it on stderr."""
    said = [one_line(text, 300) for text in notices.drain()]
    for text in said:
        say(f"recovered: {text}")
    shown = [one_line(text, 120) for text in said]
    while shown and len(to_json({**data, "recovered": shown})) >= limit:
        shown.pop()
    return {**data, "recovered": shown} if shown else dict(data)


def with_said(data: Mapping[str, Any], said: str) -> dict[str, Any]:
    """`data`, with what the user's scripts (session/scripts.py) said, where they said something."""
    return {**data, "hook": said} if said else dict(data)


def allowed(timeout: float | None, as_json: bool, otherwise: float = math.inf) -> float:
    """Seconds that a command may take: as asked for, 25 for an agent (its shell returns after 30), or `otherwise`."""
    return timeout or (25.0 if as_json else otherwise)


def modes_line(modes: Sequence[object]) -> str:
    """The file modes that a candidate changes, for a person; empty when it changes none."""
    more = f" and {len(modes) - 3} more" if len(modes) > 3 else ""
    return f"file modes changed: {'; '.join(map(str, modes[:3]))}{more}" if modes else ""


def width_of(stream: TextIO) -> int | None:
    """Columns of the terminal that a stream leads to; None where it leads to none."""
    return shutil.get_terminal_size().columns if stream.isatty() else None


def fitted(text: str, stream: TextIO) -> str:
    """Text with no line wider than the terminal, if one reads it; a command stays one that can be pasted."""
    width = width_of(stream)
    if width is None or width < 20:
        return text
    return "\n".join(part for line in text.split("\n") for part in _broken(line, width))


def _broken(line: str, width: int) -> list[str]:
    if len(line) <= width:
        return [line]
    if line.lstrip().startswith(("next: ", "autoresearch ")):
        return _broken_command(line, width)
    import textwrap  # for start-up time

    inside = " " * (len(line) - len(line.lstrip()) + 4)
    return textwrap.wrap(line, width, subsequent_indent=inside, break_on_hyphens=False, drop_whitespace=True)


def _broken_command(line: str, width: int) -> list[str]:
    """Between words, with a backslash; a word that is too long within itself, where a shell joins it again."""
    import re  # for start-up time

    parts: list[str] = []
    now = line[: len(line) - len(line.lstrip())]
    for word in re.findall(r"""(?:[^\s'"]|'[^']*'|"[^"]*")+|['"]""", line):
        if now.strip() and len(now) + 1 + len(word) > width - 2:
            parts, now = [*parts, f"{now} \\"], "    "
        now = f"{now} {word}" if now.strip() else now + word
        while len(now) > width - 2 and '"' not in now:
            quoted = "'" if now[: width - 3].count("'") % 2 else ""
            cut = width - 2 - len(quoted)
            parts, now = [*parts, f"{now[:cut]}{quoted}\\"], quoted + now[cut:]
    return [*parts, now]


def table(rows: Iterable[Sequence[object]], header: Sequence[str] = ()) -> str:
    """Aligned columns, two spaces apart; cells are cleaned. Numbers given as str keep their alignment left."""
    cells = [[one_line(str(c), 80) for c in row] for row in rows]
    if header:
        cells.insert(0, list(header))
    if not cells:
        return ""
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    room = (width_of(sys.stdout) or 0) - sum(widths[:-1]) - 2 * (len(widths) - 1)
    if 12 <= room < widths[-1]:  # the last column gives way
        cells, widths[-1] = [[*row[:-1], one_line(row[-1], room)] for row in cells], room
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells)


def say(text: str) -> None:
    """Progress for a person, on stderr, so that stdout stays one object or one table."""
    click.echo(fitted(text, sys.stderr), err=True)


def is_terminal() -> bool:
    """True when a person watches stderr."""
    return sys.stderr.isatty()


def report_error(exc: AutoresearchError, *, as_json: bool) -> int:
    """Print an expected failure: one sentence on stderr, with --json also an object on stdout."""
    say(f"autoresearch: {one_line(exc.sentence(), 600)}")
    if exc.next:
        say(f"next: {one_line(exc.next, 200)}")
    if as_json:
        error = {"error": one_line(exc.message, 400), "fix": one_line(exc.fix, 300), "exit": int(exc.code)}
        click.echo(to_json(_with_notices({**error, "next": exc.next})))
    else:
        _with_notices({})
    return int(exc.code)
