"""The rule: exact under the null, right about effects, honest in words."""

from __future__ import annotations

import json
import math
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoresearch.verdict.eprocess import ORDERS, draw_order, evidence, interval
from autoresearch.verdict.rule import PRESETS, Rule, epoch_start, next_alpha
from autoresearch.verdict.sequential import SequentialTest
from autoresearch.verdict.verdict import Verdict
from made_blocks import Blocks, judge, repeated

HELPERS = Path(__file__).resolve().parents[1] / "helpers"


def blocks_of(gain: float, cv: float, count: int, seed: int = 1, sign: float = 1.0) -> Blocks:
    """`count` blocks of log-normal times around 1.2 whose candidate is exp(-gain) as slow."""
    rng = random.Random(seed)
    out = []
    for _ in range(count):
        order = draw_order(rng)
        out.append((order, [1.2 * math.exp(sign * (rng.gauss(0, cv) - gain * (s == "B"))) for s in order]))
    return out


# --- decisions -------------------------------------------------------------------------------------------


def test_a_clear_gain_is_kept() -> None:
    found = judge(Rule(), blocks_of(0.10, 0.01, 15))
    assert (found.verdict, found.reason) == ("keep", "proven")
    assert found.runs_used <= 16
    assert found.e_value is not None
    assert found.e_value >= found.e_needed == 50.0
    assert found.effect_pct == pytest.approx(9.5, abs=2.0)
    assert found.ci_low_pct is not None
    assert found.ci_high_pct is not None
    assert 0.0 < found.ci_low_pct < 9.52 < found.ci_high_pct


def test_a_loss_is_never_kept_and_costs_little() -> None:
    found = judge(Rule(), blocks_of(-0.10, 0.01, 15))
    assert found.verdict == "discard"
    assert found.runs_used <= 8


def test_higher_is_the_mirror_of_lower() -> None:
    times = blocks_of(0.05, 0.02, 15)
    rates = [(order, [1.0 / v for v in values]) for order, values in times]
    lower, higher = judge(Rule(), times), judge(Rule(direction="higher"), rates)
    assert (lower.verdict, lower.runs_used, lower.reason) == (higher.verdict, higher.runs_used, higher.reason)
    assert lower.effect_pct == pytest.approx(higher.effect_pct)
    assert lower.e_value == pytest.approx(higher.e_value)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.floats(1e-3, 1e6), st.sampled_from([0.0, 0.03, 0.08]))
def test_units_do_not_matter(seed: int, unit: float, gain: float) -> None:
    blocks = blocks_of(gain, 0.02, 15, seed)
    scaled = [(order, [v * unit for v in values]) for order, values in blocks]
    one, two = judge(Rule(), blocks), judge(Rule(), scaled)
    assert (one.verdict, one.reason, one.runs_used) == (two.verdict, two.reason, two.runs_used)
    assert one.effect_pct == pytest.approx(two.effect_pct, abs=1e-6)


def test_replay_equals_the_live_test() -> None:
    blocks = blocks_of(0.03, 0.02, 15, seed=5)
    live = SequentialTest(Rule())
    for order, values in blocks:
        found = live.add_block(order, values)
        if found is not None:
            break
    assert found == judge(Rule(), blocks) == judge(Rule(), blocks)


def test_the_budget_ends_a_test_that_cannot_be_settled() -> None:
    rule = Rule(max_runs=8, z=3.0, alpha=0.1)
    found = judge(rule, blocks_of(0.01, 0.02, 2, seed=3))
    assert found.runs_used <= 8
    assert found.verdict == "discard"
    assert found.reason in ("budget", "hopeless")


def test_a_discard_says_what_would_settle_it() -> None:
    test = SequentialTest(Rule(max_runs=12))
    for order, values in blocks_of(0.03, 0.03, 3, seed=2):
        reason = test.step(order, values)
    assert reason in ("budget", "hopeless")
    text = test.verdict().reason_text
    assert "more runs at this noise" in text
    assert "%" in text


def test_margin_asks_for_more_than_the_margin() -> None:
    kept = [judge(Rule(margin_pct=m), blocks_of(0.03, 0.002, 15)).verdict for m in (0.0, 1.0, 2.0)]
    assert kept == ["keep", "keep", "discard"]
    assert "more than 1 %" in judge(Rule(margin_pct=1.0), blocks_of(0.05, 0.002, 15)).reason_text


def test_layout_that_was_not_randomised_is_told() -> None:
    found = judge(Rule(layout="fixed"), blocks_of(0.05, 0.002, 15))
    assert found.layout == "fixed"
    assert any("layout" in text for text in found.warnings)
    assert not judge(Rule(layout="fresh"), blocks_of(0.05, 0.002, 15)).warnings


