"""Other loops' logs: where they stand, what their tables mean, and writing the peers' forms."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoresearch.errors import BadInput
from autoresearch.ledger.records import Header, Run, status_word
from autoresearch.peers.export import write_jsonl, write_tsv
from autoresearch.peers.foreign import Problem, Table, entries, locate, sniff
from autoresearch.peers.summary import summarise
from peer_logs import runs, table

KARPATHY = (
    "commit\tval_bpb\tmemory_gb\tstatus\tdescription\n"
    "a1b2c3d\t0.997900\t44.0\tkeep\tbaseline\n"
    "b2c3d4e\t0.993200\t44.2\tkeep\tincrease LR to 0.04\n"
    "c3d4e5f\t1.005000\t44.0\tdiscard\tswitch to GeLU\n"
    "d4e5f6a\t0.000000\t0.0\tcrash\tdouble model width (OOM)\n"
)
OTHER = (
    "# metric_direction: higher_is_better\n"
    "iteration\ttimestamp\tcommit\tmetric\tdelta\tguard\tguard-metric\tstatus\tdescription\n"
    "0\t2026-02-02T02:40:00Z\taaa1111\t85.2\t0.0\tpass\t12\tbaseline\tstart\n"
    "1\t2026-02-02T02:50:00Z\tbbb2222\t87.1\t+1.9\tpass\t12\tkeep\tadd tests\n"
    "2\t2026-02-02T03:00:00Z\t-\t-\t-\t-\t-\tmetric-error\tno number\n"
    "3\t2026-02-02T03:10:00Z\t-\t87.1\t0\t-\t-\tno-op\tnothing\n"
)


def test_karpathys_table(tmp_path: Path) -> None:
    path = table(tmp_path, KARPATHY)
    found = summarise(path)
    assert (found.format, found.lines, found.runs, found.segments) == ("tsv", 5, 4, 1)
    assert found.by_status == {"keep": 2, "discard": 1, "crash": 1}
    assert found.best == {"run": 2, "metric": 0.9932, "commit": "b2c3d4e", "description": "increase LR to 0.04"}
    assert found.baseline is not None
    assert found.baseline["run"] == 1
    assert (found.metric_name, found.direction_known) == ("val_bpb", False)
    assert runs(path)[0].metrics == {"memory_gb": 44.0}


def test_a_table_with_other_columns(tmp_path: Path) -> None:
    path = table(tmp_path, OTHER)
    found = summarise(path)
    # The baseline is what the tree stands on; a no-op is neither kept nor discarded.
    assert found.by_status == {"keep": 2, "crash": 1, "unknown": 1}
    assert (found.direction, found.direction_known) == ("higher", True)
    assert found.baseline is not None
    assert found.best is not None
    assert (found.baseline["run"], found.best["run"]) == (0, 1)
    first, _, third, _ = runs(path)
    assert (first.timestamp_ms, first.raw["guard"]) == (1770000000000, "pass")
    assert (third.commit, third.metric) == ("", None)


def test_the_first_column_that_can_be_the_objective_is_it(tmp_path: Path) -> None:
    text = (
        "git_commit\tseed\tmemory_gb\tf1\tstatus\tnotes\nx\t1\t9\t\tfailed\tno data\ny\t2\t9\t68.6%\tkeep\tok\n"
        "import os\nz\t3\t9\t70%\tkeep\tlast\twith a tab\n"
    )
    found = summarise(table(tmp_path, text))
    assert (found.metric_name, found.runs) == ("f1", 3)
    assert found.skipped == [{"line": 4, "reason": "1 of 6 columns"}]
    assert runs(tmp_path / "results.tsv")[-1].description == "last with a tab"
    assert found.baseline is not None
    assert found.baseline["metric"] == 68.6


def test_a_table_without_verdicts(tmp_path: Path) -> None:
    text = "timestamp\tcommit\tgates\tcorrect\n1776208394\ta\t0.000\tFAIL\n1776208494\tb\t20.5\tOK\n"
    found = summarise(table(tmp_path, text))
    assert found.by_status == {"checks_failed": 1, "unknown": 1}
    assert found.baseline is not None
    assert found.baseline["commit"] == "b"


def test_a_table_that_lost_its_header_or_repeats_it(tmp_path: Path) -> None:
    header, rows = KARPATHY.split("\n", 1)
    assert summarise(table(tmp_path, rows)).runs == 4
    assert summarise(table(tmp_path, KARPATHY + header + "\n")).runs == 4
    only_header = summarise(table(tmp_path, header + "\n"))
    assert (only_header.runs, only_header.recognised, only_header.skipped_total) == (0, True, 0)


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("KEEP (reworked)", "keep"),
        ("**keep**", "keep"),
        ("keep. 1.4x better", "keep"),
        ("baseline", "keep"),
        ("improvement", "keep"),
        ("discard \u2014 0.2 worse than the baseline", "discard"),
        ("reverted vs run 3", "discard"),
        ("screen_discard", "discard"),
        ("timeout", "crash"),
        # A keep that is not sure is none.
        ("kept-provisional (one seed)", "unknown"),
        ("keep?", "unknown"),
        ("not kept", "unknown"),
        ("keep (reverted later)", "unknown"),
        ("keep or discard", "unknown"),
        ("candidate_keep", "unknown"),
        ("no-op", "unknown"),
        ("success", "unknown"),
    ],
)
def test_words_of_verdicts(word: str, status: str) -> None:
    assert status_word(word) == status


def test_results_as_json_lines_with_names_of_their_own(tmp_path: Path) -> None:
    records = [
        {
            "iter": 0,
            "kind": "baseline",
            "verdict": "keep",
            "primary": {"name": "de", "value": 0.2, "direction": "higher"},
        },
        {
            "iter": 1,
            "kind": "experiment",
            "verdict": "discard",
            "primary": {"name": "de", "value": 0.1},
            "method": "blend",
        },
        {"phase": "B", "kind": "session_header", "primary": {"name": "de", "direction": "higher"}},
        {"iteration": 3, "timestamp": "2026-03-17T20:44:55Z", "metrics": {"a": 1, "b": 2}, "is_best": True},
        {"event": "idea", "iteration": 4, "priority": 5},
    ]
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    found = summarise(path)
    assert (found.runs, found.others, found.metric_name, found.direction) == (3, 2, "de", "higher")
    assert [(r.run, r.metric, r.status, r.description) for r in runs(path)] == [
        (0, 0.2, "keep", ""),
        (1, 0.1, "discard", "blend"),
        (3, None, "keep", ""),
    ]


@pytest.mark.parametrize(
    ("record", "metric"),
    [
        ({"iter": 1, "change": "beams", "bleu": 2.34, "keep": True}, 2.34),
        ({"iter": 1, "metric_ms": 6008, "min_ms": 5908, "delta_ms": -7, "decision": "keep"}, 6008),
        ({"title": "rate", "status": "keep", "val_bpb": 2.26, "training_seconds": 301.9}, 2.26),
        ({"run": 3, "status": "keep", "metrics": {"val_bpb": 0.99}}, 0.99),
        ({"run": 3, "status": "keep", "metrics": {"a": 0.99, "b": 44}}, None),
        ({"run": 3, "status": "discard", "metric": None, "score": 9}, None),
        ({"status": "keep", "schema_version": 1}, None),
        ({"status": "keep", "a": 1, "b": 2}, None),
    ],
)
def test_the_value_of_a_json_line_is_what_can_only_be_it(
    tmp_path: Path, record: dict[str, object], metric: float | None
) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps(record) + "\n")
    assert [run.metric for run in runs(path)] == [metric]


def test_content_decides_not_the_name(tmp_path: Path) -> None:
    misnamed = tmp_path / "results.tsv"
    misnamed.write_text('{"run":1,"metric":2,"status":"keep"}\n')
    assert summarise(misnamed).format == "jsonl"
    text = tmp_path / "notes.jsonl"
    text.write_text("Dear diary\tit rained\n")
    found = summarise(text)
    assert (found.recognised, found.skipped_total) == (False, 1)


def test_where_a_log_stands(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no experiment log"):
        locate(tmp_path)
    (tmp_path / "results.tsv").write_text(KARPATHY)
    assert locate(tmp_path) == tmp_path / "results.tsv"
    (tmp_path / "autoresearch.jsonl").write_text("{}\n")
    assert locate(tmp_path) == tmp_path / "autoresearch.jsonl"
    (tmp_path / ".auto").mkdir()
    (tmp_path / ".auto" / "log.jsonl").write_text("{}\n")
    assert locate(tmp_path) == locate(tmp_path / ".auto") == tmp_path / ".auto" / "log.jsonl"
    assert locate(tmp_path / "results.tsv") == tmp_path / "results.tsv"


@given(
    st.text(alphabet='commitstatus\t\n\r#-0.5%keep |,"\\', max_size=200), st.sampled_from(("tsv", "csv", "markdown"))
)
@settings(max_examples=300, deadline=None)
def test_tables_never_raise(text: str, kind: str) -> None:
    assert sniff(text.encode()) in ("empty", "jsonl", "tsv", "csv", "markdown")
    reader = Table(kind=kind)
    for number, line in enumerate(text.split("\n"), 1):
        taken = reader.take(number, line)
        assert taken is None or isinstance(taken, Run | Problem)


def test_the_exported_table_is_karpathys(tmp_path: Path) -> None:
    handle = io.BytesIO()
    assert write_tsv(entries(table(tmp_path, KARPATHY)), handle) == 4
    assert handle.getvalue().decode() == KARPATHY


def test_the_exported_table_holds_the_last_segment(tmp_path: Path) -> None:
    records = [
        {"type": "config", "metricName": "s", "bestDirection": "lower"},
        {"run": 1, "commit": "aaaaaaaaaa", "metric": 3, "status": "keep", "description": "old"},
        {"type": "config", "metricName": "s", "bestDirection": "lower"},
        {"run": 1, "commit": "bbbbbbbbbb", "metric": 1e-9, "status": "keep", "description": "tab\there\nnew \ud800"},
        {"run": 2, "commit": "c", "metric": 5, "status": "checks_failed", "description": "wrong"},
        {"run": 3, "commit": "d", "metric": 5, "status": "odd", "description": "?"},
    ]
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    handle = io.BytesIO()
    assert write_tsv(entries(path), handle) == 3
    assert handle.getvalue().decode().split("\n")[1:] == [
        "bbbbbbb\t1e-09\t0.0\tkeep\ttab here new \\ud800",
        "c\t0.000000\t0.0\tcrash\twrong",
        "d\t5.000000\t0.0\tdiscard\t?",
        "",
    ]


def test_the_exported_jsonl_has_the_peers_fields_in_their_order(tmp_path: Path) -> None:
    records = [
        {"type": "note", "text": "x"},
        {"run": 1, "metric": 10, "status": "keep", "commit": "a" * 40, "ours": 1, "asi": {"learned": "\ud800"}},
        {"run": 2, "metric": 12, "status": "odd", "metrics": {"a": 1, "b": "x"}, "timestamp": 1770000000},
        {"run": 3, "metric": None, "status": "crash", "segment": 9},
        {"run": 4, "metric": 7, "status": "keep", "literature_source": "arXiv:1"},
    ]
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    handle = io.BytesIO()
    assert write_jsonl(entries(path), handle, "ms", "lower") == 4
    written = [json.loads(line) for line in handle.getvalue().decode().splitlines()]
    assert list(written[0]) == ["type", "name", "metricName", "metricUnit", "bestDirection"]
    peers = "run commit metric metrics status description timestamp segment confidence asi"
    assert " ".join(written[1]) == peers
    assert list(written[4])[-1] == "literature_source"
    assert [record["status"] for record in written[1:]] == ["keep", "discard", "crash", "keep"]
    assert [record["metric"] for record in written[1:]] == [10, 12, 0, 7]
    assert [record["segment"] for record in written[1:]] == [0] * 4
    assert written[1]["commit"] == "aaaaaaa"
    assert written[2]["timestamp"] == 1770000000000
    # median 10 of (10, 12, 7), deviations (0, 2, 3): MAD 2; best kept 7 against the first run's 10
    assert [record["confidence"] for record in written[1:]] == [None, None, None, 1.5]


def test_what_is_exported_is_read_back(tmp_path: Path) -> None:
    source = table(tmp_path, OTHER)
    path = tmp_path / "copy.jsonl"
    with path.open("wb") as handle:
        write_jsonl(entries(source), handle, "metric", "higher")
    copied = list(entries(path))
    assert isinstance(copied[0], Header)
    assert [(r.run, r.commit) for r in runs(path)] == [(r.run, r.commit) for r in runs(source)]
    assert summarise(path).best == summarise(source).best
