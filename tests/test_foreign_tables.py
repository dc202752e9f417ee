"""Other loops' results tables as people keep them: odd rows, no header, other separators; and tables of others."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from autoresearch.peers.export import write_jsonl, write_tsv
from autoresearch.peers.foreign import entries, locate
from autoresearch.peers.summary import summarise
from peer_logs import runs, table

OTHER = "iteration\tcommit\tmetric\tstatus\tdescription\n0\taaa1111\t85.2\tbaseline\tstart\n"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-8-sig"])
def test_what_windows_writes(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "results.tsv"
    text = OTHER + "".join(f"{i}\tbbb{i:04}\t{85 + i / 100}\tkeep\tstep \u2192 {i}\r\n" for i in range(1, 3000))
    mark = b"\xfe\xff" if encoding == "utf-16-be" else b""
    path.write_bytes(mark + text.encode(encoding))
    found = runs(path)
    assert [run.metric for run in found[:2]] == [85.2, 85.01]
    assert (len(found), found[-1].description) == (3000, "step \u2192 2999")
    assert summarise(path).by_status["keep"] == 3000


@pytest.mark.parametrize(
    "text",
    [
        "id\ttitle\tstatus\tdescription\n1\tLogin\topen\tcannot log in\n2\tSave\tclosed\tfixed\n",
        "id\tname\tscore\n1\tAda\t93\n2\tBo\t71\n",
        "status\tnote\nreserved\tnot yet\n",
        "2026-01-01\t7\tfeat: more\tcompleted\t2\ttrue\t88\n",
        "start\tseconds\twait\nMon\t12\t3\n",
        "# API\n\n| Status | Description |\n|---|---|\n| draft | not sent |\n| error | failed |\n",
        "Commit, then push. Status, as before, is kept.\n",
    ],
)
def test_another_programs_table_is_no_session(tmp_path: Path, text: str) -> None:
    path = table(tmp_path, text)
    found = summarise(path)
    assert (found.recognised, found.runs) == (False, 0)
    assert found.skipped_total > 0
    (tmp_path / "autoresearch-results.tsv").write_text(OTHER)
    assert locate(tmp_path).name == "autoresearch-results.tsv"


def test_a_table_that_says_metric_and_direction_in_its_rows_or_comments(tmp_path: Path) -> None:
    rows = (
        "iteration\tmetric_name\tmetric_value\tmetric_direction\tdecision\tidea\n"
        "0\tacc\t0.90\tmax\tkeep\tstart\n1\tacc\t0.94\tmax\tkeep\tmore\n2\tacc\tNaN\tmax\tcrash\tslow\n"
    )
    found = summarise(table(tmp_path, rows))
    assert (found.metric_name, found.direction, found.direction_known) == ("acc", "higher", True)
    assert found.best is not None
    assert (found.best["metric"], found.best["description"]) == (0.94, "more")
    comments = "# goal: fewer failures (lower is better)\n# metric: failures\n"
    found = summarise(table(tmp_path, comments + "iteration\tmetric\tstatus\tdescription\n0\t3\tbaseline\tx\n"))
    assert (found.metric_name, found.direction, found.direction_known) == ("failures", "lower", True)


def test_kept_values_that_rise_tell_the_direction_of_a_table(tmp_path: Path) -> None:
    header = "commit\told_score\tnew_score\tstatus\tnote\n"
    text = header + "a\t-\t70\tbaseline\tx\nb\t70\t60\tdiscard\ty\nc\t70\t75\tkeep\tz\n"
    found = summarise(table(tmp_path, text))
    assert (found.direction, found.direction_known, found.metric_name) == ("higher", False, "new_score")
    assert found.best is not None
    assert found.best["commit"] == "c"
    assert summarise(table(tmp_path, text), "lower").direction == "lower"


def test_numbers_with_what_people_write_beside_them(tmp_path: Path) -> None:
    text = (
        "commit\tspeed\tstatus\tdescription\na\t2.4 tok/s\tkeep\tx\nb\t2.8 tok/s (+16.7%)\tkeep\ty\n"
        "c\t2.8 -> 3.1\tkeep\tz\nd\t900 ms\tdiscard\tin another unit\ne\t1.2/3.4\tdiscard\ttwo\nf\tN/A\tcrash\tnone\n"
    )
    assert [run.metric for run in runs(table(tmp_path, text))] == [2.4, 2.8, 3.1, None, None, None]


def test_a_count_of_generations_is_no_objective_and_a_flag_is_a_verdict(tmp_path: Path) -> None:
    text = "gen\tsha\tbest\terr\taccepted\tnote\n0\tabc1234\t0.5\t0.5\t1\tstart\n1\tdef5678\t0.5\t0.6\t0\twider\n"
    found = runs(table(tmp_path, text))
    assert [(r.run, r.metric, r.status) for r in found] == [(0, 0.5, "keep"), (1, 0.6, "discard")]
    assert summarise(tmp_path / "results.tsv").metric_name == "err"


def test_a_verdict_that_leads_the_description(tmp_path: Path) -> None:
    text = "commit\trmse\tdescription\n"
    text += "a\t9\tbaseline \u2014 linear\nb\t8\tkeep: trees\nc\t10\tdiscard - deeper\n"
    text += "d\t7\tkeep trees warm\ne\t7\terror: messages reworded\n"
    assert [run.status for run in runs(table(tmp_path, text))] == ["keep", "keep", "discard", *["unknown"] * 2]


def test_rows_of_another_width_and_a_second_header(tmp_path: Path) -> None:
    text = (
        "commit\tloss\tmemory_gb\tstatus\tdescription\n"
        "a\t0.5\t4.1\t15.0\tkeep\tone column more\n"
        "b\t0.4\tdiscard\tone column less\n"
        "c\t0.3\t1.0\tdiscard\ttext\twith a tab\n"
        "# --- the second task ---\n"
        "# commit\tauc\tloss\tstatus\tdescription\n"
        "d\t0.7\t3.7\tkeep\tother numbers\n"
    )
    found = runs(table(tmp_path, text))
    assert [(r.status, r.description, r.segment) for r in found] == [
        ("keep", "one column more", 0),
        ("discard", "one column less", 0),
        ("discard", "text with a tab", 0),
        ("keep", "other numbers", 1),
    ]
    summary = summarise(tmp_path / "results.tsv")
    assert (summary.segments, summary.last_segment_runs, summary.metric_name) == (2, 1, "auc")
    assert summary.best is not None
    assert summary.best["commit"] == "d"
    assert write_tsv(entries(tmp_path / "results.tsv"), io.BytesIO()) == 1
    copy = tmp_path / "copy.jsonl"
    with copy.open("wb") as handle:
        write_jsonl(entries(tmp_path / "results.tsv"), handle, "auc", "higher")
    assert [run.segment for run in runs(copy)] == [0, 0, 0, 1]


def test_tables_without_a_header(tmp_path: Path) -> None:
    known = runs(table(tmp_path, "8\t-\t352\t+14\t-\tdiscard\tno gain\n6\tabc1234\t95\t-19\tpass*\tkeep\tflat\n"))
    assert [(r.run, r.commit, r.metric, r.status, r.description) for r in known] == [
        (8, "", 352, "discard", "no gain"),
        (6, "abc1234", 95, "keep", "flat"),
    ]
    other = runs(table(tmp_path, "1\traise the rate\t0.99\tkeep\n2\tlower it\t1.01\tdiscard \u2014 worse\n"))
    assert [(r.run, r.metric, r.status, r.description) for r in other] == [
        (1, 0.99, "keep", "raise the rate"),
        (2, 1.01, "discard", "lower it"),
    ]
    # Of several numbers none is taken for the objective.
    several = runs(table(tmp_path, "HEAD\tmodel-a\t397.0\t3.3\t5.5\tkeep\ta warm cache\n"))
    assert [(r.commit, r.metric, r.status, r.description) for r in several] == [("HEAD", None, "keep", "a warm cache")]


def test_commas_and_tabs_that_an_echo_wrote_out(tmp_path: Path) -> None:
    text = 'iteration,description,j_index,timestamp\n1,"start, as it is",0.81,2026-04-24T14:44:39Z\n2,more,0.80,\n'
    found = summarise(table(tmp_path, text))
    assert (found.format, found.metric_name, found.runs) == ("csv", "j_index", 2)
    assert runs(tmp_path / "results.tsv")[0].description == "start, as it is"
    literal = summarise(table(tmp_path, "commit\\tf1\\tstatus\\tnotes\na\\t0.5\\tkeep\\tx\n"))
    assert (literal.format, literal.metric_name, literal.runs) == ("tsv", "f1", 1)


def test_markdown_tables_among_prose(tmp_path: Path) -> None:
    text = (
        "# Dashboard\n\n**Best:** 76.6 (#3)\n\n"
        "| # | Commit | `loss` | status | description |\n|--:|---|---|:-:|---|\n"
        "| 1 | abc1234 | 80.4 | keep | baseline |\n| 2-4 | \u2014 | various | discard | see notes |\n"
        "| **5** | def5678 | **76.6** | **keep** | **wider** |\n\n"
        "## Targets\n\n| Name | Rank | Status |\n|---|---|---|\n| Ada | #42 | fine |\n\n"
        "| # | commit | acc | status | description |\n|---|---|---|---|---|\n"
        "| 6 | 0123abc | 0.9 | keep | other task |\n"
    )
    path = tmp_path / "dashboard.md"
    path.write_text(text)
    found = summarise(path)
    assert (found.format, found.runs, found.segments, found.skipped_total) == ("markdown", 4, 2, 0)
    assert found.by_status == {"keep": 3, "discard": 1}
    assert [(r.run, r.metric, r.segment) for r in runs(path)] == [
        (1, 80.4, 0),
        ("2-4", None, 0),
        (5, 76.6, 0),
        (6, 0.9, 1),
    ]