@pytest.mark.parametrize("bad", [None, math.nan, -math.inf])
def test_a_missing_value_is_invalid_and_never_a_number(bad: float | None) -> None:
    test = SequentialTest(Rule())
    found = test.add_block("ABBA", [1.0, 0.5, bad, 1.0])
    assert found is not None
    assert (found.verdict, found.reason) == ("discard", "invalid")
    assert found.effect_pct is None
    assert test.blocks == 0


def test_nothing_measured_is_invalid() -> None:
    assert judge(Rule(), []).reason == "invalid"


@pytest.mark.parametrize(("order", "count"), [("AAAB", 4), ("ABB", 3), ("ABBA", 3), ("", 0)])
def test_a_malformed_block_is_an_error(order: str, count: int) -> None:
    with pytest.raises(ValueError, match="block"):
        SequentialTest(Rule()).add_block(order, [1.0] * count)


# --- metrics without noise, and coarse ones --------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b", "direction", "verdict", "reason"),
    [
        (123456, 111111, "lower", "keep", "deterministic"),
        (123456, 111111, "higher", "discard", "below_min"),
        (111111, 123456, "higher", "keep", "deterministic"),
        (123456, 123456, "lower", "discard", "identical"),
        (123456, 123400, "lower", "discard", "below_min"),
        (0.1234567, 0.1, "lower", "keep", "deterministic"),
        (-123456.0, -133456.0, "lower", "keep", "deterministic"),
    ],
)
def test_a_metric_without_noise_needs_one_block_where_it_is_a_count(
    a: float, b: float, direction: str, verdict: str, reason: str
) -> None:
    found = judge(Rule(direction=direction, counted=True), repeated(a, b))
    assert (found.verdict, found.reason, found.runs_used) == (verdict, reason, 4)
    assert found.ci_low_pct == found.effect_pct == found.ci_high_pct
    # Of anything else many digits prove nothing: a rate from whole milliseconds has them. 6^-blocks does.
    found = judge(Rule(direction=direction), repeated(a, b))
    assert (found.verdict, found.reason, found.runs_used) == (verdict, reason, 12 if verdict == "keep" else 4)
    strict = judge(Rule(direction=direction, alpha=0.001), repeated(a, b))
    assert (strict.verdict, strict.runs_used) == (verdict, 16 if verdict == "keep" else 4)


@pytest.mark.parametrize(("a", "b"), [(0.12, 0.11), (12, 11), (3, 2)])
def test_a_coarse_reading_must_be_proven_by_the_order(a: float, b: float) -> None:
    found = judge(Rule(), repeated(a, b))
    assert (found.verdict, found.reason) == ("keep", "proven")
    assert found.runs_used >= 12
    assert any("steps" in text for text in found.warnings)


def test_thorough_is_not_put_off_by_one_bad_block() -> None:
    """A neighbour's burst on two runs that stand together, as measured on a busy machine, and a gain of 8 %."""
    burst = ("AABB", [0.587, 0.856, 1.177, 1.012])
    good = [("ABBA", [0.60, 0.55, 0.552, 0.602]), ("BABA", [0.55, 0.6, 0.553, 0.598])] * 10
    given_up = judge(Rule.preset("default"), [burst, *good])
    assert (given_up.verdict, given_up.reason, given_up.runs_used) == ("discard", "hopeless", 4)
    found = judge(Rule.preset("thorough"), [burst, *good])
    assert (found.verdict, found.runs_used > 12) == ("keep", True)


# One run of eight met a slow stretch, as measured on a two-core cloud machine; the candidate is 7.7 % faster.
SLOW_STRETCH = [("ABBA", [2.657, 2.411, 2.406, 2.630]), ("BAAB", [2.371, 2.595, 2.584, 4.091])]


def test_one_disturbed_run_ends_no_test() -> None:
    test = SequentialTest(Rule(alpha=0.002))
    assert [test.step(order, values) for order, values in SLOW_STRETCH] == ["undecided", "undecided"]
    found = test.verdict()
    assert found.e_value == pytest.approx(0.580, abs=5e-4)
    assert found.effect_pct == pytest.approx(8.4, abs=0.05)
    assert found.disturbed
    rng = random.Random(2)
    quiet = [draw_order(rng) for _ in range(10)]
    more = [(o, [rng.gauss(2.61 if s == "A" else 2.40, 0.02) for s in o]) for o in quiet]
    whole = judge(Rule(alpha=0.002), [*SLOW_STRETCH, *more])
    assert (whole.verdict, whole.disturbed) == ("keep", True)


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("direction", ["lower", "higher"])
def test_a_disturbed_run_is_told_in_any_unit(unit: float, direction: str) -> None:
    def told(values: list[float]) -> bool:
        signed = [unit * v if direction == "lower" else 1.0 / (unit * v) for v in values]
        test = SequentialTest(Rule(direction=direction))
        test.step("ABBA", signed)
        test.step("BABA", [unit * v if direction == "lower" else 1.0 / (unit * v) for v in (1.0, 1.01, 1.012, 1.003)])
        return test.verdict().to_json()["disturbed"] is True

    assert told([1.0, 1.004, 1.6, 1.006])
    assert not told([1.0, 1.004, 1.012, 1.006])
    assert not told([1.0, 1.6, 1.612, 1.006])  # a difference between the sides is none within one


