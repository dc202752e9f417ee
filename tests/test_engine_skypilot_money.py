"""VMs cost money: they end by themselves, are given back and looked for, and budgets hold while nobody looks."""

from __future__ import annotations

import json
import time

import pytest

from autoresearch.engines.notes import NOTES, read_notes
from autoresearch.engines.skypilot import client, giveback
from autoresearch.errors import EnvironmentMissing, NotYet
from sky_helpers import Cloud, Make, submit, wait
from trial_helpers import eventually


def test_autostop_is_set_at_every_launch(make: Make, cloud: Cloud) -> None:
    engine = make(vms=1)
    wait(engine, submit(engine, "echo METRIC x=1"))
    stored = json.loads(next(cloud.root.glob("clusters/*/cluster.json")).read_text())
    assert stored["autostop"] == {"idle_minutes": 30, "down": True}


def test_a_vm_that_ended_itself_overnight_is_replaced_without_ado(make: Make, cloud: Cloud) -> None:
    engine = make(vms=1)
    wait(engine, submit(engine, "echo METRIC x=1"))
    cloud.lose(cloud.clusters()[0])
    assert wait(engine, submit(engine, "echo METRIC x=2", experiment="e2"))[0].state == "done"
    assert [one.up for one in engine.machines([])] == [False, True]


def test_a_changed_setup_needs_a_new_vm(make: Make, cloud: Cloud) -> None:
    engine = make(vms=1)
    wait(engine, submit(engine, "echo METRIC x=1", more="setup: echo one\n"))
    wait(engine, submit(engine, "echo METRIC x=2", experiment="e2", more="setup: echo one\n"))
    assert len(cloud.ops("launch")) == 1
    wait(engine, submit(engine, "echo METRIC x=3", experiment="e3", more="setup: echo two\n"))
    assert len(cloud.ops("launch")) == 2
    assert eventually(lambda: [vm["state"] for vm in engine.vms()] == ["retired", "idle"], 20), engine.vms()


def test_giving_back_waits_for_no_one_and_is_verified(make: Make, cloud: Cloud) -> None:
    engine = make(vms=2)
    job = submit(engine, "sleep 30")
    with pytest.raises(NotYet, match="e1 still need"):
        engine.give_back()
    assert eventually(lambda: engine.poll([job])[job].state == "running", 20)
    engine.cancel(job)
    stranger = cloud.root / "clusters" / "stranger-vm-1"
    stranger.mkdir()
    (stranger / "cluster.json").write_text((cloud.root / "clusters" / cloud.clusters()[0] / "cluster.json").read_text())
    cloud.knobs(fail={"down": {"kind": "other", "error": "no", "times": 1}})
    left = engine.give_back()
    assert (len(left), len(cloud.clusters())) == (1, 2), "a teardown that fails is told"
    assert engine.give_back() == []
    assert cloud.clusters() == ["stranger-vm-1"], "other people's VMs are left alone"
    assert [(vm["state"], vm["dollars"]) for vm in engine.vms()] == [("retired", 1.5)]
    assert engine.give_back() == []
    assert [one.up for one in engine.machines([])] == [False]


@pytest.mark.parametrize("slow", ["down", "status"])
def test_giving_back_takes_no_longer_than_it_may(make: Make, cloud: Cloud, slow: str) -> None:
    engine = make(vms=2)
    wait(engine, submit(engine, "sleep 1"), submit(engine, "sleep 1", experiment="e2"))
    assert eventually(lambda: {vm["state"] for vm in engine.vms()} == {"idle"}, 20)
    cloud.knobs(slow={slow: 60})
    words = "not verified yet to be gone: t-" if slow == "down" else "has not answered status"
    begun = time.monotonic()
    with pytest.raises(NotYet, match=words) as raised:
        engine.give_back(3.0)
    assert time.monotonic() - begun < 45.0
    assert raised.value.next == "autoresearch vms --down"
    assert {vm["state"] for vm in engine.vms()} == {"idle"}, "what is not verified is not called gone"
    cloud.knobs()
    assert engine.give_back(30.0) == []
    assert cloud.clusters() == []
    assert {vm["state"] for vm in engine.vms()} == {"retired"}


def test_giving_back_outlasts_a_server_that_stumbles(make: Make, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "SERVER_PAUSE", 0.1)
    monkeypatch.setattr(giveback, "SERVER_PAUSE", 0.1)
    engine = make(vms=1)
    wait(engine, submit(engine, "echo METRIC x=1"))
    busy = {"kind": "server", "error": "it is busy", "times": 2}
    cloud.knobs(fail={"status": dict(busy), "down": dict(busy)})
    assert engine.give_back() == []
    assert cloud.clusters() == []
    # One that is away for good is named, and no VM is called gone.
    wait(engine, submit(engine, "echo METRIC x=2"))
    monkeypatch.setattr(giveback, "SERVER_PATIENCE", 0.5)
    cloud.knobs(fail={"status": {**busy, "times": 99}})
    with pytest.raises(EnvironmentMissing, match="it is busy"):
        engine.give_back()
    assert [vm["state"] for vm in engine.vms()][-1] == "idle"


def test_a_used_up_budget_ends_what_waits_and_gives_the_vms_back(make: Make, cloud: Cloud) -> None:
    """While nobody looks: the dispatcher itself keeps the budget."""
    engine = make(vms=1)
    engine.budget = {"vm_hours": 2.0 / 3600, "dollars": None, "price": None}
    first = submit(engine, "sleep 3; echo METRIC x=1")
    waits = submit(engine, "echo METRIC x=2", experiment="e2")
    ran, never = wait(engine, first, waits)
    assert ran.state == "done"
    assert never.state == "lost", "nobody's verdict"
    assert "(budget.vm_hours is" in never.detail
    assert eventually(lambda: not cloud.clusters(), 20)
    assert eventually(lambda: [vm["state"] for vm in engine.vms()] == ["retired"], 20)
    assert "halt" in [note["kind"] for note in read_notes(engine.state / NOTES)]
    engine.budget = {"vm_hours": 1.0, "dollars": None, "price": None}
    (again,) = wait(engine, submit(engine, "echo METRIC x=2", experiment="e2"))
    assert again.state == "done", "the user has raised it"


def test_a_halt_gives_idle_vms_back_and_can_be_lifted(make: Make, cloud: Cloud) -> None:
    engine = make(vms=1)
    assert engine.width == 1
    assert wait(engine, submit(engine, "echo METRIC x=1"))[0].state == "done"
    assert len(cloud.clusters()) == 1

    def given_back() -> bool:
        engine.halt("5.00 dollars spent")  # as every status does
        return not cloud.clusters()

    assert eventually(given_back, 20)
    assert eventually(lambda: not any(machine.up for machine in engine.machines(())), 20)
    engine.halt("")
    assert wait(engine, submit(engine, "echo METRIC x=1"))[0].state == "done"
