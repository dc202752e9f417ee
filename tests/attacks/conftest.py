"""One measured session for the whole suite; each cheat is played on a copy of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from arena import Arena, copy_of, make_template, processes_of


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Arena:
    return make_template(tmp_path_factory.mktemp("attacks") / "template")


@pytest.fixture
def arena(template: Arena, tmp_path: Path) -> Iterator[Arena]:
    made = copy_of(template, tmp_path / "arena")
    yield made
    if processes_of(made.top):
        made("cancel", "--all")
    assert not processes_of(made.top), "a process outlived its job"
    shutil.rmtree(tmp_path, ignore_errors=True)
