"""The baseline job in flight: kept in a file, as there is no ledger yet."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from autoresearch.session.state import Session


@dataclass(frozen=True)
class Pending:
    """What was submitted, and for which commit and evaluator."""

    job: str
    commit: str
    digest: str
    new_segment: bool


def pending_path(session: Session) -> Path:
    """Where it is kept."""
    return session.project.state / "baseline.json"


def pending(session: Session) -> Pending | None:
    """The baseline job in flight, if there is one."""
    try:
        return Pending(**json.loads(pending_path(session).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        # Torn by a crash: the job it named, if any, runs out by itself; a new one is submitted.
        return None
