"""The engine `skypilot`, as the session sees it: only files. The work is the dispatcher's, started when need be."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import subprocess
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoresearch.config import Config
from autoresearch.engines import CANCELLED, LOST, QUEUED, RUNNING, Engine, JobResult, JobState, Machine
from autoresearch.engines.bundle import build_bare_bundle
from autoresearch.engines.jobdir import (
    all_jobs,
    end_of,
    is_free,
    job_directory,
    new_directory,
    phase_of,
    read_json,
    result_of,
    write_private,
)
from autoresearch.engines.skypilot import model as m
from autoresearch.engines.skypilot.memory import ENDED, LANDED, Store, billed_hours
from autoresearch.engines.skypilot.qualify import Yardstick
from autoresearch.engines.skypilot.starter import dispatcher_lock, start, vm_prefix
from autoresearch.engines.skypilot.taskconfig import is_ours, launch_config, run_config, spec_hash
from autoresearch.engines.supervisor import write_json
from autoresearch.errors import BadInput, EnvironmentMissing, NotYet
from autoresearch.safetext import one_line
from autoresearch.task import Task
from autoresearch.verdict.rule import Rule

# For start-up time, as in the functions below: most commands read files only, and ask nobody.
if TYPE_CHECKING:
    from autoresearch.engines.skypilot.client import Bridge

RETRY = 15.0  # seconds before SkyPilot is tried again after it could not be used
BUSY = 60.0  # seconds for a dispatcher that is about to end


class SkyPilotEngine(Engine):
    """Runs tasks on VMs through SkyPilot.

    `policy` holds the number of VMs and the limits, `need` says what a VM must be able to show. `name` becomes part
    of the VMs' names. `budget` (dollars, vm_hours, price: $/h where SkyPilot knows none) is kept by the dispatcher,
    also while nobody looks.
    """

    warnings: tuple[str, ...] = ()

    def __init__(
        self, state_dir: Path, name: str, *, infra: str | None = None, policy: m.Policy | None = None,
        idle_minutes: int | None = None, need: Yardstick | None = None,
        budget: Mapping[str, float | None] | None = None,
    ) -> None:  # fmt: skip
        self.state = state_dir.resolve()
        self.store = Store(self.state)
        self.name = name
        self.infra = infra
        self.policy = policy or m.Policy()
        self.idle_minutes = idle_minutes
        self.need = need or Yardstick()
        self.budget = dict(budget or {})
        self._children: list[subprocess.Popen[bytes]] = []

    # --- the protocol

    def submit(
        self, task: Task, *, experiment: str, mode: str, workdir: Path, envs: Mapping[str, str], timeout: float,
    ) -> str:  # fmt: skip
        """Queue a job. `EnvironmentMissing` when there is no SkyPilot that we can use."""
        from autoresearch.engines.skypilot.client import check_version, find_interpreter

        check_version(find_interpreter())
        jobdir = new_directory(self.store.jobs, experiment, mode)
        try:
            self._write_job(jobdir, task, experiment, mode, workdir, envs, timeout)
        except BaseException:
            shutil.rmtree(jobdir, ignore_errors=True)
            raise
        self._ensure()
        return jobdir.name

    def poll(self, jobs: Iterable[str] | None = None) -> dict[str, JobState]:
        """States of the given jobs, or of all. Starts a dispatcher when something waits and none lives."""
        names = all_jobs(self.store.jobs) if jobs is None else list(jobs)
        states = {name: self._state(name) for name in names}
        if any(not state.final for state in states.values()):
            self._ensure()
        return states

    def fetch(self, job: str) -> JobResult:
        """What the job has printed so far, parsed; the last of `records` says where it ran."""
        state = self.poll([job])[job]
        ended = read_json(self._directory(job) / "exit.json") or {}
        if state.state == LOST:
            # What a lost trial has printed is no result.
            return JobResult(job, LOST, None, "", state.detail, "", {}, self.log_path(job), [], [])
        result = result_of(state, self.log_path(job), ended.get("exit"))
        if ended.get("vm"):
            result.records.append(
                {"type": "vm", **{k: ended.get(k) for k in ("vm", "attempt", "infra", "price", "seconds")}}
            )
        return result

    def cancel(self, job: str, patience: float = 60.0) -> JobState:
        """End a job. On a VM this takes some seconds; after `patience` it goes on without us."""
        jobdir = self._directory(job)
        if (state := self._state(job)).final:
            return state
        (jobdir / "cancel").touch()
        deadline = time.monotonic() + patience
        while not (state := self._state(job)).final and time.monotonic() < deadline:
            if not (jobdir / "flight.json").exists() and self._cancel_waiting(jobdir):
                continue
            self._ensure()
            if self.blocked() is not None:
                break
            time.sleep(0.1)
        return state

    def blocked(self) -> EnvironmentMissing | None:
        problem = self.store.problem()
        if problem is None or not is_free(self.store.lock):
            return None
        return EnvironmentMissing(str(problem.get("message")), fix=str(problem.get("fix", "")))

    # --- the base's noise trial, for new VMs

    def wants_yardstick(self, key: str) -> bool:
        known = read_json(self.store.yardstick / "job.json") or {}
        return self.policy.qualify and known.get("key") != key

    def set_yardstick(self, key: str, task: Task, *, workdir: Path, envs: Mapping[str, str], timeout: float) -> None:
        if not is_ours(task):
            return  # a plain task says nothing of noise
        part = self.store.sky / f"yardstick.{os.getpid()}"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        self._write_job(part, task, str(envs["EXP_ID"]), "noise", workdir, envs, timeout, key=key)
        old = self.store.sky / f"yardstick.old.{os.getpid()}"
        if self.store.yardstick.exists():
            self.store.yardstick.rename(old)
        part.rename(self.store.yardstick)
        shutil.rmtree(old, ignore_errors=True)

    # --- logs and VMs

    def log_path(self, job: str) -> Path:
        """The output of the trial that counts, or of the one that runs."""
        jobdir = self._directory(job)
        if (jobdir / "log.txt").exists():
            return jobdir / "log.txt"
        flight = read_json(jobdir / "flight.json") or {}
        return jobdir / str(flight.get("log") or "log.txt")

    def machines(self, jobs: Collection[str]) -> list[Machine]:
        """The VMs that this project has launched, whatever ran on them."""
        return [
            Machine(vm["vm"], vm["state"] not in m.OVER, vm["hours"], vm["price"], vm["dollars"]) for vm in self.vms()
        ]

    @property
    def width(self) -> int:
        return self.policy.vms

    def halt(self, reason: str) -> None:
        if reason != self.store.halt_reason():
            self.store.set_halt(reason)
        if reason and any(machine.up for machine in self.machines(())):
            self._ensure()

    def vms(self) -> list[dict[str, Any]]:
        return [self._vm(name, data) for name, data in (self.store.fleet().get("vms") or {}).items()]

    def refresh(self, seconds: float = math.inf) -> None:
        from autoresearch.engines.skypilot.giveback import refresh_costs

        with dispatcher_lock(self.store.lock) as lock:
            if lock is not None:  # else a dispatcher is busy with them
                with self._bridge(time.monotonic() + seconds, "autoresearch vms --refresh") as bridge:
                    refresh_costs(self.store, bridge)

    def give_back(self, seconds: float = math.inf) -> list[str]:
        from autoresearch.engines.skypilot.giveback import give_back

        again = "autoresearch vms --down"
        begun = time.monotonic()
        while True:
            busy = [state.experiment for state in self.poll().values() if not state.final]
            if busy:
                raise NotYet(
                    f"{', '.join(busy[:5])} still need the VMs", fix="Wait for them, or stop them",
                    next="autoresearch cancel --all",
                )  # fmt: skip
            with dispatcher_lock(self.store.lock) as lock:
                if lock is not None:
                    with self._bridge(begun + seconds, again) as bridge:
                        left, late = give_back(self.store, bridge)
                    if late and not math.isinf(seconds):
                        raise NotYet(f"not verified yet to be gone: {', '.join([*left, *late][:5])}", next=again)
                    return sorted(left + late)
            if time.monotonic() > begun + min(seconds, BUSY):
                raise NotYet("a dispatcher is still busy with the VMs", next=again)
            time.sleep(0.5)

    # --- inside

    @contextlib.contextmanager
    def _bridge(self, until: float, again: str) -> Iterator[Bridge]:
        """Someone to ask, but not longer than `until`; `again` is the command that goes on."""
        from autoresearch.engines.skypilot.client import Bridge, BridgeError, Unanswered, find_interpreter

        bridge = Bridge(find_interpreter(), self.store.sky / "bridge.log", until)
        try:
            yield bridge
        except BridgeError as exc:
            raise EnvironmentMissing(f"SkyPilot: {exc}", fix="Repeat it; sky status shows the VMs") from None
        except Unanswered as exc:
            raise NotYet(f"{exc.message}; its API server may be starting", next=again) from None
        finally:
            bridge.close()

    def _directory(self, job: str) -> Path:
        return job_directory(self.store.jobs, job)

    def _write_job(
        self, jobdir: Path, task: Task, experiment: str, mode: str, workdir: Path, envs: Mapping[str, str],
        timeout: float, key: str = "",
    ) -> None:  # fmt: skip
        values = task.resolve({"EXP_ID": experiment, **envs} if is_ours(task) else envs)
        outbox = jobdir / "outbox"
        outbox.mkdir()
        # SkyPilot leaves out what git ignores, unless there is a list of its own.
        (outbox / ".skyignore").touch()
        if is_ours(task):
            sha256 = values["EXP_SHA256"]
            if "EXPERIMENT_BUNDLE" not in task.run:
                raise BadInput(
                    f"{task.where} is of an older version: it does not say whose result it prints",
                    fix="Copy experiment.yaml of this version over it; see CHANGELOG.md",
                )
            shutil.copyfile(workdir / f"{sha256}.tar.gz", outbox / f"{sha256}.tar.gz")
        else:
            sha256 = build_bare_bundle(outbox, workdir).sha256
            values = {**values, "EXP_ID": experiment, "EXP_SHA256": sha256}
        launch = launch_config(task, self.infra, self.idle_minutes)
        write_private(
            jobdir / "job.json",
            {
                "engine": "skypilot", "experiment": values["EXP_ID"], "mode": mode, "created": time.time(),
                "timeout": timeout, "sha256": sha256, "ours": is_ours(task), "key": key,
                "qualifies": mode == "noise" and is_ours(task),
                "launch": launch, "launch_hash": spec_hash(launch), "run_task": run_config(task, values),
            },
        )  # fmt: skip

    def _state(self, job: str) -> JobState:
        jobdir = self._directory(job)
        spec = read_json(jobdir / "job.json") or {}
        experiment = str(spec.get("experiment", ""))
        ended = read_json(jobdir / "exit.json")
        if ended is not None:
            return end_of(job, experiment, ended)
        if spec.get("engine") != "skypilot":
            return JobState(job, experiment, LOST, "", "it was submitted to another engine")
        flight = read_json(jobdir / "flight.json") or {}
        if flight.get("stage") not in (m.RUNNING, ENDED):
            return JobState(job, experiment, QUEUED, self._why_waiting(flight))
        phase = f"{flight['vm']}: {phase_of(self.log_path(job))}"
        seconds = max(0.0, time.time() - float(flight.get("begun") or time.time()))
        return JobState(job, experiment, RUNNING, phase, "", seconds)

    def _why_waiting(self, flight: Mapping[str, Any]) -> str:
        problem = self.blocked()
        if problem is not None:
            return problem.message
        if flight.get("stage") == m.SENDING:
            return f"on its way to {flight.get('vm')}"
        if flight.get("stage") == LANDED:
            return f"waits for a VM after attempt {flight.get('attempt')}"
        coming = {m.LAUNCHING: "comes up", m.FRESH: "is up", m.QUALIFYING: "measures its noise"}
        for name, vm in (self.store.fleet().get("vms") or {}).items():
            if vm.get("state") in coming:
                return f"{name} {coming[vm['state']]}"
        return "waits for a VM"

    def _vm(self, name: str, data: Mapping[str, Any]) -> dict[str, Any]:
        facts = data.get("facts") or {}
        return {
            "vm": name, "state": str(data.get("state")), "trial": str(data.get("job", "")),
            "trials": int(data.get("trials", 0)), "hours": round(billed_hours(facts), 4), "price": facts.get("price"),
            "dollars": facts.get("dollars"), "infra": facts.get("infra"),
            "resources": facts.get("resources"), "sigma_pct": data.get("sigma_pct"), "mde_pct": data.get("mde_pct"),
            "reason": one_line(str(data.get("unfit") or data.get("reason") or "")),
        }  # fmt: skip

    def _cancel_waiting(self, jobdir: Path) -> bool:
        """End a job that no dispatcher has taken; True when that is done."""
        with dispatcher_lock(self.store.lock) as lock:
            if lock is None or (jobdir / "flight.json").exists():
                return False
            write_json(jobdir / "exit.json", {"state": CANCELLED, "exit": None, "detail": "cancelled"})
        return True

    def _ensure(self) -> None:
        """See that a dispatcher lives; one that could not use SkyPilot is not started again at once."""
        self._children = [child for child in self._children if child.poll() is None]
        problem = self.store.problem()
        if problem is not None and time.time() - float(problem.get("time", 0.0)) < RETRY:
            return
        with dispatcher_lock(self.store.lock) as lock:
            self._write_plan()
            if lock is None:
                return
            self.store.clear_problem()
            self._children.append(start(self.store, lock))

    def _write_plan(self) -> None:
        known = self.store.plan()
        plan = {
            # Kept for the project's life: VMs of another session of the same name must not be taken for ours.
            "prefix": known.get("prefix") or vm_prefix(self.name),
            "infra": self.infra, "policy": asdict(self.policy), "need": self.need._asdict(),
            "budget": self.budget,
        }  # fmt: skip
        if plan != known:
            write_json(self.store.sky / "plan.json", plan)


def limits(config: Config) -> dict[str, Any]:
    """The engine's settings out of `autoresearch.yaml`."""
    vms, objective = config.vms, config.objective
    runs = Rule.preset(config.test.preset, max_runs=config.test.max_runs).max_runs
    policy = m.Policy(
        vms=vms.count, qualify=vms.qualify, replacements=vms.replacements, requalify_after=vms.requalify_after,
        attempts=vms.attempts,
    )  # fmt: skip
    need = Yardstick(objective.direction, objective.min_effect_pct, runs)
    spend = config.budget
    budget = {"dollars": spend.dollars, "vm_hours": spend.vm_hours, "price": spend.price_per_hour}
    return {
        "infra": config.infra, "policy": policy, "idle_minutes": vms.idle_minutes, "need": need, "budget": budget,
    }  # fmt: skip
