"""Fixtures: a real git project, small and quick to measure, and sessions in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from autoresearch.project import Project
from driver import Driver, Run, make_project
from sky_helpers import cloud as cloud  # fixtures for all
from sky_helpers import make as make
from slurm.lab import Lab, NoLab, running_lab

# Who plays a session, or against the fake cloud, takes long.
LONG = {"fresh", "arena", "cloud"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long begins, so that no worker sits on it at the end while the others have nothing left."""
    items.sort(key=lambda item: LONG.isdisjoint(getattr(item, "fixturenames", ())))


@pytest.hookimpl(optionalhook=True)  # xdist may not be there
def pytest_xdist_auto_num_workers() -> int:
    """Half as many again as there are cores: a third of a session's time is waiting for its jobs."""
    return max(2, (os.cpu_count() or 1) * 3 // 2)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of all workers, whose own places are beside each other."""
    base = tmp_path_factory.getbasetemp()
    place = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"
    place.mkdir(exist_ok=True)
    Driver.measured = place
    return place


@pytest.fixture(autouse=True)
def _quiet_git(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory, shared: Path) -> None:
    """No user's git configuration reaches a test, and nothing of a test the user's HOME."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(home / ".gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    # matplotlib looks through the machine's fonts once, not once in every HOME.
    monkeypatch.setenv("MPLCONFIGDIR", str(shared / "matplotlib"))
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.delenv(f"GIT_{name}_NAME", raising=False)
        monkeypatch.delenv(f"GIT_{name}_EMAIL", raising=False)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A committed project; the session's own files are untracked, as a user has them at first."""
    return Project(make_project(tmp_path / "project"))


@pytest.fixture
def fresh(project: Project) -> Iterator[Driver]:
    """The command in a project that nothing is measured of yet. A module that needs another project overrides it."""
    driver = Driver(project.root)
    yield driver
    driver.end()


@pytest.fixture
def session(fresh: Driver) -> Driver:
    """The command in a session with its baseline."""
    fresh.baseline()
    return fresh


@pytest.fixture
def autoresearch(fresh: Driver) -> Run:
    """Run the command, its output as it is; exit codes are the caller's to check."""
    return fresh.run


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
