"""A session that follows a finished one: same project and ledger, a new name and branch, from where the last one ended.

Ideas and lessons stay where they are, in the ideas file and in the document; stop rules, budgets of experiments and the
error budget begin anew, as the baseline does: no number of the predecessor is compared with one of the successor.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec

from autoresearch.config import CONFIG_NAME, parse_config
from autoresearch.errors import BadInput, NotYet
from autoresearch.ledger.history import Session
from autoresearch.workspace.git import resolve


def next_name(session: Session) -> str:
    """The predecessor's name with the next number whose branch is free: parser, parser-2, parser-3."""
    name = re.sub(r"-\d{1,3}$", "", str((session.header or {}).get("name") or session.config.name))[:60]
    names = (f"{name}-{number}" for number in range(2, 1000))
    return next(n for n in names if resolve(session.project.root, f"refs/heads/autoresearch/{n}") is None)


def follow(session: Session, after: str, name: str | None, goal: str | None) -> str:
    """The text of autoresearch.yaml for the successor of the session `after`; nothing is written."""
    header = session.header
    if header is None or session.baseline is None:
        raise BadInput("there is no measured session to follow", next="autoresearch status")
    if header.get("name") != after:
        raise BadInput(
            f"the session here is {header.get('name')}, not {after}", fix=f"Use --after {header.get('name')}"
        )
    left = [e.id for e in session.experiments.values() if e.result is None]
    if left:
        raise NotYet(
            f"{after} has undecided experiments: {', '.join(left[:5])}",
            fix="Decide them, or give them up with --abandon",
            next="autoresearch status",
        )
    name = name or next_name(session)
    if name == after or resolve(session.project.root, f"refs/heads/autoresearch/{name}") is not None:
        raise BadInput(f"branch autoresearch/{name} is there already", fix="Choose another --name")
    path = session.project.root / CONFIG_NAME
    changes = {"name": name, "after": after} | ({"goal": goal} if goal is not None else {})
    return _changed(path, changes)


def _changed(path: Path, changes: dict[str, str]) -> str:
    """The config's text with top-level texts set, and everything else, comments too, as it was."""
    text = path.read_text(encoding="utf-8")
    wanted = msgspec.structs.replace(parse_config(text), **changes)
    for key, value in changes.items():
        line = f"{key}: {json.dumps(value, ensure_ascii=False)}"
        found = re.search(rf"^{key}:.*$", text, re.MULTILINE)
        text = f"{line}\n{text}" if found is None else text[: found.start()] + line + text[found.end() :]
    try:
        done = parse_config(text) == wanted
    except BadInput:
        done = False
    if not done:
        words = ", ".join(f"{key}: {value}" for key, value in changes.items())
        raise BadInput(f"cannot change {path.name} by myself", fix=f"Write into it: {words}")
    return text
