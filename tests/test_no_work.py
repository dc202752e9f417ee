"""Work that is none is refused before it costs anything, and what has been measured is charged once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from autoresearch.workspace.git import git
from driver import Driver, commit_all

Change = Callable[[Driver], None]


def unedited(session: Driver) -> None:
    session.open("e1")


def edited_and_undone(session: Driver) -> None:
    session.open("e1")
    session.edit("e1", "1000", "900")
    session.edit("e1", "900", "1000")
    (session.project.worktree("e1") / "src" / "work.py").touch()


def committed_without_a_change(session: Driver) -> None:
    session.open("e1")
    git(session.project.worktree("e1"), "-c", "user.name=x", "-c", "user.email=x@y", "commit", "-q", "--allow-empty",
        "-m", "work")  # fmt: skip


def only_ignored_files(session: Driver) -> None:
    session.open("e1")
    (session.project.worktree("e1") / "src" / "__pycache__").mkdir()
    (session.project.worktree("e1") / "src" / "__pycache__" / "x.pyc").write_text("x")


@pytest.mark.parametrize("change", [unedited, edited_and_undone, committed_without_a_change, only_ignored_files],
                         ids=lambda change: change.__name__)  # fmt: skip
def test_a_copy_without_a_change_is_refused_at_once(session: Driver, change: Change) -> None:
    change(session)
    before = session.lines()
    for command in ("run", "ab"):
        code, data = session(command, "e1")
        assert (code, data["refused"][0]["error"]) == (2, "e1 changes nothing"), data
        assert data["next"] == "autoresearch decide e1 --abandon"
    assert session.lines() == before
    assert not list(session.project.jobs.glob("e1-*"))


def test_what_the_best_commit_has_already_is_no_work(session: Driver) -> None:
    for name in ("e1", "e2"):
        session.open(name)
        session.edit(name, "1000", "700")
    session.measure("e1")
    assert session("decide", "e1")[1]["status"] == "keep"
    before = session.lines()
    code, data = session("ab", "e2")
    assert (code, data["refused"][0]["error"]) == (2, "e2 changes nothing"), data
    assert session.lines() == before


def slow(session: Driver) -> None:
    """An A/B that runs long enough to be met."""
    script = session.root / "autoresearch.sh"
    script.write_text(script.read_text() + "sleep 0.5\n")
    commit_all(session.root)


def in_an_ab(session: Driver) -> Driver:
    """A session whose A/B of e1 still runs."""
    slow(session)
    session.baseline()
    session.open("e1")
    session.edit("e1", "1000", "700")
    session("ab", "e1", "--timeout", "0.2")
    return session


def test_a_run_over_a_running_ab_is_that_ab(fresh: Driver) -> None:
    session = in_an_ab(fresh)
    before = session.lines()
    (job,) = session.project.jobs.glob("e1-ab-*")
    code, data = session("run", "e1")
    assert (code, data["submitted"]) == (0, {"e1": job.name}), data
    code, data = session.until_done("ab", "e1", "--timeout", "20")
    assert (code, data["t"]) == (0, 1), data
    # Done, it says more than a run would, and a run would make it be measured again.
    code, data = session("run", "e1")
    assert (code, data["next"], session.lines()) == (1, "autoresearch decide e1", before), data
    assert session("decide", "e1")[1]["status"] == "keep"


def test_an_ab_that_ends_for_other_files_is_told(fresh: Driver) -> None:
    session = in_an_ab(fresh)
    session.edit("e1", "700", "600")
    code, data = session("run", "e1")
    assert (code, "its files changed" in data["recovered"][0]) == (0, True), data
