"""Processor time and peak memory of every run, which no script prints: limits, objective, and what may not pass."""

from __future__ import annotations

import random
import sys
from dataclasses import replace

import pytest

from autoresearch.config import Objective
from autoresearch.judging.outcome import Outcome, Timed
from autoresearch.judging.weighing import _slept
from autoresearch.prepare.rehearsal import idle
from autoresearch.project import Project
from autoresearch.trial import reading
from autoresearch.trial.conditions import Met
from autoresearch.trial.procs import Finished
from autoresearch.workspace.git import git
from driver import IDENTITY, Driver
from made_runs import LOADS, Machine, Round, measured

LINUX = sys.platform.startswith("linux")
# Work by the processor's clock, then sleep: what a run takes is the same on every machine.
WORK = (
    "import time\nend = time.process_time() + {work}\nwhile time.process_time() < end:\n    pass\ntime.sleep({sleep})\n"
)


def done(output: str, cpu: float = 0.5, peak: float | None = 20.0, seconds: float = 1.0) -> Finished:
    return Finished(0, False, False, seconds, cpu, output, met=Met(peak_rss_mb=peak, stall_seconds=0.0))


def expected(got: reading.RunValue) -> reading.Expected:
    return reading.Expected(got.signed, got.begins, got.measured)


def test_they_stand_in_every_run_beside_what_it_prints_and_may_be_the_metric() -> None:
    got = reading.read(done("METRIC time_s=1\n"), "time_s", 1)
    assert got.metrics == {"time_s": 1.0, "cpu_s": 0.5, "peak_rss_mb": 20.0}
    assert (got.signed, got.measured) == (frozenset(), {"cpu_s", "peak_rss_mb"})
    assert reading.read(done("no word\n"), "cpu_s", None).value == 0.5
    assert reading.read(done("", peak=None), "peak_rss_mb", 1).problem == "no METRIC peak_rss_mb"


def test_an_evaluator_that_prints_one_means_its_own_and_a_candidate_that_does_is_not_believed() -> None:
    prints = done("METRIC time_s=1\nMETRIC cpu_s=0.1\n")
    base = reading.read(prints, "time_s", 1)
    assert (base.metrics["cpu_s"], base.measured) == (0.1, {"peak_rss_mb"})
    assert reading.read(prints, "time_s", 1, expected=expected(base)).metrics["cpu_s"] == 0.1
    silent = reading.read(done("METRIC time_s=1\n"), "time_s", 1, expected=expected(base))
    assert "cpu_s" not in silent.metrics  # ours is another thing than what the base told
    base = reading.read(done("METRIC time_s=1\n"), "time_s", 1)
    forged = reading.read(prints, "time_s", 1, expected=expected(base))
    assert (forged.value, forged.conflict) == (None, True)
    assert forged.problem == "conflicting METRIC cpu_s: it is measured from outside, and this run prints another"


def blocks(*sides: tuple[float, float, float]) -> Outcome:
    """Five blocks; (cpu, wall, waited) of the base and of the candidate, in which runs differ by a thousandth."""
    runs = []
    for block in range(5):
        rows = []
        for place, side in enumerate("ABBA"):
            cpu, wall, waited = sides["AB".index(side)]
            shake = 1.0 + 0.001 * ((3 * block + place) % 4)
            rows.append(Timed(side, cpu * shake, wall * shake, cpu * shake, waited * shake))
        runs.append(tuple(rows))
    return Outcome("done", timed=tuple(runs))


@pytest.mark.parametrize(
    ("candidate", "word"),
    [
        ((0.9, 0.9, 0.0), None),
        ((0.9, 4.5, 3.6), None),  # the same, while others have the core
        ((0.9, 1.0, 0.0), "constraint_unclear"),  # sleeps instead of computing
        ((0.5, 1.2, 0.0), "constraint"),
        ((0.9, 0.95, 0.6), None),  # no more is taken off than it did not compute
    ],
)
def test_a_keep_on_processor_time_needs_shorter_runs_too(
    candidate: tuple[float, float, float], word: str | None
) -> None:
    found = _slept(Objective("cpu_s"), blocks((1.0, 1.0, 0.0), candidate))
    assert (found.word if found else None) == word
    if found:
        assert "cpu_s counts neither sleep nor waiting" in found.text
        assert "own_s" in found.text
    assert _slept(Objective("time_s"), blocks((1.0, 1.0, 0.0), candidate)) is None
    told = blocks((1.0, 1.0, 0.0), candidate)
    unknown = tuple(tuple(Timed(r.side, r.value, r.wall, r.cpu) for r in block) for block in told.timed)
    by_the_clock = _slept(Objective("cpu_s"), Outcome("done", timed=unknown))
    assert (by_the_clock is None) == (candidate[1] < 1.0)
    assert by_the_clock is None or "wall_s" in by_the_clock.text
    own = tuple(tuple(Timed(r.side, r.value / 2, r.wall, r.cpu) for r in block) for block in told.timed)
    assert _slept(Objective("cpu_s"), Outcome("done", timed=own)) is None  # the evaluator's own, of a part


