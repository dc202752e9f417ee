"""The trials' side of a dispatch: send, look for, follow, stop, and bring the result home."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from autoresearch.engines import LOST, State, output
from autoresearch.engines.jobdir import read_log
from autoresearch.engines.skypilot import model as m
from autoresearch.engines.skypilot import qualify, receipt
from autoresearch.engines.skypilot.client import BridgeAnswer
from autoresearch.engines.skypilot.desk import Desk
from autoresearch.engines.skypilot.memory import ENDED
from autoresearch.engines.supervisor import write_json
from autoresearch.safetext import one_line

LOG_BYTES = 64 * 1024 * 1024
SILENCE = 900.0  # seconds; a long build is silent too, so this is no failure
FETCHES = 3  # of one output, until it counts as cut off

# SkyPilot's words for how a job stands when its output has been followed.
SUCCEEDED, FAILED, CANCELLED = 0, 100, 103


class Trials:
    """Carries out Send, Locate, Stop and Finish. `lost` is told of a VM that is gone, and why."""

    def __init__(self, desk: Desk, lost: Callable[..., None]) -> None:
        self._desk = desk
        self._lost = lost
        self._followed: dict[str, m.Attempt] = {}  # vm -> the trial whose output is being followed
        self._copies = 0
        self._fetches: dict[m.Attempt, int] = {}

    # --- there

    def send(self, action: m.Send) -> None:
        """Submit the trial under a name that no other has, written down before."""
        attempt, store = action.attempt, self._desk.store
        vm, job, number = attempt
        name = f"{job or 'noise'}.{vm}.a{number}"
        flight = self._desk.fleet.vms[vm].flight
        qualifying = flight is not None and flight.qualifying
        store.set_flight(attempt, name=name, stage=m.SENDING, asked=time.time(), qualifying=qualifying)
        task = {**store.spec(job).get("run_task", {}), "name": name, "workdir": str(store.outbox(job))}
        self._desk.ask(lambda a: self._sent(attempt, a), "exec", cluster=vm, task=task)

    def _sent(self, attempt: m.Attempt, answer: BridgeAnswer) -> None:
        store = self._desk.store
        if "request" in answer:
            store.set_flight(attempt, request=answer["request"])
        elif answer["ok"] and answer["result"]["job"] is not None:
            self._arrived(attempt, int(answer["result"]["job"]))
        elif answer["ok"]:
            self._desk.tell(m.Unclear(attempt, "SkyPilot names no job"))
        elif answer["kind"] == "gone":
            self._lost(attempt.vm, "it is gone", idle_end=True)
        elif answer["kind"] in ("not_up", "bad_task"):
            self._desk.tell(m.Refused(attempt, one_line(answer["error"], 300)))
        else:
            self._unclear(attempt, answer)

    def _arrived(self, attempt: m.Attempt, number: int) -> None:
        begun = self._desk.store.flight(attempt).get("begun") or time.time()
        self._desk.store.set_flight(attempt, stage=m.RUNNING, sky_job=number, begun=begun)
        self._desk.tell(m.Accepted(attempt))
        self._follow(attempt, number, wait=True)

    # --- where is it?

    def locate(self, action: m.Locate) -> None:
        """First whether its submission is still on its way, then whether the VM's queue has its name."""
        attempt = action.attempt
        self._desk.ask(lambda a: self._requests_seen(attempt, a), "requests", cluster=attempt.vm)

    def _requests_seen(self, attempt: m.Attempt, answer: BridgeAnswer) -> None:
        if not answer["ok"]:
            self._unclear(attempt, answer)
        elif any(str(r["name"]).endswith("exec") for r in answer["result"]):
            self._desk.tell(m.Unclear(attempt, "its submission is still on its way"))
        else:
            self._desk.ask(lambda a: self._queue_seen(attempt, a), "queue", cluster=attempt.vm)

    def _queue_seen(self, attempt: m.Attempt, answer: BridgeAnswer) -> None:
        if not answer["ok"]:
            self._unclear(attempt, answer)
            return
        name = self._desk.store.flight(attempt).get("name")
        found = next((r for r in answer["result"] if r["name"] == name), None)
        if found is None:
            self._desk.tell(m.Refused(attempt, "it is not in the VM's queue"))
        elif found["ended"]:
            self._follow(attempt, int(found["job"]), wait=False)
        else:
            self._arrived(attempt, int(found["job"]))

    def _unclear(self, attempt: m.Attempt, answer: BridgeAnswer) -> None:
        if answer["kind"] == "gone":
            self._lost(attempt.vm, one_line(answer["error"], 200))
        else:
            patient = answer["kind"] in ("server", "interrupted")
            self._desk.tell(m.Unclear(attempt, one_line(answer["error"], 300), patient))

    # --- its output

    def _follow(self, attempt: m.Attempt, number: int, *, wait: bool) -> None:
        flight = self._desk.fleet.vms[attempt.vm].flight
        if self._followed.get(attempt.vm) == attempt or flight is None or flight.attempt != attempt:
            return
        self._followed[attempt.vm] = attempt
        # Each copy has its own file: one that is given up as silent may still write into its own.
        self._copies += 1
        store = self._desk.store
        store.set_flight(attempt, log=f"attempt-{attempt.number}.{os.getpid()}-{self._copies}.log")
        log = store.log(attempt)
        log.touch()
        self._desk.ask(
            lambda a: self._follow_ended(attempt, number, a),
            "follow", cluster=attempt.vm, job=number, to=str(log), wait=wait,
        )  # fmt: skip

    def watch(self) -> None:
        """A connection may hang without a word: after a long silence the queue is asked."""
        for vm, attempt in list(self._followed.items()):
            log = self._desk.store.log(attempt)
            if log.exists() and time.time() - log.stat().st_mtime > SILENCE:
                del self._followed[vm]
                self._desk.tell(m.Unclear(attempt, f"silent for {SILENCE:.0f} s"))

    def _follow_ended(self, attempt: m.Attempt, number: int, answer: BridgeAnswer) -> None:
        if self._followed.get(attempt.vm) == attempt:
            del self._followed[attempt.vm]
        if not answer["ok"]:
            self._unclear(attempt, answer)
            return
        code = int(answer["result"]["code"])
        flight = self._desk.fleet.vms[attempt.vm].flight
        stopping = flight is not None and flight.stage == m.STOPPING
        if code == CANCELLED and stopping:
            self._desk.tell(m.TrialStopped(attempt))
        elif code == CANCELLED:
            self._land(attempt, code, "cancelled on the VM, not by us")
        elif code in (SUCCEEDED, FAILED):
            self._landed(attempt, number, code)
        else:
            self._desk.tell(m.Unclear(attempt, "its output ended before it did"))

    def _landed(self, attempt: m.Attempt, number: int, code: int) -> None:
        """The trial has ended; is its output whole, and the right one? An incomplete copy is fetched again."""
        spec = self._desk.store.spec(attempt.job)
        text = read_log(self._desk.store.log(attempt), LOG_BYTES)
        sent = str(spec.get("experiment")), str(spec.get("sha256"))
        fault = receipt.fault(text, *sent, ours=bool(spec.get("ours")))
        fetches = self._fetches.pop(attempt, 1)
        if fault and fetches < FETCHES:
            self._fetches[attempt] = fetches + 1
            self._follow(attempt, number, wait=False)
            return
        self._land(attempt, code, fault, text)

    def _land(self, attempt: m.Attempt, code: int, fault: str, text: str = "") -> None:
        exit_code = receipt.exit_code(text, code)
        state: m.JobEnd = "done" if code == SUCCEEDED else "failed"
        detail = fault or ("" if state == "done" else f"exit {'?' if exit_code is None else exit_code}")
        self._desk.store.set_flight(attempt, stage=ENDED, code=code, exit=exit_code, ended=time.time(), fault=fault)
        noise, drifted = None, ""
        place = self._desk.fleet.vms[attempt.vm]
        if not fault:
            records = output.parse_log(text).records
            need = qualify.Yardstick(**(self._desk.store.plan().get("need") or {}))
            if place.flight is not None and place.flight.qualifying:
                noise = qualify.judge(records, need)
            else:
                drifted = qualify.drift(records, place.sigma_pct, need)
        self._desk.tell(m.Result(attempt, not fault, state, detail, noise, drifted))

    # --- its end

    def stop(self, action: m.Stop) -> None:
        """Cancel it on the VM."""
        attempt = action.attempt
        number = self._desk.store.flight(attempt).get("sky_job")
        if number is None:
            self._desk.tell(m.Unclear(attempt, "its number is not known"))
            return
        self._desk.ask(lambda a: self._stopped(attempt, a), "cancel", cluster=attempt.vm, job=int(number))

    def _stopped(self, attempt: m.Attempt, answer: BridgeAnswer) -> None:
        if answer["ok"]:
            self._desk.tell(m.TrialStopped(attempt))
        elif answer["kind"] == "gone":
            self._lost(attempt.vm, one_line(answer["error"], 200))

    def finish(self, action: m.Finish) -> None:
        """Write the job's end down. Its output becomes the result only if the fleet says whose it is."""
        attempt, store = action.attempt, self._desk.store
        jobdir = store.jobs / action.job
        flight: dict[str, Any] = {}
        # Without a result it is nobody's verdict: the experiment may run again.
        state: State = LOST if action.state == "failed" else action.state
        if attempt is not None:
            flight, state = store.flight(attempt), action.state
            log = store.log(attempt)
            if log.exists():
                log.replace(jobdir / "log.txt")
            for copy in jobdir.glob("attempt-*.log"):
                copy.unlink()
        vm, _, number = attempt or ("", "", 0)
        begun, ended = flight.get("begun"), flight.get("ended") or time.time()
        facts = self._desk.facts.get(vm, {})
        write_json(
            jobdir / "exit.json",
            {
                "state": state, "exit": flight.get("exit"), "detail": one_line(action.detail, 500), "ended": ended,
                "seconds": round(max(0.0, ended - begun), 3) if begun else 0.0,
                "vm": vm, "attempt": number, "sky_job": flight.get("sky_job"),
                "price": facts.get("price"), "infra": facts.get("infra"), "cluster": facts.get("hash"),
            },
        )  # fmt: skip
