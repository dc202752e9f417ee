"""The local engine with real jobs: order, slots, time limits, and nothing left behind."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterable
from pathlib import Path

import pytest

from autoresearch.engines import JobState, local
from autoresearch.engines.jobdir import read_log
from autoresearch.engines.leftovers import leftover_processes
from autoresearch.engines.local import LocalEngine
from autoresearch.engines.supervisor import Credit
from autoresearch.errors import BadInput
from autoresearch.task import parse_task
from trial_helpers import HELPERS, alive, eventually, processes_with

needs_linux = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="orphans are caught by Linux's subreaper and /proc"
)


def submit(engine: LocalEngine, run: str, *, experiment: str = "e1", timeout: float = 60.0, yaml: str = "") -> str:
    """A plain task with an empty workdir."""
    workdir = engine.state.parent / "empty"
    workdir.mkdir(exist_ok=True)
    task = parse_task("run: |\n" + "".join(f"  {line}\n" for line in run.splitlines()) + yaml)
    return engine.submit(task, experiment=experiment, mode="single", workdir=workdir, envs={}, timeout=timeout)


def wait(engine: LocalEngine, jobs: Iterable[str], seconds: float = 40.0) -> dict[str, JobState]:
    names = list(jobs)
    assert eventually(lambda: all(state.final for state in engine.poll(names).values()), seconds), engine.poll(names)
    return engine.poll(names)


def runner(engine: LocalEngine, job: str) -> int:
    path = engine.log_path(job).with_name("pid.json")
    assert eventually(path.exists)
    pid: int = json.loads(path.read_text())["pid"]
    return pid


@pytest.fixture
def engine(tmp_path: Path) -> LocalEngine:
    return LocalEngine(tmp_path / "state", slots=1)


def test_a_plain_job_runs_in_its_own_copy(engine: LocalEngine, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "data").write_text("before\n")
    task = parse_task('run: |\n  pwd; cat data; echo "METRIC x=$N"; echo more > data\nenvs: {N: 4}\n')
    job = engine.submit(task, experiment="e7", mode="single", workdir=source, envs={}, timeout=60)
    (source / "data").write_text("after!")  # what the queue does to the source does not matter
    state = wait(engine, [job])[job]
    assert (job, state.state, state.experiment) == ("e7-single-1", "done", "e7")
    result = engine.fetch(job)
    assert (result.status, result.metrics, result.exit_code, result.records) == ("done", {"x": 4.0}, 0, [])
    assert "before" in read_log(engine.log_path(job), 10_000)
    assert (source / "data").read_text() == "after!"
    assert list(engine.poll()) == [job]


def test_ids_are_unique(engine: LocalEngine) -> None:
    jobs = [submit(engine, "true") for _ in range(3)]
    assert jobs == ["e1-single-1", "e1-single-2", "e1-single-3"]
    wait(engine, jobs)
    with pytest.raises(BadInput, match="no job nothing"):
        engine.poll(["nothing"])
    with pytest.raises(BadInput, match="no experiment id"):
        submit(engine, "true", experiment="../e1")


def test_failure_and_a_missing_metric(engine: LocalEngine) -> None:
    bad, silent = submit(engine, "echo METRIC x=1; exit 3"), submit(engine, "echo nothing")
    states = wait(engine, [bad, silent])
    assert (states[bad].state, states[bad].detail) == ("failed", "exit 3")
    result = engine.fetch(bad)
    assert (result.status, result.error, result.exit_code) == ("crash", "job failed: exit 3", 3)
    assert (engine.fetch(silent).status, engine.fetch(silent).error) == ("crash", "no METRIC line")


def test_the_environment_is_that_of_a_fresh_shell(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_AGENT_TOKEN", "secret")
    job = submit(engine, "env")
    wait(engine, [job])
    assert "SOME_AGENT_TOKEN" not in engine.log_path(job).read_text()
    assert "PYTHONPATH" not in engine.log_path(job).read_text()


def test_measuring_jobs_never_overlap_on_one_slot(engine: LocalEngine, tmp_path: Path) -> None:
    log = tmp_path / "times"
    stamp = f"{sys.executable} -S -c 'import time; print(time.monotonic())' >> {log}"
    jobs = [submit(engine, f"{stamp}; sleep 0.2; {stamp}", experiment=f"e{i}") for i in range(4)]
    assert all(state.state == "done" for state in wait(engine, jobs).values())
    times = [float(line) for line in log.read_text().split()]
    assert times == sorted(times)
    spans = list(zip(times[0::2], times[1::2], strict=True))
    assert len(spans) == 4
    assert all(end - begin >= 0.2 for begin, end in spans)  # an overlap would have shuffled begins and ends


@needs_linux
def test_a_slot_pins_to_its_cpus(engine: LocalEngine) -> None:
    job = submit(engine, f"{sys.executable} -S -c 'import os; print(os.sched_getaffinity(0))'")
    wait(engine, [job])
    assert str(set(engine.plan.slots[0])) in engine.log_path(job).read_text()


def test_timeout_ends_the_tree(engine: LocalEngine) -> None:
    token = uuid.uuid4().hex
    job = submit(engine, f"sh -c 'sleep 1000; : {token}' & sh -c 'sleep 1000; : {token}'", timeout=0.5)
    state = wait(engine, [job])[job]
    assert (state.state, state.detail[:7]) == ("failed", "timeout")
    assert engine.fetch(job).status == "crash"
    assert processes_with(token) == []


def test_cancel_while_running_and_while_queued(tmp_path: Path) -> None:
    engine = LocalEngine(tmp_path / "state", slots=1, jobs_parallel=1)
    token = uuid.uuid4().hex
    first = submit(engine, f"trap '' TERM; echo begun; sh -c 'sleep 1000; : {token}'; sleep 1000")
    assert eventually(lambda: processes_with(token))
    second = submit(engine, "echo never")
    third = submit(engine, "echo METRIC x=1")
    assert engine.poll([first])[first].state == "running"
    assert engine.poll([second])[second].state == "queued"
    assert engine.cancel(second).state == "cancelled"
    assert engine.cancel(first).state == "cancelled"
    assert eventually(lambda: processes_with(token) == [])
    assert wait(engine, [third])[third].state == "done"
    assert engine.cancel(third).state == "done"
    assert read_log(engine.log_path(second), 10_000) == ""
    assert (engine.fetch(first).status, engine.fetch(first).error) == ("crash", "job cancelled: cancelled")


DAEMON = """
import os, sys
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        command = "sleep 1000; : " + sys.argv[1]
        os.execve("/bin/sh", ["sh", "-c", command], {"PATH": os.environ["PATH"]})
    os._exit(0)
