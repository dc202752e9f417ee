"""Every cheat, played as a real candidate through the real commands: nothing is kept, nothing is harmed.

`bash setup.sh --test attacks` plays them all; the default suite plays a few. What is asserted beside the way each ends:
the ledger keeps its lines, the pinned evaluator and the session branch stay, the user's checkout and what lies outside
the project are as before, no process is left, and no raw control byte reaches a terminal.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from arena import Arena, Snapshot, copy_of, make_template, processes_of
from catalogue import CHEATS, DOCUMENT, with_tables
from cheat import FAST, Cheat, program


# No conftest.py here: its name would stand for tests/conftest.py, which other tests import from.
@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Arena:
    """One measured session for the whole suite; each cheat is played on a copy of it."""
    return make_template(tmp_path_factory.mktemp("attacks") / "template")


@pytest.fixture
def arena(template: Arena, tmp_path: Path) -> Iterator[Arena]:
    made = copy_of(template, tmp_path / "arena")
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


def _plays() -> list[object]:
    slow = pytest.mark.by_name
    return [pytest.param(c, id=c.name, marks=[] if c.quick else [slow]) for c in CHEATS]


@pytest.mark.parametrize("cheat", _plays())
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
    assert_unharmed(arena, before)


def assert_unharmed(arena: Arena, before: Snapshot) -> None:
    now = Snapshot.take(arena)
    assert now.ledger.startswith(before.ledger), "lines of the ledger were changed"
    arena.ledger()
    for name in ("checkout", "outside", "pins", "head", "branch"):
        assert getattr(now, name) == getattr(before, name), f"{name} changed"
    for name in ("autoresearch.md", "IMPROVEMENTS.md", "autoresearch.jsonl"):
        path = arena.root / name
        raw = path.read_bytes() if path.exists() else b""
        assert not {b for b in raw if b < 32 or b == 127} - {9, 10}, f"{name} holds control bytes"
