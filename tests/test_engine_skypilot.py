"""The engine skypilot with real processes against a small cloud of our own (`fake_sky.py`); no SkyPilot is needed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from autoresearch.engines.jobdir import read_log
from autoresearch.engines.local import LocalEngine
from autoresearch.engines.notes import NOTES, append_note, read_notes
from autoresearch.engines.skypilot import client
from autoresearch.engines.skypilot.starter import vm_prefix
from autoresearch.task import Task, load_task
from driver import REPO
from sky_helpers import Cloud, Make, dispatcher, submit, trial_bundle, wait
from trial_helpers import eventually


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
    assert "e1" in read_log(engine.log_path(first), 10_000)
    result = engine.fetch(second)
    assert (result.state, result.status, result.exit_code, result.error) == ("failed", "crash", 3, "job failed: exit 3")
    said = read_log(engine.log_path(second), 10_000)
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
            task, experiment=name, mode="single", **trial_bundle(local, "single", benchmark=benchmark, name=name)
        )
        there = engine.submit(
            task, experiment=name, mode="single", **trial_bundle(engine, "single", benchmark=benchmark, name=name)
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
    assert "N=4" in read_log(engine.log_path(job), 10_000)
    assert (engine.store.jobs / job / "job.json").stat().st_mode & 0o077 == 0


# --- many


def test_vms_work_in_parallel_and_never_two_trials_on_one(make: Make, cloud: Cloud, tmp_path: Path) -> None:
    engine = make(vms=3)
    times = tmp_path / "times"
    times.mkdir()
    say = 'echo "$HOME {1} $(date +%s.%N)" >> {0}'
    stamp = f"{say}; sleep 0.4; {say.replace('{1}', '{2}')}; echo METRIC x=1"
    jobs = [submit(engine, stamp.format(times / f"e{i}", "begin", "end"), experiment=f"e{i}") for i in range(7)]
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
n=1000 d=$(tr -d '\\0' < ../.owner)
while [ "$d" != / ]; do
  if [ -e "$d/noisy" ]; then n=$((RANDOM % 500 + 750)); fi
  d=$(dirname "$d")
done
echo METRIC steps=$n
"""


def test_a_new_vm_measures_the_base_first_and_a_noisy_one_is_replaced(make: Make, cloud: Cloud, task: Task) -> None:
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
