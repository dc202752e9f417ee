"""Fixtures: a real git project, small and quick to measure."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from autoresearch.project import Project
from sky_helpers import cloud as cloud  # fixtures for all
from sky_helpers import make as make
from slurm.lab import Lab, NoLab, running_lab

REPO = Path(__file__).resolve().parents[1]

BENCHMARK = """#!/usr/bin/env bash
set -euo pipefail
python3 -c "
import sys; sys.path.insert(0, 'src')
from work import steps
print('METRIC steps=%d' % steps())
"
"""
CHECKS = """#!/usr/bin/env bash
set -euo pipefail
python3 -c "
import sys; sys.path.insert(0, 'src')
from work import answer
assert answer() == 42
"
"""
WORK = """def steps():
    return 1000


def answer():
    return 42
"""
CONFIG = """name: t
goal: Fewer steps
objective: {metric: steps, direction: lower, unit: steps}
scope: ["src/**"]
off_limits: ["src/fixed.py"]
build: python3 -m compileall -q src
noise_runs: 4
review: off
timeouts: {setup: 30, build: 30, benchmark: 30, checks: 30}
"""

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def _quiet_git(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No user's git configuration reaches a test."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(home / ".gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.delenv(f"GIT_{name}_NAME", raising=False)
        monkeypatch.delenv(f"GIT_{name}_EMAIL", raising=False)


def commit_all(root: Path, message: str = "start") -> None:
    subprocess.run(["git", "add", "-A"], cwd=root, check=True)
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", *identity, "commit", "-q", "-m", message], cwd=root, check=True)


def write_project(root: Path) -> None:
    """A project whose metric is a count that its source states: deterministic and instant."""
    (root / "src").mkdir(parents=True)
    (root / "src" / "work.py").write_text(WORK)
    (root / "src" / "fixed.py").write_text("LIMIT = 1\n")
    (root / "README.md").write_text("a project\n")
    (root / ".gitignore").write_text("__pycache__/\n")
    (root / "autoresearch.sh").write_text(BENCHMARK)
    (root / "autoresearch.checks.sh").write_text(CHECKS)
    (root / "autoresearch.yaml").write_text(CONFIG)
    (root / "experiment.yaml").write_bytes((REPO / "experiment.yaml").read_bytes())


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A committed project; the session's own files are untracked, as a user has them at first."""
    root = tmp_path / "project"
    root.mkdir()
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=root, check=True)
    write_project(root)
    subprocess.run(["git", "add", "src", "README.md", ".gitignore"], cwd=root, check=True)
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", *identity, "commit", "-q", "-m", "start"], cwd=root, check=True)
    return Project(root)


@pytest.fixture
def autoresearch(project: Project) -> Iterator[Run]:
    """Run the real command in the project, as its own process; exit codes are the caller's to check."""

    def run(*args: str, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "autoresearch", *args],
            cwd=cwd or project.root,
            env={**os.environ, "PYTHONPATH": str(REPO / "helpers"), **env},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    yield run
    run("cancel", "--all")


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """The real SkyPilot on a Slurm cluster of this machine, for tests/slurm."""
    try:
        with running_lab(nodes=3, name=os.environ.get("SLURM_LAB_NAME", "")) as found:
            yield found
    except NoLab as exc:
        # setup.sh --test slurm has looked before; what is missing now is the machine's (no port, no new users, ...).
        if os.environ.get("SLURM_LAB_REQUIRED"):
            pytest.fail(str(exc))
        pytest.skip(f"THE SLURM SUITE WAS SKIPPED: {exc}")
