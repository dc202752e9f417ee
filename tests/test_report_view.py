"""From ledger records to the view that all documents share."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoresearch.ledger.history import fold
from autoresearch.ledger.store import records
from autoresearch.report.view import build, percent
from peer_logs import CORPUS
from report_sessions import BASE, baseline, experiment, header, session


def test_keeps_are_chained_and_discards_stand_on_their_own_base() -> None:
    view = build(fold(session()))
    segment = view.current
    by_id = {e.id: e for e in segment.experiments}
    assert by_id["e2"].position == pytest.approx(10.0)
    assert by_id["e5"].position == pytest.approx(100 * (1 - 0.9 * 0.8))
    assert segment.claimed == pytest.approx(28.0)
    assert by_id["e3"].position == pytest.approx(100 * (1 - 0.9 * 1.05))
    assert [e.best for e in segment.experiments] == pytest.approx([10, 10, 10, 28, 28])


def test_a_discard_against_an_old_base_is_not_lifted_by_later_keeps() -> None:
    view = build(fold([*session(), experiment(7, "discard", 1.0, parent=BASE)]))
    assert view.current.experiments[-1].position == pytest.approx(1.0)


def test_totals() -> None:
    view = build(fold(session()))
    assert view.counts == {"keep": 2, "discard": 1, "crash": 1, "checks_failed": 1}
    assert view.experiments == 5
    assert view.runs == 20 + 3 * 12
    assert view.seconds == 60 + 5 * 30
    assert view.current.baseline is not None
    assert view.current.baseline.metric == 2.5


def test_numbers_do_not_cross_a_segment() -> None:
    again = [header(goal="second"), baseline(10), experiment(11, "keep", 5.0)]
    view = build(fold([*session(), *again]))
    assert [s.goal for s in view.segments] == ["Parse faster", "second"]
    assert [s.claimed for s in view.segments] == pytest.approx([28.0, 5.0])
    assert view.current.experiments[0].number == 1


def test_a_keep_without_a_keep_verdict_says_so_and_moves_nothing() -> None:
    view = build(fold([header(), baseline(), experiment(2, "keep")]))
    kept = view.current.experiments[0]
    assert kept.overruled
    assert kept.best == 0.0
    assert not build(fold(session())).current.keeps[0].overruled


def test_effect_text_is_short_and_honest() -> None:
    def text(**verdict: object) -> str:
        record = experiment(2, "discard", 4.94)
        record["verdict"] |= verdict
        return build(fold([header(), baseline(), record])).current.experiments[0].effect_text()

    assert text(ci_low_pct=1.64, ci_high_pct=8.3) == "+4.9 % [+1.6, +8.3]"
    assert text(ci_low_pct=None, ci_high_pct=8.3) == "+4.9 % […, +8.3]"
    assert text(ci_low_pct=None, ci_high_pct=None) == "+4.9 % [needs more blocks]"
    assert text(ci_low_pct=None, ci_high_pct=None, reason="deterministic") == "+4.9 %"
    assert text(effect_pct=None) == ""
    assert text(effect_pct=math.nan) == ""
    assert text(effect_pct=100.0) == ""


def test_percent_never_shows_a_small_gain_as_nothing() -> None:
    assert percent(0.0) == "+0.0 %"
    assert percent(0.0099) == "+0.0099 %"
    assert percent(-3.14) == "-3.1 %"


@pytest.mark.parametrize(("direction", "expected"), [("lower", 20.0), ("higher", -20.0)])
def test_another_tools_log_is_claimed_not_verified(direction: str, expected: float) -> None:
    runs = [
        {"run": 1, "metric": 0, "status": "crash", "description": "x"},
        {"run": 2, "metric": 50, "status": "keep", "description": "baseline"},
        {"run": 3, "metric": 40, "status": "keep", "description": "y"},
        {"run": 4, "metric": 0, "status": "checks_failed", "description": "z"},
        {"run": 5, "metric": None, "status": "discard", "description": "z"},
        {"run": 6, "metric": 10, "status": "bogus", "description": "never a best"},
    ]
    head = {"type": "config", "name": "n", "metricName": "m", "metricUnit": "", "bestDirection": direction}
    segment = build(fold([head, *runs])).current
    assert not segment.verified
    by_run = {e.id: e for e in segment.experiments}
    assert by_run["run 3"].position == pytest.approx(expected)
    assert segment.claimed == pytest.approx(max(0.0, expected))
    assert all(by_run[f"run {n}"].position is None for n in (1, 4, 5))
    assert by_run["run 6"].status == "unknown"


def test_nothing_at_all() -> None:
    view = build(fold([]))
    assert view.experiments == 0
    assert view.current.baseline is None
    assert view.current.claimed == 0.0


values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.sampled_from(["effect_pct", "ci_low_pct", "verdict", "runs_used"]), st.floats(), max_size=3),
)
keys = st.sampled_from([*session()[0], *session()[3], *session()[1], "asi", "noise", "checks", "literature_source"])


@given(st.lists(st.dictionaries(keys, values, max_size=8), max_size=8))
def test_any_record_gives_a_view_of_finite_numbers(some: list[dict[str, object]]) -> None:
    for segment in build(fold(some)).segments:
        for e in segment.experiments:
            assert all(v is None or math.isfinite(v) for v in (e.position, e.low, e.high, e.best, e.metric))
            assert e.runs >= 0
            assert isinstance(e.effect_text() + e.reason + e.hypothesis + e.source + e.description, str)


def test_public_logs() -> None:
    if not CORPUS.is_dir():
        pytest.skip(f"no corpus of public logs at {CORPUS}")
    logs = sorted(CORPUS.glob("*/*.jsonl"))
    assert len(logs) > 50
    for log in logs:
        view = build(fold(records(log)))
        runs = sum("run" in line for line in map(_object, log.read_text("utf-8", "replace").split("\n")))
        shown = view.experiments + sum(s.baseline is not None for s in view.segments)
        assert shown >= runs, log
        assert not any(s.verified for s in view.segments), log


def _object(line: str) -> dict[str, object]:
    try:
        value = json.loads(line)
    except ValueError:
        return {}
    if not isinstance(value, dict) or isinstance(value.get("run"), (bool, str, type(None))):
        return {}
    return value
