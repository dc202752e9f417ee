"""Give VMs back when asked, and verify it; ask SkyPilot what they have cost. Both need the dispatcher to be at rest."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from autoresearch.engines.skypilot import model as m
from autoresearch.engines.skypilot.client import SERVER_PAUSE, Bridge, BridgeAnswer, environment_problem
from autoresearch.engines.skypilot.memory import Store
from autoresearch.errors import EnvironmentMissing

PATIENCE = 900.0  # seconds for all teardowns; they run side by side
SERVER_PATIENCE = 60.0  # for an API server that does not answer: VMs that stay cost money


def give_back(store: Store, bridge: Bridge) -> tuple[list[str], list[str]]:
    """End every VM of this project, and verify it, as long as the bridge's time lasts.

    Returns those that may still be there: although SkyPilot was asked to end them, and without its answer yet.
    Asks SkyPilot for all clusters with our prefix, so that one which no file of ours knows ends too.
    """
    data = store.fleet()
    vms: dict[str, dict[str, Any]] = data.get("vms") or {}
    prefix = str(store.plan().get("prefix") or "")
    known = bridge.call("status", timeout=300, patience=SERVER_PATIENCE)
    ours = {str(r["cluster"]) for r in known if prefix and str(r["cluster"]).startswith(f"{prefix}-")}
    names = sorted(ours | {name for name, vm in vms.items() if vm.get("state") not in m.OVER})
    _all(bridge, {name: ("down", {"cluster": name}) for name in names})
    found = _all(bridge, {name: ("status", {"clusters": [name], "refresh": True}) for name in names})
    gone = {name for name, answer in found.items() if answer["ok"] and not answer["result"]}
    for name in gone.intersection(vms):
        vms[name]["state"] = m.RETIRED
        vms[name].setdefault("facts", {}).setdefault("ended", time.time())
    fleet = {"launched": 0, "replaced": 0, **data, "vms": vms}
    store.save_fleet(fleet)
    late = [name for name in names if name not in found]
    if not late:
        _costs(bridge, vms)
        store.save_fleet(fleet)
    return [name for name in names if name in found and name not in gone], late


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


def _all(bridge: Bridge, asked: Mapping[str, tuple[str, dict[str, Any]]]) -> dict[str, BridgeAnswer]:
    """Ask for all at once; the final answers by name, without those that are not there in time.

    Where the API server fails, it is asked again for a while.
    """
    numbers = {bridge.send(op, **arguments): name for name, (op, arguments) in asked.items()}
    answers: dict[str, BridgeAnswer] = {}
    begun = time.monotonic()
    until = min(bridge.until, begun + PATIENCE)
    while numbers and time.monotonic() < until:
        for answer in bridge.take(min(1.0, until - time.monotonic())):
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
            problem = None if answer["ok"] else environment_problem(answer["kind"], answer["error"])
            if problem is not None:
                raise problem
    return answers
