"""What becomes of an idea follows from the ledger: running when an experiment opens, its verdict when it ends."""

from __future__ import annotations

import json
from pathlib import Path

from autoresearch import notices
from autoresearch.errors import BadInput
from autoresearch.files import write_atomic
from autoresearch.ledger.history import Session
from autoresearch.ledger.lines import RunLine

# The file of ideas is imported where it is read, for start-up time: every command comes by `make_up`, few find an idea.


def follow(session: Session, line: RunLine) -> None:
    """Mark the idea of a run line with its verdict. An idea that a person has deleted stays deleted."""
    if not line.idea:
        return
    from autoresearch.search.ideas.file import mark

    name, effect = line.experiment, line.effect_pct
    try:
        mark(
            session.project.ideas, line.idea, line.status,
            measured_pct=None if effect is None else round(effect, 1), note=name,
        )  # fmt: skip
    except BadInput as exc:
        notices.say(f"{name} is recorded, but its idea is not marked: {exc.message}")


def opening(session: Session, idea: str, name: str) -> None:
    """Remember how an idea stands before it is taken for the experiment `name`, so that a killed `new` is undone."""
    from autoresearch.search.ideas.file import get

    found = get(session.project.ideas, idea)
    before = {"experiment": name, "idea": idea, "status": found.status, "note": found.note}
    write_atomic(_path(session), json.dumps(before).encode())


def opened(session: Session) -> None:
    """Forget it: the experiment stands in the ledger, or the idea was given back."""
    _path(session).unlink(missing_ok=True)


def make_up(session: Session) -> None:
    """Finish or undo the marks of a killed command. A mark that a person has changed since stands."""
    _undo_opening(session)
    last = session.last
    if not isinstance(last, RunLine) or not last.idea or last.experiment not in session.experiments:
        return
    if _is_running(session, last.idea, last.experiment):
        follow(session, last)
        notices.say(f"marked idea {last.idea} as {last.status}, for {last.experiment}")


def _undo_opening(session: Session) -> None:
    try:
        before = json.loads(_path(session).read_text("utf-8"))
        name, idea, status, note = (str(before[key]) for key in ("experiment", "idea", "status", "note"))
    except FileNotFoundError:
        return
    except (ValueError, TypeError, KeyError):
        opened(session)  # edited: nothing can be learned from it
        return
    if name not in session.experiments and _is_running(session, idea, name):
        from autoresearch.search.ideas.file import mark

        mark(session.project.ideas, idea, status, note=note)
        notices.say(f"gave idea {idea} back: a killed command had taken it for {name}")
    opened(session)


def _is_running(session: Session, idea: str, name: str) -> bool:
    from autoresearch.search.ideas.file import get

    try:
        found = get(session.project.ideas, idea)
    except BadInput:
        return False
    return found.status == "running" and found.note == name


def _path(session: Session) -> Path:
    return session.project.state / "opening.json"
