"""Several sessions in one repository: linked work trees, directories of a monorepo, a ledger that was copied."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from autoresearch.workspace.git import git
from autoresearch.workspace.owner import candidates, owner_ref
from driver import IDENTITY, Driver, commit_all, write_project

Neighbour = Callable[[Driver], Driver]
SESSION = ("autoresearch.sh", "autoresearch.checks.sh", "autoresearch.yaml", "experiment.yaml")


def in_a_linked_work_tree(session: Driver) -> Driver:
    root = session.root.parent / "linked"
    git(session.root, "worktree", "add", "-q", "--detach", str(root), "main")
    for name in SESSION:
        shutil.copy2(session.root / name, root / name)
    return Driver(root)


def in_a_directory(session: Driver) -> Driver:
    write_project(session.root / "tools" / "b")
    return Driver(session.root / "tools" / "b")


def in_a_directory_of_a_linked_work_tree(session: Driver) -> Driver:
    linked = in_a_linked_work_tree(session)
    write_project(linked.root / "tools" / "b")
    return Driver(linked.root / "tools" / "b")


PLACES = (in_a_linked_work_tree, in_a_directory, in_a_directory_of_a_linked_work_tree)


def inside(driver: Driver) -> str:
    """The project's directory in its repository."""
    return git(driver.root, "rev-parse", "--show-prefix")


def refs(root: Path) -> dict[str, str]:
    """Ours, but for those that keep the ledgers (test_safekeeping.py)."""
    listed = git(
        root, "for-each-ref", "--format=%(refname) %(objectname)", "refs/heads/autoresearch", "refs/autoresearch"
    )
    return dict(line.split(" ") for line in listed.splitlines() if "/ledger/" not in line)


def win(session: Driver, name: str) -> str:
    session.open(name)
    session.edit(name, "1000", "700")
    assert session.measure(name)[0] == 0
    code, data = session("decide", name)
    assert code == 0, data
    return git(session.root, "rev-parse", "autoresearch/t")


def named(driver: Driver, name: str) -> Driver:
    config = driver.root / "autoresearch.yaml"
    config.write_text(config.read_text().replace("name: t\n", f"name: {name}\n"))
    commit_all(driver.root)
    return driver


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
@pytest.mark.parametrize("won", [False, True])
def test_a_branch_of_a_neighbour_is_refused_before_anything_is_measured(
    session: Driver, place: Neighbour, won: bool
) -> None:
    if won:
        win(session, "e1")
    other, before = place(session), refs(session.root)
    code, data = other("baseline", "--timeout", "5")
    assert (code, "autoresearch/t" in data["error"]) == (2, True), data
    assert "delete" not in data["fix"]
    assert str(session.root) in data["error"], "it says where the other one is"
    assert not list(other.project.jobs.glob("*")), "nothing was measured"
    assert refs(session.root) == before
    other("doctor", "--repair")
    assert refs(session.root) == before
    assert session("status")[0] == 0


def test_a_branch_without_a_session_is_nobodys_to_move(fresh: Driver) -> None:
    git(fresh.root, "branch", "autoresearch/t", "main")
    code, data = fresh("baseline", "--timeout", "5")
    assert (code, "exists" in data["error"], "delete" in data["fix"]) == (2, True, False), data
    fresh("doctor", "--repair")
    assert git(fresh.root, "rev-parse", "autoresearch/t") == git(fresh.root, "rev-parse", "main")


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
def test_experiments_of_one_name_stay_apart(session: Driver, place: Neighbour) -> None:
    other = named(place(session), "b")
    assert other.until_done("baseline", "--timeout", "20")[0] == 0
    for driver, steps in ((session, "800"), (other, "600")):
        driver.open("e1")
        driver.edit("e1", "1000", steps, f"{inside(driver)}src/work.py")
        assert driver("run", "e1")[0] == 0
    session.open("only-here")
    session.edit("only-here", "1000", "900")
    session("run", "only-here")
    before = refs(session.root)
    for driver, steps in ((session, "800"), (other, "600")):
        driver.open("e2", "--parent", "e1")
        assert f"return {steps}" in (driver.project.worktree("e2") / inside(driver) / "src/work.py").read_text()
        shutil.rmtree(driver.project.worktree("e1"))
        code, data = driver("doctor", "--repair")
        assert code == 0, data
        assert f"return {steps}" in (driver.project.worktree("e1") / inside(driver) / "src/work.py").read_text()
        assert not driver.project.patches.exists()
    assert refs(session.root) == before
    assert session("decide", "only-here", "--abandon")[0] == 1
    other.end()


