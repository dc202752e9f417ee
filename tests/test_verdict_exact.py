"""The proof behind the rule, enumerated: E has mean 1 over all orders, whatever the slots hold."""

from __future__ import annotations

import itertools
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoresearch.verdict.eprocess import ORDERS, PAIRS, THETAS, EProcess, draw_order, evidence
from autoresearch.verdict.rule import Rule
from autoresearch.verdict.sequential import TIMED_OUT, SequentialTest

slots = st.lists(st.floats(-50.0, 50.0, allow_nan=False), min_size=4, max_size=4)
# Multiples of 1/64 add without rounding, so a shift is taken back exactly.
exact_slots = st.lists(st.integers(-3200, 3200).map(lambda k: k / 64), min_size=4, max_size=4)
coarse = st.lists(st.integers(0, 2).map(float), min_size=4, max_size=4)
Blocks = list[tuple[str, list[float]]]


def blocks_of(gain: float, cv: float, count: int, seed: int = 1, sign: float = 1.0) -> Blocks:
    """`count` blocks of log-normal times around 1.2 whose candidate is exp(-gain) as slow."""
    rng = random.Random(seed)
    out = []
    for _ in range(count):
        order = draw_order(rng)
        out.append((order, [1.2 * math.exp(sign * (rng.gauss(0, cv) - gain * (s == "B"))) for s in order]))
    return out


@settings(max_examples=40, deadline=None)
@given(st.lists(slots | coarse, min_size=1, max_size=3))
def test_e_has_mean_one_over_all_orders(values: list[list[float]]) -> None:
    """The whole proof in one line: whatever the slots hold, the mean over all 6^k orders is 1."""
    for direction in ("log_up", "log_down"):
        found = []
        for orders in itertools.product(ORDERS, repeat=len(values)):
            process = evidence(list(zip(orders, values, strict=True)), 0.0)
            found.append(math.exp(getattr(process, direction)))
        assert math.fsum(found) / len(found) == pytest.approx(1.0, rel=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.lists(exact_slots, min_size=1, max_size=3), st.integers(-128, 128).map(lambda k: k / 64))
def test_e_has_mean_one_when_the_gain_is_the_shift(values: list[list[float]], gain: float) -> None:
    found = []
    for orders in itertools.product(ORDERS, repeat=len(values)):
        seen = [[v - gain * (s == "B") for s, v in zip(o, y, strict=True)] for o, y in zip(orders, values, strict=True)]
        found.append(math.exp(evidence(list(zip(orders, seen, strict=True)), gain).log_up))
    assert math.fsum(found) / len(found) == pytest.approx(1.0, rel=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.floats(-50, 50), min_size=2, max_size=2), min_size=1, max_size=6))
def test_e_of_pairs_has_mean_one(values: list[list[float]]) -> None:
    found = [
        math.exp(evidence(list(zip(orders, values, strict=True)), 0.0).log_up)
        for orders in itertools.product(PAIRS, repeat=len(values))
    ]
    assert math.fsum(found) / len(found) == pytest.approx(1.0, rel=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.lists(slots, min_size=3, max_size=3))
def test_ville_over_all_orders(values: list[list[float]]) -> None:
    """At most a share alpha of the orders ever reaches 1 / alpha, at every alpha."""
    peaks = []
    for orders in itertools.product(ORDERS, repeat=3):
        process, peak = EProcess(), 0.0
        for order, y in zip(orders, values, strict=True):
            process.add(order, y)
            peak = max(peak, process.log_up)
        peaks.append(math.exp(peak))
    for alpha in (0.5, 0.2, 0.05, 0.02):
        assert sum(p >= 1.0 / alpha for p in peaks) <= alpha * len(peaks) + 1e-9


def mean_over_all_orders(values: list[list[float]]) -> float:
    """Of E, as a test with these slots comes to it."""
    found = []
    for orders in itertools.product(ORDERS, repeat=len(values)):
        test = SequentialTest(Rule())
        for order, y in zip(orders, values, strict=True):
            test.step(order, y)
        found.append(math.exp(test._gain.log_up))
    return math.fsum(found) / len(found)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.integers(-2, 3).map(float), min_size=4, max_size=4), min_size=1, max_size=3))
