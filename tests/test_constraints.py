"""Limits are shown, not eyed: exactness by enumeration, and what each limit says of known data."""

from __future__ import annotations

import itertools
import math
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoresearch.budget.stop import rate
from autoresearch.config import parse_config
from autoresearch.errors import BadInput
from autoresearch.judging.constraints import ALPHA, Limit, evidence, gain_pct, hold, prove, required_pct, shifted
from autoresearch.judging.outcome import Outcome, read_outcome
from autoresearch.judging.weighing import split, trial_settings, weigh
from autoresearch.verdict.eprocess import ORDERS, EProcess, draw_order
from autoresearch.verdict.rule import Rule

Blocks = list[tuple[str, list[float]]]
readings = st.lists(st.integers(50, 200).map(float), min_size=4, max_size=4)
directions = st.sampled_from(["lower", "higher"])


def draw(ratio: float, cv: float, count: int, seed: int = 1) -> Blocks:
    """Blocks of readings around 100, the candidate's `ratio` times as large."""
    rng = random.Random(seed)
    blocks = []
    for _ in range(count):
        order = draw_order(rng)
        blocks.append((order, [100 * math.exp(rng.gauss(0, cv)) * (ratio if s == "B" else 1) for s in order]))
    return blocks


def at_the_limit(direction: str, pct: float, orders: tuple[str, ...], values: list[list[float]]) -> Blocks:
    """What the slots would read under `orders`, if the candidate were exactly `pct` percent worse."""
    worse = 1 + pct / 100 if direction == "lower" else 1 - pct / 100
    return [
        (order, [v * worse if side == "B" else v for side, v in zip(order, slot, strict=True)])
        for order, slot in zip(orders, values, strict=True)
    ]


@settings(max_examples=30, deadline=None)
@given(st.lists(readings, min_size=1, max_size=3), directions, st.sampled_from([0.0, 0.5, 2.0, 30.0]))
def test_a_change_at_its_limit_passes_in_a_share_alpha_of_the_orders(
    values: list[list[float]], direction: str, pct: float
) -> None:
    """Ville, enumerated over all 6^k orders and whatever the slots hold, in both directions of the evidence."""
    limit = Limit("m", direction, pct)
    passes, fails = [], []
    for orders in itertools.product(ORDERS, repeat=len(values)):
        up, down = evidence(limit, at_the_limit(direction, pct, orders, values))
        passes.append(math.exp(up))
        fails.append(math.exp(down))
    for peaks in (passes, fails):
        for alpha in (0.5, 0.2, ALPHA):
            # The shift is taken back in floats, so a slot of ties may come out a rounding apart.
            assert sum(peak >= (1 + 1e-6) / alpha for peak in peaks) <= alpha * len(peaks) + 1e-9


@settings(max_examples=40, deadline=None)
@given(readings, directions, st.sampled_from([0.0, 0.5, 2.0, 30.0]))
def test_e_of_a_block_at_the_limit_has_mean_one(slot: list[float], direction: str, pct: float) -> None:
    """Whatever the slots hold, if the candidate is exactly as much worse as its limit allows."""
    found = []
    for order in ORDERS:
        process = EProcess()
        for block in shifted(Limit("m", direction, pct), at_the_limit(direction, pct, (order,), [slot])):
            process.add(*block)
        found.append(math.exp(process.log_up))
    assert math.fsum(found) / 6 == pytest.approx(1.0, rel=1e-6)


def test_noise_at_the_limit_passes_rarely_and_well_within_it_often() -> None:
    """2 % allowed at cv 1 %: passing is refused at + 2 % and granted at 0 %; four standard errors of 400 draws."""
    limit = Limit("m", "lower", 2.0)
    at = [hold(limit, draw(1.02, 0.01, 5, seed)).status for seed in range(400)]
    within = [hold(limit, draw(1.0, 0.01, 5, seed)).status for seed in range(400)]
    assert at.count("met") <= 400 * (ALPHA + 4 * math.sqrt(ALPHA / 400))
    assert within.count("met") >= 300
    assert within.count("violated") == 0
    assert [hold(limit, draw(1.06, 0.01, 5, seed)).status for seed in range(50)].count("violated") >= 45


@pytest.mark.parametrize(
    ("limit", "base", "candidate", "status"),
    [
        (Limit("m", "lower", 2.0), 1000.0, 1100.0, "violated"),
        (Limit("m", "lower", 2.0), 1000.0, 1020.0, "met"),
        (Limit("m", "lower", 2.0), 1000.0, 1021.0, "violated"),
        (Limit("m", "lower", 0.0), 1000.0, 1000.0, "met"),
        (Limit("m", "higher", 2.0), 1000.0, 980.0, "met"),
        (Limit("m", "higher", 2.0), 1000.0, 979.0, "violated"),
        (Limit("m", "lower", 2.0), 0.0, 0.0, "met"),
        (Limit("m", "lower", 2.0), 0.0, 1.0, "violated"),
        (Limit("m", "lower", 2.0), -100.0, -98.0, "met"),
        (Limit("m", "lower", 2.0), -100.0, -97.0, "violated"),
        (Limit("m", "lower", None, most=50.0), 40.0, 50.0, "met"),
        (Limit("m", "lower", None, most=50.0), 40.0, 50.5, "violated"),
        (Limit("m", "higher", None, least=0.9), 0.95, 0.89, "violated"),
        (Limit("m", "lower", 2.0, most=1005.0), 1000.0, 1010.0, "violated"),
    ],
)
def test_counts_are_compared(limit: Limit, base: float, candidate: float, status: str) -> None:
    blocks = [("ABBA", [base, candidate, candidate, base])]
    found = hold(limit, blocks)
    assert (found.status, found.e_value) == (status, None)
    assert "m " in found.text


