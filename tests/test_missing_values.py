"""A value that is not there, or that can be read in two ways, never becomes a number."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from autoresearch.ledger.records import Run
from autoresearch.metrics import to_number
from autoresearch.peers.digits import plain
from autoresearch.peers.foreign import Problem, entries
from driver import Driver
from driver import Run as Command

HEADER = {"type": "config", "name": "x", "metricName": "loss", "metricUnit": "", "bestDirection": "lower"}


def run_of(number: int, status: str, metric: object = None) -> dict[str, object]:
    value = {} if metric is None else {"metric": metric}
    return {"run": number, "commit": "abcdef1", **value, "status": status, "description": f"d{number}", "timestamp": 1}


def log_of(*runs: dict[str, object]) -> str:
    return "".join(json.dumps(line) + "\n" for line in (HEADER, *runs))


@pytest.mark.parametrize("value", [None, "n/a", "", float("nan"), [], True])
@pytest.mark.parametrize("form", ["jsonl", "tsv"])
def test_a_run_without_a_value_is_left_out_and_told(
    autoresearch: Command, tmp_path: Path, form: str, value: object
) -> None:
    empty = [run_of(n, status, value) for n, status in enumerate(("keep", "discard", "no word that anybody knows"), 2)]
    (tmp_path / "log.jsonl").write_text(log_of(run_of(1, "keep", 5.0), *empty, run_of(5, "crash")))
    done = autoresearch(
        "log", "--import", str(tmp_path / "log.jsonl"), "--export", form, "--output", str(tmp_path / "out"), "--json"
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["runs"], told["without_value"]) == (2, 3)
    again = [e for e in entries(tmp_path / "out") if isinstance(e, Run)]
    assert [(e.metric or 0, e.status) for e in again] == [(5.0, "keep"), (0, "crash")]
    shown = autoresearch("log", "--import", str(tmp_path / "log.jsonl"), "--export", form)
    assert "3 runs without a value left out" in shown.stderr


def results(tmp_path: Path, values: list[str], kind: str = "tsv") -> list[object]:
    mark = {"tsv": "\t", "ssv": ";", "markdown": " | "}[kind]
    rows = [["commit", "val_bpb", "status", "description"]]
    rows += [["abcdef1", value, "keep", "what"] for value in values]
    lines = [f"| {mark.join(row)} |" if kind == "markdown" else mark.join(row) for row in rows]
    if kind == "markdown":
        lines.insert(1, "|---|---|---|---|")
    path = tmp_path / "results.tsv"
    path.write_text("\n".join(lines) + "\n")
    return [e.metric if isinstance(e, Run) else e for e in entries(path)]


@pytest.mark.parametrize("kind", ["tsv", "ssv", "markdown"])
@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["0,731", "1,234", "12,5"], [0.731, 1.234, 12.5]),
        (["1,234", "0,9 s", "2,5 s"], [1.234, 0.9, 2.5]),
        (["1.234,5", "987,25"], [1234.5, 987.25]),
        (["1,234,567", "1,234"], [1234567, 1234]),
        (["1,234.5", "2,000"], [1234.5, 2000]),
        (["1 234,5", "1\u202f000,25"], [1234.5, 1000.25]),
        (["1'234.5", "12_000"], [1234.5, 12000]),
        (["1.234.567", "3,5"], [1234567, 3.5]),
        (["1.234", "0.5"], [1.234, 0.5]),
    ],
)  # fmt: skip
def test_commas_are_read_where_the_table_says_what_they_are(
    tmp_path: Path, kind: str, cells: list[str], values: list[float]
) -> None:
    assert results(tmp_path, cells, kind) == values


@pytest.mark.parametrize("cells", [["1,234", "2,345"], ["1,234", "0,5", "1,234,567"], ["1,234 ms", "2,345 ms"]])
def test_what_can_be_read_in_two_ways_is_told_and_no_number(tmp_path: Path, cells: list[str]) -> None:
    found = results(tmp_path, cells)
    doubtful = [entry for entry in found if isinstance(entry, Problem)]
    assert doubtful
    assert all("two ways" in entry.reason for entry in doubtful)
    assert {1234, 1.234}.isdisjoint(e for e in found if isinstance(e, float))


def test_the_summary_names_the_lines(autoresearch: Command, tmp_path: Path) -> None:
    results(tmp_path, ["1,234", "2,345"])
    done = autoresearch("log", "--import", str(tmp_path / "results.tsv"))
    assert (done.returncode, "line 2: its value '1,234' can be read in two ways" in done.stdout) == (0, True), done


@pytest.mark.parametrize("text", ["1,23,4", "1,2345,678", "abc", "1.2,3.4", "", "--", "1,,5", "NaN"])
def test_what_is_no_number_stays_none(text: str) -> None:
    for style in ("", "decimal", "thousands"):
        assert to_number(plain(text, style) or "x") is None


def test_what_was_given_up_has_no_value(session: Driver) -> None:
    session.open("e1")
    assert session("decide", "e1", "--abandon")[1]["status"] == "discard"
    (row,) = [line for line in session.run("log").stdout.splitlines() if "idea of e1" in line]
    assert row.split()[2:5] == ["-", "-", "discard"]
    for form in ("tsv", "jsonl"):
        done = session.run("log", "--export", form)
        assert "idea of e1" not in done.stdout, "a 0 would be the best of all"
        assert "1 runs without a value left out" in done.stderr