def test_repair_lets_go_of_its_own_only(session: Driver) -> None:
    tip = git(session.root, "rev-parse", "main")
    theirs = ("refs/autoresearch/0123456789ab/exp/e9", "refs/autoresearch/exp/e9", "refs/autoresearch/next")
    for ref in (*theirs, f"{candidates(session.project)}/e9"):
        git(session.root, "update-ref", ref, tip)
    assert session("doctor", "--repair")[0] == 0
    found = refs(session.root)
    assert {found[ref] for ref in theirs} == {tip}
    assert f"{candidates(session.project)}/e9" not in found


@pytest.mark.parametrize("how", ["linked", "directory", "linked, with a win there"])
def test_a_ledger_that_was_copied_does_not_move_the_others_branch(fresh: Driver, how: str) -> None:
    session, place = fresh, in_a_directory if how == "directory" else in_a_linked_work_tree
    other = place(session)
    commit_all(session.root)
    session.baseline()
    session.open("e1")
    shutil.copy2(session.project.ledger, other.root / session.project.ledger.name)
    shutil.copytree(session.project.pin, other.project.pin)
    if "win" in how:
        session.edit("e1", "1000", "700")
        session.measure("e1")
        session("decide", "e1")
    before = refs(session.root)
    code, data = other("new", "e7", "--hypothesis", "x")
    assert (code, str(session.root) in data["error"]) == (5, True), data
    assert "branch -f" not in data["fix"]
    assert other("status")[0] in (0, 1, 5)  # 5: the copied ledger lacks what git has of the session
    other("doctor", "--repair")
    assert refs(session.root) == before
    assert other("decide", "e1", "--abandon")[0] == 1
    code, data = other("init", "--after", "t")
    assert (code, data["branch"]) == (0, "autoresearch/t-2"), data
    commit_all(other.root)
    assert other.until_done("baseline", "--timeout", "20")[0] == 0
    assert other("new", "f1", "--hypothesis", "x")[0] == 0
    assert session("status")[0] == 0


def test_a_session_that_is_gone_leaves_its_branch_to_the_next(session: Driver) -> None:
    linked = in_a_linked_work_tree(session)
    shutil.move(session.project.ledger, linked.root / session.project.ledger.name)
    shutil.move(session.project.pin, linked.project.pin)
    assert linked("new", "e1", "--hypothesis", "x")[0] == 0
    said = git(session.root, "log", "-1", "--format=%B", owner_ref("autoresearch/t"))
    assert '"worktree": "worktrees/linked"' in said
    # One whose disk is only away still has it; one that git was told to forget has not.
    shutil.move(linked.root, linked.root.with_name("away"))
    back = linked.root.with_name("away")
    shutil.copy2(back / "autoresearch.jsonl", session.project.ledger)
    shutil.copytree(back / ".autoresearch/pin", session.project.pin)
    code, data = session("new", "e2", "--hypothesis", "x")
    assert (code, str(linked.root) in data["error"]) == (5, True), data
    git(session.root, "worktree", "prune", "--expire=now")
    assert session("new", "e2", "--hypothesis", "x")[0] == 0


def test_a_session_of_before_goes_on(session: Driver) -> None:
    """Its refs had no session in their names, and no ref says whose its branch is."""
    session.open("e1")
    session.edit("e1", "1000", "700")
    session.measure("e1")
    for ref, commit in refs(session.root).items():
        if "/exp/" in ref:
            git(session.root, "update-ref", "refs/autoresearch/exp/e1", commit)
        if ref.startswith("refs/autoresearch/"):
            git(session.root, "update-ref", "-d", ref)
    old = refs(session.root)["refs/autoresearch/exp/e1"]
    session.open("e2", "--parent", "e1")
    assert session.lines()[-1]["parent"] == old
    assert owner_ref("autoresearch/t") in refs(session.root)
    assert session("decide", "e1")[0] == 0
    assert session("doctor", "--repair")[0] == 0
    assert refs(session.root)["refs/autoresearch/exp/e1"] == old, "kept"


@pytest.mark.parametrize("keeps", [0, 1])
def test_following_an_advice_loses_no_commit(session: Driver, keeps: int) -> None:
    """Commits on the branch that this ledger does not know may be what another session has won."""
    if keeps:
        win(session, "e1")
    tree = git(session.root, "rev-parse", "autoresearch/t^{tree}")
    words = [*IDENTITY, "commit-tree", tree, "-p", "autoresearch/t", "-m", "won elsewhere"]
    won = subprocess.run(["git", *words], cwd=session.root, text=True, capture_output=True, check=True).stdout.strip()
    git(session.root, "update-ref", "refs/heads/autoresearch/t", won)
    code, data = session("new", "e2", "--hypothesis", "x")
    assert code == 5, data
    advice = data["fix"].partition("(")[2].partition(")")[0]
    subprocess.run(["bash", "-c", advice], cwd=session.root, check=True, capture_output=True)
    assert session("new", "e2", "--hypothesis", "x")[0] == 0
    assert git(session.root, "branch", "--contains", won, "--format=%(refname)")
