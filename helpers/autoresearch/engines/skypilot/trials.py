"""The trials' side of a dispatch: send, look for, follow, stop, and bring the result home."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from autoresearch.engines import output
from autoresearch.engines.jobdir import read_log
from autoresearch.engines.skypilot import model as m
from autoresearch.engines.skypilot import qualify, receipt
from autoresearch.engines.skypilot.memory import ENDED
from autoresearch.engines.supervisor import write_json
from autoresearch.safetext import one_line

if TYPE_CHECKING:
    from autoresearch.engines.skypilot.dispatcher import Dispatcher

Answer = dict[str, Any]
LOG_BYTES = 64 * 1024 * 1024
SILENCE = 900.0  # seconds; a long build is silent too, so this is no failure
FETCHES = 3  # of one output, until it counts as cut off

# SkyPilot's words for how a job stands when its output has been followed.
SUCCEEDED, FAILED, CANCELLED = 0, 100, 103


class Trials:
    """Carries out Send, Look, Stop and Finish. Every answer is of one flight: (vm, job, attempt)."""

    def __init__(self, dispatch: Dispatcher) -> None:
        self._d = dispatch
        self._followed: dict[str, tuple[str, int]] = {}  # vm -> the flight whose output is being followed
        self._copies = 0
        self._fetches: dict[tuple[str, str, int], int] = {}

    # --- there

    def send(self, action: m.Send) -> None:
        """Submit the trial under a name that no other has, written down before."""
        vm, job, attempt = action.vm, action.job, action.attempt
        store = self._d.store
        spec = store.spec(job)
        name = f"{job or 'noise'}.{vm}.a{attempt}"
        flight = self._d.fleet.vms[vm].flight
        store.set_flight(
            vm, job, attempt, name=name, stage=m.SENDING, asked=time.time(),
            qualifying=flight is not None and flight.qualifying,
        )  # fmt: skip
        task = {**spec.get("run_task", {}), "name": name, "workdir": str(store.outbox(job))}
        self._d.ask(lambda a: self._sent(vm, job, attempt, a), "exec", cluster=vm, task=task)

    def _sent(self, vm: str, job: str, attempt: int, answer: Answer) -> None:
        store = self._d.store
        if "request" in answer:
            store.set_flight(vm, job, attempt, request=answer["request"])
        elif answer["ok"] and answer["result"]["job"] is not None:
            self._arrived(vm, job, attempt, int(answer["result"]["job"]))
        elif answer["ok"]:
            self._d.tell(m.Unclear(vm, job, attempt, "SkyPilot names no job"))
        elif answer["kind"] == "gone":
            self._d.vms.lost(vm, "it is gone", idle_end=True)
        elif answer["kind"] in ("not_up", "bad_task"):
            self._d.tell(m.Refused(vm, job, attempt, one_line(answer["error"], 300)))
        else:
            self._unclear(vm, job, attempt, answer)

    def _arrived(self, vm: str, job: str, attempt: int, number: int) -> None:
        begun = self._d.store.flight(vm, job, attempt).get("begun") or time.time()
        self._d.store.set_flight(vm, job, attempt, stage=m.RUNNING, sky_job=number, begun=begun)
        self._d.tell(m.Accepted(vm, job, attempt))
        self._follow(vm, job, attempt, number, wait=True)

    # --- where is it?

    def look(self, action: m.Look) -> None:
        """First whether its submission is still on its way, then whether the VM's queue has its name."""
        vm, job, attempt = action.vm, action.job, action.attempt
        self._d.ask(lambda a: self._looked_at_requests(vm, job, attempt, a), "requests", cluster=vm)

    def _looked_at_requests(self, vm: str, job: str, attempt: int, answer: Answer) -> None:
        if not answer["ok"]:
            self._unclear(vm, job, attempt, answer)
        elif any(str(r["name"]).endswith("exec") for r in answer["result"]):
            self._d.tell(m.Unclear(vm, job, attempt, "its submission is still on its way"))
        else:
            self._d.ask(lambda a: self._looked_at_queue(vm, job, attempt, a), "queue", cluster=vm)

    def _looked_at_queue(self, vm: str, job: str, attempt: int, answer: Answer) -> None:
        if not answer["ok"]:
            self._unclear(vm, job, attempt, answer)
            return
        name = self._d.store.flight(vm, job, attempt).get("name")
        found = next((r for r in answer["result"] if r["name"] == name), None)
        if found is None:
            self._d.tell(m.Refused(vm, job, attempt, "it is not in the VM's queue"))
        elif found["ended"]:
            self._follow(vm, job, attempt, int(found["job"]), wait=False)
        else:
            self._arrived(vm, job, attempt, int(found["job"]))

    def _unclear(self, vm: str, job: str, attempt: int, answer: Answer) -> None:
        if answer["kind"] == "gone":
            self._d.vms.lost(vm, one_line(answer["error"], 200))
        else:
            patient = answer["kind"] in ("server", "interrupted")
            self._d.tell(m.Unclear(vm, job, attempt, one_line(answer["error"], 300), patient))

    # --- its output

    def _follow(self, vm: str, job: str, attempt: int, number: int, *, wait: bool) -> None:
        if self._followed.get(vm) == (job, attempt):
            return
        flight = self._d.fleet.vms[vm].flight
        if flight is None or (flight.job, flight.attempt) != (job, attempt):
            return
        self._followed[vm] = (job, attempt)
        # Each copy has its own file: one that is given up as silent may still write into its own.
        self._copies += 1
        store = self._d.store
        store.set_flight(vm, job, attempt, log=f"attempt-{attempt}.{os.getpid()}-{self._copies}.log")
        log = store.log(vm, job, attempt)
        log.touch()
        self._d.ask(
            lambda a: self._follow_ended(vm, job, attempt, number, a),
            "follow", cluster=vm, job=number, to=str(log), wait=wait,
        )  # fmt: skip

    def watch(self) -> None:
        """A connection may hang without a word: after a long silence the queue is asked."""
        for vm, (job, attempt) in list(self._followed.items()):
            log = self._d.store.log(vm, job, attempt)
            if log.exists() and time.time() - log.stat().st_mtime > SILENCE:
                del self._followed[vm]
                self._d.tell(m.Unclear(vm, job, attempt, f"silent for {SILENCE:.0f} s"))

    def _follow_ended(self, vm: str, job: str, attempt: int, number: int, answer: Answer) -> None:
        if self._followed.get(vm) == (job, attempt):
            del self._followed[vm]
        if not answer["ok"]:
            self._unclear(vm, job, attempt, answer)
            return
        code = int(answer["result"]["code"])
        flight = self._d.fleet.vms[vm].flight
        stopping = flight is not None and flight.stage == m.STOPPING
        if code == CANCELLED and stopping:
            self._d.tell(m.Stopped(vm, job, attempt))
        elif code == CANCELLED:
            self._land(vm, job, attempt, code, "cancelled on the VM, not by us")
        elif code in (SUCCEEDED, FAILED):
            self._landed(vm, job, attempt, number, code)
        else:
            self._d.tell(m.Unclear(vm, job, attempt, "its output ended before it did"))

    def _landed(self, vm: str, job: str, attempt: int, number: int, code: int) -> None:
        """The trial has ended; is its output whole, and the right one? An incomplete copy is fetched again."""
        store = self._d.store
        spec = store.spec(job)
        text = read_log(store.log(vm, job, attempt), LOG_BYTES)
        fault = receipt.fault(
            text, str(spec.get("experiment")), str(spec.get("sha256")), ours=bool(spec.get("ours"))
        )
        flight = (vm, job, attempt)
        if fault and self._fetches.get(flight, 1) < FETCHES:
            self._fetches[flight] = self._fetches.get(flight, 1) + 1
            self._follow(vm, job, attempt, number, wait=False)
            return
        self._fetches.pop(flight, None)
        self._land(vm, job, attempt, code, fault, text)

    def _land(self, vm: str, job: str, attempt: int, code: int, fault: str, text: str = "") -> None:
        exit_code = receipt.exit_code(text, code)
        state = "done" if code == SUCCEEDED else "failed"
        detail = fault or ("" if state == "done" else f"exit {'?' if exit_code is None else exit_code}")
        self._d.store.set_flight(
            vm, job, attempt, stage=ENDED, code=code, exit=exit_code, ended=time.time(), fault=fault
        )
        noise, drifted = None, ""
        place = self._d.fleet.vms[vm]
        if not fault:
            records = output.parse_log(text).records
            need = qualify.Yardstick(**(self._d.store.plan().get("need") or {}))
            if place.flight is not None and place.flight.qualifying:
                noise = qualify.judge(records, need)
            else:
                drifted = qualify.drift(records, place.sigma_pct, need)
        self._d.tell(m.Result(vm, job, attempt, not fault, state, detail, noise, drifted))

    # --- its end

    def stop(self, action: m.Stop) -> None:
        """Cancel it on the VM."""
        vm, job, attempt = action.vm, action.job, action.attempt
        number = self._d.store.flight(vm, job, attempt).get("sky_job")
        if number is None:
            self._d.tell(m.Unclear(vm, job, attempt, "its number is not known"))
            return
        self._d.ask(lambda a: self._stopped(vm, job, attempt, a), "cancel", cluster=vm, job=int(number))

    def _stopped(self, vm: str, job: str, attempt: int, answer: Answer) -> None:
        if answer["ok"]:
            self._d.tell(m.Stopped(vm, job, attempt))
        elif answer["kind"] == "gone":
            self._d.vms.lost(vm, one_line(answer["error"], 200))

    def finish(self, action: m.Finish) -> None:
        """Write the job's end down. Its output becomes the result only if the fleet says whose it is."""
        store, job = self._d.store, action.job
        flight = store.flight(action.vm, job, action.attempt) if action.vm else {}
        jobdir = store.jobs / job
        if action.vm:
            log = store.log(action.vm, job, action.attempt)
            if log.exists():
                log.replace(jobdir / "log.txt")
            for copy in jobdir.glob("attempt-*.log"):
                copy.unlink()
        # Without a result it is nobody's verdict: the experiment may run again.
        state = "lost" if action.state == "failed" and not action.vm else action.state
        begun, ended = flight.get("begun"), flight.get("ended") or time.time()
        facts = self._d.facts.get(action.vm, {})
        write_json(
            jobdir / "exit.json",
            {
                "state": state, "exit": flight.get("exit"), "detail": one_line(action.detail, 500), "ended": ended,
                "seconds": round(max(0.0, ended - begun), 3) if begun else 0.0,
                "vm": action.vm, "attempt": action.attempt, "sky_job": flight.get("sky_job"),
                "price": facts.get("price"), "infra": facts.get("infra"), "cluster": facts.get("hash"),
            },
        )  # fmt: skip
