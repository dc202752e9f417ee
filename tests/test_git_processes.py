"""How many git processes one command starts, on a project of one source file."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from autoresearch.project import Project
from driver import WORK, Run

# `ab` waits, and tells the verdict; a keep is in the ledger when the second experiment is opened.
# Four of each command that adds lines keep the ledger in git (session/safekeeping.py).
MOST = {
    "status": 1, "new": 8, "run": 16, "ab": 19, "decide, a keep": 19,
    "new, after a keep": 8, "run, after a keep": 16, "ab, after a keep": 19, "decide, a discard": 14,
}  # fmt: skip


@pytest.fixture
def counted(project: Project, autoresearch: Run, tmp_path: Path) -> Run:
    """The real command, with a `git` before the real one that writes down what it is asked, in `calls`."""
    shim, real = tmp_path / "bin" / "git", shutil.which("git")
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\necho "$@" >> "{tmp_path}/calls"\nexec "{real}" "$@"\n')
    shim.chmod(0o755)
    for name, value in (("name", "t"), ("email", "t@example.org")):
        subprocess.run(["git", "config", f"user.{name}", value], cwd=project.root, check=True)
    path = f"{shim.parent}:{os.environ['PATH']}"

    def run(*args: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "calls").write_text("")
        return autoresearch(*args, "--json", PATH=path)

    return run


def _short(call: str) -> str:
    """A call of git without the settings that every call has."""
    words = call.split()
    return " ".join(word for before, word in zip(["", *words], words, strict=False) if "-c" not in (before, word))


def test_a_command_starts_few_git_processes(project: Project, counted: Run, tmp_path: Path) -> None:
    found: dict[str, list[str]] = {}

    def count(label: str, *args: str, code: int = 0, **answer: object) -> None:
        done = counted(*args)
        assert done.returncode == code, done.stdout + done.stderr
        told = json.loads(done.stdout)
        assert {key: told.get(key) for key in answer} == answer
        found[label] = [_short(call) for call in (tmp_path / "calls").read_text().splitlines()]

    while counted("baseline", "--timeout", "60").returncode == 1:
        pass
    count("status", "status")
    count("new", "new", "e1", "--hypothesis", "fewer steps")
    (project.worktree("e1") / "src" / "work.py").write_text(WORK.replace("1000", "700"))
    count("run", "run", "e1")
    counted("wait", "--timeout", "60")
    count("ab", "ab", "e1", "--timeout", "60", verdict="keep")
    count("decide, a keep", "decide", "e1", status="keep")
    count("new, after a keep", "new", "e2", "--hypothesis", "other words")
    (project.worktree("e2") / "src" / "work.py").write_text(WORK.replace("1000", "700") + "\n# the same\n")
    count("run, after a keep", "run", "e2")
    counted("wait", "--timeout", "60")
    count("ab, after a keep", "ab", "e2", "--timeout", "60", code=1, verdict="discard")
    count("decide, a discard", "decide", "e2", code=1, status="discard")
    assert found.keys() == MOST.keys()
    over = {label: calls for label, calls in found.items() if not 0 < len(calls) <= MOST[label]}
    assert not over, "\n".join(
        line
        for label, calls in over.items()
        for line in (f"{label}: {len(calls)} git processes, at most {MOST[label]}", *(f"  {c}" for c in calls))
    )
