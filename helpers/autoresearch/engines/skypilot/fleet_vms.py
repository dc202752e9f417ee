"""The VMs of a fleet: how they come into use, are judged, given back and counted. Pure; see `fleet.py`."""

from __future__ import annotations

from typing import Any

from autoresearch.engines.skypilot import model as m


class FleetVms:
    """VMs named `<prefix>-<number>`. What is to be done is collected in `_actions`.

    `yardstick`: whether there is a noise trial to qualify VMs with. `setbacks` counts refused launches and lost VMs
    since the last finished job, `replaced` the VMs given back because they measure badly.
    """

    def __init__(self, policy: m.Policy, prefix: str, *, yardstick: bool) -> None:
        self.policy = policy
        self.prefix = prefix
        self.yardstick = yardstick
        self.vms: dict[str, m.Vm] = {}
        self.launched = 0
        self.replaced = 0
        self.setbacks = 0
        self.last_setback = float("-inf")
        self._actions: list[m.Action] = []

    def alive(self) -> list[m.Vm]:
        """VMs that are there or on their way."""
        return [vm for vm in self.vms.values() if vm.state in m.ALIVE]

    def _land(self, vm: m.Vm, now: float) -> None:
        vm.flight = None
        self._enter(vm, m.IDLE if vm.qualified or not self._must_qualify() else m.FRESH, now)

    def _must_qualify(self) -> bool:
        return self.policy.qualify and self.yardstick

    def _requalify(self, vm: m.Vm, now: float) -> None:
        # A VM known to be unfit stays in use: another look would not give it away.
        if self._must_qualify() and vm.state == m.IDLE and not vm.unfit:
            vm.qualified, vm.qualify_tries = False, 0
            self._enter(vm, m.FRESH, now)

    def _unqualified(self, vm: m.Vm, reason: str, now: float) -> None:
        """A noise trial has told nothing: once more, then another VM, and without one this VM as it is."""
        if vm.state not in (m.FRESH, m.IDLE):
            return
        vm.qualify_tries += 1
        if vm.qualify_tries < self.policy.qualify_tries:
            return
        if self._may_replace():
            self._replace(vm, reason, now)
            return
        vm.qualified, vm.unfit, vm.trials_since = True, reason, 0
        self._note("unfit", vm, f"{reason}; used all the same: no replacement is left")
        self._enter(vm, m.IDLE, now)

    def _outdated(self, vm: m.Vm, event: m.Outdated, now: float) -> None:
        if vm.state in (m.IDLE, m.FRESH):
            self._dismiss(vm, "replaced", event.reason, now)

    def _may_replace(self) -> bool:
        return self.replaced < self.policy.replacements

    def _replace(self, vm: m.Vm, reason: str, now: float, data: dict[str, Any] | None = None) -> None:
        self.replaced += 1
        left = f"; replacement {self.replaced} of {self.policy.replacements}"
        self._dismiss(vm, "replaced", reason, now, left, data)

    def _strike(self, vm: m.Vm, reason: str, now: float) -> None:
        vm.strikes += 1
        if vm.strikes >= self.policy.strikes and vm.state in (m.IDLE, m.FRESH):
            self._setback(now)
            self._dismiss(vm, "lost", f"{vm.strikes} failures in a row, the last: {reason}", now)

    def _dismiss(
        self, vm: m.Vm, kind: m.NoteKind, reason: str, now: float, more: str = "", data: dict[str, Any] | None = None
    ) -> None:  # fmt: skip
        """Give a VM back and note why; `more` is for the note alone."""
        vm.reason = reason
        self._note(kind, vm, reason + more, data)
        self._leave(vm, now)

    def _leave(self, vm: m.Vm, now: float) -> None:
        self._enter(vm, m.LEAVING, now)
        self._tear_down(vm, now)

    def _tear_down(self, vm: m.Vm, now: float) -> None:
        vm.teardowns += 1
        if vm.teardowns > self.policy.teardowns:
            self._note("stuck", vm, "its teardown could not be verified: it may still cost money")
            self._enter(vm, m.RETIRED, now)
            return
        vm.since = now
        self._actions.append(m.TearDown(vm.name))

    def _setback(self, now: float, count: int = 1) -> None:
        self.setbacks += count
        self.last_setback = now

    def _enter(self, vm: m.Vm, state: m.VmState, now: float) -> None:
        vm.state, vm.since = state, now

    def _note(self, kind: m.NoteKind, vm: m.Vm, reason: str, data: dict[str, Any] | None = None) -> None:
        self._actions.append(m.Note(kind, vm.name, reason, dict(data or {})))

    def _launch(self, now: float, waiting: int) -> None:
        """Launch what `waiting` jobs need, unless it is too early after a setback."""
        if now < self._not_before():
            return
        # Those that come up will take what waits; what is in flight has a VM already.
        coming = sum(1 for vm in self.vms.values() if vm.state in (m.LAUNCHING, m.FRESH, m.QUALIFYING))
        room = self.policy.vms - len(self.alive())
        for _ in range(min(room, waiting - coming)):
            self._start_new(now)

    def _start_new(self, now: float) -> None:
        self.launched += 1
        name = f"{self.prefix}-{self.launched}"
        self.vms[name] = m.Vm(name, m.LAUNCHING, now)
        self._actions.append(m.Launch(name))

    def _not_before(self) -> float:
        """When the next launch may be tried: later after each setback in a row."""
        if not self.setbacks:
            return float("-inf")
        wait = self.policy.backoff * 2.0 ** min(self.setbacks - 1, 20)
        return self.last_setback + min(wait, self.policy.backoff_most)