os.wait()
"""


@needs_linux
@pytest.mark.parametrize("victim", ["runner", "both"])
def test_a_killed_runner_leaves_no_process_and_a_lost_job(engine: LocalEngine, victim: str) -> None:
    token, daemon = uuid.uuid4().hex, uuid.uuid4().hex
    script = f"{sys.executable} -S -c '{DAEMON}' {daemon}\n" if victim == "runner" else ""
    job = submit(engine, script.replace("\n", "\n") + f"sh -c 'sleep 1000; : {token}' & sh -c 'sleep 1000; : {token}'")
    assert eventually(lambda: len(processes_with(token)) >= 2)
    inner = runner(engine, job)
    outer = int(Path(f"/proc/{inner}/stat").read_text().rpartition(")")[2].split()[1])
    if victim == "both":
        os.kill(outer, signal.SIGKILL)
    os.kill(inner, signal.SIGKILL)
    state = wait(engine, [job])[job]
    # A guardian that was killed first has told its runner to end, which may just have managed to say so.
    assert state.state == "lost" or victim == "both"
    assert processes_with(token) == []
    assert processes_with(daemon) == []
    assert not alive(outer)
    assert engine.fetch(job).status == "crash"
    assert leftover_processes(engine.state) == set()


@needs_linux
def test_a_killed_guardian_ends_the_job(engine: LocalEngine) -> None:
    token = uuid.uuid4().hex
    job = submit(engine, f"sh -c 'sleep 1000; : {token}'")
    assert eventually(lambda: processes_with(token))
    inner = runner(engine, job)
    os.kill(int(Path(f"/proc/{inner}/stat").read_text().rpartition(")")[2].split()[1]), signal.SIGKILL)
    state = wait(engine, [job])[job]
    assert (state.state, state.detail) == ("lost", "its runner was ended by a signal")
    assert eventually(lambda: processes_with(token) == [])


@needs_linux
def test_a_benchmark_that_daemonises_leaves_nothing(engine: LocalEngine) -> None:
    token = uuid.uuid4().hex
    job = submit(engine, f"cat > d.py <<'EOF'{DAEMON}EOF\n{sys.executable} -S d.py {token}\nsleep 0.2; echo METRIC x=1")
    assert wait(engine, [job])[job].state == "done"
    assert processes_with(token) == []


def test_jobs_outlive_the_command_that_submitted_them(tmp_path: Path) -> None:
    code = """if True:
        import sys, os, signal
        from pathlib import Path
        from autoresearch.engines.local import LocalEngine
        from autoresearch.task import parse_task
        root = Path(sys.argv[1])
        (root / "w").mkdir()
        task = parse_task("run: sleep 0.5; echo METRIC x=1")
        engine = LocalEngine(root / "state", slots=1)
        engine.submit(task, experiment="e1", mode="single", workdir=root / "w", envs={}, timeout=60)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    env = {**os.environ, "PYTHONPATH": str(HELPERS)}
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], env=env, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    engine = LocalEngine(tmp_path / "state", slots=1)
    assert wait(engine, ["e1-single-1"])["e1-single-1"].state == "done"


