"""The ideas file for the rest of the house: read it, and change it under a lock, several processes at once.

load(path) -> list[Idea]        get(path, "i3") -> Idea
mark(path, "i3", "keep", measured_pct=3.2)      claim(path, 1, "agent-2")      add(path, Idea("", "text"))
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from autoresearch.errors import BadInput, EnvironmentMissing
from autoresearch.files import locked, sweep, write_atomic
from autoresearch.project import AUTO
from autoresearch.safetext import clean, one_line
from autoresearch.search.ideas import MINUTES, OPEN, STATUSES
from autoresearch.search.ideas.document import TABLE, Document
from autoresearch.search.ideas.holders import claim_note, has_ended, require_free
from autoresearch.search.ideas.idea import Duplicate, Idea, Ranked, find_duplicate, rank, with_source

_BOM = "\ufeff"
_EMPTY = f"# Autoresearch ideas\n\n{TABLE}"
_MAX_BYTES = 8_000_000


def load(path: Path) -> list[Idea]:
    """All ideas in the order of the file; empty where there is no file. Nothing is written.

    Entries without an id show the id that the next write gives them.
    """
    return _parse(path)[1].ideas(_highest(path))


def get(path: Path, name: str) -> Idea:
    """One idea; `BadInput` where there is none of that id."""
    return _find(load(path), name)


def mark(path: Path, name: str, status: str, measured_pct: float | None = None, note: str | None = None) -> Idea:
    """Set an idea's status (one of `ideas.STATUSES`); the idea as it now is.

    A new status takes the note given (none: empty) and keeps a measured percentage unless one is given.
    """
    if status not in STATUSES:
        raise BadInput(f"{one_line(status)!r} is no status of an idea", fix=f"Use one of {' '.join(STATUSES)}")

    def change(idea: Idea) -> Idea:
        measured = idea.measured_pct if measured_pct is None else measured_pct
        measured = None if status == OPEN else measured
        return replace(idea, status=status, measured_pct=measured, note=_flat(note or ""))

    return _change(path, name, change)


def link(path: Path, name: str, source: str) -> Idea:
    """Add a source such as `arxiv:2101.00001` to an idea."""
    return _change(path, name, lambda idea: with_source(idea, _flat(source)))


def add(path: Path, idea: Idea, *, force: bool = False, empty: str = _EMPTY) -> Idea | Duplicate:
    """Add an idea (its `id` is ignored); the idea with its id, or the one it duplicates unless `force`.

    `empty` is what a new file begins with.
    """
    text = clean(idea.text).strip()
    if not text:
        raise BadInput("the idea has no text", fix='Say it in a sentence: autoresearch ideas add "Reuse the buffer"')
    with _writing(path, empty) as (document, highest):
        document.number(highest())
        ideas = document.ideas(highest())
        twin = None if force else find_duplicate(text, ideas)
        if twin is not None:
            return twin
        number = max([highest(), *(int(i.id[1:]) for i in ideas if i.id[:1] == "i" and i.id[1:].isdecimal())]) + 1
        new = replace(
            idea, id=f"i{number}", text=text, source=_flat(idea.source), kind=_flat(idea.kind), note=_flat(idea.note),
        )  # fmt: skip
        document.append(new)
        return _find(document.ideas(), new.id)


def claim(path: Path, count: int, who: str, *, minutes: float = MINUTES, history: bool = True) -> list[Ranked]:
    """Take the best `count` open ideas for `who`, in one step, so that no other agent gets them.

    The claim ends after `minutes`; ideas whose claim has ended are open again.
    """
    with _writing(path) as (document, highest):
        document.number(highest())
        _release(document)
        best = rank(document.ideas(), history=history)[:count]
        for item in best:
            note = claim_note(who, minutes, _now())
            document.update(item.idea, replace(item.idea, status="claimed", note=_flat(note)))
        now = {idea.id: idea for idea in document.ideas()}
        return [replace(item, idea=now[item.idea.id]) for item in best]


def number(path: Path) -> list[Idea]:
    """Write ids into entries that have none, and end claims that ran out; all ideas. Else the file is left alone."""
    ideas = load(path)
    if all(idea.recorded and not has_ended(idea, _now()) for idea in ideas):
        return ideas
    with _writing(path) as (document, highest):
        document.number(highest())
        _release(document)
        return document.ideas()


def take(path: Path, name: str, experiment: str, *, who: str = "", running: Collection[str] = ()) -> Idea:
    """Set an idea to running in `experiment`, in one step; the idea as it was before.

    `NotYet` when another agent holds it, or one of the experiments `running` tries it.
    """
    with _writing(path) as (document, highest):
        document.number(highest())
        old = _find(document.ideas(), name)
        require_free(old, who, running, _now())
        document.update(old, replace(old, status="running", measured_pct=None, note=_flat(experiment)))
        return old


def _release(document: Document) -> None:
    for idea in document.ideas():
        if has_ended(idea, _now()):
            document.update(idea, replace(idea, status=OPEN, note=""))


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _change(path: Path, name: str, change: Callable[[Idea], Idea]) -> Idea:
    with _writing(path) as (document, highest):
        document.number(highest())
        old = _find(document.ideas(), name)
        document.update(old, change(old))
        return _find(document.ideas(), name)


def _find(ideas: list[Idea], name: str) -> Idea:
    for idea in ideas:
        if idea.id == name:
            return idea
    known = f"The file has {len(ideas)} ideas" if ideas else "The file has no ideas yet"
    raise BadInput(f"there is no idea {one_line(name, 40)}", fix=known, next="autoresearch ideas list")


def _flat(text: str) -> str:
    return one_line(text, 300)


def _parse(path: Path, empty: str = "") -> tuple[str, Document]:
    """The byte-order mark, if any, and the document. Bytes that are not UTF-8 survive as lone surrogates."""
    try:
        with path.open("rb") as handle:
            data = handle.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        return "", Document(empty)
    except OSError as exc:
        raise EnvironmentMissing(f"cannot read {path}: {exc.strerror}") from None
    if len(data) > _MAX_BYTES:
        raise BadInput(f"{path.name} is larger than {_MAX_BYTES // 1_000_000} MB, which is no list of ideas")
    text = data.decode("utf-8", "surrogateescape")
    bom = _BOM if text.startswith(_BOM) else ""
    return bom, Document(text[len(bom) :])


def _lock(path: Path) -> Path:
    root = path.parent.parent if path.parent.name == AUTO else path.parent
    return root / ".autoresearch" / "ideas.lock"


def _highest(path: Path) -> int:
    """The highest number ever given out, so that the id of a row that a person deleted is not used again."""
    try:
        return _as_number(_lock(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return 0  # no lock file yet, or a damaged one: the ids in the file are the floor


def _as_number(text: str) -> int:
    return int(text) if text.strip().isascii() and text.strip().isdecimal() and len(text) < 12 else 0


@contextlib.contextmanager
def _writing(path: Path, empty: str = "") -> Iterator[tuple[Document, Callable[[], int]]]:
    """The document under the lock; what was changed in it is written when the block ends without an error."""
    with locked(_lock(path)) as handle:
        sweep(_lock(path).parent)
        handle.seek(0)
        floor = _as_number(handle.read(64))
        bom, document = _parse(path, empty)
        before = document.text
        yield document, lambda: floor
        if document.text == before:
            return
        numbers = [int(i.id[1:]) for i in document.ideas() if i.id[:1] == "i" and i.id[1:].isdecimal()]
        # The number after the file: killed in between, the ids in the file are the floor.
        write_atomic(path, (bom + document.text).encode("utf-8", "surrogateescape"))
        handle.seek(0)
        handle.truncate()
        handle.write(f"{max([floor, *numbers])}\n")
        handle.flush()
