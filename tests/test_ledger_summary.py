"""What records mean, and what a ledger says as a whole."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoresearch.errors import BadInput
from autoresearch.ledger.records import Header, Reader, Run, number, status_word, timestamp_ms
from autoresearch.peers import summary as summary_module
from autoresearch.peers.export import PeerConfidence, median_deviation
from autoresearch.peers.foreign import Other, Problem, entries
from autoresearch.peers.summary import summarise

HEADER = {"type": "config", "name": "s", "metricName": "ms", "metricUnit": "ms", "bestDirection": "lower"}


def run(number: Any, metric: Any, status: str = "keep", **more: Any) -> dict[str, Any]:
    return {"run": number, "commit": "abc1234", "metric": metric, "status": status, "description": f"d{number}", **more}


def ledger(tmp_path: Path, *records: Any) -> Path:
    path = tmp_path / "autoresearch.jsonl"
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in records), encoding="utf-8")
    return path


def take(record: dict[str, Any], reader: Reader | None = None) -> Run:
    taken = (reader or Reader()).take(record)
    assert isinstance(taken, Run)
    return taken


def test_baseline_is_first_value_and_best_the_best_kept(tmp_path: Path) -> None:
    found = summarise(
        ledger(tmp_path, HEADER, run(1, 0, "crash"), run(2, 10), run(3, 7, "discard"), run(4, 8), run(5, 9))
    )
    assert (found.lines, found.runs, found.configs, found.segments) == (6, 5, 1, 1)
    assert found.by_status == {"keep": 3, "discard": 1, "crash": 1}
    assert found.baseline == {"run": 2, "metric": 10, "commit": "abc1234", "description": "d2"}
    assert found.best == {"run": 4, "metric": 8, "commit": "abc1234", "description": "d4"}


def test_best_falls_back_to_the_baseline(tmp_path: Path) -> None:
    found = summarise(ledger(tmp_path, HEADER, run(1, 10, "odd word"), run(2, 9, "discard")))
    assert found.best == found.baseline
    assert found.best is not None
    assert found.best["run"] == 1
    assert found.by_status == {"discard": 1, "unknown": 1}


def test_zero_is_a_value_except_for_failures(tmp_path: Path) -> None:
    found = summarise(ledger(tmp_path, HEADER, run(1, 5), run(2, 0, "crash"), run(3, -9, "checks_failed"), run(4, 0)))
    assert found.best is not None
    assert found.best["run"] == 4


def test_an_unknown_status_is_never_best(tmp_path: Path) -> None:
    found = summarise(ledger(tmp_path, HEADER, run(1, 5), run(2, 1, "verification"), run(3, 4, "probably keep")))
    assert found.best is not None
    assert found.best["run"] == 1
    assert found.by_status["unknown"] == 2


def test_segments_open_at_headers_after_runs_and_never_mix(tmp_path: Path) -> None:
    higher = {**HEADER, "bestDirection": "higher"}
    path = ledger(tmp_path, HEADER, HEADER, run(1, 5, segment=7), run(2, 1), higher, run(1, 50), run(2, 60), run(3, 55))
    found = summarise(path)
    assert (found.segments, found.configs) == (2, 3)
    assert found.baseline is not None
    assert found.best is not None
    assert (found.baseline["metric"], found.best["metric"], found.last_segment_runs) == (50, 60, 3)
    assert [entry.segment for entry in entries(path) if isinstance(entry, Run)] == [0, 0, 1, 1, 1]
    assert summarise(ledger(tmp_path, HEADER, run(1, 5), HEADER)).best is None


def test_a_missing_direction_is_lower_and_said(tmp_path: Path) -> None:
    path = ledger(tmp_path, run(1, 5), run(2, 4), run(3, 6))
    found = summarise(path)
    assert (found.direction, found.direction_known, found.configs, found.segments) == ("lower", False, 0, 1)
    assert found.best is not None
    assert found.best["run"] == 2
    forced = summarise(path, "higher")
    assert forced.best is not None
    assert forced.best["run"] == 3


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"type": "config", "metric_name": "m", "metric_unit": "s", "direction": "higher"}, ("m", "s", "higher")),
        ({"kind": "init", "config": {"metric": "m", "unit": "s", "direction": "lower"}}, ("m", "s", "lower")),
        ({"type": "init", "state": {"metric_name": "m", "metric_unit": "s"}}, ("m", "s", None)),
        ({"event": "init", "config": {"metricName": "m", "metricUnit": "s"}}, ("m", "s", None)),
    ],
)
def test_header_aliases(config: dict[str, Any], expected: tuple[str, str, str | None]) -> None:
    taken = Reader().take(config)
    assert isinstance(taken, Header)
    assert (taken.metric_name, taken.metric_unit, taken.direction) == expected
    assert taken.raw is config


@pytest.mark.parametrize(
    ("record", "metric", "status"),
    [
        ({"kind": "result", "metric_value": 2.0, "kept": True}, 2.0, "keep"),
        ({"type": "experiment", "primary_metric": 2, "accepted": False}, 2, "discard"),
        ({"type": "research_run", "value": 2, "decision": "Accepted"}, 2, "keep"),
        ({"metric": "ms", "value": 3, "action": "reverted"}, 3, "discard"),
        ({"metric": "ms", "metrics": {"ms": 4}, "status": "improved"}, 4, "keep"),
        ({"metric": "ms", "delta": 1, "action": "keep", "status": "ok"}, None, "keep"),
        ({"run": "checkpoint", "metric": 1, "status": "verification"}, 1, "unknown"),
        ({"run": 3, "metric": None, "status": "discard"}, None, "discard"),
        ({"run": 3, "metric": "12", "status": "keep"}, None, "keep"),
        ({"run": 3, "metric": True, "status": "keep"}, None, "keep"),
        ({"run": 3, "status": "odd", "kept": True}, None, "unknown"),
        ({"run": 3, "metric": float("nan"), "status": "keep"}, None, "keep"),
    ],
)
def test_run_aliases(record: dict[str, Any], metric: float | None, status: str) -> None:
    taken = take(record)
    assert (taken.metric, taken.status) == (metric, status)
    assert taken.raw is record


@pytest.mark.parametrize(
    "record",
    [
        {"type": "hook", "stage": "before", "exit_code": 0},
        {"type": "note", "text": "x", "status": "keep", "metric": 1},
        {"type": "experiment", "experiment": "e1", "idea": "i"},
        {"kind": "run", "idea": "baseline", "commit_before": "x"},
        {"event": "heartbeat", "status": "ok"},
        {"run": True},
        {"a": 1},
    ],
)
def test_other_records_are_no_runs(record: dict[str, Any]) -> None:
    assert Reader().take(record) is None


def test_positions_stand_in_for_missing_run_numbers() -> None:
    reader = Reader()
    assert [take({"metric": n, "status": "keep"}, reader).run for n in range(3)] == [1, 2, 3]
    assert take({"run": 7.0, "metric": 1, "status": "keep"}).run == 7
    assert take({"run": 10**400, "metric": 1, "status": "keep"}).run == 1


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        (1770000000123, 1770000000123),
        (1770000000, 1770000000000),
        (1770000000.5, 1770000000500),
        ("1770000000", 1770000000000),
        ("2026-02-02T02:40:00Z", 1770000000000),
        ("2026-02-02T02:40:00.250", 1770000000250),
        ("2026-02-02 03:40:00+01:00", 1770000000000),
        ("2026-02-01T19:40:00-0700", 1770000000000),
        (352.2, None),
        (None, None),
        ("yesterday", None),
        ("2026-99-99T00:00:00Z", None),
        (True, None),
        (float("inf"), None),
    ],
)
def test_time_stamps(stamp: object, expected: int | None) -> None:
    assert timestamp_ms(stamp) == expected


def test_words_and_numbers() -> None:
    assert [status_word(w) for w in ("KEPT", " checks-failed ", "Rejected", "maybe", None, 1, True)] == [
        *("keep", "checks_failed", "discard", "unknown", "unknown", "unknown", "keep")
    ]
    assert [number(v) for v in (0, 1.5, True, "1", float("nan"), 10**400, None)] == [
        0,
        1.5,
        None,
        None,
        None,
        None,
        None,
    ]


def test_lines_that_are_no_records_are_reported_by_number(tmp_path: Path) -> None:
    path = ledger(tmp_path, HEADER, "null", run(1, 5), "garbage", '{"run":2,"metric":$(x)}', "", run(3, 4))
    found = summarise(path)
    assert (found.lines, found.runs, found.skipped_total) == (7, 2, 3)
    assert [item["line"] for item in found.skipped] == [2, 4, 5]
    assert found.skipped[0]["reason"] == "not an object but null"


def test_the_list_of_skipped_lines_is_capped(tmp_path: Path) -> None:
    found = summarise(ledger(tmp_path, *["x"] * 500, run(1, 2)))
    assert (found.skipped_total, len(found.skipped)) == (500, summary_module.SKIPPED_LIMIT)


@pytest.mark.parametrize("content", [b"", b"\n \r\n", b"\n" * 600_000])
def test_an_empty_file_is_a_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(content)
    with pytest.raises(BadInput, match="is empty"):
        summarise(path)


def test_blank_lines_before_the_first_record_count_as_lines(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"\n" * 600_000 + json.dumps(run(1, 2)).encode() + b"\nx\n")
    found = summarise(path)
    assert (found.lines, found.runs, found.skipped) == (600_002, 1, [{"line": 600_002, "reason": "not JSON"}])


_STATUS = st.sampled_from(["keep", "discard", "crash", "checks_failed", "kept", "odd"])
_METRIC = st.integers(-5, 5) | st.floats(-10, 10).map(lambda x: round(x, 2)) | st.none() | st.just("7")
_DIGIT = st.integers(1, 9)
_ODD = [
    *('{"type":"hook","stage":"before"}', "", " ", "null", "junk", "{", "}", '{"type":"note"}'),
    *(
        '{"type":"test","kind":"init"}',
        '{"type":"","status":"keep","metric":1}',
        '{"type":"result","kept":true,"value":2}',
    ),
    *('{"kind":"init","config":{"direction":"higher"}}', '{"type":"phase","run":12}', '{"run":"a","type":"note"}'),
    "\ufeff" + json.dumps(run(1, 2)),
]
_LINE = st.one_of(
    st.builds(run, _DIGIT | st.just("x"), _METRIC, _STATUS).map(json.dumps),
    st.builds(lambda d: json.dumps({**HEADER, "bestDirection": d}), st.sampled_from(["lower", "higher", "odd"])),
    st.builds(lambda n, d: json.dumps({**run(n, n), "direction": d}), _DIGIT, st.sampled_from(["higher", ""])),
    st.sampled_from(_ODD),
    st.builds(lambda a, b: json.dumps(run(1, a)) + json.dumps(run(2, b)), _DIGIT, _DIGIT),
)
_ENDS = st.sampled_from(["\n", "\r\n"])


@given(st.lists(_LINE, max_size=25), _ENDS, st.booleans(), st.sampled_from([30, 200, 1 << 18]))
@settings(max_examples=300, deadline=None)
def test_the_fast_reading_agrees_with_the_plain_one(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], end: str, final: bool, block: int
) -> None:
    """`summarise` decodes blocks and heads; the same numbers must come from reading entry by entry."""
    path = tmp_path_factory.mktemp("fast") / "log.jsonl"
    path.write_text(end.join(["{}", *lines]) + (end if final else ""), encoding="utf-8", newline="")
    original = summary_module.blocks
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(summary_module, "blocks", lambda handle: original(handle, size=block))
        found = summarise(path)

    runs: list[Run] = []
    problems: list[int] = []
    others, segment = 0, 0
    for entry in entries(path):
        if isinstance(entry, Run):
            runs.append(entry)
        elif isinstance(entry, Header):
            segment = entry.segment
        elif isinstance(entry, Problem):
            problems.append(entry.line)
        elif isinstance(entry, Other):
            others += 1
    last = [r for r in runs if r.segment == segment and r.measured is not None]
    assert found.lines == len(path.read_bytes().split(b"\n")) - path.read_bytes().endswith(b"\n")
    assert (found.runs, found.others, found.last_segment_runs) == (
        len(runs),
        others,
        sum(r.segment == segment for r in runs),
    )
    assert [item["line"] for item in found.skipped] == problems
    assert (found.baseline or {}).get("metric") == (last[0].metric if last else None)
    assert sum(found.by_status.values()) == len(runs)
    kept = [r.metric for r in last if r.status == "keep" and r.metric is not None]
    direction = found.direction
    if kept and not any(r.raw.get("direction") for r in runs):
        assert found.best is not None
        assert found.best["metric"] == (max(kept) if direction == "higher" else min(kept))


def naive_confidence(runs: list[tuple[float, str]], direction: str) -> float | None:
    """The peers' function, word for word."""

    def median(values: list[float]) -> float:
        ordered = sorted(values)
        middle = len(ordered) // 2
        return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2

    values = [metric for metric, _ in runs if metric > 0]
    if len(values) < 3:
        return None
    spread = median([abs(value - median(values)) for value in values])
    kept = [metric for metric, status in runs if metric > 0 and status == "keep"]
    best = (min(kept) if direction == "lower" else max(kept)) if kept else None
    if spread == 0 or best is None or best == runs[0][0]:
        return None
    return abs(best - runs[0][0]) / spread


def test_the_peers_confidence_is_reproduced() -> None:
    rng = random.Random(3)
    for _ in range(200):
        direction = rng.choice(["lower", "higher"])
        confidence = PeerConfidence(direction)
        runs: list[tuple[float, str]] = []
        for _ in range(rng.randint(1, 40)):
            runs.append(
                (rng.choice([0, rng.randint(1, 6), rng.gauss(10, 2)]), rng.choice(["keep", "discard", "crash"]))
            )
            assert confidence.add(*runs[-1]) == pytest.approx(naive_confidence(runs, direction))


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40))
@settings(max_examples=300, deadline=None)
def test_median_deviation(values: list[float]) -> None:
    ordered = sorted(values)
    middle = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    deviations = sorted(abs(value - middle) for value in ordered)
    expected = (deviations[(len(ordered) - 1) // 2] + deviations[len(ordered) // 2]) / 2
    assert median_deviation(ordered) == pytest.approx(expected)