def test_a_flood_is_stopped(engine: LocalEngine) -> None:
    # `yes` writes gigabytes a second; the runner looks ten times a second.
    job = submit(engine, "trap '' PIPE; while :; do head -c 30000000 /dev/zero; sleep 0.01; done", timeout=60)
    state = wait(engine, [job])[job]
    assert (state.state, state.detail) == ("failed", "output over the limit")
    os.truncate(engine.log_path(job), 0)


def test_setup_runs_once_per_content_for_bundles_and_its_failure_is_told(engine: LocalEngine, tmp_path: Path) -> None:
    counter = tmp_path / "count"
    hashed = f"setup: echo x >> {counter}\nenvs: {{EXP_SHA256: none}}\n"
    jobs = [submit(engine, "echo METRIC x=1", yaml=hashed) for _ in range(3)]
    wait(engine, jobs)
    assert counter.read_text() == "x\n"
    bad = submit(engine, "echo METRIC x=1", yaml="setup: echo no compiler; exit 9\n")
    state = wait(engine, [bad])[bad]
    assert (state.state, state.detail) == ("failed", "setup failed (exit 9)")
    assert "no compiler" in read_log(engine.log_path(bad), 10_000)


def test_tasks_for_clusters_are_refused(engine: LocalEngine) -> None:
    with pytest.raises(BadInput, match="num_nodes above 1"):
        submit(engine, "true", yaml="num_nodes: 2\n")
    assert engine.poll() == {}


def test_first_come_first_served(tmp_path: Path) -> None:
    engine = LocalEngine(tmp_path / "state", slots=1, jobs_parallel=1)
    order = tmp_path / "order"
    jobs = []
    for i in range(4):
        jobs.append(submit(engine, f"sleep 0.1; echo {i} >> {order}", experiment=f"e{i}"))
        runner(engine, jobs[-1])
        time.sleep(0.15)
    wait(engine, jobs)
    assert order.read_text().split() == ["0", "1", "2", "3"]


def test_waiting_for_a_slot_is_not_the_jobs_own_time(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    credit = Credit(log)
    waiting = 'AR_RECORD {"type":"slot","state":"waiting"}\n'
    taken = 'AR_RECORD {"type":"slot","state":"taken","waited":7.5}\n'
    log.write_text("")
    assert credit.more() == 0
    log.write_text(waiting)
    assert (credit.more(), credit.more()) == (1.0, 1.0)
    log.write_text(waiting + taken)
    assert credit.more() == pytest.approx(5.5)  # 7.5 s waited, 2 granted
    assert credit.more() == 0


def test_a_runner_that_cannot_start_is_lost_and_says_why(
    engine: LocalEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "python").write_text("#!/bin/sh\necho no such interpreter >&2\nexit 1\n")
    (tmp_path / "python").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    job = submit(engine, "echo METRIC x=1")
    state = wait(engine, [job])[job]
    assert (state.state, state.detail) == ("lost", "its runner was killed no such interpreter")


def test_two_sessions_on_one_machine_never_measure_on_the_same_core(tmp_path: Path) -> None:
    """Each has slots of its own; the core's lock is shared."""
    cores = tmp_path / "cores"
    cores.mkdir()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        plan = {"slots": [[1]], "build": [0], "cores": str(cores)}
        (tmp_path / name / "cpus.json").write_text(json.dumps(plan))
    script = (
        "import sys, time\n"
        "from autoresearch.trial import slots\n"
        "with slots.take(sys.argv[1]):\n"
        "    print(time.monotonic(), flush=True); time.sleep(0.4); print(time.monotonic(), flush=True)\n"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(local.__file__).parents[2])}
    running = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / name)], stdout=subprocess.PIPE, text=True, env=env
        )
        for name in ("one", "two", "one", "two")
    ]
    spans = sorted([float(x) for x in child.communicate()[0].split()] for child in running)
    assert len(spans) == 4
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))