def test_worse_is_said_only_where_it_is_shown() -> None:
    assert "worse (measured" in judge(Rule(), blocks_of(-0.10, 0.01, 15)).reason_text
    rng, called, disturbed = random.Random(8), 0, []
    for _ in range(400):
        blocks = []
        for order in [draw_order(rng) for _ in range(18)]:
            blocks.append((order, [math.exp(rng.gauss(0, 0.01) + 0.6 * (rng.random() < 0.12)) for _ in order]))
        found = judge(Rule(alpha=0.002), blocks)
        called += "worse" in found.reason_text
        if found.reason == "hopeless" and found.disturbed and "worse" not in found.reason_text:
            disturbed.append(found.reason_text)
    assert called <= 400 * 0.05
    assert len(disturbed) > 50
    assert all(text.startswith("not seen (measured") for text in disturbed)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.05, -0.05]), st.sampled_from([0.0, 0.12, 0.3]))
def test_the_interval_holds_the_effect_it_is_printed_beside(seed: int, gain: float, share: float) -> None:
    rng, test = random.Random(seed), SequentialTest(Rule())
    for order in [draw_order(rng) for _ in range(5)]:
        slots = [rng.gauss(-gain * (s == "B"), 0.01) + (rng.random() < share) for s in order]
        test.step(order, [math.exp(v) for v in slots])
    found = test.verdict()
    if found.ci_low_pct is not None and found.ci_high_pct is not None:
        assert found.effect_pct is not None
        assert found.ci_low_pct <= found.effect_pct <= found.ci_high_pct


def test_what_would_settle_it_does_not_contradict_itself() -> None:
    rng = random.Random(5)
    seen = set()
    for _ in range(400):
        test = SequentialTest(Rule())
        reason = "undecided"
        while reason == "undecided":
            order = draw_order(rng)
            reason = test.step(order, [math.exp(rng.gauss(-0.02 * (s == "B"), 0.02)) for s in order])
        text = test.verdict().reason_text
        left = 72 - test.verdict().runs_used
        more = re.search(r"needs about (\d+) more runs", text)
        if reason == "hopeless" and more:
            assert int(more[1]) > left, text
        seen.add("thorough goes on longer" in text)
    assert seen == {True, False}


def test_equal_coarse_readings_are_given_up() -> None:
    found = judge(Rule(), repeated(0.12, 0.12))
    assert (found.verdict, found.reason, found.runs_used) == ("discard", "identical", 8)


def test_a_coarse_timer_gives_no_false_keeps() -> None:
    """0.12 s read at 10 ms: repeats by luck are common, and must not pass for determinism."""
    rng = random.Random(11)
    keeps = 0
    for _ in range(1500):
        test = SequentialTest(Rule())
        reason = "undecided"
        while reason == "undecided":
            order = draw_order(rng)
            reason = test.step(order, [round(0.125 * math.exp(rng.gauss(0, 0.02)), 2) for _ in order])
        keeps += reason in ("proven", "deterministic")
    assert keeps <= 45  # 2 % is 30; and three standard errors


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(ORDERS), st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=4, max_size=4)
        ),
        max_size=4,
    ),
    st.sampled_from(["lower", "higher"]),
)
def test_any_finite_values_give_a_verdict_that_is_json(blocks: Blocks, direction: str) -> None:
    found = judge(Rule(direction=direction), blocks)
    assert found.verdict in ("keep", "discard")
    json.dumps(found.to_json(), allow_nan=False)
    assert found.line()


def test_metrics_around_zero_have_an_effect() -> None:
    rng = random.Random(2)
    blocks = []
    for _ in range(15):
        order = draw_order(rng)
        blocks.append((order, [rng.gauss(1.0, 1.0) + 5.0 * (s == "B") for s in order]))
    found = judge(Rule(direction="higher"), blocks)
    assert found.verdict == "keep"
    assert found.effect_units == pytest.approx(5.0, abs=2.0)
    assert found.effect_pct is not None
    assert found.effect_pct > 100.0


def test_a_base_of_zero_has_no_percentage() -> None:
    found = judge(Rule(direction="higher"), repeated(0.0, 7.25))
    assert found.verdict == "keep"
    assert found.effect_pct is None
    assert found.effect_units == pytest.approx(7.25)
    assert any("0" in text for text in found.warnings)


# --- words and numbers -----------------------------------------------------------------------------------


