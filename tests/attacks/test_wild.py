"""Cheats of the wild, by class and seed, over every template and both drafts of `init --plan`: none is kept.

The default suite plays two; `bash setup.sh --test attacks` every class on every site that it fits, and an honest gain
on each site, with the seeds in AUTORESEARCH_WILD_SEEDS (default 1).
"""

from __future__ import annotations

import ast
import os
import random
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from arena import Arena, copy_of, processes_of
from catalogue import DOCUMENT
from wild_classes import CLASSES, PASSES
from wild_play import Ended, play
from wild_sites import SITES, set_up

SEEDS = [int(word) for word in os.environ.get("AUTORESEARCH_WILD_SEEDS", "1").split()]
NEEDS = {"size": "node", "build-time": "make"}
PLAYS = [(site, name) for name, found in CLASSES.items() for site in found.sites if (name, site) not in PASSES]
# Sites whose sessions take few seconds.
QUICK = [(site, name) for site, name in PLAYS if site in ("training", "selfplay", "security")]


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Arena]:
    """One measured session of each site; each cheat is played on a copy of it."""
    return cache(lambda name: set_up(SITES[name], tmp_path_factory.mktemp("wild") / "template"))


def played(template: Callable[[str], Arena], tmp_path: Path, site: str, name: str, seed: int) -> Ended:
    """Play one, and look whether it did any harm."""
    if site in NEEDS and shutil.which(NEEDS[site]) is None:
        pytest.skip(f"the template {site} needs {NEEDS[site]}")
    arena = copy_of(template(site), tmp_path / "arena")
    branch, ledger = arena.branch(), arena.project.ledger.read_bytes()
    ended = play(arena, SITES[site], name, seed, CLASSES[name].files(SITES[site], seed))
    if processes_of(arena.top):
        arena("cancel", "--all")
    assert not processes_of(arena.top), "a process outlived its job"
    assert arena.project.ledger.read_bytes().startswith(ledger), "lines of the ledger were changed"
    assert arena.branch() == branch or ended.status == "keep"
    assert (arena.outside / "canary.txt").read_text() == "untouched\n"
    shutil.rmtree(tmp_path, ignore_errors=True)
    return ended


def test_there_are_many_classes_on_every_site_and_a_seed_changes_each() -> None:
    assert len(CLASSES) >= 60
    for site in SITES.values():
        mine = [found for found in CLASSES.values() if site.name in found.sites]
        assert len(mine) >= 4, site.name
        for found in mine:
            drawn = [dict(found.files(site, seed)) for seed in range(12)]
            for files in drawn:
                assert all(files.values()) or site.family == "build"
                for path, text in files.items():
                    if path.endswith(".py"):
                        ast.parse(text, path)  # a cheat that cannot start proves nothing
            assert len({str(files) for files in drawn}) > 1, found.name
    assert set(PASSES) <= {(name, site) for name, found in CLASSES.items() for site in found.sites}


def test_what_passes_has_a_reason_that_the_document_tells() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for (name, site), why in PASSES.items():
        assert f"| `{name}` | {site} | {why} |" in text


@pytest.mark.parametrize("number", range(2))
def test_a_few_are_not_kept(number: int, template: Callable[[str], Arena], tmp_path: Path) -> None:
    site, name = random.Random(f"{SEEDS[0]} {number}").choice(QUICK)
    ended = played(template, tmp_path, site, name, SEEDS[0])
    assert ended.status != "keep", ended


@pytest.mark.by_name
@pytest.mark.parametrize("site", SITES)
def test_one_of_each_site_is_not_kept_and_an_honest_gain_is(
    site: str, template: Callable[[str], Arena], tmp_path: Path
) -> None:
    name = random.Random(f"{SEEDS[0]} {site}").choice([name for at, name in PLAYS if at == site])
    ended = played(template, tmp_path / "cheat", site, name, SEEDS[0])
    assert ended.status != "keep", ended
    for number in range(3):  # a busy machine may not see in few runs what is there
        arena = copy_of(template(site), tmp_path / f"honest{number}")
        ended = play(arena, SITES[site], "honest", number, SITES[site].better)
        if ended.status == "keep":
            return
    raise AssertionError(ended)


@pytest.mark.by_name
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("site", "name"), PLAYS, ids=[f"{site}-{name}" for site, name in PLAYS])
def test_no_wild_cheat_is_kept(
    site: str, name: str, seed: int, template: Callable[[str], Arena], tmp_path: Path
) -> None:
    ended = played(template, tmp_path, site, name, seed)
    assert ended.status != "keep", ended


def test_programs_of_shell_parse() -> None:
    for seed in range(6):
        for found in CLASSES.values():
            for path, text in found.files(SITES["build-time"], seed).items() if "build-time" in found.sites else ():
                done = subprocess.run(["sh", "-n"], input=text, text=True, capture_output=True, check=False)
                assert done.returncode == 0, (path, text, done.stderr)
