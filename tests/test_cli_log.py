"""`autoresearch log`, as a shell calls it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from driver import Driver

HEADER = {"type": "config", "name": "s", "metricName": "ms", "metricUnit": "ms", "bestDirection": "lower"}


def call(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return Driver(directory).run("log", *arguments)


def run(number: int, metric: float | None, status: str = "keep", description: str = "") -> dict[str, Any]:
    return {"run": number, "commit": "abc1234", "metric": metric, "status": status, "description": description}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    runs = [run(n, 100 - n, "keep" if n % 3 else "discard", f"try {n}") for n in range(1, 31)]
    lines = [json.dumps(record) for record in (HEADER, *runs)]
    (tmp_path / "autoresearch.jsonl").write_text("\n".join([*lines, "torn"]) + "\n")
    return tmp_path


def test_shows_the_last_runs(project: Path) -> None:
    done = call(project)
    assert done.returncode == 0
    assert "try 30" in done.stdout
    assert "try 10\n" not in done.stdout
    assert "10 earlier runs" in done.stdout
    assert "29*" in done.stdout
    assert "1 lines are no records" in done.stdout
    assert "try 1\n" in call(project, "--all").stdout


def test_json_is_the_summary(project: Path) -> None:
    done = call(project, "--json")
    assert done.returncode == 0
    assert len(done.stdout) < 2000
    data = json.loads(done.stdout)
    assert (data["lines"], data["runs"], data["configs"], data["segments"]) == (32, 30, 1, 1)
    assert data["skipped"] == [{"line": 32, "reason": "not JSON"}]
    assert data["by_status"] == {"keep": 20, "discard": 10}
    assert data["best"] == {"run": 29, "metric": 71, "commit": "abc1234", "description": "try 29"}
    assert data["baseline"]["run"] == 1
    assert json.loads(call(project, "--import", ".", "--json").stdout) == data


def test_json_stays_small_whatever_the_log_holds(tmp_path: Path) -> None:
    hostile = run(1, 1, "keep", "\x1b[31m" + "é\u202e" * 5000)
    lines = ["garbage"] * 300 + [json.dumps({**hostile, "commit": "é" * 999}, ensure_ascii=False)]
    (tmp_path / "x.jsonl").write_text("\n".join(lines), encoding="utf-8")
    done = call(tmp_path, "--import", "x.jsonl", "--json")
    data = json.loads(done.stdout)
    assert (done.returncode, data["skipped_total"], data["runs"]) == (0, 300, 1)
    assert len(done.stdout) < 2000
    human = call(tmp_path, "--import", "x.jsonl").stdout
    assert "\x1b" not in human
    assert "\u202e" not in human


def test_a_file_without_records_is_exit_1_with_a_summary(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\x89PNG\n\x00\x01\n")
    done = call(tmp_path, "--import", "x", "--json")
    assert done.returncode == 1
    data = json.loads(done.stdout)
    assert (data["lines"], data["runs"], data["skipped_total"]) == (2, 0, 2)
    assert "nothing in it looks like" in call(tmp_path, "--import", "x").stdout


@pytest.mark.parametrize("make", ["missing", "empty", "directory"])
def test_what_cannot_be_read_is_a_sentence(tmp_path: Path, make: str) -> None:
    if make == "empty":
        (tmp_path / "x").touch()
    elif make == "directory":
        (tmp_path / "x").mkdir()
    done = call(tmp_path, "--import", "x")
    assert done.returncode == 2
    assert done.stderr.startswith("autoresearch: ")
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_no_ledger_yet(tmp_path: Path) -> None:
    done = call(tmp_path)
    assert done.returncode == 2
    assert "no ledger here" in done.stderr


def test_converts_and_never_overwrites(tmp_path: Path) -> None:
    table = "commit\tval_bpb\tmemory_gb\tstatus\tdescription\na1b2c3d\t0.997900\t44.0\tkeep\tbaseline\n"
    (tmp_path / "results.tsv").write_text(table)
    convert = ("--import", "results.tsv", "--export", "jsonl", "--output", "out.jsonl")
    done = call(tmp_path, *convert)
    assert done.returncode == 0
    assert "1 runs to out.jsonl" in done.stdout
    records = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [record.get("metricName", record.get("metric")) for record in records] == ["val_bpb", 0.9979]
    (tmp_path / "out.jsonl").write_text("precious")
    refused = call(tmp_path, *convert)
    assert refused.returncode == 2
    assert "--force" in refused.stderr
    assert (tmp_path / "out.jsonl").read_text() == "precious"
    assert call(tmp_path, *convert, "--force").returncode == 0
    back = call(tmp_path, "--import", "out.jsonl", "--export", "tsv")
    assert back.stdout == table
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.jsonl", "results.tsv"]


def test_output_without_export_is_wrong_use(project: Path) -> None:
    assert call(project, "--output", "x").returncode == 2
