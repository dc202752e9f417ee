"""Noise reports and `autoresearch noise`, on values, files, logs and real processes."""

from __future__ import annotations

import json
import random
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from autoresearch.cli.noise import command, from_text, run_repeatedly
from autoresearch.errors import BadInput
from autoresearch.judging.noise import assess, warmup_runs


def noise(*args: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(command, list(args), input=stdin)


def quiet(count: int = 20, cv: float = 0.003, seed: int = 1) -> list[float]:
    rng = random.Random(seed)
    return [rng.gauss(1.2, 1.2 * cv) for _ in range(count)]


@pytest.mark.parametrize(("cv", "grade"), [(0.005, "quiet"), (0.035, "fair"), (0.09, "noisy")])
def test_classes_follow_the_spread(cv: float, grade: str) -> None:
    report = assess(quiet(200, cv))
    assert report.grade == grade
    assert report.cv_pct == pytest.approx(100 * cv, rel=0.2)
    assert report.sigma_short_pct == pytest.approx(100 * cv, rel=0.3)
    assert report.mde_pct == pytest.approx(1.3 * (60 / report.max_runs) ** 0.5 * (report.sigma_short_pct or 0.0))


def test_advice_follows_the_smallest_effect_not_the_spread() -> None:
    rng = random.Random(2)
    weather = [1.2 * (1.2 if 10 <= i < 20 else 1.0) * (1 + rng.gauss(0, 0.003)) for i in range(40)]
    report = assess(weather)
    assert report.grade == "noisy"
    assert report.good_enough
    assert report.weather_ratio is not None
    assert report.weather_ratio > 2.0
    assert any("weather" in text for text in report.warnings)
    assert any("stored baseline" in text for text in report.warnings)
    assert "good enough" in report.advice


def test_a_noisy_machine_is_told_what_would_help() -> None:
    report = assess(quiet(40, 0.01))
    assert not report.good_enough
    assert "raise max_runs" in report.advice
    assert "another machine" in assess(quiet(40, 0.2)).advice
    assert assess(quiet(40, 0.01), min_effect_pct=5.0).good_enough
    assert assess(quiet(40, 0.01), max_runs=600).good_enough


@pytest.mark.parametrize("direction", ["lower", "higher"])
def test_warm_up_is_seen_and_left_out(direction: str) -> None:
    slow = [2.0, 1.5, *quiet(20)]
    values = slow if direction == "lower" else [1 / v for v in slow]
    assert warmup_runs(values, direction) == 2
    report = assess(values, direction=direction)
    assert (report.n, report.warmup_runs) == (22, 2)
    assert report.grade == "quiet"
    assert any("warm up" in text for text in report.warnings)
    assert warmup_runs(quiet(20), direction) == 0
    assert assess(values, direction=direction, warm_up=False).warmup_runs == 0


def test_no_noise_at_all() -> None:
    report = assess([123456.0] * 8)
    assert (report.cv_pct, report.mde_pct, report.good_enough) == (0.0, 0.0, True)
    assert "one comparison" in report.advice


def test_a_coarse_timer_is_not_called_quiet_enough() -> None:
    report = assess([0.12] * 20)
    assert report.mde_pct is not None
    assert report.mde_pct > 1.0
    assert not report.good_enough
    assert any("steps" in text for text in report.warnings)


def test_values_around_zero() -> None:
    assert assess([0.0] * 8).good_enough
    report = assess([-1.0, 0.0, 0.0, 0.0, 1.0])
    assert report.cv_pct is None
    assert not report.good_enough
    assert assess([-10.0, -10.1, -9.9, -10.0] * 5).grade == "quiet"


@pytest.mark.parametrize("values", [[], [1.0], [1.0, float("nan")], [1.0, float("inf")]])
def test_too_little_is_an_error(values: list[float]) -> None:
    with pytest.raises(ValueError, match="noise needs"):
        assess(values)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(-1e300, 1e300), min_size=2, max_size=30), st.sampled_from(["lower", "higher"]))
def test_any_values_give_a_report_that_is_json(values: list[float], direction: str) -> None:
    report = assess(values, direction=direction)
    json.dumps(report.to_json(), allow_nan=False)
    assert report.line()


def test_samples_on_the_command_line() -> None:
    done = noise("--samples", ",".join(map(str, quiet())), "--json")
    assert done.exit_code == 0, done.output
    data = json.loads(done.output)
    assert data["class"] == "quiet"
    assert data["n"] == 20
    assert {"cv_pct", "sigma_short_pct", "weather_ratio", "outlier_pct", "trend_p", "mde_pct", "advice"} <= set(data)
    assert len(done.output) < 2000
    assert noise("--samples", ",".join(map(str, quiet(cv=0.05)))).exit_code == 1


