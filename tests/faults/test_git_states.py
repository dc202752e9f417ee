"""Repositories in every state that people leave them in: the session goes on or says in a sentence why not.

Whatever the state, the user's own files, index (bytes and time), HEAD, branches, stashes and operations in progress are
exactly as before.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fault_session import GIT_IDENTITY, Place, a_place, drive, edit, git, play, preload
from fault_session import SCRIPT as STEPS
from fault_state import describe, differences, users_work

from autoresearch.project import Project
from autoresearch.workspace.owner import candidates

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

Change = Callable[[Path], None]
FULL = os.environ.get("AUTORESEARCH_FAULTS") == "full"
STEP = {step.name: step for step in STEPS}


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """A session that has been played; each test sets it back to where it needs it."""
    preload()
    with a_place() as made:
        play(made)
        yield made


# ------------------------------------------------------------ states of a repository in mid-session


def hooks_that_fail(root: Path) -> None:
    for name in ("pre-commit", "commit-msg", "prepare-commit-msg", "post-commit", "post-checkout", "pre-push",
                 "reference-transaction", "post-index-change", "post-rewrite", "fsmonitor-watchman"):  # fmt: skip
        hook = root / ".git" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\necho ran >>'{root}/hook-ran'\nexit 1\n")
        hook.chmod(0o755)


def hooks_elsewhere(root: Path) -> None:
    hooks_that_fail(root)
    (root / ".git" / "hooks").rename(root / ".git" / "my hooks")
    git(root, "config", "core.hooksPath", str(root / ".git" / "my hooks"))


def index_is_locked(root: Path) -> None:
    (root / ".git" / "index.lock").write_bytes(b"")


def a_killed_git_left_our_lock(root: Path) -> None:
    (root / ".git/refs/heads/autoresearch/t.lock").write_bytes(b"")
    ours = root / ".git" / candidates(Project(root))
    ours.mkdir(parents=True, exist_ok=True)
    (ours / "e1.lock").write_bytes(b"")


def head_is_detached(root: Path) -> None:
    git(root, "checkout", "-q", "--detach")


def a_merge_waits(root: Path) -> None:
    _diverge(root)
    _fails(root, "merge", "other")


def a_rebase_waits(root: Path) -> None:
    _diverge(root)
    _fails(root, "rebase", "other")


def a_cherry_pick_waits(root: Path) -> None:
    _diverge(root)
    _fails(root, "cherry-pick", "other")


def a_revert_waits(root: Path) -> None:
    _diverge(root)
    _fails(root, "revert", "--no-edit", "HEAD~1")


def a_bisect_runs(root: Path) -> None:
    _diverge(root)
    git(root, "bisect", "start", "HEAD", "HEAD~1")


def a_stash(root: Path) -> None:
    git(root, *GIT_IDENTITY, "stash", "-q")
    (root / "README.md").write_text("after the stash\n")


def commits_are_signed(root: Path) -> None:
    for key, value in (("commit.gpgSign", "true"), ("gpg.program", "/nonexistent/gpg"), ("tag.gpgSign", "true")):
        git(root, "config", key, value)


def odd_configuration(root: Path) -> None:
    for key, value in (
        ("core.autocrlf", "true"), ("core.safecrlf", "true"), ("core.fsmonitor", "/nonexistent/monitor"),
        ("diff.noprefix", "true"), ("diff.external", "/bin/false"), ("apply.whitespace", "error"),
        ("core.quotePath", "true"), ("submodule.recurse", "true"), ("user.useConfigOnly", "true"),
        ("core.splitIndex", "true"), ("feature.manyFiles", "true"), ("i18n.commitEncoding", "ISO-8859-1"),
        ("diff.renames", "copies"), ("core.logAllRefUpdates", "always"), ("gc.auto", "1"), ("color.ui", "always"),
        ("core.checkStat", "minimal"), ("merge.conflictStyle", "diff3"), ("core.abbrev", "4"),
        ("status.showUntrackedFiles", "no"),
    ):  # fmt: skip
        git(root, "config", key, value)


def the_repository_is_packed(root: Path) -> None:
    git(root, "-c", "gc.pruneExpire=now", "gc", "-q", "--prune=now")


def gc_is_running(root: Path) -> None:
    (root / ".git" / "gc.pid").write_text(f"{os.getpid()} {os.uname().nodename}")
    (root / ".git" / "packed-refs.lock").write_bytes(b"")


def a_worktree_of_the_users_is_away(root: Path) -> None:
    """On a disk that is not mounted now: `git worktree prune` would forget it, with its index."""
    away = root.parent / "away"
    git(root, "worktree", "add", "-q", "-b", "away", str(away))
    shutil.rmtree(away)


def odd_file_names(root: Path) -> None:
    for name in ("src/two words.py", "src/naïve 名.py", "src/line\nbreak.py", 'src/"quoted".py', "src/-dash.py"):
        (root / name).write_text("X = 1\n")
    git(root, "add", "-A", "src")


STATES: tuple[Change, ...] = (
    hooks_that_fail, hooks_elsewhere, index_is_locked, a_killed_git_left_our_lock, head_is_detached, a_merge_waits,
    a_rebase_waits, a_cherry_pick_waits, a_revert_waits, a_bisect_runs, a_stash, commits_are_signed,
    odd_configuration, the_repository_is_packed, gc_is_running, a_worktree_of_the_users_is_away, odd_file_names,
)  # fmt: skip


def _diverge(root: Path) -> None:
    """A branch `other` that conflicts with main in README.md."""
    git(root, "reset", "-q", "--hard")
    for branch, text in (("other", "theirs\n"), ("main", "ours\n"), ("main", "ours, again\n")):
        git(root, "checkout", "-q", *(("-b", "other") if branch == "other" else ("main",)))
        (root / "README.md").write_text(text)
        git(root, *GIT_IDENTITY, "commit", "-q", "-am", text.strip())
    (root / "notes.txt").write_text("untracked, and edited\n")


def _fails(root: Path, *args: str) -> None:
    done = subprocess.run(["git", *GIT_IDENTITY, *args], cwd=root, capture_output=True, check=False)
    assert done.returncode != 0, args


# Without AUTORESEARCH_FAULTS=full: those that have been wrong once, or touch most.
SHARE = (
    hooks_that_fail,
    a_killed_git_left_our_lock,
    a_rebase_waits,
    odd_configuration,
    a_worktree_of_the_users_is_away,
)


@pytest.mark.parametrize("state", STATES if FULL else SHARE, ids=lambda state: state.__name__)
def test_a_session_goes_on(place: Place, state: Change) -> None:
    """A keep, a revert, a new experiment and one that is given up, in that state."""
    place.restore("keep.after")
    want = describe(place)
    place.restore("keep")
    state(place.root)
    before, everything = users_work(place.root), _all_files(place.root)

    done = drive(place, STEP["keep"])
    assert done.code == 0, done
    found = describe(place)
    assert differences({k: want[k] for k in ("ledger", "ideas", "patches")}, found) == []
    assert found["refs"]["refs/heads/autoresearch/t"] == want["refs"]["refs/heads/autoresearch/t"]
    for args, code in (
        (("finalize", "--drop", "e1", "--reason", "to see"), 0),
        (("new", "e9", "--hypothesis", "to be given up"), 0),
        (("doctor", "--no-run"), 0),
        (("decide", "e9", "--abandon"), 1),
        (("status",), 0),
        (("doctor", "--repair"), 0),
    ):
        if args[0] == "decide":
            edit("e9", "1000", "800")(place)
        done = place.run(*args)
        assert done.code == code, (args, done)
        assert "Traceback" not in done.err, done.err
    assert "return 800" in (place.project.patches / "e9.patch").read_text().replace("+", "")
    assert users_work(place.root) == before
    assert _all_files(place.root) == everything
    assert not (place.root / "hook-ran").exists()
    author = git(place.root, "log", "-1", "--format=%an %ae", "autoresearch/t").strip()
    assert author == "autoresearch autoresearch@localhost" or "@" in author


def _all_files(root: Path) -> dict[str, bytes]:
    """What git keeps of the user: everything in .git but objects, logs, and what is under our names."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted((root / ".git").rglob("*"))
        if path.is_file()
        and not any(word in str(path.relative_to(root)) for word in ("objects/", "logs/", "autoresearch", "/e9"))
        and path.relative_to(root).parts[:3] not in (
            (".git", "worktrees", name) for name in ("e1", "e2", "e3", "e4", "e9")
        )
    }  # fmt: skip


