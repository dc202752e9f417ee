"""What runs met is said with its cause and its remedy, by every command alike, and nothing where nothing was met."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autoresearch.config import Config, Objective
from autoresearch.engines.cpus import plan_cpus
from autoresearch.judging.met import LOUD_PCT, Conditions, conditions, slow_to_quick, together, told
from autoresearch.judging.noise import NoiseReport, assess
from autoresearch.ledger.history import fold
from autoresearch.ledger.lines import MetFields, RunLine, read_as
from autoresearch.prepare import conditions as machine
from autoresearch.prepare.diagnosis import Diagnosis
from autoresearch.report.documents import improvements, session_document
from autoresearch.report.view import build
from autoresearch.trial.conditions import Met
from autoresearch.trial.procs import Finished
from driver import Driver, another_program, commit_all, make_project

TIME = ("time_s", "s")
BUSY = MetFields(waited_pct=23.4, worst_pct=61.0, runs=8, disturbed=2)


# --- in words


@pytest.mark.parametrize(
    ("met", "disturbed", "said"),
    [
        (None, False, ""),
        (None, True, "some runs disturbed"),
        (MetFields(), True, "some runs disturbed"),
        (BUSY, False, "waited for the core 23 % of the time, 2 of 8 runs disturbed"),
        (BUSY, True, "waited for the core 23 % of the time, 2 of 8 runs disturbed"),
        (
            MetFields(waited_pct=23.4, worst_pct=61.0, runs=8, disturbed=2, exact=False), False,
            "others had its core up to 23 % of the time, 2 of 8 runs disturbed",
        ),
        (
            MetFields(waited_pct=2.0, worst_pct=48.0, runs=8, disturbed=1), False,
            "waited for the core 2 % of the time (48 % at worst), 1 of 8 runs disturbed",
        ),
        (MetFields(waited_pct=2.0, worst_pct=LOUD_PCT, runs=8), False, ""),
        (MetFields(waited_pct=2.0, worst_pct=3.0, runs=8), True, "some runs disturbed, though they had their core"),
    ],
)  # fmt: skip
def test_what_a_test_met_is_one_phrase_and_silence_where_it_met_nothing(
    met: MetFields | None, disturbed: bool, said: str
) -> None:
    assert told(met, *TIME, disturbed=disturbed) == said
    assert told(met, "code_bytes", "bytes", disturbed=disturbed) == ""  # no load moves a size


def test_several_tests_are_told_as_one() -> None:
    assert together([None, MetFields(), read_as(RunLine, {"run": 1}).met]) is None
    both = together([BUSY, None, MetFields(waited_pct=0.0, worst_pct=1.0, runs=24, exact=False)])
    assert both == MetFields(waited_pct=5.8, worst_pct=61.0, runs=32, disturbed=2, exact=False)


# --- the cause of a baseline's noise


def samples(count: int = 20, **more: Any) -> list[dict[str, Any]]:
    series = {name: value if isinstance(value, list) else [value] * count for name, value in more.items()}
    return [
        {"type": "sample", "slot": i, "value": 1.0, "seconds": 1.0, **{name: v[i] for name, v in series.items()}}
        for i in range(count)
    ]


def noisy(met: Conditions | None, timed: bool = True) -> NoiseReport:
    return assess([1.0 + 0.2 * (i * 7 % 5) for i in range(20)], timed=timed, met=met)


def test_the_advice_names_the_cause_that_was_met_and_its_remedy() -> None:
    busy = noisy(conditions(samples(cpu_seconds=0.5), BUSY))
    assert "the benchmark waited for its core 23 % of the time: other programs run here" in busy.advice
    assert "use templates/paired.py (own time)" in busy.advice
    assert busy.to_json()["delay_pct"] == {"median": 23.4, "p90": 61.0}
    quiet = MetFields(waited_pct=0.1, worst_pct=0.4, runs=20)
    slow = noisy(conditions(samples(cpu_seconds=[0.5] * 14 + [0.85] * 6), quiet))
    assert "the same work takes x1.7 at times: a neighbour on the same physical core; pair it" in slow.advice
    for unknown in (None, conditions(samples(), MetFields()), conditions(samples(cpu_seconds=0.5), quiet)):
        report = noisy(unknown)
        assert "make the benchmark longer or steadier" in report.advice
        assert ("delay_pct" in report.to_json()) is (unknown is not None and unknown.met is quiet)
    assert "longer" not in noisy(None, timed=False).advice


def test_a_paired_benchmark_is_not_told_to_pair() -> None:
    printed = [{"speed_spread": 1.7, "ref_s": 0.010 + 0.001 * (i % 2)} for i in range(20)]
    met = conditions(samples(metrics=printed, cpu_seconds=[0.5, 0.85] * 10), BUSY)
    assert (met.paired, met.speeds) == (True, 1.7)
    report = noisy(met)
    assert "its pairs mend most of that" in report.advice
    assert "templates/paired.py" not in report.advice
    assert report.ref_cv_pct == pytest.approx(4.9, abs=0.1)
    assert "templates/paired.py" not in noisy(conditions(samples(metrics=printed), MetFields())).advice


@pytest.mark.parametrize("score", [3.0, 0.7, 12.0])
def test_a_constant_score_is_told_that_its_steps_are_wide(score: float) -> None:
    advice = assess([score] * 12).advice
    assert f"all runs give {score:g}, in steps of" in advice
    assert "Print more digits, or count more cases" in advice
    assert "longer" not in advice
    assert "steadier" not in advice


# --- what doctor says


def config(metric: str = "time_s", unit: str = "s") -> Config:
    return Config("t", Objective(metric, unit=unit), scope=["**"])


def finished(waited: float | None = 0.0, foreign: float | None = None) -> Finished:
    return Finished(0, False, False, 1.0, 0.5, "", "", Met(stall_seconds=waited, foreign_seconds=foreign))


def doctor(values: list[float], run: Finished, speeds: float | None = 1.03, **more: Any) -> dict[str, Diagnosis]:
    found = machine.told(more.get("config", config()), values, [run], more.get("metrics", {}), speeds)
    return {diagnosis.what: diagnosis for diagnosis in found}


def test_doctor_says_nothing_of_a_quiet_machine() -> None:
    assert doctor([0.4, 0.41], finished()) == {}
    assert doctor([0.4, 0.41], finished(None, 0.05), None) == {}


def test_doctor_names_the_wait_and_the_load() -> None:
    found = doctor([0.4, 0.41], finished(0.41))
    assert [*found] == ["load"]
    assert found["load"].found.startswith(
        "the benchmark waited for its core 41 % of the time: other programs run here ("
    )
    assert "load " in found["load"].found
    assert found["load"].fix == "Use templates/paired.py (own time)"
    apart = doctor([0.9, 0.4, 0.612], finished(0.41))
    assert "two runs of one commit are 53 % apart" in apart["load"].found
    assert "up to 41 % of the time" in doctor([0.4, 0.41], finished(None, 0.41))["load"].found


def test_doctor_names_a_core_of_two_speeds_a_short_section_and_a_benchmark_that_varies_by_itself() -> None:
    assert "the same work takes x1.7 at times" in doctor([0.4, 0.41], finished(), 1.7)["speed"].found
    assert doctor([0.4, 0.41], finished(), machine.TWO_SPEEDS) == {}
    short = doctor([0.00258, 0.0026], finished())
    assert (short["section"].found, [*short]) == ("one timed section of 2.6 ms", ["section"])
    assert short["section"].fix.startswith("0.2 s or more, in rounds")
    assert (
        "one timed section of 2.6 ms" in doctor([2.6, 2.6], finished(), config=config("time_ms", "ms"))["section"].found
    )
    itself = doctor([0.4, 0.612], finished())["apart"]
    assert "53 % apart" in itself.found
    assert "load " in itself.found
    assert "by itself" in itself.found


def test_doctor_has_no_advice_for_what_is_cured_or_no_time() -> None:
    paired = {"speed_spread": 1.7, "ref_s": 0.003}
    assert doctor([0.0026, 0.0026], finished(), None, metrics=paired) == {}
    assert doctor([0.0026, 0.0026], finished(0.4), None, metrics=paired)["load"].fix == "Its pairs mend most of that"
    assert doctor([12.0, 12.0], finished(0.9), None, config=config("steps", "steps")) == {}
    assert not machine.wants_probe(config(), paired)
    assert not machine.wants_probe(config("steps", "steps"), {})


@pytest.mark.parametrize(("slow", "speeds"), [(0, 1.0), (3, 1.0), (4, 1.7), (12, 1.7), (26, 1.7), (27, 1.0)])
def test_a_second_speed_is_more_than_a_tenth_of_the_looks(
    slow: int, speeds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine.time, "sleep", lambda _: None)
    times = [0.0034] * slow + [0.002] * (machine.LOOKS - slow)
    looks = iter([machine.WORK, *(seconds for seconds in times for _ in (1, 2))])  # the first tells how much work it is
    monkeypatch.setattr(machine, "_work", lambda _: next(looks))
    assert machine.probe([]) == pytest.approx(speeds)


def test_an_interrupt_in_each_look_is_no_second_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.time, "sleep", lambda _: None)
    looks = iter([machine.WORK, *([0.002, 0.0034] * machine.LOOKS)])
    monkeypatch.setattr(machine, "_work", lambda _: next(looks))
    assert machine.probe([]) == 1.0


def test_the_probe_is_a_ratio_of_work_on_the_core_that_it_is_given() -> None:
    assert 1.0 <= machine.probe(plan_cpus(1, 1).slots[0]) < 4.0
    assert slow_to_quick([1.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]) == 1.0


# --- in ledgers and documents


def ledger(**run: Any) -> list[dict[str, Any]]:
    header = {
        "type": "config", "name": "t", "metricName": "time_s", "metricUnit": "s", "bestDirection": "lower", "schema": 1,
        "base_commit": "a" * 40, "branch": "autoresearch/t", "goal": "g", "evaluator": {},
    }  # fmt: skip
    line = {"segment": 0, "commit": "a" * 7, "metric": 1.0, "timestamp": 1, "description": "x"}
    base = {**line, "run": 1, "status": "keep", "kind": "baseline", "experiment": "baseline", "noise": {"cv_pct": 3.0}}
    verdict = {"verdict": "keep", "reason": "proven", "effect_pct": 5.0, "runs_used": 8, "reason_text": "better"}
    kept = {**line, "run": 2, "status": "keep", "kind": "experiment", "experiment": "e1", "verdict": verdict, **run}
    return [header, base, kept]


def documents(records: list[dict[str, Any]]) -> tuple[str, str]:
    view = build(fold(records))
    return session_document(None, "{{goal}}\n", view)[0].decode(), improvements(view)


def test_documents_say_what_the_runs_met_and_read_on_without_it() -> None:
    phrase = "waited for the core 23 % of the time, 2 of 8 runs disturbed"
    met = {"waited_pct": 23.4, "worst_pct": 61.0, "runs": 8, "disturbed": 2, "exact": True}
    for text in documents(ledger(met=met)):
        assert f"8 runs, {phrase}" in text or f"better; {phrase}" in text
    for odd in ({}, {"met": None}, {"met": "x"}, {"met": {"waited_pct": "x", "runs": 8}}):
        assert all("waited" not in text and "disturbed" not in text for text in documents(ledger(**odd)))


# --- for real


WORK = """set -euo pipefail
python3 -S - <<'end'
import time
begun = time.perf_counter()
while time.process_time() < 0.3: pass
print(f"METRIC time_s={time.perf_counter() - begun:.6f}")
end
"""
needs_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux tells what a process waited for")


@pytest.fixture
def other() -> Iterator[None]:
    """Another program on the core that measures, all the time."""
    with another_program(*plan_cpus("auto", 1).slots[0]):
        yield


def timed_project(root: Path) -> Driver:
    make_project(root)
    (root / "autoresearch.sh").write_text(WORK)
    path = root / "autoresearch.yaml"
    text = path.read_text().replace("{metric: steps, direction: lower, unit: steps}", "{metric: time_s, unit: s}")
    path.write_text(f"{text}test: {{max_runs: 8}}\nslots: 1\n")
    commit_all(root)
    return Driver(root)


@needs_linux
@pytest.mark.usefixtures("other")
def test_beside_another_program_doctor_baseline_ab_and_status_say_the_share(tmp_path: Path) -> None:
    driver = timed_project(tmp_path / "p")
    code, told = driver("doctor")
    assert code == 0, told
    load = next(f for f in told["findings"] if f["what"] == "load")
    assert "% of the time" in load["found"]
    assert "(load " in load["found"]
    data = driver.baseline()
    assert data["noise"]["delay_pct"]["median"] > 25, data
    driver.open("e1")
    driver.edit("e1", "return 42", "return 40 + 2")
    code, told = driver.measure("e1")
    assert told["met"]["waited_pct"] > 25, told
    assert told["met"]["disturbed"] > 0
    for words in (("ab", "e1", "--timeout", "20"), ("wait",), ("decide", "e1", "--final"), ("status",)):
        assert "% of the time" in driver.run(*words).stdout, words
    assert "% of the time" in (driver.root / "autoresearch.md").read_text()
    assert driver("status")[1]["met"]["waited_pct"] > 25


@needs_linux
def test_alone_nothing_is_said_that_was_not_met(tmp_path: Path) -> None:
    driver = timed_project(tmp_path / "p")
    driver.baseline()
    driver.open("e1")
    driver.edit("e1", "return 42", "return 40 + 2")
    told = driver.measure("e1")[1]
    loud = told["met"]["worst_pct"] > LOUD_PCT  # these tests may have company of their own
    said = driver.run("ab", "e1", "--timeout", "20").stdout
    assert ("% of the time" in said) is loud, (told, said)
    assert loud or told["met"]["disturbed"] == 0
