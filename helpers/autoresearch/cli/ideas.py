"""`autoresearch ideas`: the queue of ideas in autoresearch.ideas.md."""

from __future__ import annotations

import math
import shlex
from typing import TYPE_CHECKING, Any

import click

from autoresearch.cli._fit import fit
from autoresearch.cli._output import emit, json_option, table, tell
from autoresearch.errors import BadInput
from autoresearch.safetext import one_line
from autoresearch.search.ideas import CLASSES, MINUTES, OPEN, STATUSES, VERDICTS

if TYPE_CHECKING:
    from pathlib import Path

    from autoresearch.search.ideas.idea import Idea, Ranked


def _finite(_: click.Context, __: click.Parameter, value: float | None) -> float | None:
    """Refuse nan, which passes every range check."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is not a finite number.")
    return value


@click.group(epilog="Exit codes: 0 done, 1 a duplicate or nothing open, 2 wrong use, 3 environment.")
def command() -> None:
    """The queue of ideas, in autoresearch.ideas.md: add, rank, next, done.

    The file is yours too: edit the table, or write bullets and checkboxes; they are read as ideas.
    Gains are improvements in percent: positive is better.

    \b
    Example:
      autoresearch ideas add "Reuse the parse buffer" --gain 5 --confidence 0.6 --class memory
      autoresearch ideas next
    """


@command.command()
@click.argument("text")
@click.option(
    "--gain", type=click.FloatRange(-1000, 1_000_000), callback=_finite, help="Expected improvement in percent.",
)  # fmt: skip
@click.option("--confidence", type=click.FloatRange(0, 1), callback=_finite, help="How likely it works, 0 to 1.")
@click.option(
    "--cost", type=click.FloatRange(0, 1000, min_open=True), callback=_finite, default=1.0,
    help="Relative effort; default 1.",
)  # fmt: skip
@click.option("--source", default="", help="Where it is from: arxiv:2101.00001, fork:URL, profile, own.")
@click.option("--class", "kind", type=click.Choice(CLASSES), default="other", show_default=True, help="What it spares.")
@click.option("--force", is_flag=True, help="Add it although one like it is there.")
@json_option
def add(
    text: str, gain: float | None, confidence: float | None, cost: float, source: str, kind: str, force: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Add an idea, unless one like it is there already (exit 1).

    \b
    Example:
      autoresearch ideas add "Sort once, outside the loop" --gain 8 --confidence 0.7 --source profile
    """
    from autoresearch.resources import shipped
    from autoresearch.search.ideas import file
    from autoresearch.search.ideas.idea import Duplicate, Idea

    empty = shipped("templates/autoresearch.ideas.md").read_text(encoding="utf-8")
    new = Idea("", text, gain, confidence, cost, source, kind)
    added = file.add(_file(), new, force=force, empty=empty)
    if isinstance(added, Duplicate):
        twin = added.idea
        data = {
            "added": False, "duplicate_of": twin.id, "similarity": round(added.similarity, 3),
            "numbers_only": added.numbers_only, "text": one_line(twin.text, 200), "status": twin.status,
            "next": "autoresearch ideas next",
        }  # fmt: skip
        why = "differs only in numbers from" if added.numbers_only else "is like"
        human = f"not added: it {why} {twin.id} ({twin.status}): {one_line(twin.text)}\nto add it anyway: --force"
        emit(data, human, as_json=as_json)
        raise click.exceptions.Exit(1)
    emit({"added": True, **_brief(added), "next": "autoresearch ideas next"}, _line(added), as_json=as_json)


@command.command(name="rank")
@click.option("--plain", is_flag=True, help="Do not discount sources and classes that failed before.")
@json_option
def rank_(plain: bool, as_json: bool) -> None:
    """Open ideas, best first: gain x confidence / cost, with the reasons.

    A source or class that was tried three times or more and kept less often than ideas in general is
    discounted by the ratio of the two hit rates (Beta(1,1)-smoothed).

    \b
    Example:
      autoresearch ideas rank
    """
    from autoresearch.search.ideas import file
    from autoresearch.search.ideas.idea import rank

    ranked = rank(file.load(_file()), history=not plain)
    data = {"open": len(ranked), "ideas": [_ranked(item) for item in ranked], "next": "autoresearch ideas next"}
    emit(fit(data, "ideas"), _ranking(ranked) or "no open idea", as_json=as_json)
    if not ranked:
        raise click.exceptions.Exit(1)


