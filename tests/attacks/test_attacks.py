"""Every cheat, played as a real candidate through the real commands: nothing is kept, nothing is harmed.

`bash setup.sh --test attacks` plays them all; the default suite plays a few. What is asserted beside the way each ends:
the ledger keeps its lines, the pinned evaluator and the session branch stay, the user's checkout and what lies outside
the project are as before, no process is left, and no raw control byte reaches a terminal.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from arena import Arena, Kind, Snapshot, copy_of, make_template, processes_of
from catalogue import CHEATS, DOCUMENT, with_tables
from cheat import FAST, Cheat, program
from cheats_work import memoise


# No conftest.py here: its name would stand for tests/conftest.py, which other tests import from.
@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Kind], Arena]:
    """One measured session of each kind for the whole suite; each cheat is played on a copy of it."""
    return cache(lambda kind: make_template(tmp_path_factory.mktemp("attacks") / "template", kind))


@pytest.fixture
def arena(template: Callable[[Kind], Arena], tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Arena]:
    made = copy_of(template(getattr(request, "param", Kind())), tmp_path / "arena")
    yield made
    if processes_of(made.top):
        made("cancel", "--all")
    assert not processes_of(made.top), "a process outlived its job"
    shutil.rmtree(tmp_path, ignore_errors=True)


def test_the_document_has_the_suites_own_tables() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert text == with_tables(text), "run python tests/attacks/catalogue.py"
    assert len({cheat.name for cheat in CHEATS}) == len(CHEATS) >= 40


def test_an_honest_win_is_kept(arena: Arena) -> None:
    """The control: without it a suite that keeps nothing proves nothing."""
    before = arena.branch()
    for name in ("w1", "w2", "w3"):  # a busy machine may not see in few runs what is there
        arena.experiment = name
        assert arena("new", name, "--hypothesis", "insertion keeps a sorted list").code == 0
        program(setup=FAST, answer="fast(values)")(arena)
        arena.until_done("ab", name)
        told = arena.decide()
        if told.data.get("status") == "keep":
            break
    assert (told.code, told.data.get("status")) == (0, "keep"), told.text + arena.told[-2].text
    (kept,) = arena.keeps()
    assert arena.branch() == kept["commit_full"] != before
    assert "def fast" in arena.git("show", "autoresearch/rank:src/rank.py")


def _plays() -> Iterator[object]:
    for cheat in CHEATS:
        marks = [] if cheat.quick else [pytest.mark.by_name]
        yield pytest.param(Kind(cheat.evaluator), cheat, id=cheat.name, marks=marks)
        if cheat.open is not None:
            kind = Kind(cheat.evaluator, uncontained=True)
            yield pytest.param(kind, cheat, id=f"{cheat.name}-uncontained", marks=pytest.mark.by_name)


@pytest.mark.parametrize(("arena", "cheat"), list(_plays()), indirect=["arena"])
def test_no_cheat_is_kept(arena: Arena, cheat: Cheat) -> None:
    end = cheat.end if arena.contained or cheat.open is None else cheat.open
    parent = ["--parent", cheat.parent(arena)] if cheat.parent is not None else []
    assert arena("new", arena.experiment, "--hypothesis", "it is only faster", *parent).code == 0
    untouched = Snapshot.take(arena)
    cheat.play(arena)
    before = Snapshot.take(arena)
    if not cheat.touches_checkout:
        assert before == untouched

    ab = arena.until_done("ab", arena.experiment)
    if cheat.after_ab is not None:
        cheat.after_ab(arena)
    decided = arena.decide()
    said = ab.text + decided.text + str(arena.run_line())
    assert arena.keeps() == [], said
    assert decided.code == end.decide, said
    assert end.ab in (ab.code, None), said
    line = arena.run_line()
    assert (line["status"] if line else None) == end.status, said
    assert any(word in said for word in end.words), f"none of {end.words} in {said}"
    for words in (("status",), ("logs", arena.experiment), ("report",)) if cheat.shows else ():
        arena(*words)
    assert_unharmed(arena, before, () if end is cheat.end else cheat.open_harm)


@pytest.mark.by_name
@pytest.mark.parametrize("arena", [Kind("fixed")], indirect=True)
def test_a_gain_on_a_fixed_input_only_is_refuted_by_the_audit(arena: Arena) -> None:
    """The one way to a keep that no diff rule and no A/B can bar: the benchmark never asks anything else."""
    assert arena("new", "e1", "--hypothesis", "a table is quicker").code == 0
    memoise(arena)
    arena.until_done("ab", "e1")
    kept = arena.decide()
    assert (kept.code, kept.data.get("status")) == (0, "keep"), kept.text + arena.told[-2].text
    told = arena.until_done("finalize", "--audit", "--runs", "40")
    assert (told.code, told.data["verified"], told.data["heldout"]["proven"]) == (1, False, False), told.text
    assert told.data["effect_pct"] > 10, told.text  # by the benchmark that it was fitted to


def assert_unharmed(arena: Arena, before: Snapshot, harm: tuple[str, ...] = ()) -> None:
    """All is as it was, but for `harm`, which must have come about: the document says so."""
    now = Snapshot.take(arena)
    assert now.ledger.startswith(before.ledger), "lines of the ledger were changed"
    arena.ledger()
    for name in ("checkout", "outside", "home", "pins", "head", "branch"):
        changed = getattr(now, name) != getattr(before, name)
        assert changed == (name in harm), f"{name} changed: {changed}"
    for name in ("autoresearch.md", "IMPROVEMENTS.md", "autoresearch.jsonl"):
        path = arena.root / name
        raw = path.read_bytes() if path.exists() else b""
        assert not {b for b in raw if b < 32 or b == 127} - {9, 10}, f"{name} holds control bytes"
