"""`doctor` lists what crashes have left, `doctor --repair` mends it, once, and touches nothing of the user's."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fault_session import Place, a_place, edit, git, play, preload
from fault_state import describe, users_work

from autoresearch.workspace.owner import candidates

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    preload()
    with a_place() as made:
        play(made)
        yield made


def a_copy_that_nobody_recorded(place: Place) -> None:
    git(place.root, "worktree", "add", "-q", "--detach", str(place.project.worktree("zombie")), "HEAD")


def a_decided_copy(place: Place) -> None:
    git(place.root, "worktree", "add", "-q", "--detach", str(place.project.worktree("e4")), "HEAD")


def a_copy_that_is_gone(place: Place) -> None:
    shutil.rmtree(place.project.worktree("e1"))


def a_ref_that_nobody_knows(place: Place) -> None:
    git(place.root, "update-ref", f"{candidates(place.project)}/stranger", "autoresearch/t")


def a_branch_that_was_deleted(place: Place) -> None:
    git(place.root, "update-ref", "-d", "refs/heads/autoresearch/t")


def locks_of_a_killed_git(place: Place) -> None:
    for name in ("refs/heads/autoresearch/t.lock", "worktrees/e1/index.lock"):
        path = place.root / ".git" / name
        path.write_bytes(b"")
        os.utime(path, (1, 1))


def a_damaged_pin(place: Place) -> None:
    (pinned,) = place.project.pin.glob("*/autoresearch.sh")
    pinned.write_text("echo METRIC steps=1\n")


def unfinished_files(place: Place) -> None:
    state = place.project.state
    (state / "tmp").mkdir(exist_ok=True)
    (state / "tmp" / "bundle-x").mkdir()
    old = (state / "bundle-old", place.root / ".autoresearch.md.abcdefgh.tmp")
    old[0].mkdir()
    old[1].write_text("half")
    for path in old:
        os.utime(path, (1, 1))


def trees_of_an_ended_job(place: Place) -> None:
    (job,) = place.project.jobs.glob("e4-single-1")
    (job / "trial").mkdir()
    (job / "scratch").mkdir()


def a_job_that_nobody_recorded(place: Place) -> None:
    job = place.project.jobs / "e9-single-1"
    job.mkdir()
    (job / "lock").write_bytes(b"")


def a_ledger_that_was_removed(place: Place) -> None:
    place.project.ledger.unlink()


def a_ledger_that_was_cut(place: Place) -> None:
    lines = place.project.ledger.read_bytes().splitlines(keepends=True)
    place.project.ledger.write_bytes(b"".join(lines[:-2]))


def ideas_that_were_removed(place: Place) -> None:
    place.project.ideas.unlink()


TROUBLES = (
    a_copy_that_nobody_recorded, a_decided_copy, a_copy_that_is_gone, a_ref_that_nobody_knows,
    a_branch_that_was_deleted, locks_of_a_killed_git, a_damaged_pin, unfinished_files, trees_of_an_ended_job,
    a_job_that_nobody_recorded, a_ledger_that_was_removed, a_ledger_that_was_cut, ideas_that_were_removed,
)  # fmt: skip


def _listed(place: Place) -> list[str]:
    done = place.run("doctor", "--no-run")
    assert "Traceback" not in done.err, done.err
    return [f["what"] for f in done.data["findings"] if f["fix"] == "autoresearch doctor --repair"]


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.__name__)
def test_found_listed_and_mended_once(place: Place, trouble: Callable[[Place], None]) -> None:
    place.restore("ab")
    assert _listed(place) == []
    want, before = describe(place), users_work(place.root)
    trouble(place)
    assert _listed(place), "doctor does not see it"
    assert _listed(place), "looking has changed something"
    done = place.run("doctor", "--repair")
    assert (done.code, done.data["left"]) == (0, []), done
    assert done.data["repaired"]
    assert users_work(place.root) == before
    again = place.run("doctor", "--repair")
    assert again.data["repaired"] == []
    assert _listed(place) == []
    found = describe(place)
    if trouble is a_ref_that_nobody_knows:
        assert found["patches"].pop("stranger.patch")
    if trouble is a_copy_that_is_gone:  # with the files of its last candidate
        assert "return 900" in (place.project.worktree("e1") / "src" / "work.py").read_text()
    assert found == want


def test_edits_in_a_stale_copy_are_put_aside(place: Place) -> None:
    place.restore("ab")
    a_decided_copy(place)
    edit("e4", "1000", "7")(place)
    (place.project.worktree("e4") / "new.txt").write_text("mine\n")
    done = place.run("doctor", "--repair")
    assert done.code == 0, done
    left = place.project.state / "left" / "e4-1"
    assert "return 7" in (left / "src" / "work.py").read_text()
    assert (left / "new.txt").read_text() == "mine\n"


def test_processes_of_ended_jobs_are_ended(place: Place) -> None:
    place.restore("ab")
    home = place.project.jobs / "e4-single-1" / "trial"
    env = {**os.environ, "AUTORESEARCH_JOB": "e4-single-1.x", "AUTORESEARCH_HOME": str(home)}
    stray = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], env=env)
    other = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"],
        env={**env, "AUTORESEARCH_HOME": "/elsewhere/.autoresearch/jobs/x/trial"},
    )
    try:
        time.sleep(0.3)
        assert _listed(place) == ["processes"]
        assert place.run("doctor", "--repair").code == 0
        assert stray.wait(20) == -signal.SIGKILL
        assert other.poll() is None
    finally:
        for process in (stray, other):
            process.kill()
            process.wait()


def test_the_users_lock_is_named_and_left(place: Place) -> None:
    place.restore("ab")
    lock: Path = place.root / ".git" / "index.lock"
    lock.write_bytes(b"")
    os.utime(lock, (1, 1))
    done = place.run("doctor", "--repair")
    assert done.code == 0, done
    assert [entry["what"] for entry in done.data["left"]] == ["lock"]
    assert "rm '" in done.data["left"][0]["fix"]
    assert lock.exists()


def test_recovery_is_said_once(place: Place) -> None:
    place.restore("ab")
    a_copy_that_nobody_recorded(place)
    told = place.run("status")
    assert told.data["recovered"] == ["closed the copy of zombie: a killed command had not recorded it"]
    assert "recovered: closed the copy of zombie" in told.err
    assert "recovered" not in place.run("status").data
