"""What goes wrong on the way: VMs, dispatchers and servers that fail under the engine skypilot, or are not there."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from autoresearch.engines.notes import NOTES, read_notes
from autoresearch.errors import EnvironmentMissing, Exit
from autoresearch.project import Project
from driver import Run
from sky_helpers import Cloud, Make, dispatcher, submit, wait
from trial_helpers import eventually


def test_a_vm_that_is_lost_gives_its_trial_to_another(make: Make, cloud: Cloud, tmp_path: Path) -> None:
    engine = make(vms=1)
    job = submit(engine, f"echo METRIC x=1; if [ ! -e {tmp_path}/again ]; then touch {tmp_path}/again; sleep 60; fi")
    assert eventually(lambda: (tmp_path / "again").exists(), 20)
    cloud.lose(cloud.clusters()[0])
    assert wait(engine, job)[0].state == "done"
    ended = json.loads((engine.store.jobs / job / "exit.json").read_text())
    assert ended["attempt"] == 2
    assert "lost" in [note["kind"] for note in read_notes(engine.state / NOTES)]
    assert len({op["cluster"] for op in cloud.ops("exec")}) == 2


def test_a_killed_dispatcher_is_followed_by_one_that_finds_the_trial(make: Make, cloud: Cloud, tmp_path: Path) -> None:
    engine = make(vms=2)
    jobs = [
        submit(engine, f"echo {i} >> {tmp_path}/ran-{i}; sleep 2; echo METRIC x={i}", experiment=f"e{i}")
        for i in range(3)
    ]
    assert eventually(lambda: len(list(tmp_path.glob("ran-*"))) == 2, 20)
    os.kill(dispatcher(engine), signal.SIGKILL)
    assert [state.state for state in wait(engine, *jobs)] == ["done"] * 3
    assert [engine.fetch(job).metrics["x"] for job in jobs] == [0.0, 1.0, 2.0]
    assert [(tmp_path / f"ran-{i}").read_text() for i in range(3)] == ["0\n", "1\n", "2\n"], "each ran once"
    assert len(cloud.ops("exec")) == 3
    # As 0.2.0 wrote them: its jobs in flight go on under this version.
    flight, ended = (
        json.loads((engine.store.jobs / jobs[2] / name).read_text()) for name in ("flight.json", "exit.json")
    )
    assert set(flight) == {
        "vm", "job", "attempt", "name", "stage", "asked", "qualifying", "request", "sky_job", "begun", "log",
        "code", "exit", "ended", "fault",
    }  # fmt: skip
    assert (flight["vm"], flight["job"], flight["attempt"]) == (ended["vm"], jobs[2], 1)
    assert set(ended) == {
        "state", "exit", "detail", "ended", "seconds", "vm", "attempt", "sky_job", "price", "infra", "cluster",
    }  # fmt: skip


def test_killed_between_submission_and_answer_it_submits_nothing_twice(
    make: Make, cloud: Cloud, tmp_path: Path
) -> None:
    """The bridge dies when the job is on its VM and nobody has written its number down."""
    cloud.knobs(vanish=1)
    engine = make(vms=1)
    job = submit(engine, f"echo ran >> {tmp_path}/ran; echo METRIC x=1")
    assert eventually(lambda: engine.blocked() is not None, 20)
    engine.store.clear_problem()  # as a quarter of a minute does
    assert wait(engine, job)[0].state == "done"
    assert (tmp_path / "ran").read_text() == "ran\n"


def test_killed_at_any_moment_no_trial_is_lost_or_run_twice(make: Make, cloud: Cloud, tmp_path: Path) -> None:
    engine = make(vms=2, attempts=10)
    jobs = [submit(engine, f"echo ran >> {tmp_path}/ran-{i}; echo METRIC x={i}", experiment=f"e{i}") for i in range(4)]
    for pause in (0.3, 0.7, 0.2, 1.1, 0.5):
        time.sleep(pause)
        try:
            os.kill(dispatcher(engine), signal.SIGKILL)
        except (AssertionError, ProcessLookupError):
            continue
        engine.poll()
    assert [state.state for state in wait(engine, *jobs)] == ["done"] * 4
    assert [engine.fetch(job).metrics["x"] for job in jobs] == [0.0, 1.0, 2.0, 3.0]
    assert [(tmp_path / f"ran-{i}").read_text() for i in range(4)] == ["ran\n"] * 4


def test_a_refused_trial_is_not_taken_for_the_one_that_runs(make: Make, cloud: Cloud, tmp_path: Path) -> None:
    """Two jobs were sent to the VM, the first in vain; then the dispatcher dies while the second one runs."""
    cloud.knobs(fail={"exec": {"kind": "not_up", "error": "ClusterNotUpError: a moment", "times": 1}}, launch_seconds=1)
    engine = make(vms=1)
    jobs = [
        submit(engine, f"echo ran >> {tmp_path}/ran-{i}; sleep 2; echo METRIC x={i}", experiment=f"e{i}")
        for i in (0, 1)
    ]
    assert eventually(lambda: (tmp_path / "ran-1").exists() or (tmp_path / "ran-0").exists(), 20)
    os.kill(dispatcher(engine), signal.SIGKILL)
    assert [state.state for state in wait(engine, *jobs)] == ["done"] * 2
    assert [(tmp_path / f"ran-{i}").read_text() for i in (0, 1)] == ["ran\n"] * 2


def test_an_output_that_comes_cut_off_is_fetched_again(make: Make, cloud: Cloud) -> None:
    cloud.knobs(cut=1)
    engine = make(vms=1)
    job = submit(engine, "for i in 1 2 3 4 5 6; do echo $i; done; echo METRIC x=1")
    assert wait(engine, job)[0].state == "done"
    assert len(cloud.ops("exec")) == 1
    assert len(cloud.ops("follow")) == 2


def test_an_output_that_stays_cut_off_is_never_a_number(make: Make, cloud: Cloud) -> None:
    cloud.knobs(cut=1000)
    engine = make(vms=1, attempts=2)
    job = submit(engine, "echo METRIC x=1; for i in 1 2 3 4 5 6; do echo $i; done")
    state = wait(engine, job)[0]
    assert state.state == "lost"
    assert "2 attempts" in state.detail
    assert "the output is cut off" in state.detail
    result = engine.fetch(job)
    assert (result.status, result.metrics, result.records) == ("", {}, [])


def test_no_machine_to_be_had_is_said_clearly(make: Make, cloud: Cloud) -> None:
    fault = {"kind": "no_vm", "error": "ResourcesUnavailableError: no capacity in zone 7", "times": 9}
    cloud.knobs(fail={"launch": fault})
    engine = make(vms=2, launches=3)
    state = wait(engine, submit(engine, "echo METRIC x=1"))[0]
    assert (state.state, state.detail) == (
        "lost",
        "no VM could be had: ResourcesUnavailableError: no capacity in zone 7",
    )
    assert len(cloud.ops("launch")) == 3
    cloud.knobs()
    assert wait(engine, submit(engine, "echo METRIC x=1"))[0].state == "done"


def test_a_server_that_stumbles_is_asked_again(make: Make, cloud: Cloud, tmp_path: Path) -> None:
    fault = {"kind": "server", "error": "ApiServerConnectionError: gone for a moment", "times": 2}
    cloud.knobs(fail={"exec": {**fault, "times": 1}, "follow": fault, "queue": {**fault, "times": 1}})
    engine = make(vms=1)
    job = submit(engine, f"echo ran >> {tmp_path}/ran; sleep 1; echo METRIC x=1")
    assert wait(engine, job)[0].state == "done"
    assert (tmp_path / "ran").read_text() == "ran\n"


def test_a_server_that_fails_during_a_launch_costs_no_vm(make: Make, cloud: Cloud) -> None:
    """Its failure says nothing of the VM, which is asked after again."""
    cloud.knobs(fail={"status": {"kind": "server", "error": "ApiServerConnectionError: killed", "times": 1}})
    engine = make(vms=1)
    assert wait(engine, submit(engine, "echo METRIC x=1"))[0].state == "done"
    assert len(cloud.ops("launch")) == 1
    assert "refused" not in [note["kind"] for note in read_notes(engine.state / NOTES)]


def test_a_trial_beyond_its_limit_is_ended(make: Make, cloud: Cloud) -> None:
    engine = make(vms=1)
    job = submit(engine, "echo METRIC x=1; sleep 100", timeout=1.5)
    state = wait(engine, job)[0]
    assert (state.state, state.detail) == ("failed", "ended after 2 s, its time limit")
    assert engine.fetch(job).status == "crash"


def test_cancelling_what_waits_and_what_runs(make: Make, cloud: Cloud, tmp_path: Path) -> None:
    engine = make(vms=1)
    running = submit(engine, f"touch {tmp_path}/on; sleep 100")
    waiting = submit(engine, "echo METRIC x=1", experiment="e2")
    assert eventually(lambda: (tmp_path / "on").exists(), 20)
    assert engine.cancel(waiting).state == "cancelled"
    assert engine.cancel(running).state == "cancelled"
    assert engine.cancel(running).state == "cancelled"
    assert len(cloud.ops("exec")) == 1
    assert len(cloud.ops("cancel")) == 1


# --- SkyPilot is not there


def test_without_skypilot_it_says_what_to_install(make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    engine = make(vms=1)
    monkeypatch.delenv("AUTORESEARCH_SKY_PYTHON")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    with pytest.raises(EnvironmentMissing, match="SkyPilot is not installed") as caught:
        submit(engine, "true")
    assert caught.value.code == Exit.ENVIRONMENT
    assert "skypilot[slurm]>=0.14,<0.16" in caught.value.fix
    assert "sky check" in caught.value.fix
    assert not engine.store.jobs.exists()


@pytest.mark.parametrize(("version", "age"), [("0.10.3", "old"), ("0.16.0", "new"), ("1.2.0", "new")])
def test_another_version_is_refused(make: Make, cloud: Cloud, version: str, age: str) -> None:
    cloud.knobs(version=version)
    with pytest.raises(EnvironmentMissing, match=f"too {age}: >=0.14,<0.16 is needed"):
        submit(make(vms=1), "true")


@pytest.mark.parametrize(
    ("knobs", "words", "fix"),
    [
        ({"clouds": []}, "no cloud is enabled", "sky check"),
        ({"clouds": ["aws"]}, "infra slurm/lab is not enabled; enabled: aws", "sky check"),
        (
            {"fail": {"check": {"kind": "server", "error": "ApiServerConnectionError: x", "times": 99}}},
            "ApiServerConnectionError: x",
            "sky api",
        ),
        ({"fail": {"hello": {"kind": "version", "error": "exec takes no task"}}}, "exec takes no task", "skypilot"),
    ],
)
def test_what_skypilot_lacks_is_said_and_the_experiment_waits(
    make: Make, cloud: Cloud, knobs: dict[str, Any], words: str, fix: str
) -> None:
    cloud.knobs(**knobs)
    engine = make(vms=1)
    job = submit(engine, "echo METRIC x=1")
    assert eventually(lambda: engine.blocked() is not None, 40)
    problem = engine.blocked()
    assert problem is not None
    assert (problem.code, words in problem.message, fix in problem.fix) == (Exit.ENVIRONMENT, True, True), (
        problem.message
    )
    assert not engine.poll([job])[job].final
    assert not cloud.ops("launch")
    # Mended, the next command goes on with it.
    cloud.knobs()
    engine.store.clear_problem()
    assert wait(engine, job)[0].state == "done"


def test_a_server_that_stumbles_at_the_start_is_asked_again(make: Make, cloud: Cloud) -> None:
    cloud.knobs(fail={"check": {"kind": "server", "error": "it is busy", "times": 1}})
    engine = make(vms=1)
    assert wait(engine, submit(engine, "echo METRIC x=1"))[0].state == "done"
    assert engine.blocked() is None


def test_a_cancelled_job_needs_no_skypilot(make: Make, cloud: Cloud) -> None:
    cloud.knobs(clouds=[])
    engine = make(vms=1)
    job = submit(engine, "echo METRIC x=1")
    assert eventually(lambda: engine.blocked() is not None, 20)
    assert engine.cancel(job).state == "cancelled"


@pytest.mark.parametrize(
    ("knobs", "found", "fix"),
    [
        ({}, "SkyPilot 0.14.1; enabled: slurm", ""),
        ({"version": "0.13.0"}, "SkyPilot 0.13.0 is too old: >=0.14,<0.16 is needed", "uv tool install"),
        ({"clouds": []}, "no cloud is enabled", "Run: sky check"),
        ({"clouds": ["aws"]}, "infra slurm/lab is not enabled; enabled: aws", "Run: sky check"),
        ({"fail": {"check": {"kind": "server", "error": "cannot connect"}}}, "cannot connect", "sky api start"),
        (None, "SkyPilot is not installed", "then run: sky check"),
    ],
)
def test_doctor_says_what_skypilot_lacks(
    autoresearch: Run, project: Project, cloud: Cloud, knobs: dict[str, Any] | None, found: str, fix: str
) -> None:
    with (project.root / "autoresearch.yaml").open("a") as file:
        file.write("engine: skypilot\ninfra: slurm/lab\n")
    env = {"PATH": "/usr/bin:/bin", "AUTORESEARCH_SKY_PYTHON": ""} if knobs is None else {}
    cloud.knobs(**(knobs or {}))
    done = autoresearch("doctor", "--no-run", "--json", **env)
    (engine,) = (f for f in json.loads(done.stdout)["findings"] if f["what"] == "engine")
    assert found in engine["found"]
    assert fix in engine["fix"]
    assert (engine["level"], done.returncode) == (("fail", Exit.ENVIRONMENT) if fix else ("ok", 0))


def test_a_server_that_is_just_starting_keeps_no_doctor_waiting(
    autoresearch: Run, project: Project, cloud: Cloud
) -> None:
    with (project.root / "autoresearch.yaml").open("a") as file:
        file.write("engine: skypilot\ninfra: slurm/lab\n")
    cloud.knobs(slow={"check": 60})
    begun = time.monotonic()
    done = autoresearch("doctor", "--no-run", "--timeout", "4", "--json")
    assert time.monotonic() - begun < 45.0
    (engine,) = (f for f in json.loads(done.stdout)["findings"] if f["what"] == "engine")
    assert (engine["level"], done.returncode) == ("warn", 0)
    assert "may be starting" in engine["found"]
