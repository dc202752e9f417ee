"""The A/B of two plain commands: how often they are called, and what it makes of what they print."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from autoresearch.cli._compared import told
from autoresearch.cli._output import to_json
from autoresearch.trial import procs
from autoresearch.trial.compare import CommandFailed, Comparison, Sample, _cores, _own, compare_commands, direct
from autoresearch.trial.conditions import Met, own_seconds
from autoresearch.verdict.rule import Rule
from autoresearch.verdict.sequential import SequentialTest
from driver import another_program

LINUX = sys.platform.startswith("linux")

# A simulated machine: every call takes the next slot and notes it.
MACHINE = """
import os, random, sys
side, factor = sys.argv[1], float(sys.argv[2])
with open("calls", "a") as file:
    file.write(side + "\\n")
slot = sum(1 for _ in open("calls"))
print("METRIC time_s=%.6f" % (factor * random.Random(slot).gauss(1, 0.01)))
"""


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    (tmp_path / "machine.py").write_text(MACHINE)
    return tmp_path


def command(side: str, factor: float) -> str:
    return f'"{sys.executable}" -S machine.py {side} {factor}'


def compare(where: Path, a: str, b: str, **options: object) -> Comparison:
    settings: dict[str, object] = {"metric": "time_s", "direction": "lower", "rule": Rule(max_runs=24), "seed": 4}
    return compare_commands(a, b, cwd=str(where), **{**settings, **options})  # type: ignore[arg-type]  # free options


def test_one_call_per_run_and_one_warm_up_a_side(machine: Path) -> None:
    heard: list[Sample] = []
    decided, samples, *_ = compare(machine, command("A", 1.0), command("B", 0.9), on_sample=heard.append)
    assert (decided.verdict, decided.reason) == ("keep", "proven")
    assert decided.effect_pct == pytest.approx(10, abs=2)
    calls = (machine / "calls").read_text().split()
    assert calls == ["A", "B"] + [sample.side for sample in samples]
    assert heard == samples
    assert decided.runs_used == len(samples)
    assert decided.layout == "fixed"  # nobody built anything: a gain within the luck of a layout is none
    assert decided.reason_text.startswith("better by more than 1.5 %")


def test_higher_is_better(machine: Path) -> None:
    decided = compare(machine, command("A", 1.0), command("B", 0.9), direction="higher")
    assert decided.verdict.verdict == "discard"


def test_the_same_seed_gives_the_same_test(machine: Path) -> None:
    first = compare(machine, command("A", 1.0), command("B", 1.0))
    (machine / "calls").unlink()
    again = compare(machine, command("A", 1.0), command("B", 1.0))
    assert first[0] == again[0]
    assert [sample[:4] for sample in first[1]] == [sample[:4] for sample in again[1]]


@pytest.mark.parametrize("layout", ["auto", "fresh", "fixed"])
@pytest.mark.parametrize("linked", ["$AUTORESEARCH_LAYOUT_SEED", "constant"])
def test_builds_before_every_run_where_that_shakes_something(machine: Path, layout: str, linked: str) -> None:
    build = f"echo {{0}} >> builds; printf '\\177ELF%s' {linked} > {{0}}.o"
    decided, samples, *_ = compare(
        machine, command("A", 1.0), command("B", 1.0), rule=Rule(max_runs=8), layout=layout,
        build_a=build.format("a"), build_b=build.format("b"),
    )  # fmt: skip
    built = (machine / "builds").read_text().split()
    fresh = layout != "fixed" and linked != "constant"
    runs = [sample.side for sample in samples] if fresh else []
    expected = {"A": 1 + (layout != "fixed") + runs.count("A"), "B": 1 + runs.count("B")}
    assert {"A": built.count("a"), "B": built.count("b")} == expected
    assert decided.layout == ("fresh" if fresh else "fixed")


def test_a_count_has_no_layout(machine: Path) -> None:
    decided, *_ = compare(machine, "echo METRIC allocs=1000", "echo METRIC allocs=985", metric="allocs")
    assert (decided.verdict, decided.reason, decided.effect_pct) == ("keep", "deterministic", pytest.approx(1.5))


def test_failures_name_the_side_and_the_step(machine: Path) -> None:
    with pytest.raises(CommandFailed, match="run of B: benchmark exit 3") as raised:
        compare(machine, command("A", 1.0), "echo oops; exit 3")
    assert (raised.value.side, raised.value.tail) == ("B", "oops")
    with pytest.raises(CommandFailed, match="build of A: exit 2"):
        compare(machine, command("A", 1.0), command("B", 1.0), build_a="exit 2")


def test_a_contradicting_candidate_is_discarded(machine: Path) -> None:
    decided, samples, *_ = compare(machine, command("A", 1.0), "echo METRIC time_s=1; echo METRIC time_s=2")
    assert (decided.verdict, decided.reason, samples) == ("discard", "invalid", [])


def test_the_callers_environment_is_kept(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACTOR", "3")
    monkeypatch.setenv("PYTHONHASHSEED", "5")
    look = 'echo "METRIC time_s=$FACTOR"; echo "$PYTHONHASHSEED $AUTORESEARCH_LAYOUT_SEED" >> seeds'
    compare(machine, look, look, rule=Rule(max_runs=4))
    seeds = [line.split() for line in (machine / "seeds").read_text().splitlines()]
    assert {seed[0] for seed in seeds} == {"5"}
    assert len({seed[1] for seed in seeds}) == len(seeds)
    assert "AUTORESEARCH_LAYOUT_SEED" not in os.environ


def test_without_a_metric_the_bases_output_chooses_it(machine: Path) -> None:
    def chosen(a: str, b: str) -> str:
        return compare(machine, a, b, metric=None, rule=Rule(max_runs=4)).metric

    assert chosen("echo METRIC ops=1", "echo METRIC ops=2") == "ops"
    assert chosen("echo METRIC ops=1; echo METRIC time_s=1", "echo METRIC time_s=2") == "time_s"
    with pytest.raises(CommandFailed, match="run of A: it prints several METRICs, choose one with --metric: a, b"):
        chosen("echo METRIC a=1; echo METRIC b=1", "echo METRIC a=1")
    with pytest.raises(CommandFailed, match="run of B: no METRIC ops"):
        chosen("echo METRIC ops=1", "true")


@pytest.mark.parametrize("known", [True, False])
def test_commands_without_a_metric_are_timed_whole(machine: Path, known: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not known:
        monkeypatch.setattr(Met, "waited", None)
    compared = compare(machine, "sleep 0.06", "sleep 0.01", metric=None)
    assert compared.verdict.verdict == "keep"
    assert compared.metric == ("own_s" if known and LINUX else "wall_s")
    if compared.metric == "wall_s":
        assert all(sample.value == sample.seconds for sample in compared.samples)
    else:  # sleep is the command's own time
        assert all(0.01 <= sample.value <= sample.seconds for sample in compared.samples)
    with pytest.raises(CommandFailed, match="run of B: benchmark exit 3"):
        compare(machine, "true", "exit 3", metric=None)
    with pytest.raises(CommandFailed, match="run of B: it prints METRIC lines, the base's first run printed none"):
        compare(machine, "true", "echo METRIC time_s=0", metric=None)


# What a candidate may do instead of computing: (wall, processor, wait) in shares of the wall of a base alone on a core.
HONEST = (1.0, 1.0, 0.0)
CHEATS = {
    "sleeps 10 % instead of computing 10 %": (1.0, 0.9, 0.0),
    "two threads on one core, which wait for each other": (1.0, 1.0, 0.5),
    "a child that it never waits for does 30 %": (1.0, 1.0, 0.3),
}


@pytest.mark.parametrize("lost", [0.0, 1.0, 4.0])  # seconds that others have the core for one of ours
@pytest.mark.parametrize("cheat", CHEATS)
def test_own_time_gives_nothing_to_who_sleeps_or_waits_for_himself(cheat: str, lost: float) -> None:
    def own(wall: float, cpu: float, wait: float) -> float:
        return own_seconds(wall + lost * cpu, cpu, wait + lost * cpu)

    assert own(*CHEATS[cheat]) >= own(*HONEST) - 1e-9
    assert own(0.9, 0.9, 0.0) == pytest.approx(0.9)


def test_a_run_whose_wait_is_not_known_for_once_speaks_against_the_candidate() -> None:
    done = procs.Finished(0, False, False, 2.0, 1.0, "", met=Met(delay_seconds=0.7))
    assert _own(done, largest=True) == _own(done, largest=False) == pytest.approx(1.3)
    unknown = done._replace(met=Met())
    assert (_own(unknown, largest=False), _own(unknown, largest=True)) == (1.0, 2.0)


@pytest.mark.parametrize(
    ("line", "becomes"),
    [
        ("sleep 1", True), ("sh -c 'sleep 1; true' 2>&1", True), ('"sh" x.sh > out.txt', True), ("sleep $X", True),
        ("sleep 1; true", False), ("sleep 1 | cat", False), ("X=1 sleep 1", False), ("exit 3", False),
        ("(sleep 1)", False), ("sleep 1 &", False), ("sleep 1\nsleep 1", False), ("if true", False), ("", False),
        ("sleep `echo 1`", False), ("'sleep' 1", False), ("sh -c \"x; \\\"y\\\"\"", True), ("sleep 1 \\; true", True),
    ],
)  # fmt: skip
def test_a_line_of_one_program_becomes_that_program(line: str, becomes: bool) -> None:
    assert direct(line) == ("exec " + line if becomes else line)


@pytest.mark.skipif(not LINUX, reason="pinning is Linux's")
def test_the_runs_are_pinned_to_what_the_command_keeps_busy(machine: Path) -> None:
    asked = []

    @contextlib.contextmanager
    def pin(cores: int) -> Iterator[list[int]]:
        asked.append(cores)
        yield [min(os.sched_getaffinity(0))]

    look = f'"{sys.executable}" -S -c \'import os; print(len(os.sched_getaffinity(0)), file=open("cpus", "a"))\''
    compared = compare(machine, look, look, metric=None, rule=Rule(max_runs=4), pin=pin)
    assert asked == [1]
    assert (machine / "cpus").read_text().split()[2:] == ["1"] * 4
    assert compared.cpus == [min(os.sched_getaffinity(0))]
    busy = procs.Finished(0, False, False, 2.0, 2.0, "", met=Met(stall_seconds=1.0))
    assert [_cores(busy._replace(cpu_seconds=cpu)) for cpu in (0.5, 2.0, 4.0)] == [1, 1, 2]


@pytest.mark.skipif(not LINUX, reason="Linux tells what a process waited for")
def test_beside_a_busy_loop_the_commands_are_told_apart_in_own_time(machine: Path) -> None:
    core = max(os.sched_getaffinity(0))
    (machine / "work.py").write_text("import sys, time\nwhile time.process_time() < float(sys.argv[1]): pass")
    work = f'"{sys.executable}" -S work.py'
    with another_program(core):
        compared = compare(
            machine, f"{work} 0.10", f"{work} 0.05", metric=None, pin=lambda _: contextlib.nullcontext([core])
        )
    assert (compared.metric, compared.verdict.verdict) == ("own_s", "keep")
    data, lines = told(compared, 4, chosen=False)
    assert [line for line in lines if "waited for their core" in line] == data["warnings"][1:]
    assert len(data["warnings"]) == 2
    assert len(data["values"]) == len(data["wall_s"]) == len(data["waited_pct"]) == len(data["order"])
    assert min(data["waited_pct"]) > 20
    base, candidate = data["medians"]["own_s"]
    assert 0.09 < base < 0.2
    assert candidate < base < data["medians"]["wall_s"][0] / 1.2


def test_the_answer_names_what_it_leaves_out_for_its_size() -> None:
    samples = [Sample(i, i // 4, "ABBA"[i % 4], 1.2345678, 2.3456789, 1.0, Met(stall_seconds=0.1)) for i in range(100)]
    verdict = SequentialTest(Rule()).verdict()
    data, _ = told(Comparison(verdict, samples, "own_s", [1]), 4, chosen=False)
    assert len(to_json(data)) < 2000
    assert data["left_out"] == ["waited_pct"]
    assert len(data["values"]) == len(data["wall_s"]) == len(data["order"]) == 100
