"""The VMs' side of a dispatch: launch, find out about, give back, and verify it."""

from __future__ import annotations

import time
from collections.abc import Callable

from autoresearch.engines.jobdir import read_log
from autoresearch.engines.output import strip_prefixes
from autoresearch.engines.skypilot import model as m
from autoresearch.engines.skypilot.client import BridgeAnswer
from autoresearch.engines.skypilot.desk import Desk
from autoresearch.safetext import one_line


class Vms:
    """Carries out Launch and TearDown."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def restore(self) -> None:
        """See which VMs are still there; re-attach to launches."""
        fleet = self._desk.fleet
        for vm in list(fleet.vms.values()):
            if vm.state == m.LAUNCHING:
                self._attach(vm.name)
            elif vm.state == m.LEAVING:
                self.tear_down(m.TearDown(vm.name))
        names = [vm.name for vm in fleet.alive() if vm.state != m.LAUNCHING]
        if names:
            self._desk.ask(lambda answer: self._missing(names, answer), "status", clusters=names)

    def _missing(self, names: list[str], answer: BridgeAnswer) -> None:
        """VMs that SkyPilot knows no more, or that were made anew under the old name."""
        if not answer.get("ok"):
            return  # the next trial sent there will tell
        there = {str(r["cluster"]): r for r in answer["result"]}
        for name in names:
            vm, facts = self._desk.fleet.vms[name], self._desk.facts.setdefault(name, {})
            found = there.get(name)
            if found is None:
                self.lost(name, "it is gone", idle_end=vm.flight is None)
            elif facts.get("hash") not in (None, found["hash"]):
                self.lost(name, "another cluster has taken its name", idle_end=vm.flight is None)

    # --- launch

    def launch(self, action: m.Launch) -> None:
        """Bring a VM up; the newest waiting job says as what."""
        name, fleet = action.vm, self._desk.fleet
        spec = next((self._desk.store.spec(job) for job in reversed(fleet.queue)), {}) or self._desk.store.spec("")
        facts = self._desk.facts[name] = {"cluster": name, "asked": time.time(), "spec": spec.get("launch_hash")}
        self._desk.save()
        if not spec.get("launch"):
            self._desk.tell(m.LaunchRefused(name, "no job says what to launch"))
            return
        facts["launch"] = spec["launch"]
        self._ask_launch(name)

    def _ask_launch(self, name: str) -> None:
        self._desk.ask(lambda a: self._launched(name, a), "launch", cluster=name, task=self._desk.facts[name]["launch"])
        self._desk.save()

    def _attach(self, name: str) -> None:
        """Go on with a launch of another dispatcher's: by its request, or by asking again (the same name is reused)."""
        facts = self._desk.facts.setdefault(name, {"cluster": name})
        if facts.get("request"):
            self._desk.ask(lambda a: self._launched(name, a), "result", request=facts["request"])
        elif facts.get("launch"):
            self._ask_launch(name)
        else:
            self._desk.tell(m.LaunchRefused(name, "its launch was never asked for"))

    def _launched(self, name: str, answer: BridgeAnswer) -> None:
        facts = self._desk.facts[name]
        if "request" in answer:
            facts["request"] = answer["request"]
            self._desk.save()
        elif answer["ok"]:
            facts["setup_job"] = answer["result"]["job"]
            if facts["setup_job"] is None:
                self._learn(name)
                return
            self._follow_setup(name)
        elif answer["kind"] in ("server", "interrupted", "other"):
            # It may be up all the same.
            self._learn(name, answer["error"])
        else:
            hopeless = answer["kind"] == "bad_task"
            self._desk.tell(m.LaunchRefused(name, one_line(answer["error"], 300), hopeless))

    def _follow_setup(self, name: str) -> None:
        log = self._desk.store.sky / f"{name}.setup.log"
        job = self._desk.facts[name]["setup_job"]
        self._desk.ask(lambda a: self._set_up(name, a), "follow", cluster=name, job=job, to=str(log))

    def _waits(self, name: str, answer: BridgeAnswer, then: Callable[[], None]) -> bool:
        """Whether the API server has failed and is asked again, as long as the fleet still waits for this VM."""

        def ask() -> None:
            if self._desk.fleet.vms[name].state == m.LAUNCHING:
                then()

        return self._desk.again(answer, ask)

    def _set_up(self, name: str, answer: BridgeAnswer) -> None:
        if self._waits(name, answer, lambda: self._follow_setup(name)):
            return
        if answer.get("ok") and answer["result"]["code"] == 0:
            self._learn(name)
            return
        log = self._desk.store.sky / f"{name}.setup.log"
        said = [line for line in strip_prefixes(read_log(log, 20_000, from_end=True)).splitlines() if line.strip()]
        why = answer.get("error") or f"setup failed: {' / '.join(said[-4:])}"
        self._desk.tell(m.LaunchRefused(name, one_line(why, 300)))

    def _learn(self, name: str, doubt: str = "") -> None:
        """Price and identity of a VM; with a `doubt`, whether it is up at all."""
        self._desk.ask(lambda a: self._learned(name, a, doubt), "status", clusters=[name], refresh=bool(doubt))

    def _learned(self, name: str, answer: BridgeAnswer, doubt: str) -> None:
        if self._waits(name, answer, lambda: self._learn(name, doubt)):
            return
        found = answer["result"][0] if answer.get("ok") and answer["result"] else {}
        if found.get("status") != "UP":
            why = doubt or answer.get("error") or f"its state is {found.get('status', 'unknown')}"
            self._desk.tell(m.LaunchRefused(name, one_line(why, 300)))
            return
        facts = self._desk.facts[name]
        for key in ("hash", "launched", "price", "infra", "resources", "autostop", "down"):
            facts[key] = found.get(key)
        self._desk.tell(m.Up(name))

    # --- the end

    def lost(self, name: str, reason: str, *, idle_end: bool = False) -> None:
        """A VM is gone."""
        self._desk.facts.setdefault(name, {}).setdefault("ended", time.time())
        self._desk.tell(m.VmLost(name, reason, idle_end))

    def tear_down(self, action: m.TearDown) -> None:
        """Give a VM back, then look whether it is gone."""
        self._desk.ask(lambda a: self._verify(action.vm, a), "down", cluster=action.vm)

    def _verify(self, name: str, answer: BridgeAnswer) -> None:
        if answer["ok"] or answer["kind"] == "gone":
            self._desk.ask(lambda a: self._verified(name, a), "status", clusters=[name], refresh=True)

    def _verified(self, name: str, answer: BridgeAnswer) -> None:
        # Otherwise the fleet asks for it again after a while.
        if answer["ok"] and not answer["result"]:
            self._desk.facts.setdefault(name, {}).setdefault("ended", time.time())
            self._desk.tell(m.Gone(name))
            self._desk.save()
