"""Estimators against numpy and scipy, and against their definitions."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from autoresearch.judging import ranktests
from autoresearch.verdict import stats
from autoresearch.verdict.eprocess import ORDERS

numbers = st.floats(-1e6, 1e6, allow_nan=False)
samples = st.lists(numbers, min_size=1, max_size=30)


@given(samples)
def test_location_and_scale_agree_with_numpy(values: list[float]) -> None:
    assert stats.median(values) == pytest.approx(float(np.median(values)))
    assert stats.mad(values) == pytest.approx(float(scipy.stats.median_abs_deviation(values)), abs=1e-6)
    assert stats.mean(values) == pytest.approx(float(np.mean(values)), abs=1e-6)
    if len(values) > 1:
        assert stats.sd(values) == pytest.approx(float(np.std(values, ddof=1)), abs=1e-6)


@given(st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=30))
def test_ranks_with_ties_agree_with_scipy(values: list[float]) -> None:
    assert stats.ranks(values) == list(scipy.stats.rankdata(values))


def test_empty_input_is_refused() -> None:
    for function in (stats.median, stats.mean, stats.mad):
        with pytest.raises(ValueError, match="no values"):
            function([])
    with pytest.raises(ValueError, match="two values"):
        stats.sd([1.0])
    with pytest.raises(ValueError, match="two values"):
        stats.sigma_short([1.0])


def test_short_term_sigma_sees_the_noise_and_not_the_drift() -> None:
    rng = random.Random(1)
    values = [0.01 * i + rng.gauss(0.0, 0.02) for i in range(4000)]
    assert stats.sigma_short(values) == pytest.approx(0.02, rel=0.15)
    assert stats.sd(values) > 5.0


def test_short_term_sigma_uses_disjoint_neighbours() -> None:
    assert stats.sigma_short([0.0, 1.0, 100.0, 101.0, 7.0]) == pytest.approx(1.4826 / math.sqrt(2.0))


def test_a_coarse_timer_does_not_look_noiseless() -> None:
    assert stats.sigma_short([1.0, 1.0, 1.0, 1.0, 1.0, 1.1]) > 0.0


def test_trend_p_follows_bartels_formula() -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(size=25)
    rank = scipy.stats.rankdata(values)
    ratio = np.sum(np.diff(rank) ** 2) / np.sum((rank - rank.mean()) ** 2)
    n = 25
    sd = math.sqrt(4 * (n - 2) * (5 * n**2 - 2 * n - 9) / (5 * n * (n + 1) * (n - 1) ** 2))
    assert stats.trend_p(list(values)) == pytest.approx(float(scipy.stats.norm.cdf((ratio - 2) / sd)))


def test_trend_p_is_right_on_noise_and_finds_drift() -> None:
    rng = random.Random(4)
    alarms = sum((stats.trend_p([rng.gauss(0, 1) for _ in range(20)]) or 0.0) < 0.05 for _ in range(2000))
    assert 60 <= alarms <= 140  # 5 %, three standard errors each way
    assert (stats.trend_p([float(i) for i in range(20)]) or 1.0) < 1e-4
    assert stats.trend_p([1.0] * 20) is None
    assert stats.trend_p([1.0, 2.0]) is None


def test_outliers() -> None:
    quiet = [1.0, 1.01, 0.99, 1.02, 0.98, 1.0, 1.01, 0.99, 1.0]
    assert stats.outlier_share([*quiet, 1.5]) == pytest.approx(0.1)
    assert stats.outlier_share([1.0] * 19 + [2.0]) == pytest.approx(0.05)  # MAD is 0
    assert stats.outlier_share([1.0] * 5) == 0.0
    assert stats.outlier_share([]) == 0.0


def test_mde_and_the_runs_it_takes_are_inverse() -> None:
    assert stats.mde(0.02, 60) == pytest.approx(0.026)
    assert stats.runs_for(0.026, 0.02) == 60
    assert stats.runs_for(0.5, 0.001) == 12
    assert stats.runs_for(0.0, 0.02) is None
    assert stats.runs_for(1e-9, 0.02) is None


@pytest.mark.parametrize(
    ("values", "step"),
    [
        ([0.12, 0.3], 0.01),
        ([12.0, 3.0], 1.0),
        ([1.5e-9, 2e-9], 1e-10),
        ([1e300], 1.0),
        ([1.0, 1.25], 0.01),
        ([5e-324], 0.0),
    ],
)
def test_resolution(values: list[float], step: float) -> None:
    assert stats.resolution(values) == pytest.approx(step)


@given(
    st.lists(st.integers(-8, 8).map(float), min_size=1, max_size=7),
    st.lists(st.integers(-8, 8).map(float), min_size=1, max_size=7),
)
def test_rank_sum_is_the_permutation_test(base: list[float], candidate: list[float]) -> None:
    import itertools

    rank = stats.ranks([*base, *candidate])
    seen = sum(rank[: len(base)])
    sums = [sum(chosen) for chosen in itertools.combinations(rank, len(base))]
    expected = sum(s >= seen - 1e-9 for s in sums) / len(sums)
    assert ranktests.rank_sum(base, candidate).p_value == pytest.approx(expected)


@given(
    st.lists(
        st.tuples(st.sampled_from(ORDERS), st.lists(st.integers(-3, 3).map(float), min_size=4, max_size=4)),
        min_size=1, max_size=3,
    )
)  # fmt: skip
def test_ranks_in_blocks_are_the_permutation_test_over_the_orders(blocks: list[tuple[str, list[float]]]) -> None:
    import itertools

    def of_base(orders: Sequence[str]) -> float:
        ranked = [stats.ranks(values) for _, values in blocks]
        pairs = [pair for order, rank in zip(orders, ranked, strict=True) for pair in zip(order, rank, strict=True)]
        return sum(rank for side, rank in pairs if side == "A")

    seen = of_base([order for order, _ in blocks])
    sums = [of_base(orders) for orders in itertools.product(ORDERS, repeat=len(blocks))]
    found = ranktests.in_blocks(blocks)
    assert found.p_value == pytest.approx(sum(s >= seen - 1e-9 for s in sums) / len(sums))
    gaps = [
        a - b
        for order, values in blocks
        for a, b in itertools.product(*([v for s, v in zip(order, values, strict=True) if s == side] for side in "AB"))
    ]
    assert found.estimate == stats.median(gaps)


@given(st.lists(st.integers(-6, 6).map(float), min_size=1, max_size=9))
def test_signed_rank_is_the_sign_flip_test(gaps: list[float]) -> None:
    import itertools

    rank = [r for r, d in zip(stats.ranks([abs(d) for d in gaps]), gaps, strict=True) if d]
    seen = sum(r for r, d in zip(rank, [d for d in gaps if d], strict=True) if d > 0)
    sums = [
        sum(r for r, s in zip(rank, signs, strict=True) if s) for signs in itertools.product((0, 1), repeat=len(rank))
    ]
    expected = sum(s >= seen - 1e-9 for s in sums) / len(sums)
    assert ranktests.signed_rank(gaps).p_value == pytest.approx(expected)


@pytest.mark.parametrize("size", [12, 30, 80])
def test_rank_tests_agree_with_scipy(size: int) -> None:
    rng = np.random.default_rng(size)
    a, b = list(rng.normal(0.4, 1.0, size)), list(rng.normal(0.0, 1.0, size))
    method = "exact" if size <= 30 else "asymptotic"
    expected = scipy.stats.mannwhitneyu(a, b, alternative="greater", method=method).pvalue
    assert ranktests.rank_sum(a, b).p_value == pytest.approx(float(expected), rel=1e-6)
    gaps = [x - y for x, y in zip(a, b, strict=True)]
    how = {"method": "exact"} if size <= 30 else {"method": "asymptotic", "correction": True}
    exact = scipy.stats.wilcoxon(gaps, alternative="greater", **how).pvalue
    assert ranktests.signed_rank(gaps).p_value == pytest.approx(float(exact), rel=1e-6)


@pytest.mark.parametrize("size", [8, 20, 200])
def test_rank_intervals_cover(size: int) -> None:
    rng = random.Random(size)
    reps = 300 if size < 100 else 60
    covered = [0, 0]
    for _ in range(reps):
        a, b = [rng.gauss(0.3, 1) for _ in range(size)], [rng.gauss(0, 1) for _ in range(size)]
        pair = ranktests.signed_rank([rng.gauss(0.3, 1) for _ in range(size)])
        for i, shift in enumerate((ranktests.rank_sum(a, b), pair)):
            low = -math.inf if shift.low is None else shift.low
            high = math.inf if shift.high is None else shift.high
            covered[i] += low <= 0.3 <= high
    # 95 % less four standard errors.
    assert min(covered) / reps > 0.95 - 4 * math.sqrt(0.05 * 0.95 / reps)
