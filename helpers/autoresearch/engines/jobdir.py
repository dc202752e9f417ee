"""A job is a directory: its number, its files, its lock. What every engine shares."""

from __future__ import annotations

import contextlib
import json
import os
import re
from pathlib import Path
from typing import Any

from autoresearch.engines import FINAL, LOST, JobResult, JobState, State
from autoresearch.engines.output import parse_log, phase
from autoresearch.errors import BadInput
from autoresearch.files import try_lock, write_atomic
from autoresearch.safetext import one_line

LOG_BYTES = 64 * 1024 * 1024
# What is said of a job that left nothing.
REMOVED = "its directory was removed"
_PHASE_BYTES = 4 * 1024 * 1024


def job_directory(jobs: Path, job: str) -> Path:
    """The directory of an existing job; `BadInput` when there is none of that name."""
    path = jobs / job
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", job) or not (path / "job.json").exists():
        raise BadInput(f"no job {one_line(job, 80)}", fix="autoresearch queue lists them", next="autoresearch queue")
    return path


def all_jobs(jobs: Path) -> list[str]:
    """The names of all jobs, in order of submission."""
    specs = [(read_json(path) or {}, path.parent.name) for path in jobs.glob("*/job.json")]
    return [name for _, name in sorted((float(spec.get("created", 0.0)), name) for spec, name in specs)]


def new_directory(jobs: Path, experiment: str, mode: str) -> Path:
    """Make the directory of a new job: `<experiment>-<mode>-<number>`."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", experiment):
        raise BadInput(f"{one_line(experiment, 60)!r} is no experiment id", fix="Use letters, digits, dot, - and _")
    jobs.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        path = jobs / f"{experiment}-{mode}-{number}"
        with contextlib.suppress(FileExistsError):
            path.mkdir(0o700)
            return path
        number += 1


def stand_in(jobs: Path, job: str, experiment: str) -> bool:
    """Where the directory of a job is gone: one that says so, and keeps the name from the next; True if it was made."""
    where = jobs / job
    if (where / "job.json").exists() or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", job):
        return False
    where.mkdir(0o700, parents=True, exist_ok=True)
    for name, data in (
        ("swept", {}),
        ("exit.json", {"state": LOST, "exit": None, "detail": REMOVED}),
        ("job.json", {"experiment": experiment}),
    ):
        write_atomic(where / name, json.dumps(data).encode(), mode=0o600)
    return True


def write_private(path: Path, data: dict[str, Any]) -> None:
    """Write a file that nobody else may read (it may hold secrets), as a whole or not at all."""
    part = path.with_suffix(".part")
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        json.dump(data, file)
    part.rename(path)


def is_free(path: Path) -> bool:
    """Whether nobody holds the lock. Shared, so that two lookers do not take each other for a holder."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return True
    try:
        return try_lock(fd, shared=True)
    finally:
        os.close(fd)


def read_json(path: Path) -> dict[str, Any] | None:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return data if isinstance(data, dict) else None


def read_log(path: Path, limit: int, *, from_end: bool = False) -> str:
    try:
        with path.open("rb") as file:
            if from_end:
                file.seek(max(0, path.stat().st_size - limit))
            return file.read(limit).decode("utf-8", "replace")
    except FileNotFoundError:
        return ""


def phase_of(log: Path) -> str:
    """What a running job does now."""
    return phase(read_log(log, _PHASE_BYTES))


def end_of(job: str, experiment: str, ended: dict[str, Any]) -> JobState:
    """How a job ended, by its exit.json."""
    state: State = ended["state"] if ended.get("state") in FINAL else LOST
    seconds = float(ended.get("seconds", 0.0))
    return JobState(job, experiment, state, "", one_line(str(ended.get("detail", ""))), seconds)


def result_of(state: JobState, log: Path, exit_code: int | None) -> JobResult:
    """What a job's output says, given how the job ended."""
    parsed = parse_log(read_log(log, LOG_BYTES))
    error, status = parsed.error, parsed.status
    if state.final and state.state != "done" and status in ("", "done"):
        # It said nothing, or was ended after saying so: never a success.
        status, error = "crash", error or f"job {state.state}: {state.detail}".rstrip(": ")
    elif state.state == "done" and not status and not parsed.records:
        # A plain task without a result block: its exit code speaks.
        status = "done" if parsed.metrics else "crash"
        error = "" if parsed.metrics else "no METRIC line"
    return JobResult(
        state.job, state.state, exit_code, status, error, parsed.checks, parsed.metrics, log, parsed.records,
        parsed.warnings,
    )  # fmt: skip
