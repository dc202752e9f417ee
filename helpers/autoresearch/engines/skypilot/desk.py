"""What the parts of a dispatch share: its fleet, what is known of the VMs, and the questions that SkyPilot is asked."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from autoresearch.engines.skypilot import model as m
from autoresearch.engines.skypilot.client import FIXES, SERVER_PAUSE, Bridge, BridgeAnswer
from autoresearch.engines.skypilot.fleet import Fleet
from autoresearch.engines.skypilot.memory import Store
from autoresearch.errors import EnvironmentMissing

SERVER_PATIENCE = 180.0  # seconds of nothing but server failures, until we say so


class Desk:
    """`do` carries the fleet's decisions out. A VM's `facts`: cluster, request, hash, launched, price, infra, ended."""

    def __init__(
        self, store: Store, bridge: Bridge, fleet: Fleet, do: Callable[[list[m.Action]], None],
        clock: Callable[[], float],
    ) -> None:  # fmt: skip
        self.store = store
        self.bridge = bridge
        self.fleet = fleet
        self.clock = clock
        self.facts: dict[str, dict[str, Any]] = {}
        self._do = do
        self._asked: dict[int, Callable[[BridgeAnswer], None]] = {}
        self._later: list[tuple[float, Callable[[], None]]] = []
        self._server_since: float | None = None

    def tell(self, event: m.Event) -> None:
        """Pass an event to the fleet and do what it says."""
        self._do(self.fleet.apply(event, self.clock()))

    def ask(self, then: Callable[[BridgeAnswer], None], op: str, **arguments: Any) -> None:
        """Send a request; `then` gets each of its answers."""
        self._asked[self.bridge.send(op, **arguments)] = then

    def again(self, answer: BridgeAnswer, then: Callable[[], None]) -> bool:
        """Whether an answer is the API server's failure, which says nothing of a VM: `then` is done after a while."""
        failed = "ok" in answer and not answer["ok"] and answer.get("kind") == "server"
        if failed:
            self._later.append((self.clock() + SERVER_PAUSE, then))
        return failed

    def attend(self, seconds: float) -> None:
        """Hand out the answers that come within so many seconds, and do what has become due."""
        for answer in self.bridge.take(seconds):
            self._answered(answer)
        now = self.clock()
        due = [then for when, then in self._later if when <= now]
        self._later = [(when, then) for when, then in self._later if when > now]
        for then in due:
            then()

    def _answered(self, answer: BridgeAnswer) -> None:
        if "dead" in answer:
            raise EnvironmentMissing(answer["dead"], fix=f"See {self.store.sky / 'bridge.log'}")
        final = "ok" in answer
        then = self._asked.pop(answer["id"], None) if final else self._asked.get(answer["id"])
        if final:
            self._watch_server(answer)
        if then is not None:
            then(answer)

    def _watch_server(self, answer: BridgeAnswer) -> None:
        """Failures of the API server are each asked again; a long row of them is said aloud."""
        kind, now = "" if answer["ok"] else answer["kind"], self.clock()
        if kind != "server":
            self._server_since = None
        elif self._server_since is None:
            self._server_since = now
        row = 0.0 if self._server_since is None else now - self._server_since
        if kind in FIXES and (kind != "server" or row > SERVER_PATIENCE):
            self.save()
            raise EnvironmentMissing(f"SkyPilot: {answer.get('error')}", fix=FIXES[kind])

    def save(self) -> None:
        """Write the VMs down, as they are now."""
        vms = {
            name: {
                **vm.to_json(), "facts": self.facts.get(name, {}),
                "job": (vm.flight.attempt.job or "noise") if vm.flight else "",
            }
            for name, vm in self.fleet.vms.items()
        }  # fmt: skip
        numbers = {"launched": self.fleet.launched, "replaced": self.fleet.replaced, "saved": time.time()}
        self.store.save_fleet({**numbers, "vms": vms})
