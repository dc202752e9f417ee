"""The engine skypilot with real processes against a small cloud of our own (`fake_sky.py`); no SkyPilot is needed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autoresearch.engines import JobState
from autoresearch.engines.bundle import build_bundle
from autoresearch.engines.local import LocalEngine
from autoresearch.engines.notes import NOTES, append_note, read_notes
from autoresearch.engines.skypilot import client
from autoresearch.engines.skypilot import model as m
from autoresearch.engines.skypilot.engine import SkyPilotEngine
from autoresearch.engines.skypilot.starter import vm_prefix
from autoresearch.engines.task import Task, load_task, parse_task
from autoresearch.errors import EnvironmentMissing, Exit, NotYet
from conftest import REPO
from trial_helpers import eventually

FAKE = Path(__file__).with_name("fake_sky.py")
# Times that suit a test: looked for at once, tried again at once.
QUICK = {"look_every": 0.1, "backoff": 0.1, "teardown_every": 1.0}


class Cloud:
    """The fake cloud, from outside."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()

    def knobs(self, **values: Any) -> None:
        (self.root / "knobs.json").write_text(json.dumps(values))

    def ops(self, *names: str) -> list[dict[str, Any]]:
        path = self.root / "ops.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [op for op in map(json.loads, lines) if op["op"] in names]

    def clusters(self) -> list[str]:
        return sorted(path.parent.name for path in self.root.glob("clusters/*/cluster.json"))

    def lose(self, name: str) -> None:
        """As a preemption does it."""
        subprocess.run(
            ["python3", "-c", f"import fake_sky; fake_sky.lose({name!r})"],
            cwd=FAKE.parent, env={**os.environ, "FAKE_SKY": str(self.root)}, check=True,
        )  # fmt: skip

    def home(self, name: str) -> Path:
        return self.root / "clusters" / name / "home"


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    made = Cloud(tmp_path / "cloud")
    monkeypatch.setenv("FAKE_SKY", str(made.root))
    monkeypatch.setenv("AUTORESEARCH_SKY_PYTHON", str(FAKE))
    return made


Make = Callable[..., SkyPilotEngine]


@pytest.fixture
def make(tmp_path: Path, cloud: Cloud, request: pytest.FixtureRequest) -> Make:
    def build(name: str = "t", **policy: Any) -> SkyPilotEngine:
        state = tmp_path / "state"
        state.mkdir(exist_ok=True)
        engine = SkyPilotEngine(state, name, infra="slurm/lab", policy=m.Policy(**{**QUICK, **policy}))

        def end() -> None:
            for job, found in engine.poll().items():
                if not found.final:
                    engine.cancel(job)
            for name in cloud.clusters():
                cloud.lose(name)

        request.addfinalizer(end)
        return engine

    return build


def submit(
    engine: SkyPilotEngine, run: str, *, experiment: str = "e1", timeout: float = 60.0, more: str = ""
) -> str:
    """A plain task, as a user's own may be."""
    workdir = engine.state.parent / f"work-{experiment}"
    workdir.mkdir(exist_ok=True)
    (workdir / "name").write_text(experiment)
    task = parse_task("run: |\n" + "".join(f"  {line}\n" for line in run.splitlines()) + more)
    return engine.submit(
        task, experiment=experiment, mode="single", workdir=workdir, envs={}, timeout=timeout
    )


def wait(engine: SkyPilotEngine, *jobs: str, seconds: float = 40.0) -> list[JobState]:
    ended = eventually(lambda: all(state.final for state in engine.poll(jobs).values()), seconds)
    log = engine.store.sky / "dispatcher.log"
    assert ended, (engine.poll(jobs), engine.blocked(), log.read_text() if log.exists() else "")
    return list(engine.poll(jobs).values())


