"""What stands in an experiment's copy is anybody's: git is asked with our own repository, and runs nothing of it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from autoresearch.workspace.git import git
from driver import IDENTITY, Driver, commit_all

ALL_EVIL = "* filter=evil diff=evil merge=evil\n"
# A program that must not run: it would leave a file beside the project.
Plant = Callable[[Driver, str], None]


def _copy(session: Driver) -> Path:
    return session.project.worktree("e1")


def _hostile(repository: Path, canary: str) -> None:
    """Every setting of a repository that names a program which git runs while it reads files."""
    for name in ("filter.evil.clean", "filter.evil.process", "diff.evil.command", "diff.evil.textconv",
                 "core.fsmonitor", "core.pager", "core.sshCommand"):  # fmt: skip
        git(repository, "config", name, canary)
    hooks = repository / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("post-index-change", "reference-transaction", "post-checkout", "fsmonitor-watchman"):
        (hooks / name).write_text(f"#!/bin/sh\n{canary}\n")
        (hooks / name).chmod(0o755)
    git(repository, "config", "core.hooksPath", str(hooks))
    (repository / ".git" / "info" / "attributes").write_text(ALL_EVIL)


def its_own_repository(session: Driver, canary: str) -> None:
    (_copy(session) / ".git").unlink()
    subprocess.run(["git", "init", "-q", str(_copy(session))], check=True)
    _hostile(_copy(session), canary)


def link_to_another(session: Driver, canary: str) -> None:
    other = session.root.with_name("other")
    subprocess.run(["git", "clone", "-q", str(session.root), str(other)], check=True)
    _hostile(other, canary)
    (_copy(session) / ".git").write_text(f"gitdir: {other}/.git\n")


def symbolic_link_to_another(session: Driver, canary: str) -> None:
    link_to_another(session, canary)
    (_copy(session) / ".git").unlink()
    (_copy(session) / ".git").symlink_to(session.root.with_name("other") / ".git")


def moves_its_work_tree(session: Driver, canary: str) -> None:
    link_to_another(session, canary)
    git(session.root.with_name("other"), "config", "core.worktree", str(session.root))


def a_pipe(session: Driver, canary: str) -> None:
    (_copy(session) / ".git").unlink()
    os.mkfifo(_copy(session) / ".git")


def a_giant(session: Driver, canary: str) -> None:
    os.truncate(_copy(session) / ".git", 1 << 40)


PLANTS = (its_own_repository, link_to_another, symbolic_link_to_another, moves_its_work_tree, a_pipe, a_giant)


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_no_program_of_a_copys_git_runs(session: Driver, tmp_path: Path, plant: Plant) -> None:
    session.open("e1")
    session.edit("e1", "1000", "700")
    plant(session, f"touch {tmp_path}/ran; cat")
    other = session.root.with_name("other")
    before = _objects(other)
    attributes = _copy(session) / "src" / ".gitattributes"
    attributes.write_text(ALL_EVIL)
    code, data = session("run", "e1")
    assert (code, "src/.gitattributes" in str(data)) == (5, True), data
    attributes.unlink()
    code, data = session.measure("e1")
    assert (code, data["verdict"]) == (0, "keep"), data
    session("status")
    assert session("decide", "e1")[1]["status"] == "keep"
    assert not (tmp_path / "ran").exists()
    assert _objects(other) == before
    assert git(session.root, "show", "autoresearch/t:src/work.py").count("700") == 1


def _objects(repository: Path) -> list[Path]:
    return sorted((repository / ".git" / "objects").rglob("*"))


def test_no_program_of_a_submodule_runs(session: Driver, tmp_path: Path) -> None:
    """git asks a submodule whether it is changed by a git of its own, which obeys the submodule's settings."""
    up = tmp_path / "up"
    up.mkdir()
    subprocess.run(["git", "init", "-q", "-b", "main", str(up)], check=True)
    (up / "a.txt").write_text("a\n")
    commit_all(up)
    subprocess.run(["git", "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(up), "src/sub"],
                   cwd=session.root, check=True)  # fmt: skip
    subprocess.run(["git", *IDENTITY, "commit", "-qm", "sub"], cwd=session.root, check=True)
    subprocess.run(["git", "branch", "-q", "-f", "with", "HEAD"], cwd=session.root, check=True)
    session("new", "e1", "--hypothesis", "x", "--parent", "with")
    session.edit("e1", "1000", "700")
    sub = _copy(session) / "src" / "sub"
    subprocess.run(["git", "clone", "-q", str(up), str(sub)], check=True)
    _hostile(sub, f"touch {tmp_path}/ran; cat")
    os.utime(sub / "a.txt", (0, 0))
    session("run", "e1")
    session("status")
    assert not (tmp_path / "ran").exists()
    # Its commit is a part of the candidate all the same.
    git(sub, *IDENTITY, "commit", "-q", "--allow-empty", "-m", "another")
    session("run", "e1")
    found = git(_copy(session), "diff-tree", "-r", "HEAD", "refs/worktree/candidate", "--", "src/sub")
    assert git(sub, "rev-parse", "HEAD") in found


def test_a_filter_of_the_project_is_never_the_candidates(session: Driver, tmp_path: Path) -> None:
    """A filter of the user's that names a script by its place: it is the project's script that runs."""
    tool = session.root / "src" / "clean.sh"
    tool.write_text(f"touch {tmp_path}/ours; cat\n")
    (session.root / ".git" / "info" / "attributes").write_text("src/work.py filter=own\n")
    subprocess.run(["git", "add", "src/clean.sh"], cwd=session.root, check=True)
    subprocess.run(["git", *IDENTITY, "commit", "-qm", "filter"], cwd=session.root, check=True)
    subprocess.run(["git", "branch", "-q", "with", "HEAD"], cwd=session.root, check=True)
    for way in ("clean", "smudge"):
        git(session.root, "config", f"filter.own.{way}", "sh src/clean.sh")
    session("new", "e1", "--hypothesis", "x", "--parent", "with")
    (tmp_path / "ours").unlink()
    session.edit("e1", "1000", "700")
    (_copy(session) / "src" / "clean.sh").write_text(f"touch {tmp_path}/ran; cat\n")
    assert session("run", "e1")[0] == 0
    assert session("new", "e2", "--hypothesis", "y", "--parent", "e1")[0] == 0
    assert ((tmp_path / "ours").exists(), (tmp_path / "ran").exists()) == (True, False)


def test_a_copy_that_leads_elsewhere_is_refused_and_what_is_there_stays(session: Driver, tmp_path: Path) -> None:
    session.open("e1")
    elsewhere = tmp_path / "elsewhere"
    _copy(session).rename(elsewhere)
    (elsewhere / ".git").unlink()
    subprocess.run(["git", "init", "-q", str(elsewhere)], check=True)
    _copy(session).symlink_to(elsewhere)
    kept = sorted(elsewhere.rglob("*"))
    code, data = session("run", "e1")
    assert (code, "symbolic link" in str(data)) == (5, True), data
    assert session("decide", "e1", "--abandon")[1]["status"] == "discard"
    assert sorted(elsewhere.rglob("*")) == kept
    assert not os.path.lexists(_copy(session))


def _pipe(copy: Path) -> None:
    os.mkfifo(copy / "src" / "data")


def _ignore_is_a_pipe(copy: Path) -> None:
    (copy / ".gitignore").unlink()
    os.mkfifo(copy / ".gitignore")


def _file_became_a_pipe(copy: Path) -> None:
    (copy / "src" / "work.py").unlink()
    os.mkfifo(copy / "src" / "work.py")


def _head_is_a_pipe(copy: Path) -> None:
    (copy / "src" / "inner").mkdir()
    subprocess.run(["git", "init", "-q", str(copy / "src" / "inner")], check=True)
    (copy / "src" / "inner" / ".git" / "HEAD").unlink()
    os.mkfifo(copy / "src" / "inner" / ".git" / "HEAD")


def _sparse_giant(copy: Path) -> None:
    (copy / "src" / "giant\x1b[31m.bin").touch()
    os.truncate(copy / "src" / "giant\x1b[31m.bin", 1 << 42)


def _attributes_are_giant(copy: Path) -> None:
    (copy / "src" / ".gitattributes").touch()
    os.truncate(copy / "src" / ".gitattributes", 1 << 42)


def _large(copy: Path) -> None:
    (copy / "src" / "large.bin").write_bytes(os.urandom(21 << 20))


def _many(copy: Path) -> None:
    for n in range(2001):
        (copy / "src" / f"f{n}").write_text(str(n))


@pytest.mark.parametrize(("plant", "word"), [
    (_pipe, "src/data is a pipe"), (_ignore_is_a_pipe, ".gitignore is a pipe"),
    (_file_became_a_pipe, "src/work.py is a pipe"), (_head_is_a_pipe, "HEAD is a pipe"),
    (_sparse_giant, "4096 GB"), (_attributes_are_giant, "git would read it"),
    (_large, "21.0 MB"), (_many, "2001 files"),
])  # fmt: skip
def test_what_no_diff_may_hold_is_refused_before_git_reads_it(
    session: Driver, plant: Callable[[Path], None], word: str
) -> None:
    session.open("e1")
    objects = sum(path.stat().st_size for path in _objects(session.root) if path.is_file())
    plant(_copy(session))
    code, data = session("run", "e1")
    assert (code, word in str(data)) == (5, True), data
    assert "\x1b" not in str(data)
    assert sum(path.stat().st_size for path in _objects(session.root) if path.is_file()) == objects
    assert data["next"] == "autoresearch decide e1 --abandon"
    code, data = session("decide", "e1", "--abandon")
    assert (code, data["status"]) == (1, "discard"), data
    assert not os.path.lexists(_copy(session))


def test_limits_are_settings_and_what_git_ignores_counts_not(session: Driver) -> None:
    session.open("e1")
    session.edit("e1", "1000", "700")
    (_copy(session) / "src" / "__pycache__").mkdir()
    _large(_copy(session))
    (_copy(session) / "src" / "large.bin").rename(_copy(session) / "src" / "__pycache__" / "large.bin")
    assert session("run", "e1")[0] == 0
    session.configure("diff: {max_mb: 0.01}\n")
    (_copy(session) / "src" / "more.py").write_text("#" * 20_000)
    code, data = session("run", "e1")
    assert (code, "raise diff.max_mb" in str(data)) == (5, True), data
    session.configure("\n")
    text = (session.root / "autoresearch.yaml").read_text()
    (session.root / "autoresearch.yaml").write_text(text.replace("max_mb: 0.01", "max_megabytes: 1"))
    code, data = session("run", "e1")
    assert (code, "max_mb" in str(data)) == (2, True), data
