"""A session that follows a finished one: same project and ledger, a new name and branch, from where the last one ended.

Ideas and lessons stay where they are, in the ideas file and in the document; stop rules, budgets of experiments and the
error budget begin anew, as the baseline does: no number of the predecessor is compared with one of the successor.
"""

from __future__ import annotations

import re

from autoresearch.config import CONFIG_NAME, edited
from autoresearch.errors import BadInput, NotYet
from autoresearch.ledger.history import Session
from autoresearch.workspace.git import resolve


def next_name(session: Session) -> str:
    """The predecessor's name with the next number whose branch is free: parser, parser-2, parser-3."""
    name = re.sub(r"-\d{1,3}$", "", (session.header.name if session.header else "") or session.config.name)[:60]
    names = (f"{name}-{number}" for number in range(2, 1000))
    return next(n for n in names if resolve(session.project.root, f"refs/heads/autoresearch/{n}") is None)


def follow(session: Session, after: str, name: str | None, goal: str | None) -> str:
    """The text of autoresearch.yaml for the successor of the session `after`; nothing is written."""
    header = session.header
    if header is None or session.baseline is None:
        raise BadInput("there is no measured session to follow", next="autoresearch status")
    if header.name != after:
        raise BadInput(f"the session here is {header.name}, not {after}", fix=f"Use --after {header.name}")
    left = [e.id for e in session.open_experiments]
    if left:
        raise NotYet(
            f"{after} has undecided experiments: {', '.join(left[:5])}",
            fix="Decide them, or give them up with --abandon",
            next="autoresearch status",
        )
    name = name or next_name(session)
    if name == after or resolve(session.project.root, f"refs/heads/autoresearch/{name}") is not None:
        raise BadInput(f"branch autoresearch/{name} is there already", fix="Choose another --name")
    text = (session.project.root / CONFIG_NAME).read_text(encoding="utf-8")
    changes = {"name": name, "after": after} | ({"goal": goal} if goal is not None else {})
    return edited(text, changes)
