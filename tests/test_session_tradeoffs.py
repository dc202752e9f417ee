"""Limits, rescue, size, plausibility and the newer stop rules through the real command, on exact metrics."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoresearch.project import Project
from autoresearch.workspace.git import git
from driver import Driver

IDENTITY = ("-c", "user.name=t", "-c", "user.email=t@example.org")


@pytest.fixture
def fresh(fresh: Driver, project: Project) -> Driver:
    """A project whose benchmark prints a second metric, `mem`, next to `steps`."""
    root = project.root
    work = root / "src" / "work.py"
    work.write_text(work.read_text() + "\n\ndef mem():\n    return 50000\n")
    git(root, *IDENTITY, "commit", "-q", "-m", "mem", "--", "src/work.py")
    benchmark = root / "autoresearch.sh"
    text = benchmark.read_text().replace("import steps", "import steps, mem")
    benchmark.write_text(text.replace("% steps())\n", "% steps())\nprint('METRIC mem=%d' % mem())\n"))
    return fresh


def configure(fresh: Driver, text: str, *, objective: str = "") -> None:
    path: Path = fresh.project.root / "autoresearch.yaml"
    path.write_text(path.read_text().replace("unit: steps", f"unit: steps{objective}") + text + "\n")
    fresh.baseline()


def candidate(fresh: Driver, name: str, steps: int, mem: int, extra: str = "") -> tuple[str, str, str]:
    """Open, measure and decide; returns (status, reason, reason in words). `ab` must foretell what `decide` does."""
    fresh.open(name)
    fresh.edit(name, "return 1000", f"return {steps}")
    fresh.edit(name, "return 50000", f"return {mem}" + extra)
    _, told = fresh.measure(name)
    _, data = fresh("decide", name)
    assert (told["verdict"], told["reason"]) == (data["status"], data["reason"])
    return data["status"], data["reason"], data["reason_text"]


def test_memory_is_bounded(fresh: Driver) -> None:
    configure(fresh, "constraints: [{metric: mem, limit_pct: 2}]")
    status, reason, words = candidate(fresh, "fat", 900, 55000)
    assert (status, reason) == ("discard", "constraint")
    assert "mem is 10 % worse, beyond its limit of 2 % worse" in words
    assert git(fresh.project.root, "diff", "--name-only", "main", "autoresearch/t") == ""
    assert candidate(fresh, "lean", 900, 50500)[0] == "keep"
    line = fresh.run_line("lean")
    assert line["verdict"]["gains"] == {"steps": 10.0, "mem": -1.0}
    assert line["verdict"]["limits"][0]["status"] == "met"
    assert line["runs_used"] == len(line["samples"]) == 12
    document = (fresh.project.root / "autoresearch.md").read_text()
    assert "## Trade-offs" in document
    assert "| lean | keep | +10.0 % | -1.0 % | mem kept to |" in document
    assert "| fat |" not in document.partition("## Trade-offs")[2]


def test_a_noisy_second_metric_is_measured_for_longer(fresh: Driver) -> None:
    work = fresh.project.root / "src" / "work.py"
    work.write_text(work.read_text().replace("return 50000", "import os; return 50000 + os.urandom(1)[0] % 97"))
    git(fresh.project.root, *IDENTITY, "commit", "-q", "-m", "noise", "--", "src/work.py")
    configure(fresh, "constraints: [{metric: mem, limit_pct: 5}]")
    fresh.open("win")
    fresh.edit("win", "return 1000", "return 900")
    code, told = fresh.measure("win")
    assert (code, told["verdict"], told["reason"]) == (0, "keep", "deterministic")
    fresh("decide", "win")
    line = fresh.run_line("win")
    assert (line["runs_used"], line["verdict"]["limits"][0]["status"]) == (20, "met")
    assert line["verdict"]["limits"][0]["e_value"] >= 20


def test_a_metric_that_nobody_prints_is_found_at_the_baseline(fresh: Driver) -> None:
    path = fresh.project.root / "autoresearch.yaml"
    path.write_text(path.read_text() + "constraints: [{metric: size, max: 5}]\n")
    code, data = fresh.until_done("baseline", "--timeout", "20")
    assert code == 2
    assert "prints no METRIC size" in data["error"]
    assert not fresh.project.ledger.exists()


def test_a_candidate_cannot_forge_a_second_metric(fresh: Driver) -> None:
    configure(fresh, "constraints: [{metric: mem, limit_pct: 2}]")
    fresh.open("forger")
    fresh.edit("forger", "return 1000", "print('METRIC mem=1'); return 900")
    fresh.measure("forger")
    assert fresh("decide", "forger")[1]["status"] == "discard"
    assert "conflicting METRIC mem" in fresh.run_line("forger")["error"]


def test_a_neutral_candidate_is_rescued_by_another_metric(fresh: Driver) -> None:
    configure(fresh, "rescue: [{metric: mem, min_effect_pct: 5}]")
    assert candidate(fresh, "slow", 1100, 40000)[0] == "discard"
    status, reason, words = candidate(fresh, "slim", 1000, 40000)
    assert (status, reason) == ("keep", "rescued")
    assert "mem is better +20 %" in words
    test = [r for r in fresh.lines() if r.get("type") == "test"][-1]
    assert test["split"] == 2
    assert fresh.run_line("slim")["verdict"]["e_needed"] == pytest.approx(2 / test["alpha"], rel=1e-4)
    message = git(fresh.project.root, "log", "-1", "--format=%B", "autoresearch/t")
    assert "Kept for another metric: mem is better" in message


def test_lines_cost_and_wonders_are_not_believed(fresh: Driver) -> None:
    configure(fresh, "complexity: {free_lines: 10, pct_per_100_lines: 10}", objective=", ceiling_pct: 50")
    long = "\n" + "\n".join(f"X{i} = {i}" for i in range(110))
    assert candidate(fresh, "long", 950, 50000, long)[:2] == ("discard", "complexity")
    status, reason, words = candidate(fresh, "wonder", 400, 50000)
    assert (status, reason) == ("discard", "implausible")
    assert "+60.0 % is beyond objective.ceiling_pct (50)" in words
    assert candidate(fresh, "short", 950, 50000)[0] == "keep"


def test_declared_limits_are_frozen(fresh: Driver) -> None:
    configure(fresh, "constraints: [{metric: mem, limit_pct: 2}]")
    path = fresh.project.root / "autoresearch.yaml"
    path.write_text(path.read_text().replace("limit_pct: 2", "limit_pct: 50"))
    code, data = fresh("new", "e1", "--hypothesis", "x")
    assert code == 5
    assert "constraints" in data["error"]


def test_runs_are_a_budget(fresh: Driver) -> None:
    configure(fresh, "stop: {runs: 5, min_gain_per_hour_pct: 1}")
    code, data = fresh("status")
    assert code == 0
    assert data["stop"]["near"]["runs"] == "4/5"
    assert data["stop"]["near"]["gain_per_hour"] == "from 10 experiments on"
    candidate(fresh, "e1", 900, 50000)
    code, data = fresh("status")
    assert (code, data["stop"]["now"]) == (4, True)
    assert "benchmark runs used" in data["stop"]["reason"]


def test_small_steps_over_a_limit_are_found_by_the_audit(fresh: Driver) -> None:
    configure(fresh, "constraints: [{metric: mem, limit_pct: 2}]")
    assert candidate(fresh, "one", 900, 50900)[0] == "keep"
    fresh.open("two")
    fresh.edit("two", "return 900", "return 800")
    fresh.edit("two", "return 50900", "return 51800")
    fresh.measure("two")
    assert fresh("decide", "two")[1]["status"] == "keep"
    code, data = fresh.until_done("finalize", "--audit", "--timeout", "20")
    assert (code, data["verified"], data["limits_violated"]) == (1, False, ["mem"])
    assert data["effect_pct"] == pytest.approx(20.0)
    shown = fresh.run("finalize", "--audit").stdout
    assert "limit violated by all keeps together: mem -3.6 %" in shown


def test_a_session_whose_only_keep_serves_another_metric_is_verified_by_that(fresh: Driver) -> None:
    configure(fresh, "rescue: [{metric: mem, min_effect_pct: 5}]")
    assert candidate(fresh, "lean", 1000, 40000)[:2] == ("keep", "rescued")
    code, data = fresh.until_done("finalize", "--audit", "--timeout", "20")
    assert (code, data["verified"], data["rescued_by"], data["ratio"]) == (0, True, "mem", None)


def test_a_screening_run_far_behind_needs_no_ab(fresh: Driver) -> None:
    configure(fresh, "")
    for name, steps in (("poor", 2500), ("fair", 1900)):
        fresh.open(name)
        fresh.edit(name, "return 1000", f"return {steps}")
        assert fresh("run", name)[0] == 0
    _, data = fresh.until_done("wait", "--timeout", "20")
    assert data["stages"]["poor"].startswith("poor: one run was 150 % worse than the best commit's 1000")
    assert data["stages"]["fair"].startswith("screened")
    assert data["next"] == "autoresearch decide poor"
    assert fresh("decide", "fair")[1]["next"] == "autoresearch ab fair"
    code, data = fresh("decide", "poor")
    assert (code, data["status"], data["reason"], data["runs_used"]) == (1, "discard", "screened", 1)
    assert [r for r in fresh.lines() if r.get("type") == "test"] == []
    assert fresh.run_line("poor")["verdict"]["effect_pct"] == pytest.approx(-150.0)


def test_a_gain_is_held_against_its_own_parent_not_against_what_won_meanwhile(fresh: Driver) -> None:
    work = fresh.project.root / "src" / "work.py"
    parts = "def left():\n    return 1000\n\n\ndef right():\n    return 505\n"
    work.write_text(work.read_text().replace("return 1000", "return left() + right()") + f"\n\n{parts}")
    git(fresh.project.root, *IDENTITY, "commit", "-q", "-m", "parts", "--", "src/work.py")
    configure(fresh, "test: {screen_pct: 50}")
    fresh.open("win")
    fresh.open("later")
    fresh.edit("win", "return 1000", "return 97")
    fresh.edit("later", "return 505", "return 5")
    assert fresh.measure("win")[1]["verdict"] == "keep"
    assert fresh("decide", "win")[1]["effect_pct"] == pytest.approx(60.0)
    assert fresh("run", "later")[0] == 0  # 1005 steps, the best commit's are 602
    _, data = fresh.until_done("wait", "--timeout", "20")
    assert data["stages"]["later"].startswith("screened")
    assert data["next"].startswith("autoresearch ab later")
    assert fresh.measure("later")[1]["verdict"] == "keep"
    assert fresh("decide", "later")[1]["status"] == "keep"
