"""Recorded samples: what is valid for the order that is known, and what is refused."""

from __future__ import annotations

import contextlib
import json
import math
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoresearch.errors import BadInput
from autoresearch.judging.outcome import read_outcome
from autoresearch.judging.recorded import arrange, judge_samples
from autoresearch.judging.samplefile import read_samples
from autoresearch.verdict.eprocess import draw_order
from autoresearch.verdict.rule import Rule


def recording(gain: float, cv: float = 0.02, blocks: int = 10, seed: int = 1, kind: str = "blocks") -> dict[str, Any]:
    """A file as a recorder writes it: `runs` in time order, and the same values as lists."""
    rng = random.Random(seed)
    if kind == "blocks":
        order = "".join(draw_order(rng) for _ in range(blocks))
    elif kind == "pairs":
        order = "".join(rng.choice(["AB", "BA"]) for _ in range(2 * blocks))
    elif kind == "alternating":
        order = "AB" * (2 * blocks)
    else:
        order = "A" * (2 * blocks) + "B" * (2 * blocks)
    runs = [
        {"slot": i, "side": s, "value": 1.2 * math.exp(rng.gauss(0, cv) - gain * (s == "B"))}
        for i, s in enumerate(order)
    ]
    sides = {s: [r["value"] for r in runs if r["side"] == s] for s in "AB"}
    return {
        "metric": "time_s", "direction": "lower", "baseline": sides["A"], "candidate": sides["B"],
        "pairs": [list(p) for p in zip(sides["A"], sides["B"], strict=True)] if kind == "pairs" else None,
        "runs": runs,
    }  # fmt: skip


def test_blocks_use_the_e_process_and_say_when_it_would_have_stopped() -> None:
    found = judge_samples({**recording(0.05), "layout": "fresh"})
    assert (found.verdict, found.test, found.order_known) == ("keep", "blocks", True)
    assert 12 <= found.runs_used < 40
    assert f"stops after {found.runs_used} of these 40 runs" in found.reason_text
    assert found.effect_pct == pytest.approx(4.9, abs=1.5)
    assert not found.warnings


def test_the_time_order_is_that_of_the_slots() -> None:
    data = recording(0.05)
    random.Random(3).shuffle(data["runs"])
    assert judge_samples(data) == judge_samples(recording(0.05))


def test_a_loss_and_no_effect_are_discarded() -> None:
    for gain in (0.0, -0.05):
        found = judge_samples(recording(gain))
        assert found.verdict == "discard"
        assert found.runs_used == 40
    assert judge_samples(recording(-0.05)).reason == "below_min"


def test_pairs_have_two_orders_not_six() -> None:
    data = recording(0.05, kind="pairs")
    blocks = arrange(read_samples(data).runs, paired=True)
    assert {order for order, _ in blocks} <= {"AB", "BA"}
    assert judge_samples(data).verdict == "keep"


def test_long_recordings_without_aabb_were_drawn_as_pairs() -> None:
    runs = read_samples({**recording(0.0, kind="pairs", blocks=10), "pairs": None}).runs
    assert {order for order, _ in arrange(runs)} <= {"AB", "BA"}
    assert {len(values) for _, values in arrange(read_samples(recording(0.0)).runs)} == {4}


def test_an_order_that_was_not_drawn_needs_more_evidence() -> None:
    found = judge_samples(recording(0.05, kind="alternating"))
    assert found.alpha == pytest.approx(0.005)
    assert any("order AB" in text for text in found.warnings)


def test_batches_are_never_a_keep() -> None:
    found = judge_samples(recording(0.2, kind="batch"))
    assert (found.verdict, found.reason, found.order_known) == ("discard", "hopeless", True)
    assert "interleaved" in found.reason_text
    assert found.effect_pct == pytest.approx(18.0, abs=3.0)
    assert (found.ci_low_pct, found.ci_high_pct) == (None, None)


def test_an_unknown_layout_is_told_of_times_not_of_counts() -> None:
    def told(**more: str) -> bool:
        return any("layout unknown" in text for text in judge_samples({**recording(0.2), **more}).warnings)

    assert told()
    assert not told(layout="fresh")
    assert not told(metric="allocs")