def dispatcher(engine: SkyPilotEngine) -> int:
    """The dispatcher's process id, from the lock's holder."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"autoresearch.engines.skypilot.dispatcher" in words and str(engine.state).encode() in words:
            return int(path.parent.name)
    raise AssertionError("no dispatcher lives")


def trial_bundle(
    engine: SkyPilotEngine | LocalEngine, mode: str, *, benchmark: str, name: str = "e1"
) -> dict[str, Any]:
    """A trial of two equal trees, packed; the arguments for `submit`."""
    where = engine.state.parent / f"{name}-{mode}-{time.monotonic_ns()}"
    sides = {side: where / side for side in ("a", "b")}
    for tree in sides.values():
        tree.mkdir(parents=True)
        (tree / "autoresearch.sh").write_text(benchmark)
    spec = {
        "protocol": 1, "experiment": name, "mode": mode, "runs": 4 if mode == "noise" else 1,
        "metric": {"name": "steps", "direction": "lower", "values_per_run": 1},
        "benchmark": "bash autoresearch.sh", "checks": "true",
        # A VM that is marked as noisy is told from a quiet one from inside the run.
        "contain": {"mode": "off"},
    }  # fmt: skip
    bundle = build_bundle(where / "outbox", spec, base=sides["a"], candidate=sides["b"])
    envs = {"EXP_ID": name, "EXP_SHA256": bundle.sha256}
    return {"workdir": where / "outbox", "envs": envs, "timeout": 60.0}


@pytest.fixture(scope="module")
def task() -> Task:
    return load_task(REPO / "experiment.yaml")


# --- one job


def test_a_plain_task_runs_in_a_fresh_directory_of_its_own_tree(make: Make, cloud: Cloud) -> None:
    engine = make(vms=1)
    first = submit(engine, "cat name; echo; ls | xargs; touch left_over; echo METRIC x=4")
    wait(engine, first)
    # Equal size and time as the first one's: no rsync would have copied it.
    second = submit(engine, "cat name; echo; ls | xargs; echo METRIC x=5; exit 3", experiment="e2")
    wait(engine, second)
    result = engine.fetch(first)
    assert (result.state, result.status, result.metrics, result.exit_code) == ("done", "done", {"x": 4.0}, 0)
    assert result.records[-1]["type"] == "vm"
    assert "e1" in engine.tail(first)
    result = engine.fetch(second)
    assert (result.state, result.status, result.exit_code, result.error) == (
        "failed",
        "crash",
        3,
        "job failed: exit 3",
    )
    said = engine.tail(second)
    assert "e2" in said
    assert "left_over" not in said
    assert len(cloud.ops("launch")) == 1, "a VM is launched once, and reused ever after"
    names = [op["name"] for op in cloud.ops("exec")]
    assert len(set(names)) == 2
    assert list(engine.poll()) == [first, second]


def test_the_dispatcher_lives_only_while_there_is_work(make: Make) -> None:
    engine = make(vms=1)
    wait(engine, submit(engine, "echo METRIC x=1"))

    def gone() -> bool:
        try:
            dispatcher(engine)
        except AssertionError:
            return True
        return False

    assert eventually(gone, 20)


def test_a_trial_says_the_same_as_on_the_local_engine(make: Make, task: Task, tmp_path: Path) -> None:
    engine, local = make(vms=1), LocalEngine(tmp_path / "local", slots=1)
    statuses = {}
    for name, benchmark in (
        ("good", "echo METRIC steps=7"), ("crash", "exit 5"), ("mute", "echo nothing"),
        ("both", "echo METRIC steps=1; exit 1"),
    ):  # fmt: skip
        here = local.submit(
            task,
            experiment=name,
            mode="single",
            **trial_bundle(local, "single", benchmark=benchmark, name=name),
        )
        there = engine.submit(
            task,
            experiment=name,
            mode="single",
            **trial_bundle(engine, "single", benchmark=benchmark, name=name),
        )
        wait(engine, there)
        assert eventually(lambda job=here: local.poll([job])[job].final, 40)
        mine, other = engine.fetch(there), local.fetch(here)
        assert (mine.state, mine.status, mine.error, mine.metrics) == (
            other.state,
            other.status,
            other.error,
            other.metrics,
        )
        keep = ("sample", "checks", "end")
        assert [r["type"] for r in mine.records if r["type"] in keep] == [
            r["type"] for r in other.records if r["type"] in keep
        ]
        statuses[name] = mine.status
    assert statuses == {"good": "done", "crash": "crash", "mute": "crash", "both": "crash"}


def test_environment_and_secrets_reach_the_job_and_no_one_else(make: Make) -> None:
    engine = make(vms=1)
    job = submit(engine, 'echo "METRIC x=${#TOKEN}"; env', more="secrets: {TOKEN: abcdef}\nenvs: {N: 4}\n")
    wait(engine, job)
    assert engine.fetch(job).metrics == {"x": 6.0}
    assert "N=4" in engine.tail(job, 40)
    assert (engine.store.jobs / job / "job.json").stat().st_mode & 0o077 == 0


# --- many


def test_vms_work_in_parallel_and_never_two_trials_on_one(make: Make, cloud: Cloud, tmp_path: Path) -> None:
    engine = make(vms=3)
    times = tmp_path / "times"
    times.mkdir()
    say = 'echo "$HOME {1} $(date +%s.%N)" >> {0}'
    stamp = f"{say}; sleep 0.4; {say.replace('{1}', '{2}')}; echo METRIC x=1"
    jobs = [
        submit(engine, stamp.format(times / f"e{i}", "begin", "end"), experiment=f"e{i}") for i in range(7)
    ]
    assert {state.state for state in wait(engine, *jobs)} == {"done"}
    by_vm: dict[str, list[tuple[float, str]]] = {}
    for path in times.iterdir():
        for line in path.read_text().splitlines():
            home, word, when = line.split()
            by_vm.setdefault(home, []).append((float(when), word))
    assert len(by_vm) == 3, "all VMs were used"
    for events in by_vm.values():
        assert [word for _, word in sorted(events)] == ["begin", "end"] * (len(events) // 2)
    assert Counter(op["op"] for op in cloud.ops("launch", "exec")) == {"launch": 3, "exec": 7}
    machines = engine.machines(jobs)
    assert [(one.up, one.price_per_hour) for one in machines] == [(True, 0.2)] * 3
    assert all(0 < one.hours < 0.1 for one in machines)


# --- qualification


NOISY = """
n=1000 d=$PWD
while [ "$d" != / ]; do
  if [ -e "$d/noisy" ]; then n=$((RANDOM % 500 + 750)); fi
  d=$(dirname "$d")