def test_mean_stays_one_when_the_metric_crosses_zero(values: list[list[float]]) -> None:
    """The change from logs to plain values is label-blind, so it costs no exactness."""
    assert mean_over_all_orders(values) == pytest.approx(1.0, rel=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.sampled_from([0.9, 1.0, 1.1, TIMED_OUT]), min_size=4, max_size=4), min_size=1, max_size=3))
def test_mean_stays_one_with_time_outs_and_ties(values: list[list[float]]) -> None:
    """A time-out's place and the ranks of equal readings see no label."""
    assert mean_over_all_orders(values) == pytest.approx(1.0, rel=1e-9)


@pytest.mark.parametrize("orders", [ORDERS, PAIRS])
def test_a_held_up_run_weighs_no_more_than_the_last_place(orders: tuple[str, ...]) -> None:
    """By ranks: however long one run was held up, the evidence before it is not wiped out."""
    fair = [(orders[i % len(orders)], [0.0 if s == "A" else -0.05 for s in orders[i % len(orders)]]) for i in range(9)]
    fair = [(o, [v + 0.001 * i * (-1) ** k for k, v in enumerate(y)]) for i, (o, y) in enumerate(fair)]
    found = []
    for late in (0.2, 5.0):
        process = evidence(fair, 0.0)
        before = process.log_up
        order = orders[0]
        process.add(
            order, [late if i == order.rindex("B") else 0.0 if s == "A" else -0.05 for i, s in enumerate(order)]
        )
        found.append(before - process.log_up)
    assert found[0] == pytest.approx(found[1], abs=0.05)


def reference_log_e(blocks: Blocks, shift: float, sign: float) -> float:
    """ln E written a second time, with numpy and all six orders, straight from the formulas of values and of ranks."""
    import numpy as np

    spreads: list[float] = []
    totals = np.zeros(2 * len(THETAS))
    for order, y in blocks:
        z = np.array(y) + shift * np.array([s == "B" for s in order])
        centred = z - np.median(z)
        spreads.append(1.2533 * 4 / 3 * float(np.mean(np.abs(centred))))
        s = float(np.median(spreads))
        ranks = np.argsort(np.argsort(z)) - 1.5  # no ties here
        for bets, w in enumerate((np.clip(centred, -3.5 * s, 3.5 * s) / s, ranks)):

            def contrast(o: str, w: np.ndarray = w) -> float:
                a = np.array([c == "A" for c in o])
                return float(w[a].mean() - w[~a].mean())

            for i, theta in enumerate(THETAS):
                x = sign * theta
                denominator = np.mean([np.exp(x * contrast(o)) for o in ORDERS])
                totals[bets * len(THETAS) + i] += x * contrast(order) - np.log(denominator)
    return float(np.log(np.mean(np.exp(totals))))


@pytest.mark.parametrize("shift", [0.0, 0.01, -0.03])
def test_agrees_with_a_numpy_reference(shift: float) -> None:
    blocks = [(o, [math.log(v) for v in y]) for o, y in blocks_of(0.02, 0.03, 6)]
    process = evidence(blocks, shift)
    assert process.log_up == pytest.approx(reference_log_e(blocks, shift, 1.0))
    assert process.log_down == pytest.approx(reference_log_e(blocks, shift, -1.0))


def test_orders_are_drawn_uniformly() -> None:
    rng = random.Random(7)
    counts = dict.fromkeys(ORDERS, 0)
    for _ in range(6000):
        counts[draw_order(rng)] += 1
    assert sorted(counts) == sorted({"".join(p) for p in itertools.permutations("AABB")})
    assert all(880 <= count <= 1120 for count in counts.values())  # 1000, four standard errors


def test_readings_exactly_at_the_shift_are_no_evidence() -> None:
    """ln 0.99 and its rounding errors are not a gain: E stays where equal slots leave it."""
    shift = -math.log1p(-1.0 / 100.0)
    process = EProcess(shift)
    for number in range(8):
        base = 1.0 + 0.1 * number
        process.add("ABBA", [math.log(base), math.log(0.99 * base), math.log(0.99 * base), math.log(base)])
    assert process.log_up <= 1e-9