def test_an_unclear_limit_says_what_would_settle_it() -> None:
    found = hold(Limit("rss", "lower", 2.0), draw(1.0, 0.05, 5))
    assert found.status == "unclear"
    assert "more runs would settle it" in found.text
    assert "test.keep_blocks" in found.text
    coarse = hold(Limit("rss", "lower", 2.0), [("ABBA", [10.0, 11.0, 10.0, 10.0])] * 8)
    assert coarse.status == "unclear"
    assert "steps of 10 %" in coarse.text
    signed = hold(Limit("rss", "lower", 2.0), [("ABBA", [0.1, -0.2, 0.3, 0.1])] * 8)
    assert signed.status == "unclear"
    assert "max or min" in signed.text


@given(readings, directions)
def test_gain_has_the_sign_of_better(slot: list[float], direction: str) -> None:
    blocks = [("AABB", [slot[0], slot[0], slot[1], slot[1]])]
    gain = gain_pct(direction, blocks)
    assert gain is not None
    better = slot[1] < slot[0] if direction == "lower" else slot[1] > slot[0]
    assert (gain > 0) == better
    assert gain == pytest.approx(100 * abs(slot[1] - slot[0]) / slot[0] * (1 if better else -1))


def test_proof_uses_all_blocks_and_keeps_its_alpha() -> None:
    assert prove(Rule(alpha=0.01), draw(0.9, 0.01, 6)).reason == "proven"
    kept = sum(prove(Rule(alpha=0.05), draw(1.0, 0.02, 6, seed)).verdict == "keep" for seed in range(400))
    assert kept <= 400 * (0.05 + 4 * math.sqrt(0.05 / 400))
    exact = prove(Rule(counted=True), [("ABBA", [100000.0, 90000.0, 90000.0, 100000.0])])
    assert (exact.verdict, exact.reason) == ("keep", "deterministic")
    assert prove(Rule(), draw(1.1, 0.01, 6)).verdict == "discard"


def test_lines_cost_what_is_stated() -> None:
    assert required_pct(1.0, 2.0, 0, 100) == 3.0
    assert required_pct(1.0, 2.0, 50, 100) == 2.0
    assert required_pct(1.0, 2.0, 0, -500) == 1.0


CONFIG = 'name: t\nobjective: {metric: time_s}\nscope: ["src/**"]\n'


def outcome(time: Blocks, rule: Rule, **others: list[list[float]]) -> Outcome:
    """A trial's records, read as `decide` reads them."""
    records: list[dict[str, Any]] = []
    for block, (order, values) in enumerate(time):
        for i, side in enumerate(order):
            seen = {name: series[block][i] for name, series in others.items() if series}
            records.append(
                {"type": "sample", "slot": 4 * block + i, "block": block, "side": side, "value": values[i],
                 "metrics": {"time_s": values[i], **seen}, "warmup": False}
            )  # fmt: skip
    return read_outcome([*records, {"type": "end", "status": "done"}], rule)


def levels(time: Blocks, base: float, candidate: float) -> list[list[float]]:
    return [[base if side == "A" else candidate for side in order] for order, _ in time]


def weighed(config: str, time: Blocks, lines: int = 0, alpha: float = 0.02, **others: Any) -> Outcome:
    parsed = parse_config(CONFIG + config)
    rule = Rule(alpha=alpha / split(parsed), layout="fresh")
    return weigh(parsed, outcome(time, rule, **others), rule, lines)


def reason(found: Outcome) -> tuple[str, str]:
    assert found.verdict is not None
    return found.verdict.verdict, found.verdict.reason


LIMIT = "constraints: [{metric: mem, limit_pct: 2}]\n"
RESCUE = "rescue: [{metric: mem, min_effect_pct: 5}]\n"


def test_a_constraint_decides_only_what_would_be_kept() -> None:
    win, flat = draw(0.9, 0.01, 5), draw(1.0, 0.01, 15)
    assert reason(weighed(LIMIT, win, mem=levels(win, 1000, 1000))) == ("keep", "proven")
    found = weighed(LIMIT, win, mem=levels(win, 1000, 1100))
    assert reason(found) == ("discard", "constraint")
    assert found.verdict is not None
    assert "mem is 10 % worse" in found.verdict.reason_text
    assert found.gains["mem"] == pytest.approx(-10)
    assert found.gains["time_s"] == pytest.approx(10, abs=1)
    noisy = [values for _, values in draw(1.0, 0.05, 5, seed=3)]
    assert reason(weighed(LIMIT, win, mem=noisy)) == ("discard", "constraint_unclear")
    assert reason(weighed(LIMIT, win, mem=[])) == ("discard", "invalid")
    assert reason(weighed(LIMIT, flat, mem=levels(flat, 1000, 1100)))[0] == "discard"
    assert reason(weighed(LIMIT, flat, mem=levels(flat, 1000, 1100)))[1] != "constraint"


