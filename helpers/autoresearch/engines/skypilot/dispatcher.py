"""`python -m autoresearch.engines.skypilot.dispatcher STATE LOCK_FD`: lives while there are trials, and no longer.

Carries the fleet's decisions out through the bridge and brings the answers back. Holds no truth of its own: all that
it knows is in files (`store.py`), written before and after every remote act. Killed at any moment, its successor finds
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
from autoresearch.engines.skypilot.diagnose import enabled, enabled_clouds, not_enabled
from autoresearch.engines.skypilot.fleet import Fleet
from autoresearch.engines.skypilot.memory import LANDED, Store, billed_hours
from autoresearch.engines.skypilot.trials import Trials
from autoresearch.engines.skypilot.vms import Vms
from autoresearch.errors import EnvironmentMissing

TICK = 0.2  # seconds between looks for new jobs and late answers
SERVER_PAUSE = 5.0  # seconds before the API server is asked the same again
START_PATIENCE = 15.0  # seconds for an API server that is just coming up
SERVER_PATIENCE = 180.0  # seconds of nothing but server failures, until we say so


class Dispatcher:
    """One dispatch, from the first waiting job to the last that ends."""

    def __init__(self, store: Store, bridge: Bridge, clock: Callable[[], float] = time.monotonic) -> None:
        # A monotonic clock stands still while a laptop sleeps: nothing is late because we were.
        self.store = store
        self.bridge = bridge
        self.clock = clock
        plan = store.plan()
        self.fleet = Fleet(_policy(plan), str(plan.get("prefix", "vm")))
        self.facts: dict[str, dict[str, Any]] = {}
        self.known: set[str] = set()
        self._asked: dict[int, Callable[[dict[str, Any]], None]] = {}
        self._server_since: float | None = None
        self._later: list[tuple[float, Callable[[], None]]] = []
        self._flying: set[tuple[str, str, int]] = set()
        self.vms = Vms(self)
        self.trials = Trials(self)

    # --- the story

    def run(self) -> None:
        """Until nothing is left to do. `EnvironmentMissing` when SkyPilot cannot be used."""
        self.check()
        self.restore()
        while True:
            self.scan()
            self.trials.watch()
            self.do(self.fleet.tick(self.clock()))
            if self.fleet.at_rest:
                return
            for answer in self.bridge.take(TICK):
                self._answered(answer)
            due = [then for when, then in self._later if when <= self.clock()]
            self._later = [(when, then) for when, then in self._later if when > self.clock()]
            for then in due:
                then()

    def check(self) -> None:
        """Is there a SkyPilot that we can use, and a cloud?"""
        self.bridge.call("hello", timeout=300)
        infra = self.store.plan().get("infra")
        clouds = enabled_clouds(self.bridge, infra, patience=START_PATIENCE)
        if not enabled(clouds, infra):
            raise not_enabled(clouds, infra)

    def restore(self) -> None:
        """Take up where another dispatcher stood."""
        saved = self.store.fleet()
        self.fleet.launched = int(saved.get("launched", 0))
        self.fleet.replaced = int(saved.get("replaced", 0))
        vms = {name: self._vm(name, data) for name, data in (saved.get("vms") or {}).items()}
        now = self.clock()
        for flight in self.store.flights():
            job = str(flight.get("job", ""))
            vm = vms.get(str(flight["vm"]))
            if vm is None or vm.state in (m.LEAVING, m.RETIRED, m.LOST):
                continue
            begun = flight.get("begun")
            vm.flight = m.Flight(
                job, int(flight["attempt"]), m.UNSURE, now, qualifying=bool(flight.get("qualifying")),
                begun=None if begun is None else now - max(0.0, time.time() - float(begun)),
            )  # fmt: skip
        jobs = []
        for _, name, spec in self.store.waiting(self.known):
            self.known.add(name)
            jobs.append(
                m.Job(name, float(spec["timeout"]), bool(spec.get("qualifies")), self.store.attempts(name))
            )
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
        now = self.clock()
        halt = self.store.halt_reason() or self._used_up()
        if halt != self.fleet.halted:
            self.do(self.fleet.apply(m.Halt(halt), now))
        for _, name, spec in self.store.waiting(self.known):
            self.known.add(name)
            self._renew(spec.get("launch_hash"))
            event = m.Submit(name, float(spec["timeout"]), bool(spec.get("qualifies")))
            self.do(self.fleet.apply(event, now))
        for name in list(self.fleet.jobs):
            if (self.store.jobs / name / "cancel").exists():
                self.do(self.fleet.apply(m.CancelJob(name), now))

    def _used_up(self) -> str:
        """Why the budget ends the dispatch; "" while there is something left. What is in flight may still end."""
        budget = self.store.plan().get("budget") or {}
        hours = {name: billed_hours(facts) for name, facts in self.facts.items()}
        prices = {
            name: facts.get("price") or budget.get("price") or 0.0 for name, facts in self.facts.items()
        }
        used = {
            "vm_hours": sum(hours.values()),
            "dollars": sum(h * prices[name] for name, h in hours.items()),
        }
        for name, value in used.items():
            if budget.get(name) is not None and value >= budget[name]:
                return f"{value:.2f} {name} used (budget.{name} is {budget[name]:g})"
        return ""

    def _renew(self, spec: str | None) -> None:
        """Give back idle VMs that were launched as something else: `sky exec` would not run the new setup."""
        for vm in list(self.fleet.vms.values()):
            if self.facts.get(vm.name, {}).get("spec") not in (None, spec) and vm.flight is None:
                self.tell(
                    m.Outdated(vm.name, "setup or resources in experiment.yaml have changed since its launch")
                )

    # --- between fleet and bridge

    def tell(self, event: m.Event) -> None:
        """Pass an event to the fleet and do what it says."""
        self.do(self.fleet.apply(event, self.clock()))

    def do(self, actions: list[m.Action]) -> None:
        """Write down what is known, then act."""
        if not actions:
            return
        self.save()
        self._note_landings()
        for action in actions:
            if isinstance(action, m.Launch):
                self.vms.launch(action.vm)
            elif isinstance(action, m.TearDown):
                self.vms.tear_down(action.vm)
            elif isinstance(action, m.Send):
                self.trials.send(action)
            elif isinstance(action, m.Look):
                self.trials.look(action)
            elif isinstance(action, m.Stop):
                self.trials.stop(action)
            elif isinstance(action, m.Finish):
                self.trials.finish(action)
            else:
                facts = self.facts.get(action.vm, {})
                data = {"infra": facts.get("infra"), "resources": facts.get("resources"), **action.data}
                append_note(
                    self.store.state, action.kind, action.vm, action.reason, data if action.vm else {}
                )

    def ask(self, then: Callable[[dict[str, Any]], None], op: str, **arguments: Any) -> int:
        """Send a request; `then` gets each of its answers. Returns its number."""
        number = self.bridge.send(op, **arguments)
        self._asked[number] = then
        return number

    def again(self, answer: dict[str, Any], then: Callable[[], None]) -> bool:
        """Whether an answer is the API server's failure, which says nothing of a VM: `then` is done after a while."""
        failed = "ok" in answer and not answer["ok"] and answer.get("kind") == "server"
        if failed:
            self._later.append((self.clock() + SERVER_PAUSE, then))
        return failed

    def _answered(self, answer: dict[str, Any]) -> None:
        if "dead" in answer:
            raise EnvironmentMissing(str(answer["dead"]), fix=f"See {self.store.sky / 'bridge.log'}")
        number = int(answer["id"])
        final = "ok" in answer
        then = self._asked.pop(number, None) if final else self._asked.get(number)
        if final:
            self._watch_server(answer)
        if then is not None:
            then(answer)

    def _watch_server(self, answer: dict[str, Any]) -> None:
        """Failures of the API server are each asked again; a long row of them is said aloud."""
        kind = "" if answer["ok"] else str(answer.get("kind"))
        if kind in ("missing", "version", "auth", "no_cloud"):
            self.save()
            raise EnvironmentMissing(f"SkyPilot: {answer.get('error')}", fix=FIXES[kind])
        if kind != "server":
            self._server_since = None
            return
        now = self.clock()
        self._server_since = now if self._server_since is None else self._server_since
        if now - self._server_since > SERVER_PATIENCE:
            self.save()
            raise EnvironmentMissing(f"SkyPilot: {answer.get('error')}", fix=FIXES["server"])

    # --- memory

    def _note_landings(self) -> None:
        """Flights that ended without a result: the next dispatcher must not take them for what is on the VM."""
        flying = {(v.name, v.flight.job, v.flight.attempt) for v in self.fleet.vms.values() if v.flight}
        for vm, job, attempt in self._flying - flying:
            # A job that is finished gets its end written down instead, which says more.
            if not job or job in self.fleet.jobs:
                self.store.set_flight(vm, job, attempt, stage=LANDED)
        self._flying = flying

    def save(self) -> None:
        """The VMs, as they are now."""
        vms = {
            name: {
                **vm.to_json(),
                "job": (vm.flight.job or "noise") if vm.flight else "",
                "facts": self.facts.get(name, {}),
            }
            for name, vm in self.fleet.vms.items()
        }
        self.store.save_fleet(
            {
                "launched": self.fleet.launched,
                "replaced": self.fleet.replaced,
                "vms": vms,
                "saved": time.time(),
            }
        )

    def _vm(self, name: str, data: dict[str, Any]) -> m.Vm:
        self.facts[name] = dict(data.get("facts") or {})
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
        dispatch = Dispatcher(store, bridge)
        dispatch.run()
    except EnvironmentMissing as exc:
        store.set_problem(exc.message, exc.fix)
        return int(exc.code)
    except BridgeError as exc:
        store.set_problem(f"SkyPilot: {exc}", FIXES["server"])
        return 3
    except Exception as exc:
        traceback.print_exc()
        store.set_problem(
            f"the dispatcher failed: {type(exc).__name__}: {exc}", f"See {store.sky / 'dispatcher.log'}"
        )
        return 3
    finally:
        if bridge is not None:
            bridge.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