@command.command(name="next")
@click.option("--n", "count", type=click.IntRange(1, 100), default=1, show_default=True, help="How many.")
@click.option("--claim", metavar="WHO", help="Take them for WHO, so that no other agent gets them.")
@click.option(
    "--minutes", type=click.FloatRange(min=0, max=100_000), default=MINUTES, show_default=True,
    help="With --claim: how long; then they are anybody's again.",
)  # fmt: skip
@click.option("--plain", is_flag=True, help="Do not discount sources and classes that failed before.")
@json_option
def next_(count: int, claim: str | None, minutes: float, plain: bool, as_json: bool) -> None:
    """The best open ideas, each with the command that starts it.

    Agents that share a session each claim theirs. A claim ends by itself, so that an agent that is gone blocks nothing.

    \b
    Example:
      autoresearch ideas next --n 3 --claim agent-2
    """
    from autoresearch.search.ideas import file
    from autoresearch.search.ideas.holders import agent
    from autoresearch.search.ideas.idea import rank
    from autoresearch.session.access import project_here
    from autoresearch.session.naming import free_number

    project = project_here()
    if claim is not None:
        if not claim.strip():
            raise BadInput("--claim takes the name of who works on it")
        best = file.claim(project.ideas, count, claim, minutes=minutes, history=not plain)
    else:
        best = rank(file.number(project.ideas), history=not plain)[:count]
    if not best:
        todo = 'autoresearch ideas add "WHAT AND WHERE" --gain PERCENT --confidence SHARE --source profile'
        say = "no open idea: profile the best commit (references/profiling.md), then read (autoresearch papers search)"
        tell({"ideas": [], "why": say, "next": todo}, [say], as_json=as_json)
        raise click.exceptions.Exit(1)
    if claim is None:
        free = free_number(project)
        starts = [f"autoresearch new e{free + i} --idea {item.idea.id}" for i, item in enumerate(best)]
    else:
        # Without an id of its own: `new` draws it, as another agent may take the next one first.
        who = shlex.quote(agent(claim))
        starts = [f"autoresearch new --idea {item.idea.id} --as {who}" for item in best]
    rows = [{**_ranked(item), "start": start} for item, start in zip(best, starts, strict=True)]
    human = "\n".join(
        f"{_line(item.idea)}\n  {'; '.join(item.reasons)}\n  {start}" for item, start in zip(best, starts, strict=True)
    )
    emit(fit({"ideas": rows, "claimed_for": claim, "next": starts[0]}, "ideas"), human, as_json=as_json)


@command.command()
@click.argument("idea")
@click.option(
    "--measured", type=click.FloatRange(-1_000_000, 1_000_000), callback=_finite,
    help="Measured improvement in percent.",
)  # fmt: skip
@click.option("--verdict", type=click.Choice(VERDICTS), help="What decide said; default: done, without a verdict.")
@click.option("--note", default="", help="What was learned.")
@json_option
def done(idea: str, measured: float | None, verdict: str | None, note: str, as_json: bool) -> None:
    """Close an idea with what was measured, and compare that with the prediction.

    `autoresearch decide` does this for experiments that were opened with --idea.

    \b
    Example:
      autoresearch ideas done i3 --measured 4.2 --verdict keep
    """
    from autoresearch.search.ideas import file
    from autoresearch.search.ideas.idea import outcome

    closed = file.mark(_file(), idea, verdict or "done", measured, note)
    word = outcome(closed)
    data = {
        **_brief(closed), "predicted_pct": closed.gain_pct, "measured_pct": closed.measured_pct, "outcome": word,
        "next": "autoresearch ideas next",
    }  # fmt: skip
    human = _line(closed)
    if word and closed.measured_pct is not None:
        human += f"\n  predicted {closed.gain_pct:g} %, measured {closed.measured_pct:g} %: {word}"
    emit(data, human, as_json=as_json)