def test_a_rescue_needs_a_neutral_objective_and_a_proof() -> None:
    flat, worse = draw(1.0, 0.002, 8), draw(1.05, 0.002, 8)
    found = weighed(RESCUE, flat, mem=levels(flat, 100000, 80000))
    assert reason(found) == ("keep", "rescued")
    assert reason(weighed(RESCUE, flat, mem=levels(flat, 100000, 99000)))[0] == "discard"
    refused = weighed(RESCUE, worse, mem=levels(worse, 100000, 80000))
    assert reason(refused)[0] == "discard"
    assert refused.verdict is not None
    assert "beyond its limit of 1 % worse" in refused.verdict.reason_text
    assert reason(weighed("", flat))[0] == "discard"


def test_alpha_is_split_over_objective_and_rescue_metrics() -> None:
    three = parse_config(CONFIG + "rescue: [{metric: mem}, {metric: size}]\n")
    assert split(three) == 3
    told = trial_settings(three, 0.006)
    assert told["alpha"] == pytest.approx(0.002)
    assert 6.0 ** told["min_blocks_discard"] >= 3 / 0.006
    assert trial_settings(parse_config(CONFIG), 0.006) == {"alpha": 0.006}


def test_the_split_bounds_false_keeps_of_any_kind() -> None:
    """Neither metric has an effect: kept for the one or the other in at most alpha = 0.1 of the sessions."""
    kept = 0
    for seed in range(300):
        time = draw(1.0, 0.01, 8, seed)
        other = random.Random(-seed - 1)
        mem = [[100 * math.exp(other.gauss(0, 0.01)) for _ in order] for order, _ in time]
        config = "rescue: [{metric: mem, min_effect_pct: 0.1}]\n"
        kept += reason(weighed(config, time, alpha=0.1, mem=mem))[0] == "keep"
    assert kept <= 300 * (0.1 + 4 * math.sqrt(0.1 / 300))


def test_size_and_plausibility() -> None:
    win = draw(0.9, 0.01, 5)
    lines = "complexity: {free_lines: 20, pct_per_100_lines: 5}\n"
    assert reason(weighed(lines, win, lines=120)) == ("keep", "proven")
    assert reason(weighed(lines, win, lines=400)) == ("discard", "complexity")
    for bound in ("ceiling_pct: 5", "bound: 95"):
        parsed = parse_config(CONFIG.replace("time_s", "time_s, " + bound))
        rule = Rule(layout="fresh")
        found = weigh(parsed, outcome(win, rule), rule, 0)
        assert reason(found) == ("discard", "implausible")
        assert found.verdict is not None
        assert "--new-segment" in found.verdict.reason_text


def test_blocks_after_the_decision_narrow_the_estimate_and_may_withdraw_a_keep() -> None:
    win = draw(0.9, 0.01, 12)
    rule = Rule(layout="fresh")
    short, long = outcome(win[:4], rule).verdict, outcome(win, rule).verdict
    assert short is not None
    assert long is not None
    assert (short.reason, long.reason) == ("proven", "proven")
    assert (short.runs_used, long.runs_used) == (16, 48)
    assert short.ci_high_pct is not None
    assert short.ci_low_pct is not None
    assert long.ci_high_pct is not None
    assert long.ci_low_pct is not None
    assert long.ci_high_pct - long.ci_low_pct < short.ci_high_pct - short.ci_low_pct
    lost = outcome(win[:4] + draw(1.2, 0.01, 40), rule).verdict
    assert lost is not None
    assert (lost.verdict, lost.reason) == ("discard", "below_min")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("constraints: [{metric: mem}]\n", "no limit"),
        ("constraints: [{metric: time_s, max: 1}]\n", "objective"),
        ("rescue: [{metric: m}, {metric: m}]\n", "twice"),
        ("constraints: [{metric: mem, limit: 1}]\n", "limit"),
    ],
)
def test_a_wrong_declaration_is_named(text: str, word: str) -> None:
    with pytest.raises(BadInput, match=word):
        parse_config(CONFIG + text)


def test_gain_per_hour_needs_ten_experiments_and_multiplies() -> None:
    assert rate([(10.0, 3600.0)] * 9) is None
    assert rate([(0.0, 0.0)] * 10) is None
    # Ten minutes each: 1 - 0.9 * 0.9 in 100 minutes.
    done = [(50.0, 600.0), (10.0, 600.0), *[(0.0, 600.0)] * 8, (10.0, 600.0)]
    assert rate(done) == pytest.approx(19 / (100 / 60))