# ------------------------------------------------------------ refused before anything is measured


@pytest.mark.parametrize(
    ("state", "code", "says"),
    [
        (a_rebase_waits, 2, "a rebase is in progress"),
        (a_merge_waits, 2, "a merge is in progress"),
        (a_cherry_pick_waits, 2, "a cherry-pick is in progress"),
        (a_revert_waits, 2, "a revert is in progress"),
        (a_bisect_runs, 2, "a bisect is in progress"),
        (lambda root: git(root, "branch", "autoresearch"), 2, "branch autoresearch is in the way"),
        (lambda root: git(root, "branch", "autoresearch/t/x"), 2, "branch autoresearch/t/x is in the way"),
        (lambda root: git(root, "branch", "Autoresearch/T"), 2, "upper and lower case"),
    ],
    ids=lambda value: getattr(value, "__name__", None) if callable(value) else None,
)
def test_no_baseline_is_begun(place: Place, state: Change, code: int, says: str) -> None:
    place.restore("baseline")
    state(place.root)
    before = users_work(place.root)
    done = place.run("baseline", "--timeout", "25")
    assert done.code == code, done
    assert says in done.err, done.err
    assert done.err.count("\n") <= 2, done.err
    assert users_work(place.root) == before
    assert not any(place.project.jobs.glob("*"))


def test_a_bare_repository_and_no_repository_are_refused(place: Place) -> None:
    place.restore("baseline")
    git(place.root, "config", "core.bare", "true")
    done = place.run("baseline", "--timeout", "25")
    assert (done.code, "bare repository" in done.err) == (2, True), done
    shutil.rmtree(place.root / ".git")
    done = place.run("baseline", "--timeout", "25")
    assert (done.code, "not inside a git work tree" in done.err) == (2, True), done


@pytest.mark.skipif(os.geteuid() != 0, reason="NOT ROOT: a repository of another user cannot be made")
def test_a_repository_of_another_user_is_refused(place: Place) -> None:
    place.restore("baseline")
    for path in (place.root, place.root / ".git"):
        os.chown(path, 4242, 4242)
    try:
        done = place.run("baseline", "--timeout", "25")
        assert (done.code, "safe.directory" in done.err) == (3, True), done
    finally:
        for path in (place.root, place.root / ".git"):
            os.chown(path, 0, 0)


def test_experiments_that_differ_in_case_only_are_refused(place: Place) -> None:
    place.restore("new2")
    done = place.run("new", "E1", "--hypothesis", "the same name to some disks")
    assert (done.code, "upper and lower case" in done.err) == (2, True), done
