"""How strong the session's evaluator is: what the last attack on it found, and whether it is still that evaluator."""

from __future__ import annotations

import json

from autoresearch.files import write_atomic
from autoresearch.ledger.history import Session
from autoresearch.ledger.lines import AttackLine, Record
from autoresearch.project import Project
from autoresearch.session.integrity import frozen_manifest

_FOUND = "attack.json"


def remember(project: Project, record: Record) -> None:
    """Keep what an attack found for the ledger: there is one from the baseline on."""
    write_atomic(project.state / _FOUND, json.dumps(record).encode())


def take_found(session: Session) -> None:
    """Write to the ledger what an attack found since the last command."""
    path = session.project.state / _FOUND
    if path.exists():
        session.append(json.loads(path.read_text()))
        path.unlink()


def strength_of(session: Session) -> AttackLine | None:
    """The last attack on the evaluator as it is frozen now; None where there was none on this one."""
    found = session.attack
    return found if found is not None and found.evaluator == frozen_manifest(session).digest else None
