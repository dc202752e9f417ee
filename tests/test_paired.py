"""The templates for a benchmark on a busy machine: own time, and rounds paired with a frozen reference."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("name", ["paired.py", "stopwatch.py", "signed_metric.py"])
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
        result = paired.rounds(time.sleep, paired.Reference(lambda: time.sleep, [0.001] * 3), seed=1)
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
        result = paired.rounds(candidate, paired.Reference(lambda: work, [20000] * 41), seed=1)
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
    reference = paired.Reference(lambda: work, [20000] * 31)
    print(paired.rounds(hidden, reference, seed=1).mean_ratio)
    """
    )
    assert float(output(program)[0]) > 1.5


def test_every_input_is_met_once_by_both_in_an_order_drawn_from_the_seed() -> None:
    program = """
    import paired
    seen = []
    class Fake:
        inputs = list("abcdefghijkl")
        def turn(self, number):
            seen.append("R" + self.inputs[number])
            return paired.Span(1.0, 1.0, 1.0)
        def close(self):
            print("".join(seen))
    for seed in (1, 1, 2):
        seen.clear()
        paired.rounds(lambda given: seen.append("P" + given), Fake(), seed)
    """
    one, again, other = output(program)
    assert one == again
    assert one != other
    first, pairs = one[:4], [one[i : i + 4] for i in range(4, len(one), 4)]
    assert first == "PaRa"
    assert {frozenset((pair[:2], pair[2:])) for pair in pairs} == {
        frozenset(("P" + letter, "R" + letter)) for letter in "abcdefghijkl"
    }
    assert {pair[0] for pair in pairs} == {"P", "R"}


def test_a_child_that_works_in_the_references_turns_is_seen_once_it_is_waited_for() -> None:
    program = (
        WORK
        + """
    import subprocess, threading
    burn = [sys.executable, "-S", "-c", "for _ in range(10**6): pass"]
    def hidden(turns):
        threading.Thread(target=subprocess.run, args=(burn,), daemon=True).start()
        return work(turns)
    reference = paired.Reference(lambda: lambda turns: __import__("time").sleep(0.3), [2000] * 3)
    print(paired.rounds(hidden, reference, seed=1).cpu_s)
    """
    )
    assert float(output(program)[0]) > 0.03


def test_a_reference_that_was_stopped_ends_the_benchmark() -> None:
    program = (
        WORK
        + """
    import os, signal, threading, time
    def stop():
        os.kill(reference._child, signal.SIGSTOP)
        time.sleep(0.02)
        os.kill(reference._child, signal.SIGCONT)
    def cheat(turns):
        threading.Thread(target=stop).start()
        return work(turns // 2)
    reference = paired.Reference(lambda: work, [200000] * 9)
    print(paired.rounds(cheat, reference, seed=1))
    """
    )
    done = run(program)
    assert done.returncode == 1
    assert "stopped the reference" in done.stderr


@pytest.mark.parametrize("where", ["load", "work"])
def test_a_reference_that_fails_ends_the_benchmark(where: str) -> None:
    load = "lambda: 1 / 0" if where == "load" else "lambda: lambda given: 1 / 0"
    done = run(f"import paired; paired.rounds(abs, paired.Reference({load}, [1, 2]), 1); print('METRIC')")
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
    def load():
        sys.path.insert(0, {str(tmp_path / "old")!r})
        from project import work
        return work
    reference = paired.Reference(load, [0])
    sys.path.insert(0, {str(tmp_path / "new")!r})
    from project import work
    paired.rounds(work, reference, seed=1)
    """
    assert sorted(output(program)) == ["new", "new", "old", "old"]


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
    root: Path, end: str = "print(len(str(x)) > 0)", turns: int = 60000, pairs: int = 9, *, same: bool = True
) -> subprocess.CompletedProcess[str]:
    """A benchmark of a tool that does `turns` turns of work, with one of 60000 for reference, and ends with `end`."""
    (root / "ref").mkdir()
    (root / "ref" / "tool.py").write_text(PROGRAM.format(turns=60000, end="print(len(str(x)) > 0)"))
    (root / "tool.py").write_text(PROGRAM.format(turns=turns, end=end))
    for name in ("paired.py", "stopwatch.py", "signed_metric.py"):
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