done
echo METRIC steps=$n
"""


def test_a_new_vm_measures_the_base_first_and_a_noisy_one_is_replaced(
    make: Make, cloud: Cloud, task: Task
) -> None:
    cloud.knobs(launch_seconds=1.5)
    engine = make("p", vms=1, replacements=1)
    assert engine.wants_yardstick("k1")
    engine.set_yardstick("k1", task, **trial_bundle(engine, "noise", benchmark=NOISY, name="noise"))
    assert not engine.wants_yardstick("k1")
    assert engine.wants_yardstick("k2")
    first = submit(engine, "echo METRIC x=1")
    assert eventually(lambda: bool(list(cloud.root.glob("clusters/*/home"))))
    next(cloud.root.glob("clusters/*/home")).joinpath("noisy").touch()
    assert wait(engine, first)[0].state == "done"
    notes = read_notes(engine.state / NOTES)
    assert [note["kind"] for note in notes] == ["replaced", "qualified"]
    assert "replacement 1 of 1" in notes[0]["reason"]
    assert notes[0]["mde_pct"] > 1.0
    assert notes[0]["vm"] != notes[1]["vm"]
    assert cloud.clusters() == [notes[1]["vm"]], "the noisy one is torn down"
    assert Counter(op["cluster"] for op in cloud.ops("exec")) == {notes[0]["vm"]: 1, notes[1]["vm"]: 2}
    # The next job finds it qualified.
    wait(engine, submit(engine, "echo METRIC x=1", experiment="e2"))
    assert len(cloud.ops("exec")) == 4


def test_a_baseline_qualifies_its_own_vm(make: Make, cloud: Cloud, task: Task) -> None:
    engine = make(vms=1)
    packed = trial_bundle(engine, "noise", benchmark="echo METRIC steps=10", name="baseline")
    job = engine.submit(task, experiment="baseline", mode="noise", **packed)
    wait(engine, job)
    assert engine.fetch(job).status == "done"
    assert [note["kind"] for note in read_notes(engine.state / NOTES)] == ["qualified"]
    assert len(cloud.ops("exec")) == 1


# --- trouble


def test_a_vm_that_is_lost_gives_its_trial_to_another(make: Make, cloud: Cloud, tmp_path: Path) -> None:
    engine = make(vms=1)
    job = submit(
        engine, f"echo METRIC x=1; if [ ! -e {tmp_path}/again ]; then touch {tmp_path}/again; sleep 60; fi"
    )
    assert eventually(lambda: (tmp_path / "again").exists(), 20)
    cloud.lose(cloud.clusters()[0])
    assert wait(engine, job)[0].state == "done"
    ended = json.loads((engine.store.jobs / job / "exit.json").read_text())
    assert ended["attempt"] == 2
    assert "lost" in [note["kind"] for note in read_notes(engine.state / NOTES)]
    assert len({op["cluster"] for op in cloud.ops("exec")}) == 2


def test_a_killed_dispatcher_is_followed_by_one_that_finds_the_trial(
    make: Make, cloud: Cloud, tmp_path: Path
) -> None:
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
    jobs = [
        submit(engine, f"echo ran >> {tmp_path}/ran-{i}; echo METRIC x={i}", experiment=f"e{i}")
        for i in range(4)
    ]
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
    cloud.knobs(
        fail={"exec": {"kind": "not_up", "error": "ClusterNotUpError: a moment", "times": 1}},
        launch_seconds=1,
    )
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
    (stranger / "cluster.json").write_text(
        (cloud.root / "clusters" / cloud.clusters()[0] / "cluster.json").read_text()
    )
    cloud.knobs(fail={"down": {"kind": "other", "error": "no", "times": 1}})
    left = engine.give_back()
    assert (len(left), len(cloud.clusters())) == (1, 2), "a teardown that fails is told"
    assert engine.give_back() == []
    assert cloud.clusters() == ["stranger-vm-1"], "other people's VMs are left alone"
    assert [(vm["state"], vm["dollars"]) for vm in engine.vms()] == [("retired", 1.5)]
    assert engine.give_back() == []
    assert [one.up for one in engine.machines([])] == [False]


# --- SkyPilot is not there


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


def test_without_skypilot_it_says_what_to_install(
    make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
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
        ({"fail": {"check": {"kind": "server", "error": "ApiServerConnectionError: x"}}}, "x", "sky api"),
        (
            {"fail": {"hello": {"kind": "version", "error": "exec takes no task"}}},
            "exec takes no task",
            "skypilot",
        ),
    ],
)
def test_what_skypilot_lacks_is_said_and_the_experiment_waits(
    make: Make, cloud: Cloud, knobs: dict[str, Any], words: str, fix: str
) -> None:
    cloud.knobs(**knobs)
    engine = make(vms=1)
    job = submit(engine, "echo METRIC x=1")
    assert eventually(lambda: engine.blocked() is not None, 20)
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


def test_a_cancelled_job_needs_no_skypilot(make: Make, cloud: Cloud) -> None:
    cloud.knobs(clouds=[])
    engine = make(vms=1)
    job = submit(engine, "echo METRIC x=1")
    assert eventually(lambda: engine.blocked() is not None, 20)
    assert engine.cancel(job).state == "cancelled"


# --- small pieces


def test_the_interpreter_is_found_behind_every_kind_of_first_line(tmp_path: Path) -> None:
    script = tmp_path / "sky"
    python = client.sys.executable
    for head in (
        f"#!{python}", f"#!{python} -E", "#!/usr/bin/env python3",
        f"#!/bin/sh\n'''exec' \"{python}\" \"$0\" \"$@\"\n' '''",
    ):  # fmt: skip
        script.write_text(head + "\nimport sky\n")
        assert client.interpreter_of(script), head
    script.write_bytes(b"\x7fELF")
    assert client.interpreter_of(script) is None


@pytest.mark.parametrize("name", ["My Project!", "9lives", "---", "a" * 80, "parser"])
def test_vm_names_are_good_anywhere(name: str) -> None:
    prefix = vm_prefix(name)
    assert prefix[0].isalpha()
    assert set(prefix) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert len(prefix) <= 32
    assert prefix != vm_prefix(name), "two projects of one name do not share VMs"


def test_notes_have_growing_times_and_survive_a_torn_line(tmp_path: Path) -> None:
    for i in range(3):
        append_note(tmp_path, "lost", f"vm-{i}", "gone\x1b[31m", {})
    with (tmp_path / NOTES).open("a") as file:
        file.write('{"type": "vm", "times')
    append_note(tmp_path, "lost", "vm-9", "gone", {})
    notes = read_notes(tmp_path / NOTES)
    assert [note["vm"] for note in notes] == ["vm-0", "vm-1", "vm-2", "vm-9"]
    stamps = [note["timestamp"] for note in notes]
    assert stamps == sorted(set(stamps))
    assert "\x1b" not in notes[0]["reason"]
