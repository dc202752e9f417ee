"""`python -m autoresearch.engines.supervisor JOBDIR LOCK_FD`: sees one job through, detached.

Two processes. The outer one, the guardian, does nothing but wait: when the inner one ends, however it ends, it
kills what is left of the job, also what has left every process group (it is the subreaper above them all). Both
hold the job's lock, so a free lock means that nothing of the job runs. Imports little, so that it starts fast.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import IO, Any

from autoresearch.engines import State
from autoresearch.trial import places, processes, slots

JOB = "AUTORESEARCH_JOB"
GRACE = 3.0  # seconds between SIGTERM and SIGKILL
RECORD = b"AR_RECORD "


class Interrupted(BaseException):
    """A signal asks us to end. Not an Exception, so that no handler of errors takes it for one."""


class _Ended(Exception):
    """The job is over: its state, exit code and a reason in words."""

    def __init__(self, state: State, exit_code: int | None, detail: str) -> None:
        super().__init__(detail)
        self.state = state
        self.exit_code = exit_code
        self.detail = detail


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Write a file as a whole or not at all."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    with part.open("w", encoding="utf-8") as file:
        file.write(json.dumps(data))
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def main(argv: list[str]) -> int:
    jobdir = Path(argv[0])
    job = json.loads((jobdir / "job.json").read_text(encoding="utf-8"))
    for signum in (signal.SIGHUP, signal.SIGINT):
        signal.signal(signum, signal.SIG_IGN)
    processes.become_subreaper()
    inner = os.fork()
    if inner:
        return _guard(inner, jobdir, job)
    os.setsid()
    # Without its guardian the job would be one kill away from leaving processes: end it while we can.
    processes.die_with_parent(signal.SIGTERM)
    signal.signal(signal.SIGTERM, _stop)
    _supervise(jobdir, job)
    return 0


def _stop(signum: int, frame: object) -> None:
    raise Interrupted


def _guard(inner: int, jobdir: Path, job: dict[str, Any]) -> int:
    while True:
        pid, _ = os.waitpid(-1, 0)
        if pid == inner:
            break
    processes.end_tree(inner, f"{JOB}={job['marker']}", set())
    drop_trees(jobdir, job)
    return 0


def drop_trees(jobdir: Path, job: dict[str, Any]) -> None:
    """Logs stay; trees can be made again from the bundle, and would fill a disk overnight."""
    for name in ("trial", "scratch", *(["workdir"] if job.get("drop_workdir") else [])):
        if (jobdir / name).exists():
            places.remove(str(jobdir / name))
    places.sweep()


def _supervise(jobdir: Path, job: dict[str, Any]) -> None:
    begun = time.time()
    state: State = "failed"
    code, detail = None, ""
    try:
        write_json(jobdir / "pid.json", {"pid": os.getpid(), "start": processes.start_time(os.getpid())})
        if (jobdir / "cancel").exists():
            raise Interrupted
        with (jobdir / "log.txt").open("ab", buffering=0) as log, slots.take(job["jobs_dir"]):
            begun = time.time()
            write_json(jobdir / "started.json", {"time": begun})
            _run(jobdir, job, log)
    except _Ended as end:
        state, code, detail = end.state, end.exit_code, end.detail
    except Interrupted:
        cancelled = (jobdir / "cancel").exists()
        # A shutdown or a killed guardian says nothing about the candidate.
        state = "cancelled" if cancelled else "lost"
        detail = "cancelled" if cancelled else "its runner was ended by a signal"
    except OSError as exc:
        detail = f"cannot run the job: {exc}"
    # A second signal may not spoil the record.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _flush(jobdir / "log.txt")
    now = time.time()
    write_json(
        jobdir / "exit.json",
        {"state": state, "exit": code, "detail": detail, "ended": now, "seconds": round(now - begun, 3)},
    )


def _flush(log: Path) -> None:
    """The log is on the disk before the job says that it has ended: a power cut never makes it a shorter one."""
    with contextlib.suppress(FileNotFoundError), log.open("rb") as file:
        os.fsync(file.fileno())


def _run(jobdir: Path, job: dict[str, Any], log: IO[bytes]) -> None:
    # Imported when it is this job's turn: sixty jobs submitted at once must not slow down the first.
    from autoresearch.trial import procs

    work = str(jobdir / "workdir")
    deadline = time.monotonic() + job["timeout"]
    with contextlib.ExitStack() as stack:
        scratch = stack.enter_context(places.Place(str(jobdir)))
        env = {**job["env"], JOB: job["marker"], "TMPDIR": scratch.path}
        if job["setup"].strip():
            _setup(jobdir, job, env, work, log)
        cpus: list[int] = []
        if job["holds_slot"]:
            waiting = time.monotonic()
            _note(log, {"type": "slot", "state": "waiting"})
            slot = stack.enter_context(slots.take(job["slot_dir"]))
            waited = time.monotonic() - waiting
            deadline += waited
            cpus = slot.cpus
            _note(log, {"type": "slot", "state": "taken", "index": slot.number, "waited": round(waited, 3)})
        credit = Credit(jobdir / "log.txt")
        done = procs.run(
            ["bash", str(jobdir / "run.sh")], env=env, cwd=work, timeout=max(0.0, deadline - time.monotonic()),
            cpus=cpus, log=log, grace=GRACE, extend=credit.more,
        )  # fmt: skip
    raise _Ended("done" if done.ok else "failed", done.exit_code, done.failure())


def _note(log: IO[bytes], record: dict[str, Any]) -> None:
    log.write(b"AR_RUNNER " + json.dumps(record).encode() + b"\n")


def _setup(jobdir: Path, job: dict[str, Any], env: dict[str, str], work: str, log: IO[bytes]) -> None:
    """Run setup, once per content where the engine says so (`setup_stamp`), as a VM does at its launch."""
    from autoresearch.trial import procs  # for start-up time

    stamp = Path(job["setup_stamp"]) if job["setup_stamp"] else None
    with contextlib.ExitStack() as held:
        if stamp is not None:
            lock = held.enter_context(stamp.with_suffix(".lock").open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX)
            if stamp.exists():
                return
        done = procs.run(
            ["bash", str(jobdir / "setup.sh")], env=env, cwd=work, timeout=job["timeout"],
            log=log, grace=GRACE,
        )  # fmt: skip
        if not done.ok:
            raise _Ended("failed", done.exit_code, f"setup failed ({done.failure()})")
        if stamp is not None:
            stamp.touch()


class Credit:
    """More time for a trial that waits for a measurement slot: other jobs' measuring is not its own time."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._granted = 0.0

    def more(self) -> float:
        """Seconds to add to the deadline; 0 when the job's own time is up."""
        waiting, waited = False, 0.0
        with self._log.open("rb") as file:
            for line in file:
                if line.startswith(RECORD + b'{"type":"slot"'):
                    record = json.loads(line[len(RECORD) :])
                    waiting = record.get("state") == "waiting"
                    waited += float(record.get("waited", 0.0))
        extra = 1.0 if waiting else waited - self._granted
        self._granted += max(0.0, extra)
        return max(0.0, extra)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
