"""Runs that were ended at their time limit: they count as the slowest, and no hang is ever kept."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoresearch.judging.recorded import judge_samples
from autoresearch.verdict.eprocess import draw_order
from autoresearch.verdict.rule import Rule
from autoresearch.verdict.sequential import TIMED_OUT, SequentialTest
from autoresearch.verdict.verdict import Verdict


def play(gain: float, hang_a: float, hang_b: float, seed: int, *, direction: str = "lower") -> Verdict:
    """One test of log-normal runs (cv 2 %); each side hangs with its own probability."""
    rng = random.Random(seed)
    test = SequentialTest(Rule(direction=direction))
    while True:
        order = draw_order(rng)
        values = []
        for side in order:
            value = math.exp(rng.gauss(-gain if side == "B" else 0.0, 0.02))
            hangs = rng.random() < (hang_b if side == "B" else hang_a)
            values.append(TIMED_OUT if hangs else value if direction == "lower" else 1.0 / value)
        found = test.add_block(order, values)
        if found is not None:
            return found


def test_a_candidate_that_hangs_is_never_kept_however_fast_it_is_otherwise() -> None:
    found = [play(0.10, 0.0, 0.2, seed) for seed in range(200)]
    hung = [v for v in found if any("time limit" in text for text in v.warnings)]
    assert len(hung) > 100
    assert {v.verdict for v in hung} == {"discard"}
    assert any(v.verdict == "keep" for v in found)
    always = play(0.10, 0.0, 1.0, 1)
    assert (always.verdict, always.reason, always.runs_used) == ("discard", "timeouts", 4)
    assert always.effect_pct is None
    assert always.ci_low_pct is None
    assert "time limit" in always.reason_text


@pytest.mark.parametrize("direction", ["lower", "higher"])
def test_a_base_that_hangs_is_beaten_by_a_candidate_that_does_not(direction: str) -> None:
    kept = [play(0.0, 0.5, 0.0, seed, direction=direction) for seed in range(60)]
    assert sum(found.verdict == "keep" for found in kept) > 30


def test_hangs_that_befall_both_sides_alike_leave_the_error_rate_as_it_is() -> None:
    kept = sum(play(0.0, 0.15, 0.15, seed).verdict == "keep" for seed in range(2000))
    assert kept <= 60  # alpha 2 % of 2,000 is 40


def test_the_effect_is_read_from_medians_and_has_no_interval() -> None:
    blocks = [("ABBA", [1.0, 0.9, TIMED_OUT, 1.1]), ("BABA", [0.9, 1.0, 0.9, 1.0])]
    blocks += [("ABAB", [TIMED_OUT, 0.9, 1.0, 0.9])]
    test = SequentialTest(Rule(max_runs=12))
    for order, values in blocks:
        test.step(order, values)
    found = test.verdict()
    assert found.effect_pct == pytest.approx(10.0)  # medians 1.0 and 0.9 of six each
    assert found.ci_low_pct is None
    assert found.ci_high_pct is None
    assert found.runs_used == 12
    assert any("base 1, candidate 1" in text for text in found.warnings)


@given(st.lists(st.tuples(st.sampled_from(["AABB", "ABAB", "ABBA", "BAAB", "BABA", "BBAA"]),
                          st.lists(st.one_of(st.floats(-1e3, 1e3), st.just(TIMED_OUT)), min_size=4, max_size=4)),
                min_size=1, max_size=8))  # fmt: skip
def test_any_mixture_of_numbers_and_time_outs_gives_a_verdict(blocks: list[tuple[str, list[float]]]) -> None:
    test = SequentialTest(Rule())
    for order, values in blocks:
        test.step(order, values)
    found = test.verdict()
    figures = found.to_json()
    assert all(math.isfinite(v) for v in figures.values() if isinstance(v, float))
    if found.verdict == "keep":
        assert test.timed_out["B"] <= test.timed_out["A"]


def test_recorded_runs_say_censored() -> None:
    rng = random.Random(3)
    runs: list[dict[str, object]] = []
    for _ in range(10):
        for side in draw_order(rng):
            value = 1.0 + 0.01 * rng.random() if side == "A" else 0.9 + 0.01 * rng.random()
            runs.append({"slot": len(runs), "side": side, "value": value})
    data = {"metric": "time_s", "direction": "lower", "runs": runs}
    assert judge_samples(data).verdict == "keep"
    spoiled = [dict(run) for run in runs]
    for run in [r for r in spoiled if r["side"] == "B"][:2]:
        run |= {"value": None, "censored": True}
    found = judge_samples(data | {"runs": spoiled})
    assert (found.verdict, found.reason) == ("discard", "timeouts")
    for run in [r for r in spoiled if r["side"] == "A"][:2]:
        run |= {"value": None, "censored": True}
    assert judge_samples(data | {"runs": spoiled}).verdict == "keep"
    batches = sorted(spoiled, key=lambda r: str(r["side"]))
    for slot, run in enumerate(batches):
        run["slot"] = slot
    assert judge_samples(data | {"runs": batches}).reason == "invalid"
