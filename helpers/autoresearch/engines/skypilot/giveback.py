"""Give VMs back when asked, and verify it; ask SkyPilot what they have cost. Both need the dispatcher to be at rest."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from autoresearch.engines.skypilot import model as m
from autoresearch.engines.skypilot.client import SERVER_PAUSE, Bridge, environment_problem
from autoresearch.engines.skypilot.store import Store
from autoresearch.errors import EnvironmentMissing

PATIENCE = 900.0  # seconds for all teardowns; they run side by side
SERVER_PATIENCE = 60.0  # for an API server that does not answer: VMs that stay cost money


def give_back(store: Store, bridge: Bridge) -> list[str]:
    """End every VM of this project; returns the names of those that could not be verified to be gone.

    Asks SkyPilot for all clusters with our prefix, so that one which no file of ours knows ends too.
    """
    data = store.fleet()
    vms: dict[str, dict[str, Any]] = data.get("vms") or {}
    prefix = str(store.plan().get("prefix") or "")
    there = {str(r["cluster"]) for r in bridge.call("status", timeout=300, patience=SERVER_PATIENCE)}
    ours = {name for name in there if prefix and name.startswith(f"{prefix}-")}
    names = sorted(ours | {name for name, vm in vms.items() if vm.get("state") not in (m.RETIRED, m.LOST)})
    _all(bridge, {name: ("down", {"cluster": name}) for name in names})
    found = _all(bridge, {name: ("status", {"clusters": [name], "refresh": True}) for name in names})
    left = [name for name in names if not (found[name].get("ok") and not found[name]["result"])]
    for name in set(names) - set(left):
        if name in vms:
            vms[name]["state"] = m.RETIRED
            vms[name].setdefault("facts", {}).setdefault("ended", time.time())
    _costs(bridge, vms)
    store.save_fleet({"launched": 0, "replaced": 0, **data, "vms": vms})
    return left


def refresh_costs(store: Store, bridge: Bridge) -> None:
    """Write SkyPilot's own estimate of what each VM has cost into the fleet's file."""
    data = store.fleet()
    if data.get("vms"):
        _costs(bridge, data["vms"])
        store.save_fleet(data)


def _costs(bridge: Bridge, vms: Mapping[str, dict[str, Any]]) -> None:
    by_hash = {str(r["hash"]): r for r in bridge.call("cost_report", timeout=300)}
    for vm in vms.values():
        report = by_hash.get(str((vm.get("facts") or {}).get("hash")))
        if report is not None:
            vm["facts"]["dollars"] = report["cost"]


def _all(bridge: Bridge, asked: Mapping[str, tuple[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Ask for all at once; the final answers by name. What is not answered in time is not ok.

    Where the API server fails, it is asked again for a while.
    """
    numbers = {bridge.send(op, **arguments): name for name, (op, arguments) in asked.items()}
    answers: dict[str, dict[str, Any]] = {name: {"ok": False} for name in asked}
    begun = time.monotonic()
    while numbers and time.monotonic() < begun + PATIENCE:
        for answer in bridge.take(1.0):
            if "dead" in answer:
                raise EnvironmentMissing(str(answer["dead"]))
            if "ok" not in answer or answer["id"] not in numbers:
                continue
            name = numbers.pop(answer["id"])
            if answer.get("kind") == "server" and time.monotonic() < begun + SERVER_PATIENCE:
                time.sleep(SERVER_PAUSE)
                op, arguments = asked[name]
                numbers[bridge.send(op, **arguments)] = name
                continue
            answers[name] = answer
            _raise(answer)
    return answers


def _raise(answer: Mapping[str, Any]) -> None:
    problem = None if answer["ok"] else environment_problem(answer["kind"], answer["error"])
    if problem is not None:
        raise problem
