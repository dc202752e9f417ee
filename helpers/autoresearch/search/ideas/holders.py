"""Who works on an idea: claims with an end, so that several agents share a queue and a dead one blocks nothing. Pure.

A claim is the status `claimed` with a note such as `agent-2, until 2026-11-21T06:40Z`, in the file that people edit:
a note without an end is a person's claim, and holds until they lift it.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from autoresearch.errors import NotYet
from autoresearch.safetext import one_line

if TYPE_CHECKING:
    from autoresearch.search.ideas.idea import Idea

_NOTE = re.compile(r"(?P<who>.*), until (?P<until>\d{4}-\d\d-\d\dT\d\d:\d\d)Z", re.ASCII)
_FORM = "%Y-%m-%dT%H:%M"


def agent(name: str) -> str:
    """An agent's name as a claim holds it."""
    return one_line(name, 60)


def claim_note(who: str, minutes: float, now: datetime) -> str:
    """The note of a claim by `who` that ends `minutes` after `now` (rounded up to the minute)."""
    until = now + timedelta(minutes=minutes, seconds=59)
    return f"{agent(who)}, until {until:{_FORM}}Z"


def holder(idea: Idea, now: datetime) -> str | None:
    """Who holds the idea now; None when nobody does, or the claim has ended."""
    if idea.status != "claimed":
        return None
    found = _NOTE.fullmatch(idea.note.strip())
    if found is None:
        return agent(idea.note) or "somebody"
    try:
        until = datetime.strptime(found["until"], _FORM).replace(tzinfo=timezone.utc)
    except ValueError:
        return agent(found["who"])
    return agent(found["who"]) if now < until else None


def has_ended(idea: Idea, now: datetime) -> bool:
    """Whether a claim on it ran out, so that it is anybody's again."""
    return idea.status == "claimed" and holder(idea, now) is None


def require_free(idea: Idea, who: str, running: Collection[str], now: datetime) -> None:
    """Refuse (`NotYet`) an idea that another agent holds, or that one of the experiments `running` tries."""
    other = holder(idea, now)
    if other is not None and other != agent(who):
        raise NotYet(
            f"{idea.id} is claimed by {one_line(idea.note, 90) or other}",
            fix=f"Take another idea; if you are {other}, add --as {other}",
            next="autoresearch ideas next",
        )
    if idea.status == "running" and idea.note in running:
        raise NotYet(
            f"{idea.id} is being tried in {idea.note}",
            fix="Take another idea; a variant of it is an idea of its own (autoresearch ideas add)",
            next="autoresearch ideas next",
        )
