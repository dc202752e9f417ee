"""The baseline and the audit in flight: kept in files, as no ledger line knows of them yet."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeVar

import msgspec

from autoresearch.files import write_atomic
from autoresearch.ledger.history import Session

T = TypeVar("T")


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
    return _kept(pending_path(session), Pending)


@dataclass(frozen=True)
class Ask:
    """What an audit measures. Two equal ones need one measurement."""

    base: str
    tip: str
    evaluator: str
    runs: int
    heldout: str | None


@dataclass
class Measurement:
    """One A/B: `base` and `candidate` are commits or trees. `conflict` says why there is no job."""

    name: str
    base: str
    candidate: str
    seed: int
    job: str | None = None
    conflict: str = ""


@dataclass
class Work:
    """An audit in flight: the tip against the base first, then, where the claims are in doubt, keep by keep."""

    ask: Ask
    ablate: int
    total: Measurement
    heldout: Measurement | None = None
    ablation: list[Measurement] = field(default_factory=list)
    planned: bool = False

    def parts(self) -> list[Measurement]:
        return [self.total, *([self.heldout] if self.heldout else []), *self.ablation]


def work_path(session: Session) -> Path:
    return session.project.state / "audit.json"


def jobs_in_flight(session: Session) -> list[str]:
    """Jobs that the ledger does not know yet: of the baseline, and of an audit."""
    baseline, audit = pending(session), in_flight(session)
    return [part.job for part in (baseline, *(audit.parts() if audit else ())) if part and part.job]


def save(session: Session, work: Work) -> None:
    write_atomic(work_path(session), json.dumps(asdict(work)).encode())


def in_flight(session: Session) -> Work | None:
    """The audit in flight, if there is one."""
    return _kept(work_path(session), Work)


def _kept(path: Path, kind: type[T]) -> T | None:
    """What a file of ours holds; None without one.

    Also None where it was torn by a crash, edited, or is of another version: the jobs it named run out by themselves,
    and new ones are submitted.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (FileNotFoundError, ValueError, msgspec.DecodeError, RecursionError):
        return None