def test_runs_that_fit_no_block_are_left_out_and_told() -> None:
    data = recording(0.05)
    data["runs"].append({"slot": 40, "side": "B", "value": 1.0})
    found = judge_samples(data)
    assert found.verdict == "keep"
    assert any("1 of 41 runs" in text for text in found.warnings)


def test_named_blocks_are_taken_as_they_are() -> None:
    data = recording(0.05)
    for run in data["runs"]:
        run["block"] = run["slot"] // 4
    assert judge_samples(data) == judge_samples(recording(0.05))


def test_without_runs_the_order_is_unknown() -> None:
    data = recording(0.05)
    del data["runs"]
    found = judge_samples(data)
    assert (found.verdict, found.test, found.order_known) == ("keep", "rank_sum", False)
    assert any("order" in text for text in found.warnings)
    assert "independent" in found.reason_text
    assert found.alpha == pytest.approx(0.005)
    assert found.ci_low_pct is not None
    assert found.ci_high_pct is not None
    assert found.ci_low_pct < 4.9 < found.ci_high_pct


def test_pairs_alone_use_the_signed_rank_test() -> None:
    found = judge_samples({"direction": "lower", "pairs": recording(0.05, kind="pairs")["pairs"]})
    assert (found.verdict, found.test, found.order_known) == ("keep", "signed_rank", False)


def test_lists_that_drift_prove_nothing() -> None:
    rng = random.Random(1)
    base = [1.2 - 0.002 * i + rng.gauss(0, 0.002) for i in range(20)]
    candidate = [1.16 - 0.002 * i + rng.gauss(0, 0.002) for i in range(20)]
    found = judge_samples({"direction": "lower", "baseline": base, "candidate": candidate})
    assert found.verdict == "discard"
    assert "drift" in found.reason_text


@pytest.mark.parametrize(
    ("kind", "drop"), [("blocks", False), ("pairs", False), ("blocks", True), ("pairs", True), ("alternating", False)]
)
def test_false_keeps_on_recorded_noise(kind: str, drop: bool) -> None:
    keeps = 0
    for seed in range(300):
        data = recording(0.0, blocks=6, seed=seed, kind=kind)
        if drop:
            del data["runs"]
        keeps += judge_samples(data).verdict == "keep"
    assert keeps <= 13  # 2 % is 6; three standard errors


@pytest.mark.parametrize("drop", [False, True])
def test_higher_is_the_mirror_of_lower(drop: bool) -> None:
    data = recording(0.05)
    mirror = json.loads(json.dumps(data))
    mirror["direction"] = "higher"
    for run in mirror["runs"]:
        run["value"] = 1 / run["value"]
    for name in ("baseline", "candidate"):
        mirror[name] = [1 / v for v in mirror[name]]
    if drop:
        del data["runs"], mirror["runs"]
    one, two = judge_samples(data), judge_samples(mirror)
    assert (one.verdict, one.runs_used) == (two.verdict, two.runs_used)
    assert one.effect_pct == pytest.approx(two.effect_pct)


def test_a_count_without_noise_is_decided_from_two_readings() -> None:
    two = {"direction": "lower", "baseline": [123456] * 2, "candidate": [111111] * 2}
    found = judge_samples({**two, "unit": "bytes"})
    assert (found.verdict, found.reason) == ("keep", "deterministic")
    assert judge_samples({**two, "unit": "ns"}).verdict == "discard"


@pytest.mark.parametrize(("n", "verdict"), [(2, "discard"), (3, "discard"), (4, "keep")])
def test_a_small_count_takes_four_readings_a_side(n: int, verdict: str) -> None:
    data = {"metric": "allocs", "direction": "lower", "baseline": [15] * n, "candidate": [14] * n}
    assert judge_samples(data).verdict == verdict
    assert judge_samples({**data, "metric": "time_ms"}).verdict == "discard"
    assert judge_samples({**data, "metric": "x", "unit": "calls"}).verdict == verdict


def test_settings_of_the_file_count() -> None:
    data = {**recording(0.05), "alpha": 1e-9, "min_effect_pct": 2.0}
    found = judge_samples(data)
    assert found.e_needed == pytest.approx(1e9)
    assert found.verdict == "discard"


