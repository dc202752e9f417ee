"""Sizes and counts: small ones that repeat are known soon, and those that jump are no gain."""

from __future__ import annotations

import random

import pytest

from autoresearch.verdict.eprocess import draw_order
from autoresearch.verdict.rule import Rule
from autoresearch.verdict.sequential import SequentialTest
from autoresearch.verdict.units import is_count
from made_blocks import judge, repeated


@pytest.mark.parametrize(
    ("a", "b", "alpha", "verdict", "reason", "runs"),
    [
        (12, 11, 0.02, "keep", "deterministic", 8),
        (12, 11, 0.001, "keep", "deterministic", 12),
        (12, 13, 0.001, "discard", "below_min", 4),
        (12, 12, 0.001, "discard", "identical", 4),
        (1500, 1490, 0.001, "discard", "below_min", 4),
        (123456, 111111, 0.001, "keep", "deterministic", 4),
    ],
)
def test_a_small_count_repeats_a_few_times(
    a: float, b: float, alpha: float, verdict: str, reason: str, runs: int
) -> None:
    found = judge(Rule(alpha=alpha, counted=True), repeated(a, b))
    assert (found.verdict, found.reason, found.runs_used) == (verdict, reason, runs)
    assert not any("steps" in text for text in found.warnings)


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5, 0.8])
def test_a_count_that_jumps_gives_no_false_keeps(share: float) -> None:
    """11 or 12 by chance, whatever the code: both sides may seem to repeat."""
    rng = random.Random(f"jumps {share}")
    keeps = 0
    for _ in range(3000):
        test = SequentialTest(Rule(counted=True))
        reason = "undecided"
        while reason == "undecided":
            reason = test.step(draw_order(rng), [12.0 - (rng.random() < share) for _ in range(4)])
        keeps += reason in ("proven", "deterministic")
    assert keeps <= 83  # 2 % is 60; and three standard errors


@pytest.mark.parametrize(
    ("metric", "unit", "count"),
    [
        ("bundle", "kB", True), ("bundle_bytes", "", True), ("size", "", True), ("allocs", "", True),
        ("bundle_bytes", "s", False), ("bytes_per_s", "", False), ("time_ms", "", False), ("score", "", False),
    ],
)  # fmt: skip
def test_what_counts_as_a_count(metric: str, unit: str, count: bool) -> None:
    assert is_count(metric, unit) is count
