"""`autoresearch report`, as the real command."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from autoresearch.project import Project
from driver import REPO, Run
from peer_logs import CORPUS
from report_sessions import experiment, session, write_ledger


def test_a_person_sees_the_table_and_the_paths(project: Project, autoresearch: Run) -> None:
    write_ledger(project.root, session())
    done = autoresearch("report", "--png", cwd=project.root / "src")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["experiment", "status", "effect", "runs", "what"]
    assert lines[1].split() == ["e2", "keep", "+10.0", "%", "[+8.0,", "+12.0]", "12", "change", "2"]
    assert sum(line.startswith("wrote ") for line in lines) == 4
    assert (project.root / "autoresearch.png").is_file()
    again = autoresearch("report", "--png")
    assert sum(line.startswith("unchanged ") for line in again.stdout.splitlines()) == 4


def test_an_agent_gets_one_small_object(project: Project, autoresearch: Run) -> None:
    many = [experiment(n, "discard", -1.0, description="long " * 100) for n in range(7, 207)]
    write_ledger(project.root, [*session(), *many])
    done = autoresearch("report", "--no-chart", "--json")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.encode()) < 2000
    data = json.loads(done.stdout)
    assert data["experiments"] == 205
    assert data["counts"] == {"keep": 2, "discard": 201, "crash": 1, "checks_failed": 1}
    assert data["claimed_pct"] == 28.0
    assert data["next"].startswith("autoresearch ")
    assert [Path(p).name for p in data["paths"]] == ["autoresearch.md", "IMPROVEMENTS.md"]


def test_wrong_use_and_no_session(tmp_path: Path, autoresearch: Run) -> None:
    assert autoresearch("report", "--png", "--no-chart").returncode == 2
    assert autoresearch("report", "--ledger", "nowhere.jsonl").returncode == 2
    assert autoresearch("report", cwd=tmp_path).returncode == 2


def test_the_chart_can_be_demanded(project: Project, autoresearch: Run, tmp_path: Path) -> None:
    write_ledger(project.root, session())
    path = os.pathsep.join(str(REPO / place) for place in ("helpers", "tests/data/no_chart"))
    demanded = autoresearch("report", "--chart", PYTHONPATH=path)
    assert demanded.returncode == 3
    assert "matplotlib" in demanded.stderr
    assert "Traceback" not in demanded.stderr
    free = autoresearch("report", PYTHONPATH=path)
    assert free.returncode == 0
    assert "warning: no chart" in free.stderr


def test_hostile_names_do_not_reach_the_terminal(project: Project, autoresearch: Run) -> None:
    write_ledger(project.root, [*session(), experiment(7, "discard", -1.0, description="\x1b[2J\x07evil\u202e")])
    done = autoresearch("report", "--no-chart")
    assert "evil" in done.stdout
    assert not set(done.stdout) & {"\x1b", "\x07", "\u202e"}


@pytest.mark.parametrize("log", ["Shopify__liquid", "bgauryy__octocode-mcp", "iceysteel__GeospatialPoleDetection"])
def test_another_tools_log(log: str, tmp_path: Path, autoresearch: Run) -> None:
    if not CORPUS.is_dir():
        pytest.skip(f"no corpus of public logs at {CORPUS}")
    ledger = next((CORPUS / log).glob("*autoresearch.jsonl"))
    done = autoresearch("report", "--ledger", str(ledger), "--output", str(tmp_path / "new"), "--chart", "--json")
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    assert data["verified_side_by_side"] is False
    assert len(data["paths"]) == 3
    text = (tmp_path / "new" / "autoresearch.md").read_text()
    assert "single readings" in text
    assert text.count("\n| ") >= min(200, data["experiments"])
