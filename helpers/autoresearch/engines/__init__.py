"""Where a trial runs. One small protocol; nothing above this floor knows which engine it talks to."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from autoresearch.errors import EnvironmentMissing
    from autoresearch.task import Task

QUEUED, RUNNING, DONE, FAILED, CANCELLED, LOST = "queued", "running", "done", "failed", "cancelled", "lost"
FINAL = frozenset({DONE, FAILED, CANCELLED, LOST})


# Named tuples: every job's runner imports this module, and `dataclasses` would take half of its start.
class JobState(NamedTuple):
    """Where a job stands. `state` is queued|running|done|failed|cancelled|lost; lost = its runner was killed.

    `phase` says what it does now ("build", "checks", "measure 12/60"), `detail` why it ended as it did;
    `seconds` run from its start (0 while queued).
    """

    job: str
    experiment: str
    state: str
    phase: str = ""
    detail: str = ""
    seconds: float = 0.0

    @property
    def final(self) -> bool:
        return self.state in FINAL


class JobResult(NamedTuple):
    """What a job has said. `status` is done|crash|checks_failed, or "" when it ended before saying so."""

    job: str
    state: str
    exit_code: int | None
    status: str
    error: str
    checks: str
    metrics: dict[str, float]
    log: Path | None
    records: list[dict[str, Any]]
    warnings: list[str]

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        """The records of one type, in time order."""
        return [record for record in self.records if record.get("type") == kind]


class Machine(NamedTuple):
    """A machine that costs money or at least time. `hours` are those billed so far, up to this moment.

    `price_per_hour` is in dollars, None where nobody has named one; `dollars` is what the provider itself reports
    (None: hours x price).
    """

    name: str
    up: bool
    hours: float
    price_per_hour: float | None = None
    dollars: float | None = None


class Engine(Protocol):
    """Runs tasks detached. Jobs outlive the process that submitted them."""

    def submit(
        self,
        task: Task,
        *,
        experiment: str,
        mode: str,
        workdir: Path,
        envs: Mapping[str, str],
        timeout: float,
    ) -> str:
        """Start `task` with a private copy of `workdir`; returns the job's id. `timeout` (s) is for all of it."""

    def poll(self, jobs: Iterable[str] | None = None) -> dict[str, JobState]:
        """The states of the given jobs, or of all."""

    def fetch(self, job: str) -> JobResult:
        """What the job has printed so far, parsed."""

    def cancel(self, job: str) -> JobState:
        """End the job with everything it started."""

    def machines(self, jobs: Collection[str]) -> list[Machine]:
        """The session's machines, and what they have taken so far; `jobs` are those that the session submitted."""

    @property
    def width(self) -> int:
        """Machines at once, at most."""

    def halt(self, reason: str) -> None:
        """A budget is used up: start nothing more, and give machines that cost money back; "" lifts it."""

    def blocked(self) -> EnvironmentMissing | None:
        """Why no job goes on at present, such as a cloud tool that is missing; None when all is well."""

    def wants_yardstick(self, key: str) -> bool:
        """Whether machines should be qualified by the noise trial `key` (a name of base and evaluator)."""

    def set_yardstick(
        self, key: str, task: Task, *, workdir: Path, envs: Mapping[str, str], timeout: float
    ) -> None:
        """Take a noise trial of the unchanged base, which every new machine runs before it measures anything else."""

    def vms(self) -> list[dict[str, Any]]:
        """Machines that were launched for this project, oldest first: vm, state, trial, hours, price and more."""

    def refresh(self, seconds: float = math.inf) -> None:
        """Ask the provider what `vms` have cost. `NotYet` without an answer after about so many seconds."""

    def give_back(self, seconds: float = math.inf) -> list[str]:
        """End all of `vms` and verify it; the names of those that may still be there.

        `NotYet` while a job needs them, and when the end is not verified after about so many seconds.
        """


def has_unfinished(state: Path, known: set[str]) -> bool:
    """Whether a local job directory below `state` has no end and is not `known`. A cheap look: no engine is made."""
    try:
        found = [job for job in (state / "jobs").iterdir() if job.name not in known]
    except FileNotFoundError:
        return False
    return any(not (job / "exit.json").exists() for job in found)


def drop_unknown(engine: Engine, known: set[str]) -> list[str]:
    """End and remove unfinished jobs that nobody has recorded, where the engine can tell; their names."""
    drop = getattr(engine, "drop_unknown", None)
    return list(drop(known)) if drop is not None else []
