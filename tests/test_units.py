"""What is a time, a rate or a count is so to every check: the lint, the doubt about a gain, the rule and the config."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoresearch.config import Objective, parse_config
from autoresearch.errors import BadInput
from autoresearch.judging.honesty import doubt
from autoresearch.judging.outcome import Outcome, Timed
from autoresearch.judging.units import counted, is_speed, layout_margin_pct, seconds_per_unit
from autoresearch.judging.weighing import weigh
from autoresearch.prepare.lint import lint, lint_unit
from autoresearch.prepare.planning import Wishes
from autoresearch.verdict.rule import Rule
from autoresearch.verdict.units import COUNTS, SECONDS, is_count, is_rate, meant, seconds_in
from autoresearch.verdict.verdict import Verdict
from autoresearch.workspace.evaluator import Manifest, frozen_settings

SPELLINGS = {
    1e-9: ("ns", "nsec", "nanoseconds"),
    1e-6: ("us", "usec", "µs", "μs", "microseconds", "Microsecond"),
    1e-3: ("ms", "msec", "milliseconds", "Milliseconds"),
    1.0: ("s", "sec", "secs", "second", "seconds", "Seconds", "SEC", " s "),
    60.0: ("min", "minutes", "Minutes"),
    3600.0: ("h", "hours", "hr"),
}
EVERY = [(unit, scale) for scale, words in SPELLINGS.items() for unit in words]
PLAIN = (
    "", "req", "score", "loss", "%", "bytes", "steps", "bits/byte", "B/op", "allocs/op", "kWh", "MSE", "rms",
    "dB", "$", "€", "US$", "users", "specs", "wins", "records", "sections", "macros", "microns", "nodes",
    "moves", "points", "m", "M", "mm", "tokens", "GFLOPS", "min loss", "loss (min)", "errors in 60 s", "s^2",
    "Elo", "nats", "hits", "houses", "perplexity",
)  # fmt: skip
RATES = (
    "req/s",
    "MB/s",
    "ops/sec",
    "req/min",
    "ops per second",
    "km/h",
    "tokens / s",
    "1/s",
    "fps",
    "Hz",
    "MiB/Second",
)
NEARLY = {
    "sec.": "sec", "milis": "millis", "(ms)": "ms", "[s]": "s", "S": "s", "MS": "ms", "Ms": "ms",
    "milli seconds": "milliseconds", "secounds": "seconds", "miliseconds": "milliseconds",
    "CPU seconds": "seconds", "ms (median)": "ms", "p99 ms": "ms", "ops/secs.": "ops/secs", "req/S": "req/s",
}  # fmt: skip


def outcome(value: dict[str, float], wall: float, signed: bool = True) -> Outcome:
    """Four blocks in which a side's runs differ in their last digits; values of the sides, and a run's seconds."""
    timed = tuple(
        tuple(Timed(side, value[side] * (1 + n / 1e4 + i / 1e5), wall) for i, side in enumerate("ABBA"))
        for n in range(4)
    )
    return Outcome("done", timed=timed, signed=signed)


def word(objective: Objective, found: Outcome, effect: float) -> str | None:
    said = doubt(objective, found, effect)
    return said.word if said else None


@pytest.mark.parametrize(("unit", "scale"), EVERY)
def test_every_spelling_of_a_time_switches_its_checks_on(unit: str, scale: float) -> None:
    objective = Objective("parse", unit=unit)
    assert seconds_per_unit(objective) == scale
    base = 1.0 / scale
    assert word(objective, outcome({"A": base, "B": 3 * base}, 1.5), 10.0) == "timer"
    assert word(objective, outcome({"A": base, "B": base / 2}, 1.5), 50.0) == "moved_work"
    alone = Objective("parse", unit=unit, timed_share=0)
    assert word(alone, outcome({"A": base, "B": base / 50}, 1.5, signed=False), 98.0) == "implausible"
    assert lint_unit("parse", unit, 2 * base, 1.0) is not None
    assert lint_unit("parse", unit, 0.5 * base, 1.0) is None
    config = parse_config(f'name: t\nobjective: {{metric: parse, unit: "{unit}"}}\nscope: ["src/**"]\n')
    kept = Verdict("keep", "proven", "", effect_pct=5.0, layout="fixed")
    same = Outcome(
        "done", verdict=kept, instructions={"tool": "perf", "A": 10**6, "B": 10**6},
        blocks=(("ABBA", tuple({"parse": v} for v in (2.0, 1.0, 1.0, 2.0))),),
    )  # fmt: skip
    judged = weigh(config, same, Rule(), 0).verdict
    assert judged is not None
    assert judged.reason == "same_instructions"


@pytest.mark.parametrize("unit", RATES)
def test_a_rate_is_a_speed_and_no_time(unit: str) -> None:
    objective = Objective("parse", "higher", unit=unit)
    assert is_speed(objective)
    assert seconds_per_unit(Objective("parse", unit=unit)) is None
    assert layout_margin_pct(objective, "fixed") == 1.5
    assert meant(unit) is None


@pytest.mark.parametrize("unit", PLAIN)
def test_what_is_no_time_is_let_through_as_it_is(unit: str) -> None:
    config = parse_config(f"name: t\nobjective: {{metric: parse, unit: '{unit}'}}\nscope: ['src/**']\n")
    assert config.objective.unit == unit
    assert not is_speed(config.objective)
    assert Wishes(unit=unit).unit == unit
    assert lint_unit("parse", unit, 1e9, 1.0) is None


@pytest.mark.parametrize(("unit", "likely"), NEARLY.items())
def test_what_looks_like_a_time_is_refused_with_what_it_may_mean(unit: str, likely: str) -> None:
    with pytest.raises(BadInput) as found:
        parse_config(f"name: t\nobjective: {{metric: parse, unit: '{unit}'}}\nscope: ['src/**']\n")
    assert f"autoresearch.yaml: the unit '{unit}' looks like a time" in found.value.sentence()
    assert f"Did you mean {likely}?" in found.value.sentence()
    with pytest.raises(BadInput, match=r"^--unit: the unit "):
        Wishes(unit=unit)
    parse_config(f"name: t\nobjective: {{metric: parse, unit: '{likely}'}}\nscope: ['src/**']\n")


@pytest.mark.parametrize(
    ("metric", "scale", "rate"),
    [
        ("time_s", 1.0, False), ("time_sec", 1.0, False), ("parse_milliseconds", 1e-3, False), ("ms", 1e-3, False),
        ("ns_per_op", 1e-9, False), ("time_ns_per_op", 1e-9, False), ("ops_per_s", None, True),
        ("req_per_min", None, True), ("time_min", None, False), ("width_h", None, False), ("score", None, False),
    ],
)  # fmt: skip
def test_without_a_unit_the_name_says_it(metric: str, scale: float | None, rate: bool) -> None:
    assert (seconds_in(metric), is_rate(metric)) == (scale, rate)
    assert is_speed(Objective(metric)) is (rate or scale is not None)


WORDS = [*SECONDS, *COUNTS, *RATES, *PLAIN, *NEARLY, *(unit for unit, _ in EVERY), "op", "per", "/", "_", " "]
TEXTS = st.lists(st.sampled_from(WORDS) | st.text(max_size=3), max_size=3).map("".join)


@given(unit=TEXTS, metric=st.sampled_from(["parse", "time_s", "lat_ms", "size", "ops_per_s", "time_min", "n_calls"]))
def test_lint_doubt_and_rule_agree_about_any_unit(unit: str, metric: str) -> None:
    objective = Objective(metric, unit=unit)
    scale = seconds_per_unit(objective)
    assert (lint_unit(metric, unit, 1e12, 1.0) is not None) is (scale is not None)
    forged = outcome({"A": 1e-9, "B": 1e12}, 1.0)
    assert (word(objective, forged, 10.0) == "timer") is (scale is not None)
    assert is_speed(objective) is (scale is not None or is_rate(metric, unit))
    assert [scale is not None, is_rate(metric, unit), counted(objective)].count(True) <= 1
    assert counted(objective) is is_count(metric, unit)
    likely = meant(unit)
    if likely is not None:
        assert scale is None
        assert seconds_in("", likely) is not None or is_rate("", likely)


@given(word=st.sampled_from(sorted(SECONDS)))
def test_the_names_of_metrics_are_held_against_the_clock_in_the_same_words(word: str) -> None:
    text = f"t = perf_counter()\nprint(f'METRIC time_{word}={{perf_counter() - t}}')\n"
    found = {mistake.rule for mistake in lint(text, "driver")}
    assert ("unit" in found) is (seconds_in(f"time_{word}") not in (None, 1.0))


def test_a_session_of_an_older_version_goes_on_under_the_same_digest() -> None:
    """The digest that 0.2.0 gave: the unit stays as it is written, and only now is it a time."""
    config = parse_config('name: old\nobjective: {metric: parse, unit: seconds}\nscope: ["src/**"]\n')
    frozen = Manifest({"autoresearch.sh": "0" * 64}, frozen_settings(config))
    assert frozen.digest == "d5abf7f142d568ab3d873ee9ff8e497f61e6b2bd09986caa59abf23135b9e79f"
    assert seconds_per_unit(config.objective) == 1.0
