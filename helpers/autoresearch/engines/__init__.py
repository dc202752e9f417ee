"""Where a trial runs. One small protocol; nothing above this floor knows which engine it talks to."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Protocol

# For start-up time every job's runner, which imports this module, goes without these, and without `dataclasses`.
if TYPE_CHECKING:
    from pathlib import Path

    from autoresearch.errors import EnvironmentMissing
    from autoresearch.task import Task

# Where a job stands; lost: its runner was killed.
State = Literal["queued", "running", "done", "failed", "cancelled", "lost"]
QUEUED: Final = "queued"
RUNNING: Final = "running"
CANCELLED: Final = "cancelled"
LOST: Final = "lost"
FINAL: frozenset[State] = frozenset({"done", "failed", CANCELLED, LOST})

# What a job says of itself; "" when it ended before saying so.
Status = Literal["", "done", "crash", "checks_failed"]


class JobState(NamedTuple):
    """Where a job stands.

    `phase` says what it does now ("build", "checks", "measure 12/60"), `detail` why it ended as it did;
    `seconds` run from its start (0 while queued).
    """

    job: str
    experiment: str
    state: State
    phase: str = ""
    detail: str = ""
    seconds: float = 0.0

    @property
    def final(self) -> bool:
        return self.state in FINAL


class JobResult(NamedTuple):
    """What a job has said."""

    job: str
    state: State
    exit_code: int | None
    status: Status
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
    """Runs tasks detached. Jobs outlive the process that submitted them.

    From `width` on the answers stand for an engine whose one machine is there already, and costs nothing.
    """

    def submit(
        self, task: Task, *, experiment: str, mode: str, workdir: Path, envs: Mapping[str, str], timeout: float,
    ) -> str:  # fmt: skip
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
        return 1

    def halt(self, reason: str) -> None:
        """A budget is used up: start nothing more, and give machines that cost money back; "" lifts it.

        Say it again until no machine is up: an engine that is just about to end may not hear it.
        """
        return

    def blocked(self) -> EnvironmentMissing | None:
        """Why no job goes on at present, such as a cloud tool that is missing; None when all is well."""
        return None

    def drop_unknown(self, known: set[str]) -> list[str]:
        """End and remove unfinished jobs that are not `known`, where the engine can tell; their names.

        Only while nobody can submit: a job is known to its submitter alone until that has written it down.
        """
        return []

    def wants_yardstick(self, key: str) -> bool:
        """Whether machines should be qualified by the noise trial `key` (a name of base and evaluator)."""
        return False

    def set_yardstick(self, key: str, task: Task, *, workdir: Path, envs: Mapping[str, str], timeout: float) -> None:
        """Take a noise trial of the unchanged base, which every new machine runs before it measures anything else."""
        return

    def vms(self) -> list[dict[str, Any]]:
        """Machines that were launched for this project, oldest first.

        Each has: vm, state, trial, trials, hours (since the launch was asked for, until it ended), price ($/h or None),
        dollars (the provider's report, or None), infra, resources, sigma_pct, mde_pct, reason.
        """
        return []

    def refresh(self, seconds: float = math.inf) -> None:
        """Ask the provider what `vms` have cost. `NotYet` without an answer after about so many seconds."""
        return

    def give_back(self, seconds: float = math.inf) -> list[str]:
        """End all of `vms` and verify it; the names of those that may still be there.

        `NotYet` while a job needs them, and when the end is not verified after about so many seconds. They end by
        themselves, too, after their idle minutes.
        """
        return []


def has_unfinished(state: Path, known: set[str]) -> bool:
    """Whether a local job directory below `state` has no end and is not `known`. A cheap look: no engine is made."""
    try:
        found = [job for job in (state / "jobs").iterdir() if job.name not in known]
    except FileNotFoundError:
        return False
    return any(not (job / "exit.json").exists() for job in found)
