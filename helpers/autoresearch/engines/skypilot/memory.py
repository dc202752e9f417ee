"""The dispatcher's memory: files below `.autoresearch`, each written as a whole, before and after every remote act.

sky/plan.json          what the session wants: VMs, infra, limits        (engine writes)
sky/lock               held by the dispatcher; dies with it
sky/fleet.json         the VMs and what is known of them                (dispatcher writes)
sky/problem.json       why the last dispatcher gave up, if it did
sky/halt.json          {"reason": ...}: a budget says stop                (whoever keeps the budget)
sky/yardstick/         the noise trial that a new VM runs first, as a job directory
sky/trials/VM-qN/      such a trial
machines.jsonl         notes on VMs, for the ledger
jobs/JOB/flight.json   where the job's trial is: VM, attempt, SkyPilot's request and job number
jobs/JOB/attempt-N.*.log its output, as it comes
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from autoresearch.engines.jobdir import read_json
from autoresearch.engines.skypilot.model import Attempt
from autoresearch.engines.supervisor import write_json

# Stages of a flight beside those of `model`: its output is being judged; its trial has been taken into account.
ENDED: Final = "ended"
LANDED: Final = "landed"


def billed_hours(facts: Mapping[str, Any]) -> float:
    """Hours of a VM from the moment its launch was asked for until it ended, or now."""
    begin = facts.get("launched") or facts.get("asked")
    return max(0.0, (facts.get("ended") or time.time()) - begin) / 3600 if begin else 0.0


class Store:
    """Paths and files below a project's state directory. `Facts` of a VM are a plain dict, see `facts`."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.jobs = state / "jobs"
        self.sky = state / "sky"
        self.lock = self.sky / "lock"
        self.yardstick = self.sky / "yardstick"

    def plan(self) -> dict[str, Any]:
        """What the session wants; empty before the first submission."""
        return read_json(self.sky / "plan.json") or {}

    def fleet(self) -> dict[str, Any]:
        """{launched, replaced, vms: {name: {state, ..., facts}}}; empty before the first dispatch."""
        return read_json(self.sky / "fleet.json") or {}

    def save_fleet(self, data: dict[str, Any]) -> None:
        write_json(self.sky / "fleet.json", data)

    def halt_reason(self) -> str:
        return str((read_json(self.sky / "halt.json") or {}).get("reason", ""))

    def set_halt(self, reason: str) -> None:
        """Tell the dispatcher to stop, or with "" to go on."""
        if reason:
            write_json(self.sky / "halt.json", {"reason": reason})
        else:
            (self.sky / "halt.json").unlink(missing_ok=True)

    def problem(self) -> dict[str, Any] | None:
        """{message, fix, time} of the last dispatcher that gave up."""
        return read_json(self.sky / "problem.json")

    def set_problem(self, message: str, fix: str) -> None:
        write_json(self.sky / "problem.json", {"message": message, "fix": fix, "time": time.time()})

    def clear_problem(self) -> None:
        (self.sky / "problem.json").unlink(missing_ok=True)

    # --- trials

    def directory(self, attempt: Attempt) -> Path:
        """Where a trial's flight and output are kept."""
        if attempt.job:
            return self.jobs / attempt.job
        path = self.sky / "trials" / f"{attempt.vm}-q{attempt.number}"
        path.mkdir(parents=True, exist_ok=True)
        return path

    def _source(self, job: str) -> Path:
        return self.jobs / job if job else self.yardstick

    def spec(self, job: str) -> dict[str, Any]:
        """What is to be run: a job's, or with "" the yardstick's."""
        return read_json(self._source(job) / "job.json") or {}

    def outbox(self, job: str) -> Path:
        return self._source(job) / "outbox"

    def log(self, attempt: Attempt) -> Path:
        """The newest copy of a trial's output; it need not exist."""
        name = self.flight(attempt).get("log") or f"attempt-{attempt.number}.log"
        return self.directory(attempt) / str(name)

    def flight(self, attempt: Attempt) -> dict[str, Any]:
        """{vm, job, attempt, name, stage, request, sky_job, begun}, or {} when another attempt is the last."""
        found = read_json(self.directory(attempt) / "flight.json") or {}
        return found if (found.get("vm"), found.get("attempt")) == (attempt.vm, attempt.number) else {}

    def set_flight(self, attempt: Attempt, **fields: Any) -> None:
        """Update the flight's file, or begin it; an older attempt's is replaced."""
        vm, job, number = attempt
        data = {"vm": vm, "job": job, "attempt": number, **self.flight(attempt), **fields}
        write_json(self.directory(attempt) / "flight.json", data)

    def attempts(self, job: str) -> int:
        """How often a job was sent so far."""
        return int((read_json(self.jobs / job / "flight.json") or {}).get("attempt", 0))

    def flights(self) -> Iterator[dict[str, Any]]:
        """All flights that had not landed when they were last written."""
        for path in sorted((*self.jobs.glob("*/flight.json"), *self.sky.glob("trials/*/flight.json"))):
            found = read_json(path)
            ended = (path.parent / "exit.json").exists()
            if found is not None and not ended and found.get("stage") != LANDED:
                yield found

    def waiting(self, known: set[str]) -> list[tuple[float, str, dict[str, Any]]]:
        """Jobs that have not ended and are not `known`: (time of submission, name, spec), oldest first."""
        found = []
        try:
            entries = list(os.scandir(self.jobs))
        except FileNotFoundError:
            return []
        for entry in entries:
            if entry.name in known or Path(entry.path, "exit.json").exists():
                continue
            spec = read_json(Path(entry.path, "job.json"))
            if spec is not None and spec.get("engine") == "skypilot":
                found.append((float(spec.get("created", 0.0)), entry.name, spec))
        return sorted(found, key=lambda item: item[:2])
