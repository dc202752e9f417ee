"""The project's own experiment.yaml decides how a screening runs."""

from __future__ import annotations

from driver import Driver


def test_a_users_own_task_file_is_executed_as_it_stands(fresh: Driver) -> None:
    """A classic SkyPilot task without our trial screens; the A/B still uses our own, with the user's setup."""
    fresh.project.task.write_text(
        "name: classic\nresources: {cpus: 2+}\nworkdir: .\nenvs: {EXP_ID: null, ROUNDS: 3}\n"
        "secrets: {DATA_SOURCE: null}\n"
        "setup: echo ready > setup.txt\n"
        "run: |\n"
        "  cat setup.txt; echo rounds=$ROUNDS exp=$EXP_ID from=$DATA_SOURCE\n"
        "  bash autoresearch.sh\n"
        "  if bash autoresearch.checks.sh; then\n"
        "    echo 'EXPERIMENT_STATUS: done'; echo 'CHECKS_STATUS: passed'\n"
        "  else\n"
        "    echo 'EXPERIMENT_STATUS: checks_failed'; echo 'CHECKS_STATUS: failed (exit 1)'\n"
        "  fi\n"
    )
    fresh.baseline()
    fresh.open("good")
    fresh.open("bad")
    fresh.edit("good", "1000", "900")
    fresh.edit("bad", "42", "41")
    code, data = fresh("run", "good")
    assert code == 2
    assert "Set DATA_SOURCE in the environment" in data["refused"][0]["fix"]
    assert fresh.run("run", "good", "bad", DATA_SOURCE="shelf").returncode == 0
    stages = fresh.until_done("wait", "--timeout", "20")[1]["stages"]
    assert stages["good"].startswith("screened")
    assert stages["bad"].startswith("failed: checks_failed")
    job = next(r["job"] for r in fresh.lines() if r.get("experiment") == "good" and r.get("type") == "job")
    log = (fresh.project.jobs / job / "log.txt").read_text()
    assert "ready\nrounds=3 exp=good from=shelf\nMETRIC steps=900" in log
    assert fresh.measure("good")[1]["verdict"] == "keep"
    assert fresh("decide", "good")[1]["status"] == "keep"
    assert fresh("decide", "bad")[1]["status"] == "checks_failed"


def test_a_broken_task_file_is_named_before_anything_runs(session: Driver) -> None:
    session.open("e1")
    session.edit("e1", "1000", "900")
    session.project.task.write_text("name: x\nrnu: echo\n")
    code, data = session("run", "e1")
    assert code == 2
    assert "rnu" in data["error"]
    assert session("queue")[1]["count"] == 0


def test_without_checks_the_ledger_says_so(fresh: Driver) -> None:
    (fresh.project.root / "autoresearch.checks.sh").unlink()
    fresh.baseline()
    assert fresh.run_line("baseline")["checks"] == "skipped (no checks)"
