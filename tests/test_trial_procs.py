"""One command, and nothing of it afterwards: real processes."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from autoresearch.trial import procs
from trial_helpers import alive, eventually, processes_with

LINUX = sys.platform.startswith("linux")
needs_linux = pytest.mark.skipif(not LINUX, reason="orphans are caught by Linux's subreaper and /proc")
ENV = {"PATH": os.environ["PATH"]}

# Leaves its parent, its session and its environment, then lives on.
DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        command = "echo $$ > " + sys.argv[1] + "; exec sleep 1000"
        os.execve("/bin/sh", ["sh", "-c", command], {"PATH": os.environ["PATH"]})
    os._exit(0)
os.wait()
while not (os.path.exists(sys.argv[1]) and os.path.getsize(sys.argv[1])):
    time.sleep(0.01)
print("METRIC x=1")
"""


def run(command: procs.Command, tmp_path: Path, timeout: float = 20.0, **options: Any) -> procs.Finished:
    return procs.run(command, env=ENV, cwd=str(tmp_path), timeout=timeout, **options)


def test_output_exit_code_and_times(tmp_path: Path) -> None:
    done = run("echo out; echo err >&2; exit 3", tmp_path)
    assert (done.exit_code, done.output, done.timed_out, done.ok) == (3, "out\nerr\n", False, False)
    assert done.seconds > 0
    assert done.failure() == "exit 3"


def test_cpu_time_counts_grandchildren(tmp_path: Path) -> None:
    burn = "import time\nwhile time.process_time() < 0.2: pass"
    (tmp_path / "burn.py").write_text(burn)
    done = run(f'"{sys.executable}" -S burn.py; true', tmp_path)
    assert done.ok
    assert done.cpu_seconds >= 0.2


def test_stdin_is_empty_and_a_signal_is_an_exit_code(tmp_path: Path) -> None:
    assert run("cat; echo end", tmp_path).output == "end\n"
    assert run("kill -9 $$", tmp_path).exit_code == 137


def test_timeout_kills_the_whole_tree(tmp_path: Path) -> None:
    token = uuid.uuid4().hex
    done = run(f"sh -c 'sleep 1000; : {token}' & sh -c 'sleep 1000; : {token}'", tmp_path, timeout=0.3)
    assert done.timed_out
    assert not done.ok
    assert done.failure() == "timeout after 0 s"
    assert processes_with(token) == []


@needs_linux
def test_a_daemon_that_left_group_session_and_environment_is_killed(tmp_path: Path) -> None:
    pidfile = tmp_path / "pid"
    done = run([sys.executable, "-S", "-c", DAEMON, str(pidfile)], tmp_path)
    assert done.ok, done.output
    assert done.output == "METRIC x=1\n"
    assert not alive(int(pidfile.read_text()))


def test_background_child_after_success_is_killed(tmp_path: Path) -> None:
    done = run("sleep 1000 & echo $!", tmp_path)
    assert done.ok
    assert not alive(int(done.output))


def test_processes_from_before_are_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "1000"]) as other:
        try:
            assert run("true", tmp_path).ok
            assert other.poll() is None
        finally:
            other.kill()


both_ways = pytest.mark.parametrize("streams", [False, True])


@both_ways
def test_flood_is_capped(tmp_path: Path, streams: bool) -> None:
    done = run("exec yes", tmp_path, output_limit=1_000_000, streams=streams)
    assert done.flooded
    assert not done.ok
    assert len(done.output) == 1_000_000


@both_ways
def test_whole_output_is_kept_not_its_tail(tmp_path: Path, streams: bool) -> None:
    command = "echo METRIC first=1; head -c 3000000 /dev/zero | tr '\\0' a; echo; printf end"
    done = run(command, tmp_path, streams=streams)
    assert done.output == f"METRIC first=1\n{'a' * 3_000_000}\nend"