@pytest.mark.parametrize(
    "text",
    [
        "# times\n1.5\n\n1.6\r\n1.7\n",
        "[1.5, 1.6, 1.7]",
        "start\nMETRIC time_s=1.5\nMETRIC time_s=1.6\nnoise 7\nMETRIC time_s=1.7\n",
    ],
)
def test_files(text: str, tmp_path: Path) -> None:
    assert from_text(text, "f", None) == [1.5, 1.6, 1.7]
    path = tmp_path / "values"
    path.write_text(text, encoding="utf-8")
    assert noise(str(path)).exit_code == 1
    assert "median" in noise("-", stdin=text).output


def test_several_metrics_need_a_choice() -> None:
    text = "METRIC a=1\nMETRIC b=2\nMETRIC b=3\n"
    assert from_text(text, "f", "b") == [2.0, 3.0]
    for metric in (None, "c"):
        with pytest.raises(BadInput, match="a, b"):
            from_text(text, "f", metric)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--samples", "1,x"], "value 2 is not a finite number"),
        (["--samples", "1"], "at least 2 values"),
        (["--samples", "1,2", "--run", "true"], "give one of"),
        (["no-such-file"], "cannot read"),
        (["--run", "exit 7"], "exit 7"),
        (["--run", "echo hello"], "none at all"),
    ],
)
def test_wrong_use_is_a_sentence(args: list[str], words: str) -> None:
    done = noise(*args)
    assert isinstance(done.exception, BadInput)
    assert words in done.exception.sentence()


def test_nothing_to_judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert isinstance(noise().exception, BadInput)


def test_runs_a_command_after_one_warm_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    script = "import pathlib; p = pathlib.Path('n'); n = int(p.read_text()) if p.exists() else 0;"
    script += "p.write_text(str(n + 1)); print(f'METRIC t={100000 + n}')"
    done = noise("--run", f'{sys.executable} -c "{script}"', "--runs", "4", "--json")
    assert done.exit_code == 0, done.output
    data = json.loads(done.output)
    assert (data["n"], data["median"]) == (4, 100002.5)


def test_the_projects_benchmark_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("autoresearch.sh").write_text("echo METRIC size=123456\n", encoding="utf-8")
    done = noise("--runs", "4")
    assert done.exit_code == 0, done.output
    assert "one comparison" in done.output


def test_a_command_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    flag = tmp_path / "alive"
    with pytest.raises(BadInput, match="timeout"):
        run_repeatedly(f"(sleep 1; touch {flag}) & sleep 30", None, 4, 0.2, 60.0, time.monotonic, print)
    time.sleep(1.2)
    assert not flag.exists()


def test_the_budget_ends_a_measurement_early_and_says_so() -> None:
    now = iter(range(0, 10_000, 10))
    told: list[str] = []
    values, note = run_repeatedly("echo METRIC t=5", None, 50, 60.0, 100.0, lambda: float(next(now)), told.append)
    assert 2 <= len(values) < 50
    assert "budget" in note
    assert told


def ledger(tmp_path: Path, *records: dict[str, Any]) -> str:
    path = tmp_path / "autoresearch.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in records), encoding="utf-8")
    return str(path)


HEADER = {"type": "config", "name": "n", "metricName": "t", "metricUnit": "s", "bestDirection": "lower"}


def test_our_log_has_base_readings(tmp_path: Path) -> None:
    run = {"run": 1, "commit": "abc", "metric": 1.2, "metrics": {}, "status": "keep", "kind": "baseline"}
    path = ledger(tmp_path, HEADER, {**run, "samples": [["A", v] for v in quiet()]})
    done = noise("--ledger", path, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["n"] == 20


def test_a_foreign_log_gives_an_upper_bound(tmp_path: Path) -> None:
    runs = [{"run": i, "commit": "c", "metric": 1.2 - 0.1 * i, "metrics": {}, "status": "keep"} for i in range(1, 9)]
    crash = {"run": 9, "commit": "c", "metric": 0, "metrics": {}, "status": "crash"}
    data = json.loads(noise("--ledger", ledger(tmp_path, HEADER, *runs, crash), "--json").output)
    assert (data["n"], data["warmup_runs"]) == (8, 0)
    assert data["warnings"] == ["the runs of this log are of different code, so its noise is at most this"]


def test_an_empty_log_is_refused(tmp_path: Path) -> None:
    assert isinstance(noise("--ledger", ledger(tmp_path, HEADER)).exception, BadInput)