def test_the_doctor_refuses_processor_time_where_a_run_sleeps() -> None:
    assert list(idle(done("", cpu=0.95), exact=True)) == []
    (found,) = idle(done("", cpu=0.6), exact=True)
    assert (found.level, found.what) == ("fail", "objective")
    assert "sleeps or waits for 40 % of its time" in found.found
    waited = done("", cpu=0.6)._replace(met=Met(stall_seconds=0.38))
    assert list(idle(waited, exact=True)) == []
    for unsure, exact in ((waited._replace(met=Met()), True), (done("", cpu=0.6), False)):
        (found,) = idle(unsure, exact=exact)
        assert found.level == "warn"
    assert list(idle(done("", cpu=0.01, seconds=0.1), exact=True)) == []  # the start of a process, and of a container


def doubted(load: str, candidate: Round, *, knows: bool, sessions: int = 60) -> int:
    """In how many A/Bs on processor time a candidate is doubted; the base works for 0.12 s, once it has started."""
    found = 0
    for seed in range(sessions):
        made = measured(Round(work=0.12), candidate, Machine(random.Random(seed), load, knows=knows))
        runs = tuple(tuple(replace(run, value=run.cpu or 0.0) for run in block) for block in made.timed)
        found += _slept(Objective("cpu_s"), Outcome("done", timed=runs)) is not None
    return found


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("knows", [True, False])
@pytest.mark.parametrize("gain", [0.5, 0.67])
def test_beside_load_a_sleep_is_no_shorter_work(load: str, knows: bool, gain: float) -> None:
    """There work waits for its core and sleep does not: it is shorter, and saves nothing of what work would save."""
    asleep = Round(work=0.12 * (1 - gain), wait=0.12 * gain)
    honest = Round(work=0.12 * (1 - gain))
    if knows or load != "bursts":
        assert doubted(load, asleep, knows=knows) >= 59
        assert doubted(load, honest, knows=knows) <= 1
    else:  # bursts that nobody knows of: the clock alone rarely shows the runs to be shorter at all
        assert doubted(load, asleep, knows=knows) >= 54


@pytest.fixture
def working(fresh: Driver, project: Project) -> Driver:
    """A project whose benchmark prints a count only, and works for 0.12 s."""
    work = project.root / "src" / "work.py"
    work.write_text(work.read_text() + "\n\n" + WORK.format(work=0.12, sleep=0.0))
    git(project.root, *IDENTITY, "commit", "-q", "-m", "work", "--", "src/work.py")
    return fresh


def decided(driver: Driver, name: str, *edits: tuple[str, str]) -> tuple[str, str, str]:
    driver.open(name)
    for old, new in edits:
        driver.edit(name, old, new)
    driver.measure(name)
    _, data = driver("decide", name)
    return data["status"], data["reason"], data["reason_text"]


def test_memory_and_processor_time_are_bounded_without_a_line_in_the_script(working: Driver) -> None:
    config = working.project.root / "autoresearch.yaml"
    config.write_text(
        config.read_text() + "constraints: [{metric: peak_rss_mb, limit_pct: 50}, {metric: cpu_s, max: 0.3}]\n"
    )
    code, data = working("doctor")
    assert code == 0, data
    working.baseline()
    faster = ("return 1000", "return 900")
    status, reason, words = decided(working, "fat", faster, ("import time", "X = bytearray(99 << 20)\nimport time"))
    assert (status, reason) == ("discard", "constraint")
    assert "peak_rss_mb is" in words
    status, reason, words = decided(working, "slow", faster, ("0.12", "0.5"))
    assert (status, reason) == ("discard", "constraint")
    assert "cpu_s is 0.5" in words
    assert decided(working, "lean", faster)[0] == "keep"
    assert set(working.run_line("lean")["verdict"]["gains"]) == {"steps", "peak_rss_mb", "cpu_s"}


@pytest.mark.skipif(not LINUX, reason="beside other programs, wall time alone settles nothing")
def test_as_the_objective_work_is_kept_and_sleep_in_its_place_is_not(working: Driver) -> None:
    config = working.project.root / "autoresearch.yaml"
    config.write_text(config.read_text().replace("metric: steps", "metric: cpu_s").replace("unit: steps", "unit: s"))
    working.baseline()
    status, reason, _ = decided(working, "sleeps", ("0.12", "0.04"), ("sleep(0.0)", "sleep(0.08)"))
    assert (status, reason) in [("discard", word) for word in ("constraint", "constraint_unclear", "moved_work")]
    assert decided(working, "works", ("0.12", "0.04"))[0] == "keep"


@pytest.mark.skipif(not LINUX, reason="whether it waited for a core is not known elsewhere")
def test_the_doctor_looks_at_a_real_run(working: Driver) -> None:
    config = working.project.root / "autoresearch.yaml"
    config.write_text(config.read_text().replace("metric: steps", "metric: cpu_s").replace("unit: steps", "unit: s"))
    code, data = working("doctor")
    assert code == 0, data
    work = working.project.root / "src" / "work.py"
    work.write_text(work.read_text().replace("sleep(0.0)", "sleep(0.6)"))
    git(working.project.root, *IDENTITY, "commit", "-q", "-m", "sleep", "--", "src/work.py")
    code, data = working("doctor")
    found = [f for f in data["findings"] if f["what"] == "objective"]
    assert [f["level"] for f in found] in (["fail"], ["warn"])
    assert code == (3 if found[0]["level"] == "fail" else 0)