def test_streams_join_whole_lines_of_stdout_and_stderr(tmp_path: Path) -> None:
    steps = "printf half", "echo err >&2", "echo ' line'", "echo late > /dev/stderr", "exit 3"
    done = run("; sleep 0.1; ".join(steps), tmp_path, streams=True)
    assert (done.exit_code, done.output) == (3, "err\nhalf line\nlate\n")


@both_ways
def test_nobody_waits_for_who_prints_nothing_or_prints_much(tmp_path: Path, streams: bool) -> None:
    assert run("exec >&- 2>&-; sleep 0.2; exit 4", tmp_path, streams=streams).exit_code == 4
    # More than any buffer between us holds, and at once on both: a reader that waits for one of them would never end.
    command = "(head -c 5000000 /dev/zero >&2) & head -c 5000000 /dev/zero; wait"
    done = run(command, tmp_path, streams=streams)
    assert (done.ok, len(done.output)) == (True, 10_000_000)
    assert run("sleep 0.3 & cat <&1", tmp_path, streams=streams).ok


# Waits for a line on its parent's stdout, as far as it can be read there, and puts another in its place.
REWRITE = """
import os, sys, time
path = "/proc/%d/fd/1" % os.getppid()
print("METRIC x=1", flush=True)
time.sleep(0.1)
for how in ("rb", "r+b"):
    try:
        with open(path, how) as file:
            file.seek(0)
            said = file.read(4096)
            file.truncate(0)
            file.seek(0)
            file.write(b"METRIC x=2\\n")
    except OSError:
        pass
"""


@both_ways
def test_without_a_pidfd_the_end_is_seen_by_looking(
    tmp_path: Path, streams: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    done = run("echo one; sleep 0.1; head -c 1000000 /dev/zero; exit 2", tmp_path, streams=streams)
    assert (done.exit_code, len(done.output)) == (2, 1_000_004)
    assert run("sleep 1000", tmp_path, streams=streams, timeout=0.2).timed_out


@needs_linux
def test_what_a_stream_took_is_not_changed_afterwards(tmp_path: Path) -> None:
    script = tmp_path / "rewrite.py"
    script.write_text(REWRITE)
    command = f'"{sys.executable}" -S {script}; true'
    assert run(command, tmp_path).output == "METRIC x=2\n"  # as a file's can be
    assert run(command, tmp_path, streams=True).output == "METRIC x=1\n"


@needs_linux
@both_ways
def test_who_still_holds_the_output_is_ended_and_what_it_said_is_kept(tmp_path: Path, streams: bool) -> None:
    done = run("(echo from behind; exec sleep 1000) & sleep 0.2; echo front", tmp_path, streams=streams)
    assert (done.ok, done.output) == (True, "from behind\nfront\n")
    assert done.seconds < 100


@needs_linux
def test_pinning(tmp_path: Path) -> None:
    cpu = max(os.sched_getaffinity(0))
    done = run([sys.executable, "-S", "-c", "import os; print(os.sched_getaffinity(0))"], tmp_path, cpus=[cpu])
    assert done.output == f"{{{cpu}}}\n"
    assert len(os.sched_getaffinity(0)) >= 1


def test_an_exception_ends_the_tree_too(tmp_path: Path) -> None:
    token = uuid.uuid4().hex

    def interrupt(pid: int) -> None:
        assert eventually(lambda: processes_with(token))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(f"sleep 1000; : {token}", tmp_path, on_start=interrupt)
    assert processes_with(token) == []


def test_grace_lets_a_command_clean_up(tmp_path: Path) -> None:
    done = run("trap 'echo bye; exit 0' TERM; sleep 1000 & wait", tmp_path, timeout=0.5, grace=10.0)
    assert done.timed_out
    assert done.output == "bye\n"


def test_extension_of_the_deadline(tmp_path: Path) -> None:
    more = [0.0, 5.0]
    done = run("sleep 0.5; echo late", tmp_path, timeout=0.1, extend=lambda: more.pop())
    assert done.ok
    assert done.output == "late\n"
    assert more == [0.0]