def test_the_line_for_a_person() -> None:
    found = Verdict("keep", "proven", "better", 4.9, 1.6, 8.3, 812.0, 500.0, 16, 4, 2.0, 2.6)
    assert found.line() == (
        "4.9 % lower [1.6, 8.3], 16 runs, KEEP — better (e=812, needed 500; noise 2.0 %, can see ≥ 2.6 %)"
    )


def test_json_has_the_fields_that_others_read() -> None:
    data = judge(Rule(), blocks_of(0.05, 0.01, 15)).to_json()
    assert {
        "verdict", "reason", "reason_text", "effect_pct", "ci_low_pct", "ci_high_pct", "e_value", "e_needed",
        "runs_used", "blocks", "sigma_short_pct", "mde_pct", "layout", "order_known", "warnings",
    } <= set(data)  # fmt: skip
    assert len(json.dumps(data)) < 1500


def test_the_interval_needs_three_blocks_and_shrinks() -> None:
    data = [(o, [math.log(v) for v in y]) for o, y in blocks_of(0.03, 0.02, 15)]
    assert interval(data[:2], 0.03, 0.02) == (None, None)
    widths = []
    for count in (4, 8, 15):
        low, high = interval(data[:count], 0.03, 0.02)
        assert low is not None
        assert high is not None
        widths.append(high - low)
        # At the ends the evidence is what the definition says.
        assert evidence(data[:count], low).log_up >= math.log(40.0) - 1e-9
        assert evidence(data[:count], high).log_down >= math.log(40.0) - 1e-9
    assert widths == sorted(widths, reverse=True)


def test_presets() -> None:
    assert Rule.preset("default") == Rule()
    assert Rule.preset("lean", alpha=None).alpha == 0.05
    assert Rule.preset("thorough", alpha=0.002, max_runs=80) == Rule(alpha=0.002, max_runs=80, z=1.5, patience=3)
    assert set(PRESETS) == {"lean", "default", "thorough"}
    with pytest.raises(ValueError, match="lean, default, thorough"):
        Rule.preset("hasty")


@pytest.mark.parametrize(
    "wrong",
    [
        {"alpha": 0.0},
        {"alpha": 1.0},
        {"beta": 2.0},
        {"min_effect_pct": -1.0},
        {"margin_pct": 50.0},
        {"direction": "up"},
        {"max_runs": 3},
    ],
)
def test_a_wrong_rule_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Rule(**wrong)  # type: ignore[arg-type]  # the point of the test


def test_e_lond_account() -> None:
    assert next_alpha(1, 0) == pytest.approx(0.001)
    assert next_alpha(50, 4) == pytest.approx(0.005)
    assert next_alpha(101, 0) == next_alpha(1, 0)
    assert epoch_start(100) == 1
    assert epoch_start(101) == 101
    assert next_alpha(101, 30) == next_alpha(101, 0)  # keeps of the epoch before do not count
    # Without a keep, the whole epoch spends exactly the bound.
    assert sum(next_alpha(t, 0, fdr=0.2, horizon=100) for t in range(1, 101)) == pytest.approx(0.2)
    with pytest.raises(ValueError, match="next_alpha"):
        next_alpha(0, 0)


def test_travels_without_anything_but_the_standard_library() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import autoresearch.verdict.sequential;"
        "new = {m.split('.')[0] for m in sys.modules} - set(sys.stdlib_module_names) - {'autoresearch', '__main__'};"
        "print(sorted(m for m in new if not m.startswith('_')))"
    )
    done = subprocess.run([sys.executable, "-S", "-c", code, str(HELPERS)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_syntax_is_python_3_8() -> None:
    import ast

    for path in (HELPERS / "autoresearch" / "verdict").glob("*.py"):
        source = path.read_text(encoding="utf-8")
        ast.parse(source, feature_version=(3, 8))
        assert "strict=" not in source.replace("zip(strict=)", "")


def test_no_keep_has_a_printed_loss() -> None:
    """A base that is slow now and then, and a candidate that is steady and usually a little slower: E may prove it."""
    refused = 0
    for seed in range(150):
        rng = random.Random(seed)
        test, reason = SequentialTest(Rule(alpha=0.2, max_runs=40, z=9.0)), "undecided"
        while reason == "undecided":
            order = draw_order(rng)
            rise = [rng.choice([0, 0, 0, 5, 6]) if side == "A" else rng.choice([0, 1e-2, 1e-2, 2e-2]) for side in order]
            reason = test.step(order, [math.exp(r / 100 + 1e-5 * rng.random()) for r in rise])
        shown = test.verdict().effect_pct
        assert shown is not None
        refused += test.peak_log_e >= math.log(5.0) and shown <= 0.0
        assert reason != "proven" or shown > 0.0, seed
    assert refused > 0
