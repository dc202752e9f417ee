"""What a run met on its machine, measured on real runs beside real load: where it is told, it is right."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from autoresearch.judging.outcome import Timed, read_outcome
from autoresearch.trial import conditions, procs
from autoresearch.trial.conditions import Met, Meter, Used, own_seconds
from driver import another_program

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux tells what a process waited for")
BURN = "import time\nwhile time.process_time() < {}: pass"
TREE = f'{sys.executable} -S -c "{BURN.format(0.3)}"; true'  # the work is a child of the shell
ALONE = [sys.executable, "-S", "-c", BURN.format(0.3)]
in_cgroup = pytest.mark.skipif(not conditions._home(), reason="no cgroup of our own may be made here")


@pytest.fixture
def core() -> int:
    return max(os.sched_getaffinity(0))


@pytest.fixture
def busy(core: int) -> Iterator[None]:
    """Another program on that core, all the time."""
    with another_program(core):
        yield


def run(command: procs.Command, core: int, tmp_path: Path) -> procs.Finished:
    env = {"PATH": os.environ["PATH"]}
    done = procs.run(command, env=env, cwd=str(tmp_path), timeout=60, cpus=[core], meter=Meter([core]))
    assert done.ok, done.output
    return done


def share(seconds: float | None, done: procs.Finished) -> float:
    assert seconds is not None
    return seconds / done.seconds


@pytest.mark.usefixtures("busy")
def test_beside_a_busy_loop_a_run_waits_for_about_half_of_its_time_and_all_signals_say_so(
    core: int, tmp_path: Path
) -> None:
    done = run(ALONE, core, tmp_path)
    gap = done.seconds - done.cpu_seconds  # of a program that only computes, all that it did not have the core
    assert share(done.met.delay_seconds, done) > 0.3
    assert done.met.delay_seconds == pytest.approx(gap, abs=0.05)
    assert done.met.foreign_seconds == pytest.approx(gap, abs=0.1)
    if conditions._home():
        assert done.met.stall_seconds == pytest.approx(gap, abs=0.05)
    assert done.met.waited is not None
    assert own_seconds(done.seconds, done.cpu_seconds, done.met.waited) == pytest.approx(done.cpu_seconds, abs=0.05)
    assert done.met.switches is not None
    assert done.met.switches[1] > 5


def test_what_a_run_waited_for_is_what_it_did_not_have_whatever_else_runs(core: int, tmp_path: Path) -> None:
    done = run(ALONE, core, tmp_path)
    assert done.met.waited == pytest.approx(done.seconds - done.cpu_seconds, abs=0.05)


@pytest.mark.usefixtures("busy")
def test_the_wait_of_a_shell_is_not_told_as_that_of_its_work(core: int, tmp_path: Path) -> None:
    done = run(TREE, core, tmp_path)
    assert done.met.delay_seconds is None
    assert done.met.foreign_seconds == pytest.approx(done.seconds - done.cpu_seconds, abs=0.1)


@in_cgroup
@pytest.mark.usefixtures("busy")
def test_the_stall_is_that_of_the_whole_tree(core: int, tmp_path: Path) -> None:
    done = run(TREE, core, tmp_path)
    assert share(done.met.stall_seconds, done) > 0.3
    assert done.met.stall_seconds == pytest.approx(done.seconds - done.cpu_seconds, abs=0.05)


def test_sleep_is_no_wait_for_a_core(core: int, tmp_path: Path) -> None:
    done = run(["sleep", "0.4"], core, tmp_path)
    assert done.met.waited is not None
    assert own_seconds(done.seconds, done.cpu_seconds, done.met.waited) > 0.39


@in_cgroup
def test_what_a_run_does_to_itself_is_no_stall(core: int, tmp_path: Path) -> None:
    both = f"{sys.executable} -S -c '{BURN.format(0.3)}' & {TREE}; wait"
    done = run(both, core, tmp_path)
    assert done.cpu_seconds > 0.6
    assert done.met.delay_seconds is None
    assert done.met.stall_seconds is not None
    # Each of the two waited for the other for about 0.3 s; only what others had is told.
    assert done.met.stall_seconds == pytest.approx(done.seconds - done.cpu_seconds, abs=0.08)


def test_peak_memory_is_that_of_the_largest_process_even_of_one_that_was_left_behind(core: int, tmp_path: Path) -> None:
    # A program smaller than the one that starts it reads as that one: the system counts from the fork on.
    ours = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    large = ours + 64
    grow, peaks = f"x = bytearray({large} << 20)", []
    daemon = f"import os, time\nif os.fork() == 0:\n {grow}\n open('up', 'w').close()\n time.sleep(99)\n"
    for code in ("pass", grow, daemon + "while not os.path.exists('up'): time.sleep(0.01)"):
        peak = run([sys.executable, "-S", "-c", code], core, tmp_path).met.peak_rss_mb
        assert peak is not None
        peaks.append(peak)
    assert peaks[0] < ours + 32
    assert large < peaks[1] < large + 24
    assert large < peaks[2] < large + 24


def test_where_the_system_tells_nothing_all_is_unknown_and_the_run_is_as_it_was(
    core: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conditions, "_home", lambda: "")
    monkeypatch.setattr(conditions, "_busy", lambda _: None)
    monkeypatch.delattr(os, "waitid")
    done = run(TREE, core, tmp_path)
    assert done.met._replace(switches=None, peak_rss_mb=None) == Met()
    assert done.met.switches is not None
    assert done.cpu_seconds >= 0.3


@in_cgroup
def test_no_cgroup_is_left_and_one_of_a_killed_trial_is_cleared(core: int, tmp_path: Path) -> None:
    home = Path(conditions._home())
    lost = home / f"{conditions._PREFIX}999999999-x"
    lost.mkdir()
    conditions._sweep(str(home))
    run(TREE, core, tmp_path)
    mine = f"{conditions._PREFIX}{os.getpid()}-"
    assert not lost.exists()
    assert [path for path in home.iterdir() if path.name.startswith(mine)] == []


def test_a_run_that_left_its_cgroup_tells_no_stall(tmp_path: Path) -> None:
    (tmp_path / "cpu.stat").write_text("usage_usec 10000\n")
    (tmp_path / "cpu.pressure").write_text("some avg10=0.00 total=9\nfull avg10=0.00 avg300=0.00 total=1500000\n")
    assert conditions._stall(str(tmp_path), 0.01) == 1.5
    assert conditions._stall(str(tmp_path), 0.5) is None


def test_of_two_records_the_largest_and_the_sum_are_told() -> None:
    assert Used(1.0, 5.0, 1, 2).plus(Used(0.5, 9.0, 3, 4)) == Used(1.5, 9.0, 4, 6)


def sample(slot: int, **more: object) -> dict[str, object]:
    base = {"type": "sample", "slot": slot, "block": 0, "side": "ABBA"[slot], "value": 1.0, "seconds": 2.0}
    return {**base, "cpu_seconds": 1.0, "metrics": {}, "warmup": False, **more}


def test_the_outcome_tells_the_share_of_each_run_and_how_many_were_disturbed() -> None:
    signals = [{"delay_seconds": 0.1}, {"stall_seconds": 0.8, "delay_seconds": 0.0}, {"foreign_seconds": 9.0}, {}]
    records = [sample(i, **signal) for i, signal in enumerate(signals)]
    outcome = read_outcome([*records, {"type": "end", "status": "done"}])
    assert [run.waited_share for run in outcome.timed[0]] == [0.05, 0.4, 1.0, None]
    assert [run.own for run in outcome.timed[0]] == [1.9, 1.2, None, None]
    assert outcome.met == {"waited_pct": 40.0, "worst_pct": 100.0, "runs": 3, "disturbed": 2, "exact": False}
    assert read_outcome([sample(0), {"type": "end", "status": "done"}]).met == {}
    assert Timed("A", 1.0, 1.0, 0.9, 0.5).own == pytest.approx(0.9)  # no more than it did not compute
