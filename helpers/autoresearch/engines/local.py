"""The local engine: jobs on this machine, without a daemon.

A job is a directory. `job.json` says what to run, `lock` is held as long as anything of it lives, `started.json`
and `exit.json` say when it began and how it ended. Every state is derived from these files alone, so any process
may ask, and a killed one loses nothing.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Literal

from autoresearch.engines import CANCELLED, LOST, QUEUED, RUNNING, Engine, JobResult, JobState, Machine
from autoresearch.engines.cpus import CpuPlan, core_locks, plan_cpus
from autoresearch.engines.jobdir import (
    all_jobs,
    end_of,
    is_free,
    job_directory,
    new_directory,
    phase_of,
    read_json,
    read_log,
    result_of,
    write_private,
)
from autoresearch.engines.supervisor import JOB, drop_trees, write_json
from autoresearch.errors import BadInput, EnvironmentMissing
from autoresearch.safetext import one_line
from autoresearch.task import Task
from autoresearch.trial import environment, places, processes
from autoresearch.trial.slots import SLOT_DIR

_PACKAGE_PARENT = Path(__file__).resolve().parents[2]
_AHEAD = 4  # jobs that may build while the slots measure


class LocalEngine(Engine):
    """Runs tasks below `state_dir` (a project's `.autoresearch`).

    `slots` benchmarks measure at a time, each on `cores_per_slot` CPUs of its own; `jobs_parallel` jobs are active
    (default: as many again, at most 4, so that a free slot finds the next trial built). `warnings` has sentences
    for the user.
    """

    def __init__(
        self, state_dir: Path, slots: int | Literal["auto"] = "auto", cores_per_slot: int | Literal["all"] = 1,
        jobs_parallel: int | None = None,
    ) -> None:  # fmt: skip
        self.state = state_dir.resolve()
        self.jobs = self.state / "jobs"
        self.plan: CpuPlan = plan_cpus(slots, cores_per_slot)
        self.warnings = self.plan.warnings
        count = len(self.plan.slots)
        self.jobs_parallel = jobs_parallel or count + min(count, _AHEAD)
        self._children: list[subprocess.Popen[bytes]] = []

    # --- the protocol

    def submit(
        self, task: Task, *, experiment: str, mode: str, workdir: Path, envs: Mapping[str, str], timeout: float,
    ) -> str:  # fmt: skip
        """Start a job. Its environment is an allow-list, as on a fresh VM."""
        problems = task.local_problems()
        if problems:
            raise BadInput(f"{task.where}: {'; '.join(problems)}", fix="Choose the skypilot engine for this task")
        if shutil.which("bash") is None:
            raise EnvironmentMissing("bash is not installed", fix="Install bash; tasks are written for it")
        values = task.resolve(envs)
        jobdir = new_directory(self.jobs, experiment, mode)
        lock = os.open(jobdir / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            # Held from here on: the runner inherits it, so there is no moment at which the job looks lost.
            fcntl.flock(lock, fcntl.LOCK_EX)
            shutil.copytree(workdir, jobdir / "workdir", symlinks=True)
            self._write_job(jobdir, task, experiment, mode, values, timeout)
            self._launch(jobdir, lock)
        except BaseException:
            shutil.rmtree(jobdir, ignore_errors=True)
            raise
        finally:
            os.close(lock)
        return jobdir.name

    def poll(self, jobs: Iterable[str] | None = None) -> dict[str, JobState]:
        """States of the given jobs, or of all in order of submission. A lost job's leftovers are killed."""
        self._children = [child for child in self._children if child.poll() is None]
        names = all_jobs(self.jobs) if jobs is None else list(jobs)
        states = {name: self._state(name) for name in names}
        for name, state in states.items():
            if state.state == LOST:
                self._sweep(name)
        return states

    def fetch(self, job: str) -> JobResult:
        state = self.poll([job])[job]
        exit_code = (read_json(self._directory(job) / "exit.json") or {}).get("exit")
        return result_of(state, self.log_path(job), exit_code)

    def cancel(self, job: str, patience: float = 15.0) -> JobState:
        """End a job with everything it started; a finished one stays as it is."""
        jobdir = self._directory(job)
        state = self._state(job)
        if state.final:
            return state
        (jobdir / "cancel").touch()
        deadline = time.monotonic() + patience
        told = False
        while not (state := self._state(job)).final and time.monotonic() < deadline:
            # Until its runner has said who it is, it has not looked for the cancel file either.
            told = told or self._signal_runner(jobdir, signal.SIGTERM)
            time.sleep(0.02)
        if not state.final:
            self._signal_runner(jobdir, signal.SIGKILL)
        while not (state := self._state(job)).final and time.monotonic() < deadline + patience:
            time.sleep(0.02)
        if state.state == LOST:
            self._sweep(job)
            detail = "cancelled (its runner had to be killed)"
            write_json(jobdir / "exit.json", {"state": CANCELLED, "exit": None, "detail": detail})
            state = self._state(job)
        return state

    def machines(self, jobs: Collection[str]) -> list[Machine]:
        """This machine: the hours in which at least one of `jobs` ran, however many ran at once."""
        spans = [span for job in jobs if (span := self._span(job)) is not None]
        hours, until = 0.0, 0.0
        for begun, ended, _ in sorted(spans):
            hours += max(0.0, ended - max(begun, until)) / 3600.0
            until = max(until, ended)
        return [Machine(platform.node() or "here", any(running for *_, running in spans), hours)]

    def drop_unknown(self, known: set[str]) -> list[str]:
        dropped = []
        for jobdir in sorted(self.jobs.glob("*")):
            if jobdir.name in known or not jobdir.is_dir() or (jobdir / "exit.json").exists():
                continue
            if (jobdir / "job.json").exists():
                self.cancel(jobdir.name)
            elif not is_free(jobdir / "lock"):
                continue
            places.remove(str(jobdir))
            dropped.append(jobdir.name)
        return dropped

    def log_path(self, job: str) -> Path:
        return self._directory(job) / "log.txt"

    # --- inside

    def _directory(self, job: str) -> Path:
        return job_directory(self.jobs, job)

    def _write_job(
        self, jobdir: Path, task: Task, experiment: str, mode: str, values: dict[str, str], timeout: float
    ) -> None:
        from autoresearch.engines.bundle import holds_trial  # for start-up time: most commands submit nothing

        workdir = jobdir / "workdir"
        bundle = workdir / f"{values.get('EXP_SHA256', '')}.tar.gz"
        takes_itself = "AUTORESEARCH_TRIAL" in values and holds_trial(bundle)
        slot_dir = self.slot_directory()
        jobs_dir = self._lock_directory("active", [[] for _ in range(self.jobs_parallel)], None)
        env = environment.allowed(os.environ)
        env.update(values)
        env["AUTORESEARCH_HOME"] = str(jobdir / "trial")
        env["AUTORESEARCH_LOCK"] = str(jobdir / "vm.lock")
        if takes_itself:
            env[SLOT_DIR] = str(slot_dir)
        (jobdir / "run.sh").write_text(task.run, encoding="utf-8")
        (jobdir / "setup.sh").write_text(task.setup, encoding="utf-8")
        stamp = ""
        if "EXP_SHA256" in values and task.setup.strip():
            # A plain task may leave things in its workdir, which is every job's own: its setup runs each time.
            stamps = self.state / "setup"
            stamps.mkdir(exist_ok=True)
            stamp = str(stamps / f"{hashlib.sha256(task.setup.encode()).hexdigest()[:32]}.ok")
        job = {
            "experiment": experiment, "mode": mode, "created": time.time(), "timeout": timeout, "env": env,
            "marker": os.urandom(16).hex(), "setup": task.setup, "setup_stamp": stamp,
            "slot_dir": str(slot_dir), "jobs_dir": str(jobs_dir), "holds_slot": not takes_itself,
            "drop_workdir": "EXP_SHA256" in values,
        }  # fmt: skip
        write_private(jobdir / "job.json", job)

    def slot_directory(self) -> Path:
        """The directory of the measurement slots' locks, for `trial.slots.take`."""
        # Cores are shared by all sessions on the machine, unless the user has asked for more slots than there are.
        return self._lock_directory("slots", self.plan.slots, None if self.warnings else core_locks())

    def _lock_directory(self, name: str, slots: list[list[int]], cores: Path | None) -> Path:
        path = self.state / name
        path.mkdir(parents=True, exist_ok=True)
        plan = {"slots": slots, "build": self.plan.build, "cores": str(cores) if cores else None}
        if read_json(path / "cpus.json") != plan:
            write_json(path / "cpus.json", plan)
        return path

    def _launch(self, jobdir: Path, lock: int) -> None:
        # Only what an interpreter needs, and not our own marker: a job's runner is no part of an outer job.
        env = {key: value for key, value in os.environ.items() if key != JOB}
        env["PYTHONPATH"] = str(_PACKAGE_PARENT)
        with (jobdir / "supervisor.log").open("ab") as log:
            child = subprocess.Popen(
                # -S: no site-packages, the runner needs the standard library only and starts faster.
                [sys.executable, "-S", "-m", "autoresearch.engines.supervisor", str(jobdir), str(lock)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=jobdir, env=env,
                pass_fds=(lock,), start_new_session=True,
            )  # fmt: skip
        self._children.append(child)

    def _state(self, job: str) -> JobState:
        jobdir = self._directory(job)
        experiment = str((read_json(jobdir / "job.json") or {}).get("experiment", ""))
        ended = read_json(jobdir / "exit.json")
        if ended is None and is_free(jobdir / "lock"):
            # It may have ended between the two looks.
            said = one_line(read_log(jobdir / "supervisor.log", 4000, from_end=True)[-160:])
            lost = {"state": LOST, "detail": f"its runner was killed {said}".rstrip()}
            ended = read_json(jobdir / "exit.json") or lost
        started = read_json(jobdir / "started.json")
        if ended is not None:
            return end_of(job, experiment, ended)
        if started is None:
            return JobState(job, experiment, QUEUED, "waits for a free place")
        seconds = max(0.0, time.time() - float(started["time"]))
        return JobState(job, experiment, RUNNING, phase_of(jobdir / "log.txt"), "", seconds)

    def _span(self, job: str) -> tuple[float, float, bool] | None:
        """(begin, end so far, whether it runs) in seconds since the epoch; None when nothing of it ran or is left."""
        jobdir = self.jobs / job
        started = read_json(jobdir / "started.json")
        if started is None:
            return None
        begun = float(started["time"])
        ended = read_json(jobdir / "exit.json") or {}
        if "ended" in ended:
            return begun, max(begun, float(ended["ended"])), False
        if is_free(jobdir / "lock"):  # its runner was killed: its last words are the end that is known
            log = jobdir / "log.txt"
            return begun, max(begun, log.stat().st_mtime if log.exists() else begun), False
        return begun, time.time(), True

    def _sweep(self, job: str) -> None:
        jobdir = self._directory(job)
        if (jobdir / "swept").exists():
            return
        job_file = read_json(jobdir / "job.json") or {}
        processes.kill_marked(f"{JOB}={job_file.get('marker')}")
        drop_trees(jobdir, job_file)
        (jobdir / "swept").touch()

    def _signal_runner(self, jobdir: Path, signum: int) -> bool:
        runner = read_json(jobdir / "pid.json")
        if runner is None:
            return False
        if processes.start_time(runner["pid"]) == runner["start"]:  # not another process of the same number
            processes.kill(runner["pid"], signum)
        return True
