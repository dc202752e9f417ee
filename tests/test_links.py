"""The link between an experiment's copy and its repository, after what people and agents do to either."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from autoresearch.workspace.git import git
from driver import IDENTITY, WORK, Driver, commit_all, write_project

Change = Callable[[Driver], Driver]
ALLOWED = ("-c", "protocol.file.allow=always", *IDENTITY)


def renamed(session: Driver) -> Driver:
    return Driver(session.root.rename(session.root.with_name("renamed")))


def mounted_elsewhere(session: Driver) -> Driver:
    """The old path leads to something else, as in a container."""
    moved = renamed(session)
    (session.root / "src").mkdir(parents=True)
    return moved


def copied(session: Driver) -> Driver:
    shutil.copytree(session.root, session.root.with_name("copied"), symlinks=True)
    return Driver(session.root.with_name("copied"))


def forgotten(session: Driver) -> Driver:
    shutil.rmtree(session.root / ".git" / "worktrees")
    return session


def link_is_gone(session: Driver) -> Driver:
    (session.project.worktree("e1") / ".git").unlink()
    return session


def names_another_repository(session: Driver) -> Driver:
    other = session.root.with_name("other")
    subprocess.run(["git", "clone", "-q", str(session.root), str(other)], check=True)
    (session.project.worktree("e1") / ".git").write_text(f"gitdir: {other}/.git\n")
    return session


def link_is_a_symbolic_one(session: Driver) -> Driver:
    mine = session.root.with_name("mine.txt")
    mine.write_text("a file of the user's\n")
    (session.project.worktree("e1") / ".git").unlink()
    (session.project.worktree("e1") / ".git").symlink_to(mine)
    return session


def holds_a_repository_of_its_own(session: Driver) -> Driver:
    tree = session.project.worktree("e1")
    (tree / ".git").unlink()
    subprocess.run(["git", "init", "-q", str(tree)], check=True)
    return session


CHANGES = (
    holds_a_repository_of_its_own,
    renamed, mounted_elsewhere, copied, forgotten, link_is_gone, names_another_repository, link_is_a_symbolic_one,
)  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_broken_link_is_mended_once(session: Driver, change: Change) -> None:
    session.open("e1")
    session.edit("e1", "1000", "700")
    kept = {path: path.read_bytes() for path in session.root.rglob("*") if path.is_file()}
    now = change(session)
    done = now.run("run", "e1")
    assert (done.returncode, "linked the copy of e1" in done.stderr) == (0, True), done.stderr
    tree = now.project.worktree("e1")
    assert git(tree, "rev-parse", "--show-toplevel") == str(tree)
    assert git(tree, "diff", "--name-only", "HEAD", "refs/worktree/candidate") == "src/work.py"
    done = now.run("ab", "e1", "--timeout", "60")
    assert (done.returncode, "linked" in done.stderr) == (0, False), done.stderr
    assert now("decide", "e1")[1]["status"] == "keep"
    assert not tree.exists()
    if change is copied:
        # The one that it was copied from is as it was, and goes on by itself.
        assert {path: path.read_bytes() for path in kept if path.name in (".git", "gitdir")} == {
            path: text for path, text in kept.items() if path.name in (".git", "gitdir")
        }
        assert session("run", "e1")[0] == 0
    if change is link_is_a_symbolic_one:
        assert session.root.with_name("mine.txt").read_text() == "a file of the user's\n"


def evaluator_changed(session: Driver) -> Driver:
    (session.root / "autoresearch.sh").write_text("echo METRIC steps=1\n")
    return session


def branch_is_anothers(session: Driver) -> Driver:
    git(session.root, "update-ref", "refs/heads/autoresearch/t", git(session.root, "rev-parse", "main"))
    return session


@pytest.mark.parametrize("change", [*CHANGES, evaluator_changed, branch_is_anothers],
                         ids=lambda change: change.__name__)  # fmt: skip
def test_an_experiment_can_always_be_given_up(session: Driver, change: Change) -> None:
    session.open("e1")
    session.edit("e1", "1000", "700")
    now = change(session)
    code, data = now("decide", "e1", "--abandon")
    assert (code, data["status"]) == (1, "discard"), data
    assert not now.project.worktree("e1").exists()
    # What it held is not lost: as a patch, or put aside.
    left = [*now.project.patches.glob("e1.patch"), *(now.project.state / "left").glob("e1-*/src/work.py")]
    assert any("return 700" in path.read_text() for path in left)
    assert now("doctor", "--repair")[0] == 0


def test_doctor_mends_a_link(session: Driver) -> None:
    session.open("e1")
    now = renamed(session)
    _, data = now("doctor", "--no-run")
    (found,) = [f for f in data["findings"] if f["what"] == "worktrees"]
    assert found["fix"] == "autoresearch doctor --repair"
    assert now("doctor", "--repair")[1]["repaired"]
    assert now("doctor", "--repair")[1]["repaired"] == []


@pytest.mark.parametrize("how", ["extension", "extension, moved", "plain"])
def test_a_copy_of_a_submodule_is_its_own_tree(tmp_path: Path, how: str) -> None:
    """With `extensions.worktreeConfig` a submodule's `core.worktree` is every work tree's."""
    write_project(tmp_path / "up")
    subprocess.run(["git", "init", "-q", "-b", "main", str(tmp_path / "up")], check=True)
    commit_all(tmp_path / "up")
    subprocess.run(["git", "init", "-q", str(tmp_path / "super")], check=True)
    words = ["git", *ALLOWED, "submodule", "add", "-q", str(tmp_path / "up"), "sub"]
    subprocess.run(words, cwd=tmp_path / "super", check=True)
    sub = Driver(tmp_path / "super" / "sub")
    if how != "plain":
        git(sub.root, "config", "extensions.worktreeConfig", "true")
    if "moved" in how:  # as `git sparse-checkout init` does it
        home = Path(git(sub.root, "rev-parse", "--absolute-git-dir"))
        git(sub.root, "config", "--file", str(home / "config.worktree"), "core.worktree", "../../../sub")
        git(sub.root, "config", "--file", str(home / "config"), "--unset", "core.worktree")
    assert sub.until_done("baseline", "--timeout", "20")[0] == 0
    sub.open("e1")
    tree = sub.project.worktree("e1")
    assert git(tree, "rev-parse", "--show-toplevel") == str(tree)
    (tree / "src" / "work.py").write_text(WORK.replace("1000", "700"))
    assert git(tree, "status", "--porcelain", "src") == " M src/work.py"
    assert sub("run", "e1")[0] == 0
    sub.end()