@command.command()
@click.argument("idea")
@click.option("--why", required=True, help="Why it is not worth trying.")
@json_option
def drop(idea: str, why: str, as_json: bool) -> None:
    """Take an idea out of the queue; it stays in the file with the reason.

    \b
    Example:
      autoresearch ideas drop i4 --why "changes the output"
    """
    _mark(idea, "dropped", why, as_json)


@command.command()
@click.argument("idea")
@json_option
def reopen(idea: str, as_json: bool) -> None:
    """Put an idea back into the queue, such as one claimed by an agent that is gone.

    \b
    Example:
      autoresearch ideas reopen i4
    """
    _mark(idea, OPEN, "", as_json)


def _mark(idea: str, status: str, note: str, as_json: bool) -> None:
    from autoresearch.search.ideas import file

    marked = file.mark(_file(), idea, status, note=note)
    emit({**_brief(marked), "next": "autoresearch ideas next"}, _line(marked), as_json=as_json)


@command.command(name="list")
@click.option("--status", type=click.Choice(STATUSES), help="Only those.")
@json_option
def list_(status: str | None, as_json: bool) -> None:
    """All ideas, and what the predictions were worth so far.

    \b
    Example:
      autoresearch ideas list --status open
    """
    from autoresearch.search.ideas import file
    from autoresearch.search.ideas.idea import calibration

    everything = file.load(_file())
    shown = [idea for idea in everything if status in (None, idea.status)]
    counts = {word: sum(i.status == word for i in everything) for word in STATUSES}
    worth = calibration(everything)
    data = {
        "total": len(everything), "counts": {word: count for word, count in counts.items() if count},
        "calibration": worth, "ideas": [_brief(idea) for idea in shown],
        "next": "autoresearch ideas next" if counts[OPEN] else 'autoresearch ideas add "TEXT"',
    }  # fmt: skip
    rows = [(i.id, _number(i.gain_pct), _number(i.confidence), _number(i.cost), _status(i), i.text) for i in shown]
    human = table(rows, ("id", "gain %", "conf", "cost", "status", "idea")) if rows else "no ideas"
    if worth["judged"]:
        human += (
            f"\n{worth['judged']} predictions judged: {worth['hit']} hit, {worth['overshoot']} overshot, "
            f"{worth['undershoot']} undershot; "
            f"measured is {worth['measured_over_predicted']:g} x predicted (median)"
        )
    emit(fit(data, "ideas"), human, as_json=as_json)


def _file() -> Path:
    from autoresearch.session.access import project_here

    return project_here().ideas


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"


def _status(idea: Idea) -> str:
    measured = f" {idea.measured_pct:+g} %" if idea.measured_pct is not None else ""
    return idea.status + measured + (f": {one_line(idea.note, 30)}" if idea.note else "")


def _line(idea: Idea) -> str:
    return f"{idea.id} [{one_line(_status(idea), 60)}] {one_line(idea.text, 160)}"


def _brief(idea: Idea) -> dict[str, Any]:
    """An idea's fields that are set, short enough for a list."""
    from autoresearch.search.ideas.idea import outcome

    fields = {
        "id": idea.id, "text": one_line(idea.text, 100), "status": idea.status, "gain_pct": idea.gain_pct,
        "confidence": idea.confidence, "cost": idea.cost, "source": one_line(idea.source, 40),
        "class": one_line(idea.kind, 20), "measured_pct": idea.measured_pct, "outcome": outcome(idea),
        "note": one_line(idea.note, 40),
    }  # fmt: skip
    return {name: value for name, value in fields.items() if value not in (None, "")}


def _ranked(item: Ranked) -> dict[str, Any]:
    brief = {name: value for name, value in _brief(item.idea).items() if name in ("id", "text", "status", "source")}
    return {**brief, "score": round(item.score, 4), "reasons": list(item.reasons)}


def _ranking(ranked: list[Ranked]) -> str:
    rows = [(i.idea.id, f"{i.score:.3g}", "; ".join(i.reasons), i.idea.text) for i in ranked]
    return table(rows, ("id", "score", "why", "idea")) if rows else ""