@pytest.mark.parametrize("missing", [None, math.nan, math.inf])
def test_a_missing_value_is_invalid(missing: float | None) -> None:
    data = recording(0.05)
    data["runs"][3]["value"] = missing
    found = judge_samples(data)
    assert (found.verdict, found.reason, found.effect_pct) == ("discard", "invalid", None)
    lists = {"direction": "lower", "baseline": [1.0, missing], "candidate": [0.5, 0.5]}
    assert judge_samples(lists).reason == "invalid"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([], "JSON object"),
        ({}, "baseline has no values"),
        ({"baseline": [1]}, "candidate has no values"),
        ({"baseline": "1,2", "candidate": [1]}, "baseline must be a list"),
        ({"baseline": [1, "x"], "candidate": [1]}, r"baseline\[1\] must be a number"),
        ({"baseline": [True], "candidate": [1]}, r"baseline\[0\]"),
        ({"baseline": [1], "candidate": [1], "direction": "up"}, "direction"),
        ({"baseline": [1], "candidate": [1], "direction": 3}, "direction"),
        ({"baseline": [1], "candidate": [1], "alpha": 7}, "alpha"),
        ({"baseline": [1], "candidate": [1], "alpha": "small"}, "alpha must be a number"),
        ({"runs": {}}, "runs must be a list"),
        ({"runs": [3]}, r"runs\[0\] must be an object"),
        ({"runs": [{"side": "C", "value": 1}]}, "side must be A"),
        ({"runs": [{"side": "A", "value": 1, "slot": "x"}]}, "slot must be a number"),
        ({"runs": [{"side": "A", "value": 1, "slot": 10**400}]}, "slot must be a number"),
        ({"runs": [{"side": "A", "value": 1, "slot": 0}, {"side": "B", "value": 1, "slot": 0}]}, "same slot"),
        ({"runs": [{"side": "A", "value": 1}]}, "candidate has no values"),
        ({"pairs": [[1]]}, r"pairs\[0\]"),
        ({"pairs": 5}, "pairs must be a list"),
        ({"baseline": [1], "candidate": [1], "preset": "hasty"}, "preset"),
    ],
)
def test_bad_files_are_refused_in_a_sentence(data: Any, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        judge_samples(data)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["slot", "side", "value", "block"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["direction", "baseline", "candidate", "pairs", "runs", "alpha", "max_runs", "layout"]),
        json_values,
    )
)
def test_any_json_gives_a_verdict_or_a_sentence(data: dict[str, Any]) -> None:
    with contextlib.suppress(BadInput):  # any other exception fails the test
        json.dumps(judge_samples(data).to_json(), allow_nan=False)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=8),
    st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=8),
)
def test_any_two_lists_give_a_verdict(base: list[float], candidate: list[float]) -> None:
    found = judge_samples({"baseline": base, "candidate": candidate})
    json.dumps(found.to_json(), allow_nan=False)
    assert found.line()


def test_needs_no_numpy() -> None:
    helpers = str(Path(__file__).resolve().parents[1] / "helpers")
    code = "import sys; sys.path.insert(0, sys.argv[1]); import autoresearch.judging.recorded; "
    code += "print('numpy' in sys.modules, 'msgspec' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, helpers], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.parametrize("decided", [{"verdict": "discard", "reason": "hopeless", "reason_text": "worse"}, {}])
def test_a_trial_that_an_older_rule_gave_up_is_no_longer_undecided(decided: dict[str, str]) -> None:
    """Its worker has measured, an upgrade came, and nothing more will be measured."""
    values = zip("ABBABAAB", [2.657, 2.411, 2.406, 2.630, 2.371, 2.595, 2.584, 4.091], strict=True)
    records = [
        {"type": "sample", "side": s, "slot": i, "block": i // 4, "value": v, "seconds": 1.0}
        for i, (s, v) in enumerate(values)
    ]
    records += [{"type": "decision", "layout": "fresh", **decided}, {"type": "end", "status": "done"}]
    found = read_outcome(records, Rule(alpha=0.002)).verdict
    assert found is not None
    assert (found.verdict, found.reason) == ("discard", decided.get("reason", "undecided"))
    assert ("worse" in found.reason_text) == bool(decided)
