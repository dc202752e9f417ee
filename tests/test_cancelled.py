"""An A/B that was cancelled before a run of it could be seen is no test; what was seen is paid for."""

from __future__ import annotations

import shutil
import time

from driver import Driver


def budget(session: Driver) -> tuple[int, float]:
    found = session("status")[1]["error_budget"]
    return found["tests"], found["spent"]


def booked(session: Driver) -> list[tuple[int, float]]:
    return [(line["t"], line["alpha"]) for line in session.lines() if line.get("type") == "test"]


def test_nothing_seen_is_no_new_test_and_a_run_that_was_seen_is(session: Driver) -> None:
    session.open("e1")
    session.edit("e1", "1000", "700")
    session.edit("e1", "def steps():\n", "import time\ntime.sleep(0.7)\n\n\ndef steps():\n")
    # In the build, of which nothing is measured.
    assert session("ab", "e1", "--timeout", "0.05")[0] == 1
    assert session("cancel", "e1")[1]["stopped"] == ["e1"]
    first = budget(session)
    assert first[0] == 1
    assert session("ab", "e1", "--timeout", "0.05")[0] == 1
    assert budget(session) == first
    log = session.project.jobs / "e1-ab-2" / "log.txt"
    for _ in range(600):
        if log.exists() and '"sample"' in log.read_text():
            break
        time.sleep(0.05)
    else:
        raise AssertionError("no run of it came")
    assert session("cancel", "e1")[1]["stopped"] == ["e1"]
    # It may have been ended for what that run had shown.
    session("ab", "e1", "--timeout", "0.05")
    tests, spent = budget(session)
    assert (tests, spent) == (2, 2 * first[1])
    assert session("cancel", "e1")[1]["stopped"] == ["e1"]
    assert session.measure("e1")[0] == 0
    assert [t for t, _ in booked(session)] == [1, 1, 2, 2]
    assert len({alpha for _, alpha in booked(session)}) == 1
    assert session("decide", "e1")[0] == 0
    assert session.run_line("e1")["verdict"]["t"] == 2
    assert budget(session) == (2, spent)


def test_a_removed_job_may_have_been_seen(session: Driver) -> None:
    session.open("e1")
    session.edit("e1", "1000", "700")
    assert session.measure("e1")[0] == 0
    shutil.rmtree(session.project.jobs / "e1-ab-1")
    assert session.measure("e1")[0] == 0
    assert [t for t, _ in booked(session)] == [1, 2]


def test_a_waiting_experiment_that_is_put_onto_the_new_best_commit_is_told_so(session: Driver) -> None:
    for name in ("e1", "e2"):
        session.open(name)
    session.edit("e1", "1000", "700")
    session.edit("e2", "return 42", "return 40 + 2")
    assert session.measure("e1")[0] == 0
    assert session("decide", "e1")[0] == 0
    tip = session("status")[1]["tip"]
    told = session("ab", "e2", "--timeout", "0.05")[1]["recovered"]
    assert told == [f"put the change of e2 onto the best commit {tip}, which moved since `new`"]
    assert "recovered" not in session.measure("e2")[1]
