"""`python -m autoresearch.engines.skypilot.dispatcher STATE LOCK_FD`: lives while there are trials, and no longer.

Carries the fleet's decisions out through the bridge and brings the answers back. Holds no truth of its own: all that
it knows is in files (`memory.py`), written before and after every remote act. Killed at any moment, its successor finds
what runs by the job's name on the VM, and submits nothing twice.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from autoresearch.engines.notes import append_note
from autoresearch.engines.skypilot import model as m
from autoresearch.engines.skypilot.client import FIXES, Bridge, BridgeError, find_interpreter
from autoresearch.engines.skypilot.desk import Desk
from autoresearch.engines.skypilot.diagnose import require_cloud
from autoresearch.engines.skypilot.fleet import Fleet
from autoresearch.engines.skypilot.memory import LANDED, Store, billed_hours
from autoresearch.engines.skypilot.trials import Trials
from autoresearch.engines.skypilot.vms import Vms
from autoresearch.errors import EnvironmentMissing

TICK = 0.2  # seconds between looks for new jobs and late answers
START_PATIENCE = 15.0  # seconds for an API server that is just coming up


class Dispatcher:
    """One dispatch, from the first waiting job to the last that ends."""

    def __init__(self, store: Store, bridge: Bridge, clock: Callable[[], float] = time.monotonic) -> None:
        # A monotonic clock stands still while a laptop sleeps: nothing is late because we were.
        self.store = store
        self.clock = clock
        plan = store.plan()
        self.fleet = Fleet(_policy(plan), str(plan.get("prefix", "vm")))
        self.desk = Desk(store, bridge, self.fleet, self.do, clock)
        self.known: set[str] = set()
        self._flying: set[m.Attempt] = set()
        self.vms = Vms(self.desk)
        self.trials = Trials(self.desk, self.vms.lost)
        self._carry_out: dict[type, Callable[[Any], None]] = {
            m.Launch: self.vms.launch, m.TearDown: self.vms.tear_down, m.Send: self.trials.send,
            m.Locate: self.trials.locate, m.Stop: self.trials.stop, m.Finish: self.trials.finish, m.Note: self._note,
        }  # fmt: skip

    # --- the story

    def run(self) -> None:
        """Until nothing is left to do. `EnvironmentMissing` when SkyPilot cannot be used."""
        require_cloud(self.desk.bridge, self.store.plan().get("infra"), START_PATIENCE)
        self.restore()
        while True:
            self.scan()
            self.trials.watch()
            self.do(self.fleet.tick(self.clock()))
            if self.fleet.at_rest:
                return
            self.desk.attend(TICK)

    def restore(self) -> None:
        """Take up where another dispatcher stood."""
        saved = self.store.fleet()
        self.fleet.launched = int(saved.get("launched", 0))
        self.fleet.replaced = int(saved.get("replaced", 0))
        vms = {name: self._vm(name, data) for name, data in (saved.get("vms") or {}).items()}
        now = self.clock()
        for flight in self.store.flights():
            vm = vms.get(str(flight["vm"]))
            if vm is None or vm.state not in m.ALIVE:
                continue
            begun = flight.get("begun")
            attempt = m.Attempt(vm.name, str(flight.get("job", "")), int(flight["attempt"]))
            vm.flight = m.Flight(
                attempt, m.UNSURE, now, qualifying=bool(flight.get("qualifying")),
                begun=None if begun is None else now - max(0.0, time.time() - float(begun)),
            )  # fmt: skip
        jobs = []
        for _, name, spec in self.store.waiting(self.known):
            self.known.add(name)
            job = m.Job(name, float(spec["timeout"]), bool(spec.get("qualifies")), self.store.attempts(name))
            jobs.append(job)
        self.fleet.restore(vms.values(), jobs, now)
        self._note_landings()
        self.vms.restore()
        if jobs:
            self._renew(self.store.spec(jobs[-1].name).get("launch_hash"))

    def scan(self) -> None:
        """New jobs, cancellations, changed plans, a halt."""
        self.fleet.policy = _policy(self.store.plan())
        yardstick = self.store.spec("")
        self.fleet.yardstick = bool(yardstick)
        if yardstick:
            limit = float(yardstick["timeout"])
            self.fleet.policy = dataclasses.replace(self.fleet.policy, qualify_timeout=limit)
        halt = self.store.halt_reason() or self._used_up()
        if halt != self.fleet.halted:
            self.desk.tell(m.Halt(halt))
        for _, name, spec in self.store.waiting(self.known):
            self.known.add(name)
            self._renew(spec.get("launch_hash"))
            self.desk.tell(m.Submit(name, float(spec["timeout"]), bool(spec.get("qualifies"))))
        for name in list(self.fleet.jobs):
            if (self.store.jobs / name / "cancel").exists():
                self.desk.tell(m.CancelJob(name))

    def _used_up(self) -> str:
        """Why the budget ends the dispatch; "" while there is something left. What is in flight may still end."""
        budget = self.store.plan().get("budget") or {}
        used = {"vm_hours": 0.0, "dollars": 0.0}
        for facts in self.desk.facts.values():
            hours = billed_hours(facts)
            used["vm_hours"] += hours
            used["dollars"] += hours * (facts.get("price") or budget.get("price") or 0.0)
        for name, value in used.items():
            if budget.get(name) is not None and value >= budget[name]:
                return f"{value:.2f} {name} used (budget.{name} is {budget[name]:g})"
        return ""

    def _renew(self, spec: str | None) -> None:
        """Give back idle VMs that were launched as something else: `sky exec` would not run the new setup."""
        for vm in list(self.fleet.vms.values()):
            if self.desk.facts.get(vm.name, {}).get("spec") not in (None, spec) and vm.flight is None:
                why = "setup or resources in experiment.yaml have changed since its launch"
                self.desk.tell(m.Outdated(vm.name, why))

    # --- from the fleet's decisions to acts

    def do(self, actions: list[m.Action]) -> None:
        """Write down what is known, then act."""
        if not actions:
            return
        self.desk.save()
        self._note_landings()
        for action in actions:
            self._carry_out[type(action)](action)

    def _note(self, note: m.Note) -> None:
        facts = self.desk.facts.get(note.vm, {})
        data = {**{key: facts.get(key) for key in ("infra", "resources")}, **note.data}
        append_note(self.store.state, note.kind, note.vm, note.reason, data if note.vm else {})

    # --- memory

    def _note_landings(self) -> None:
        """Flights that ended without a result: the next dispatcher must not take them for what is on the VM."""
        flying = {vm.flight.attempt for vm in self.fleet.vms.values() if vm.flight}
        for attempt in self._flying - flying:
            # A job that is finished gets its end written down instead, which says more.
            if not attempt.job or attempt.job in self.fleet.jobs:
                self.store.set_flight(attempt, stage=LANDED)
        self._flying = flying

    def _vm(self, name: str, data: dict[str, Any]) -> m.Vm:
        self.desk.facts[name] = dict(data.get("facts") or {})
        fields = {f.name for f in dataclasses.fields(m.Vm)} - {"flight", "since", "name"}
        return m.Vm(name=name, since=self.clock(), **{k: v for k, v in data.items() if k in fields})


def _policy(plan: dict[str, Any]) -> m.Policy:
    return m.Policy(**plan.get("policy", {}))


def main(argv: list[str]) -> int:
    """Entry point of the detached process; the lock's descriptor is only kept open."""
    store = Store(Path(argv[0]))
    os.set_inheritable(int(argv[1]), False)  # the bridge, and the server that it may start, outlive us
    for signum in (signal.SIGHUP, signal.SIGINT):
        signal.signal(signum, signal.SIG_IGN)
    bridge = None
    try:
        bridge = Bridge(find_interpreter(), store.sky / "bridge.log")
        Dispatcher(store, bridge).run()
    except EnvironmentMissing as exc:
        store.set_problem(exc.message, exc.fix)
        return int(exc.code)
    except BridgeError as exc:
        store.set_problem(f"SkyPilot: {exc}", FIXES["server"])
        return 3
    except Exception as exc:
        traceback.print_exc()
        why = f"the dispatcher failed: {type(exc).__name__}: {exc}"
        store.set_problem(why, f"See {store.sky / 'dispatcher.log'}")
        return 3
    finally:
        if bridge is not None:
            bridge.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
