"""The templates for a benchmark on a busy machine: own time, and rounds paired with a frozen reference."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from driver import another_program

TEMPLATES = Path(__file__).resolve().parents[1] / "templates"
DEMO = TEMPLATES / "demo" / "project"


def run(program: str, cwd: Path = TEMPLATES) -> subprocess.CompletedProcess[str]:
    """A benchmark of its own, as the templates are used: next to them, without this package."""
    return subprocess.run(
        [sys.executable, "-B", "-c", textwrap.dedent(program)], cwd=cwd, text=True, capture_output=True, timeout=60
    )


def output(program: str) -> list[str]:
    done = run(program)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("name", ["paired.py", "stopwatch.py", "worker.py", "signed_metric.py"])
def test_the_demo_has_the_templates_as_they_are(name: str) -> None:
    assert (DEMO / "evaluator" / name).read_bytes() == (TEMPLATES / name).read_bytes()


def test_the_demos_reference_is_its_program_at_the_start() -> None:
    frozen = {p.name: p.read_bytes() for p in (DEMO / "evaluator/baseline/logstat").glob("*.py")}
    program = {p.name: p.read_bytes() for p in (DEMO / "src/logstat").glob("*.py") if p.name != "__main__.py"}
    assert frozen == program


# Each: the reads at start and stop (delay, wall, cpu in seconds) and the own time that follows.
@pytest.mark.parametrize(
    ("delay", "wall", "cpu", "own"),
    [
        (0.0, 1.0, 1.0, 1.0),
        (0.6, 1.0, 0.4, 0.4),  # others had the core
        (0.0, 1.0, 0.4, 1.0),  # it slept, or waited for a file
        (0.3, 1.0, 0.4, 0.7),  # both
        (0.9, 1.0, 0.8, 0.8),  # two threads of its own on one core: they waited for each other
        (0.5, 1.0, 3.0, 1.0),  # parallel
        (-0.1, 1.0, 0.9, 1.0),
    ],
)
def test_own_time_leaves_out_the_turns_of_others_and_nothing_else(
    delay: float, wall: float, cpu: float, own: float
) -> None:
    program = f"""
        import stopwatch
        watch = stopwatch.Stopwatch()
        reads = iter([0.0, {delay}])
        watch._delay = lambda: next(reads)
        clock, used = iter([5.0, 5.0 + {wall}]), iter([2.0, 2.0 + {cpu}])
        stopwatch.perf_counter, stopwatch.cpu_seconds = lambda: next(clock), lambda: next(used)
        watch.start()
        print(*watch.stop())
    """
    assert [float(word) for word in output(program)] == pytest.approx([wall, cpu, own])


@pytest.mark.skipif(not Path("/proc/self/schedstat").is_file(), reason="the system keeps no such account")
def test_a_process_just_born_knows_its_delay_as_any_other() -> None:
    program = """
        import os, stopwatch
        for _ in range(50):
            child = os.fork()
            if child == 0:
                os._exit(0 if stopwatch.Stopwatch().knows_delay else 1)
            print(os.waitpid(child, 0)[1])
    """
    assert output(program) == ["0"] * 50


@pytest.mark.parametrize("schedstat", ["missing", "empty"])
def test_without_schedstat_own_time_is_wall_time_and_one_line_says_so(schedstat: str) -> None:
    program = f"""
        import os, time
        if {schedstat!r} == "missing":
            def none(*_):
                raise FileNotFoundError
            os.open = none
        else:
            os.pread = lambda *_: b"0 0 0\\n"
        import paired
        watch = paired.Stopwatch()
        watch.start()
        time.sleep(0.01)
        span = watch.stop()
        print(watch.knows_delay, span.own == span.wall >= 0.01)
        result = paired.rounds(lambda: time.sleep, lambda: time.sleep, [0.001] * 3, seed=1)
        print(result.waited)
    """
    done = run(program)
    assert done.stdout.split() == ["False", "True", "None"], done.stderr
    assert done.stderr.count("\n") == 1
    assert "own time is wall time" in done.stderr


WORK = """
    import sys
    import paired
    def work(turns, x=1):
        for _ in range(turns):
            x = x * 1103515245 + 12345 & 0x7fffffff
        return x
    def half(turns):
        return work(turns // 2)
"""


def test_the_ratio_is_that_of_the_work() -> None:
    program = (
        WORK
        + """
    for candidate in (work, half):
        result = paired.rounds(lambda: candidate, lambda: work, [20000] * 41, seed=1)
        print(result.ratio, result.reference_s, result.waited, result.spread)
    """
    )
    words = [float(word) for word in output(program)]
    assert 0.85 < words[0] < 1.15
    assert 0.42 < words[4] < 0.58
    assert all(1e-4 < words[i] < 1.0 for i in (1, 5))
    assert all(0.0 <= words[i] <= 1.0 for i in (2, 6))
    assert all(words[i] >= 1.0 for i in (3, 7))


def test_what_the_program_does_in_the_references_turns_is_its_own() -> None:
    program = (
        WORK
        + """
    import threading
    def hidden(turns):
        threading.Thread(target=work, args=(20 * turns,), daemon=True).start()
        return work(turns)
    print(paired.rounds(lambda: hidden, lambda: work, [20000] * 31, seed=1).mean_ratio)
    """
    )
    assert float(output(program)[0]) > 1.5


@pytest.mark.parametrize(
    "cheat",
    [
        "stopwatch.perf_counter = paired.time.perf_counter = time.perf_counter = time.monotonic = lambda: 5.0",
        "time.clock_gettime = time.process_time = stopwatch.process_time = lambda *_: 5.0",
        "os.pread = lambda *_: b'9 99999999999 9'; stopwatch.Stopwatch._delay = lambda self: time.time() * 1e6",
        "paired.Twin.turn = paired._Pairs.result = paired.Stopwatch.stop = lambda *_: None",
    ],
)
def test_clocks_that_a_program_patches_in_its_process_decide_nothing(cheat: str) -> None:
    program = (
        WORK
        + f"""
    import os, time, stopwatch
    def program():
        exec({cheat!r})
        return work
    print(paired.rounds(program, lambda: work, [20000] * 31, seed=1).ratio)
    """
    )
    assert 0.8 < float(output(program)[0]) < 1.25


def test_answers_that_are_written_beforehand_end_the_benchmark() -> None:
    program = (
        WORK
        + """
    import os
    def program():
        for end in range(3, 20):
            try:
                os.set_blocking(end, False)
                os.write(end, b"\\1" * 8000)
            except OSError:
                pass
        return work
    print(paired.rounds(program, lambda: work, [20000] * 3, seed=1))
    """
    )
    done = run(program)
    assert done.returncode == 1
    assert "the program ended before its time" in done.stderr


def test_every_input_is_met_once_by_both_in_an_order_drawn_from_the_seed(tmp_path: Path) -> None:
    program = f"""
    import os, paired
    seen = os.open({str(tmp_path / "seen")!r}, os.O_RDWR | os.O_CREAT | os.O_APPEND)
    def load(side):
        return lambda given: os.write(seen, side + given)
    for seed in (1, 1, 2):
        os.ftruncate(seen, 0)
        inputs = [bytes([letter]) for letter in b"abcdefghijkl"]
        paired.rounds(lambda: load(b"P"), lambda: load(b"R"), inputs, seed, launches=3)
        print(os.pread(seen, 9999, 0).decode())
    """
    one, again, other = output(program)
    assert one == again
    assert one != other
    launches = [one[i : i + 4 * 5] for i in range(0, len(one), 4 * 5)]
    assert {launch[:4] for launch in launches} <= {"PaRa", "RaPa"}  # once, so that nothing is done for the first time
    pairs = [launch[i : i + 4] for launch in launches for i in range(4, 4 * 5, 4)]
    assert [pair[1] for pair in pairs] == list("abcdefghijkl")
    assert all({pair[:2], pair[2:]} == {"P" + pair[1], "R" + pair[1]} for pair in pairs)
    assert {pair[0] for pair in pairs} == {"P", "R"}


def test_both_are_launched_anew_and_neither_is_born_in_the_benchmark_that_signs() -> None:
    program = """
    import os, sys, paired
    born = []
    def load():
        os.write(1, b"%d\\n" % os.getpid())
        sys.modules["project"] = sys
        return lambda given: "project" in sys.modules
    def check(answer, given):
        assert answer and given in (1, 2, 3, 4, 5)
        os.write(1, b"checked\\n")
    paired.rounds(load, load, [1, 2, 3, 4, 5], 1, check, launches=2)
    print(os.getpid(), "project" in sys.modules)
    """
    *said, here, imported = output(program)
    assert imported == "False"
    assert said.count("checked") == 5 + 2
    assert len({*said, here} - {"checked"}) == 1 + 2 * 2


def test_what_a_function_leaves_behind_is_its_own() -> None:
    program = (
        WORK
        + """
    import os, time
    def handed_on(turns):
        if os.fork() == 0:
            if os.fork() == 0:
                while time.process_time() < 0.1: pass
            os._exit(0)
        return work(turns)
    print(paired.rounds(lambda: handed_on, lambda: work, [2000] * 4, seed=1, launches=2).cpu_s)
    """
    )
    assert float(output(program)[0]) > 4 * 0.09


def test_a_process_that_a_function_leaves_for_good_ends_the_benchmark() -> None:
    program = (
        WORK
        + """
    import os, time
    def stays(turns):
        if os.fork() == 0:
            time.sleep(30)
        return work(turns)
    print(paired.rounds(lambda: stays, lambda: work, [2000] * 3, seed=1))
    """
    )
    done = run(program)
    assert done.returncode == 1
    assert "leaves a process behind" in done.stderr


def test_what_a_program_prints_is_seen_once() -> None:
    program = """
    import paired
    def speaks(given):
        print("METRIC time_s=0.001")
    print("before")
    paired.rounds(lambda: speaks, lambda: abs, [1, 2, 3, 4], seed=1, launches=2)
    """
    assert output(program) == ["before", *["METRIC", "time_s=0.001"] * (4 + 2)]


def test_a_pool_of_workers_ends_with_its_launch() -> None:
    program = (
        WORK
        + """
    import multiprocessing
    def load():
        pool = multiprocessing.get_context("fork").Pool(2)
        return lambda turns: sum(pool.map(work, [turns] * 2))
    print(paired.rounds(load, load, [20000] * 4, seed=1, launches=2).ratio)
    """
    )
    assert float(output(program)[0]) > 0


def test_a_child_that_works_in_the_references_turns_is_seen_once_it_is_waited_for() -> None:
    program = (
        WORK
        + """
    import subprocess, threading
    burn = [sys.executable, "-S", "-c", "for _ in range(4 * 10**6): pass"]
    def hidden(turns):
        threading.Thread(target=subprocess.run, args=(burn,), daemon=True).start()
        return work(turns)
    print(paired.rounds(lambda: hidden, lambda: lambda turns: __import__("time").sleep(0.3), [2000] * 3, 1).cpu_s)
    """
    )
    assert float(output(program)[0]) > 0.03


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="nobody finds his siblings here")
def test_a_reference_that_was_stopped_ends_the_benchmark() -> None:
    program = (
        WORK
        + """
    import os, signal, threading, time
    def stop():
        parent = os.getppid()
        children = open(f"/proc/{parent}/task/{parent}/children").read().split()
        reference = next(int(child) for child in children if int(child) != os.getpid())
        os.kill(reference, signal.SIGSTOP)
        time.sleep(0.02)
        os.kill(reference, signal.SIGCONT)
    def cheat(turns):
        threading.Thread(target=stop).start()
        return work(turns // 2)
    print(paired.rounds(lambda: cheat, lambda: work, [200000] * 9, seed=1))
    """
    )
    done = run(program)
    assert done.returncode == 1
    assert "stopped the reference" in done.stderr


@pytest.mark.parametrize("compiled", [False, True])
def test_a_program_that_writes_to_the_reference_ends_the_benchmark_or_is_not_read(
    tmp_path: Path, compiled: bool
) -> None:
    for name in ("paired.py", "stopwatch.py", "worker.py"):
        shutil.copy2(TEMPLATES / name, tmp_path / name)
    (tmp_path / "reference").mkdir()
    (tmp_path / "reference" / "frozen.py").write_text("def work(given):\n    pass\n")
    slow = "import time\ndef work(given):\n    time.sleep(0.05)\n"
    program = f"""
    import importlib.util, os, py_compile, sys
    import paired
    top = os.path.join(os.getcwd(), "reference")
    source = os.path.join(top, "frozen.py")
    def reference():
        sys.path.insert(0, top)
        from frozen import work
        return work
    def program():
        with open("slow.py", "w") as file:
            file.write({slow!r})
        if not {compiled}:
            os.replace("slow.py", source)
        else:
            made = importlib.util.cache_from_source(source)
            py_compile.compile("slow.py", made, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
            os.unlink("slow.py")
        return abs
    print(paired.rounds(program, reference, [1, 2, 3, 4], seed=1, launches=4).reference_s < 0.04)
    """
    done = run(program, tmp_path)
    assert done.stdout.split() == (["True"] if compiled else []), done.stderr
    assert compiled or "the program wrote to" in done.stderr


@pytest.mark.parametrize("where", ["load", "work"])
def test_a_reference_that_fails_ends_the_benchmark(where: str) -> None:
    load = "lambda: 1 / 0" if where == "load" else "lambda: lambda given: 1 / 0"
    done = run(f"import paired; paired.rounds(lambda: abs, {load}, [1, 2], 1); print('METRIC')")
    assert done.returncode == 1
    assert "the reference ended" in done.stderr
    assert "ZeroDivisionError" in done.stderr
    assert done.stdout == ""


def test_the_reference_never_sees_what_the_program_imported(tmp_path: Path) -> None:
    for side in ("old", "new"):
        (tmp_path / side).mkdir()
        (tmp_path / side / "project.py").write_text(f"def work(given):\n    print('{side}', flush=True)\n")
    program = f"""
    import sys
    import paired
    def load(path):
        sys.path.insert(0, path)
        from project import work
        return work
    paired.rounds(lambda: load({str(tmp_path / "new")!r}), lambda: load({str(tmp_path / "old")!r}), [0], seed=1)
    """
    assert sorted(output(program)) == ["new", "new", "old", "old"]


@pytest.fixture
def busy_core() -> Iterator[None]:
    """This process and what it starts share one core with an endless loop."""
    if not hasattr(os, "sched_setaffinity") or not Path("/proc/self/schedstat").is_file():
        pytest.skip("the system neither pins processes nor keeps account of their waiting")
    usual = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(usual)})
    try:
        with another_program(max(usual)):
            yield
    finally:
        os.sched_setaffinity(0, usual)


@pytest.mark.usefixtures("busy_core")
def test_five_percent_less_work_is_seen_beside_a_busy_loop() -> None:
    program = (
        WORK
        + """
    def less(turns):
        return work(turns - turns // 20)
    # A round is longer than the kernel's turns: shorter ones may all fit between those of the loop, and meet none.
    for candidate in (work, less):
        result = paired.rounds(lambda: candidate, lambda: work, [100000] * 30, seed=1)
        print(result.ratio, result.waited)
    """
    )
    found = []
    for _ in range(3):  # one run has a scatter of 1 %, and the kernel may give the loop few turns in half a second
        alike, waited, less, _ = (float(word) for word in output(program))
        found.append((round(alike, 3), round(less, 3), round(waited, 2)))
        if waited > 0.25 and 0.96 < alike < 1.04 and less < alike - 0.02:
            return
    pytest.fail(f"alike, less, waited: {found}")


# --- programs that are a process a round

PROGRAM = """
import sys
x = int(sys.stdin.read())
for _ in range({turns}):
    x = x * 1103515245 + 12345 & 0x7FFFFFFF
{end}
"""
COUNTED = """
    import sys
    from signed_metric import metric
    import paired
    inputs = [b"%d" % n for n in range({pairs})]
    result = paired.commands([sys.executable, "-S", "tool.py"], inputs, seed=1, reference="ref", same={same})
    paired.tell(metric, result, 0.01)
"""


def commands(
    root: Path,
    end: str = "print(len(str(x)) > 0)",
    turns: int = 60000,
    pairs: int = 9,
    *,
    of: int = 60000,
    same: bool = True,
) -> subprocess.CompletedProcess[str]:
    """A benchmark of a tool that does `turns` turns of work and ends with `end`; its reference does `of` turns."""
    (root / "ref").mkdir()
    (root / "ref" / "tool.py").write_text(PROGRAM.format(turns=of, end="print(len(str(x)) > 0)"))
    (root / "tool.py").write_text(PROGRAM.format(turns=turns, end=end))
    for name in ("paired.py", "stopwatch.py", "worker.py", "signed_metric.py"):
        (root / name).write_bytes((TEMPLATES / name).read_bytes())
    return run(COUNTED.format(pairs=pairs, same=same), root)


def values(done: subprocess.CompletedProcess[str]) -> dict[str, float]:
    assert done.returncode == 0, done.stderr
    pairs = (line.removeprefix("METRIC ").split("=") for line in done.stdout.splitlines())
    return {name: float(value) for name, value in pairs}


def test_a_commands_ratio_is_that_of_its_work_with_all_that_guards_it(tmp_path: Path) -> None:
    got = values(commands(tmp_path, turns=30000, pairs=31))
    assert 0.004 < got["time_s"] < 0.0085
    assert 0.004 < got["time_mean_s"] < 0.0085
    assert 0 < got["time_cpu_s"] < got["ref_cpu_s"]
    assert got["time_wall_s"] > 0
    assert 1e-3 < got["ref_s"] < 1.0
    assert got["own_time"] in (0, 1)


@pytest.mark.usefixtures("busy_core")
def test_five_percent_less_work_of_a_command_is_seen_beside_a_busy_loop_in_one_run(tmp_path: Path) -> None:
    found = []
    for attempt in range(3):
        got = []
        for name, turns in (("alike", 300000), ("less", 285000)):
            where = tmp_path / f"{name}{attempt}"
            where.mkdir()
            got.append(values(commands(where, turns=turns, of=300000, pairs=31)))
        alike, less = (one["time_s"] / 0.01 for one in got)
        found.append((alike, less, *(one["waited_pct"] for one in got)))
        # Starting an interpreter is a part of each round, and the same.
        if 0.98 < alike < 1.02 and 0.93 < less < 0.98 and min(one["waited_pct"] for one in got) > 25:
            return
    pytest.fail(f"alike, less, waited, waited: {found}")


def test_a_sleep_is_the_commands_own_time(tmp_path: Path) -> None:
    got = values(commands(tmp_path, "import time; time.sleep(0.1); print(True)", turns=1, pairs=5))
    assert got["time_s"] > 2 * 0.01


def test_what_a_command_leaves_behind_is_its_own(tmp_path: Path) -> None:
    orphan = (
        "import os\nif os.fork() == 0:\n    os.setsid()\n    os.close(1)\n    import time\n"
        "    while time.process_time() < 0.2: pass\n    os._exit(0)\nprint(True)"
    )
    got = values(commands(tmp_path, orphan, turns=1, pairs=5))
    assert got["time_cpu_s"] > 5 * 0.18
    assert got["time_s"] > 5 * 0.01


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ("print(False)", "another answer than the reference's"),
        ("sys.exit('broken')", "ended with exit 1"),
        ("import os; os.kill(os.getpid(), 9)", "ended with signal 9"),
        ("print(True); open('ref/tool.py', 'a').write('#')", "the program wrote to ref"),
        ("print(True); open('ref/random.py', 'a')", "the program wrote to ref"),
        ("print(True); import os; os.utime('ref/tool.py', (0, 0))", "the program wrote to ref"),
        (
            "print(True, flush=True)\nimport os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(30)",
            "leaves a process behind",
        ),
    ],
)
def test_a_command_that_fails_or_meddles_ends_the_benchmark(tmp_path: Path, end: str, said: str) -> None:
    done = commands(tmp_path, end, pairs=3)
    assert done.returncode == 1
    assert said in done.stderr
    assert "METRIC" not in done.stdout


def test_answers_that_hold_times_are_not_compared_where_that_is_said(tmp_path: Path) -> None:
    assert values(commands(tmp_path, "print(False)", pairs=3, same=False))["time_s"] > 0
