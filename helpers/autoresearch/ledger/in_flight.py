"""The baseline job in flight: kept in a file, as there is no ledger yet."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from autoresearch.files import write_atomic
from autoresearch.ledger.history import Session


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
    """Jobs of an audit that has no ledger line yet."""
    work = in_flight(session)
    return [] if work is None else [part.job for part in work.parts() if part.job]


def save(session: Session, work: Work) -> None:
    write_atomic(work_path(session), json.dumps(asdict(work)).encode())


def in_flight(session: Session) -> Work | None:
    """The audit in flight, if there is one."""
    try:
        data = json.loads(work_path(session).read_text(encoding="utf-8"))
        heldout = data["heldout"]
        return Work(
            Ask(**data["ask"]), int(data["ablate"]), Measurement(**data["total"]),
            Measurement(**heldout) if heldout else None,
            [Measurement(**part) for part in data["ablation"]], bool(data["planned"]),
        )  # fmt: skip
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError):
        # Of another version, or edited: the jobs it named run out by themselves; new ones are submitted.
        return None
