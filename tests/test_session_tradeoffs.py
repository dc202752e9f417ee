"""Limits, rescue, size, plausibility and the newer stop rules through the real command, on exact metrics."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoresearch.project import Project
from autoresearch.workspace.git import git
from conftest import Run
from test_session import Session

IDENTITY = ("-c", "user.name=t", "-c", "user.email=t@example.org")


@pytest.fixture
def session(project: Project, autoresearch: Run) -> Session:
    """A project whose benchmark prints a second metric, `mem`, next to `steps`."""
    root = project.root
    work = root / "src" / "work.py"
    work.write_text(work.read_text() + "\n\ndef mem():\n    return 50000\n")
    git(root, *IDENTITY, "commit", "-q", "-m", "mem", "--", "src/work.py")
    benchmark = root / "autoresearch.sh"
    text = benchmark.read_text().replace("import steps", "import steps, mem")
    benchmark.write_text(text.replace("% steps())\n", "% steps())\nprint('METRIC mem=%d' % mem())\n"))
    return Session(project, autoresearch)


def configure(session: Session, text: str, *, objective: str = "") -> None:
    path: Path = session.project.root / "autoresearch.yaml"
    path.write_text(path.read_text().replace("unit: steps", f"unit: steps{objective}") + text + "\n")
    session.baseline()


def candidate(session: Session, name: str, steps: int, mem: int, extra: str = "") -> tuple[str, str, str]:
    """Open, measure and decide; returns (status, reason, reason in words). `ab` must foretell what `decide` does."""
    session.open(name)
    session.edit(name, "return 1000", f"return {steps}")
    session.edit(name, "return 50000", f"return {mem}" + extra)
    _, told = session.measure(name)
    _, data = session("decide", name)
    assert (told["verdict"], told["reason"]) == (data["status"], data["reason"])
    return data["status"], data["reason"], data["reason_text"]


def test_memory_is_bounded(session: Session) -> None:
    configure(session, "constraints: [{metric: mem, limit_pct: 2}]")
    status, reason, words = candidate(session, "fat", 900, 55000)
    assert (status, reason) == ("discard", "constraint")
    assert "mem is 10 % worse, beyond its limit of 2 % worse" in words
    assert git(session.project.root, "diff", "--name-only", "main", "autoresearch/t") == ""
    assert candidate(session, "lean", 900, 50500)[0] == "keep"
    line = session.run_line("lean")
    assert line["verdict"]["gains"] == {"steps": 10.0, "mem": -1.0}
    assert line["verdict"]["limits"][0]["status"] == "met"
    assert line["runs_used"] == len(line["samples"]) == 12
    document = (session.project.root / "autoresearch.md").read_text()
    assert "## Trade-offs" in document
    assert "| lean | keep | +10.0 % | -1.0 % | mem kept to |" in document
    assert "| fat |" not in document.partition("## Trade-offs")[2]


def test_a_noisy_second_metric_is_measured_for_longer(session: Session) -> None:
    work = session.project.root / "src" / "work.py"
    work.write_text(
        work.read_text().replace("return 50000", "import os; return 50000 + os.urandom(1)[0] % 97")
    )
    git(session.project.root, *IDENTITY, "commit", "-q", "-m", "noise", "--", "src/work.py")
    configure(session, "constraints: [{metric: mem, limit_pct: 5}]")
    session.open("win")
    session.edit("win", "return 1000", "return 900")
    code, told = session.measure("win")
    assert (code, told["verdict"], told["reason"]) == (0, "keep", "deterministic")
    session("decide", "win")
    line = session.run_line("win")
    assert (line["runs_used"], line["verdict"]["limits"][0]["status"]) == (20, "met")
    assert line["verdict"]["limits"][0]["e_value"] >= 20


def test_a_metric_that_nobody_prints_is_found_at_the_baseline(session: Session) -> None:
    path = session.project.root / "autoresearch.yaml"
    path.write_text(path.read_text() + "constraints: [{metric: size, max: 5}]\n")
    code, data = session.until_done("baseline", "--timeout", "20")
    assert code == 2
    assert "prints no METRIC size" in data["error"]
    assert not session.project.ledger.exists()


def test_a_candidate_cannot_forge_a_second_metric(session: Session) -> None:
    configure(session, "constraints: [{metric: mem, limit_pct: 2}]")
    session.open("forger")
    session.edit("forger", "return 1000", "print('METRIC mem=1'); return 900")
    session.measure("forger")
    assert session("decide", "forger")[1]["status"] == "discard"
    assert "conflicting METRIC mem" in session.run_line("forger")["error"]


def test_a_neutral_candidate_is_rescued_by_another_metric(session: Session) -> None:
    configure(session, "rescue: [{metric: mem, min_effect_pct: 5}]")
    assert candidate(session, "slow", 1100, 40000)[0] == "discard"
    status, reason, words = candidate(session, "slim", 1000, 40000)
    assert (status, reason) == ("keep", "rescued")
    assert "mem is better +20 %" in words
    test = [r for r in session.lines() if r.get("type") == "test"][-1]
    assert test["split"] == 2
    assert session.run_line("slim")["verdict"]["e_needed"] == pytest.approx(2 / test["alpha"], rel=1e-4)
    message = git(session.project.root, "log", "-1", "--format=%B", "autoresearch/t")
    assert "Kept for another metric: mem is better" in message


def test_lines_cost_and_wonders_are_not_believed(session: Session) -> None:
    configure(session, "complexity: {free_lines: 10, pct_per_100_lines: 10}", objective=", ceiling_pct: 50")
    long = "\n" + "\n".join(f"X{i} = {i}" for i in range(110))
    assert candidate(session, "long", 950, 50000, long)[:2] == ("discard", "complexity")
    status, reason, words = candidate(session, "wonder", 400, 50000)
    assert (status, reason) == ("discard", "implausible")
    assert "+60.0 % is beyond objective.ceiling_pct (50)" in words
    assert candidate(session, "short", 950, 50000)[0] == "keep"


def test_declared_limits_are_frozen(session: Session) -> None:
    configure(session, "constraints: [{metric: mem, limit_pct: 2}]")
    path = session.project.root / "autoresearch.yaml"
    path.write_text(path.read_text().replace("limit_pct: 2", "limit_pct: 50"))
    code, data = session("new", "e1", "--hypothesis", "x")
    assert code == 5
    assert "constraints" in data["error"]


def test_runs_are_a_budget(session: Session) -> None:
    configure(session, "stop: {runs: 5, min_gain_per_hour_pct: 1}")
    code, data = session("status")
    assert code == 0
    assert data["stop"]["near"]["runs"] == "4/5"
    assert data["stop"]["near"]["gain_per_hour"] == "from 10 experiments on"
    candidate(session, "e1", 900, 50000)
    code, data = session("status")
    assert (code, data["stop"]["now"]) == (4, True)
    assert "benchmark runs used" in data["stop"]["reason"]


def test_small_steps_over_a_limit_are_found_by_the_audit(session: Session) -> None:
    configure(session, "constraints: [{metric: mem, limit_pct: 2}]")
    assert candidate(session, "one", 900, 50900)[0] == "keep"
    session.open("two")
    session.edit("two", "return 900", "return 800")
    session.edit("two", "return 50900", "return 51800")
    session.measure("two")
    assert session("decide", "two")[1]["status"] == "keep"
    code, data = session.until_done("finalize", "--audit", "--timeout", "20")
    assert (code, data["verified"], data["limits_violated"]) == (1, False, ["mem"])
    assert data["effect_pct"] == pytest.approx(20.0)
    shown = session.run("finalize", "--audit").stdout
    assert "limit violated by all keeps together: mem -3.6 %" in shown


def test_a_session_whose_only_keep_serves_another_metric_is_verified_by_that(session: Session) -> None:
    configure(session, "rescue: [{metric: mem, min_effect_pct: 5}]")
    assert candidate(session, "lean", 1000, 40000)[:2] == ("keep", "rescued")
    code, data = session.until_done("finalize", "--audit", "--timeout", "20")
    assert (code, data["verified"], data["rescued_by"], data["ratio"]) == (0, True, "mem", None)


def test_a_screening_run_far_behind_needs_no_ab(session: Session) -> None:
    configure(session, "")
    for name, steps in (("poor", 2500), ("fair", 1900)):
        session.open(name)
        session.edit(name, "return 1000", f"return {steps}")
        assert session("run", name)[0] == 0
    _, data = session.until_done("wait", "--timeout", "20")
    assert data["stages"]["poor"].startswith("poor: one run was 150 % worse than the best commit's 1000")
    assert data["stages"]["fair"].startswith("screened")
    assert data["next"] == "autoresearch decide poor"
    assert session("decide", "fair")[1]["next"] == "autoresearch ab fair"
    code, data = session("decide", "poor")
    assert (code, data["status"], data["reason"], data["runs_used"]) == (1, "discard", "screened", 1)
    assert [r for r in session.lines() if r.get("type") == "test"] == []
    assert session.run_line("poor")["verdict"]["effect_pct"] == pytest.approx(-150.0)
