"""What removes or cuts ledger, ideas and documents loses none of them: git keeps them, and repair puts them back."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from autoresearch.project import Project
from autoresearch.session import safekeeping
from autoresearch.session.access import load
from autoresearch.workspace.git import git
from driver import IDENTITY, REPO, Driver, write_project

Loss = Callable[[Driver], object]


def kept(driver: Driver, name: str = "t") -> bytes:
    return safekeeping._whole(driver.project, safekeeping.ref_of(driver.project, name))


def ref(driver: Driver) -> str:
    return git(driver.root, "rev-parse", safekeeping.ref_of(driver.project, "t"))


@pytest.fixture
def played(session: Driver) -> Driver:
    """A keep, an open experiment, an idea and a line of prose."""
    session("ideas", "add", "Count less", "--gain", "5", "--confidence", "0.5", "--cost", "1", "--source", "profile")
    session.open("e1", "--idea", "i1")
    session.edit("e1", "1000", "700")
    assert session.measure("e1")[0] == 0
    assert session("decide", "e1")[0] == 0
    document = session.project.document
    document.write_text(document.read_text() + "\nfewer steps are fewer steps\n")
    session.open("e2")
    session.edit("e2", "700", "600")
    assert session("run", "e2")[0] == 0
    session.until_done("wait", "--timeout", "20")
    return session


def test_each_command_that_adds_lines_keeps_them_before_it_answers(session: Driver) -> None:
    ledger = session.project.ledger
    assert kept(session) == ledger.read_bytes()
    steps = (
        lambda: session.open("e1"),
        lambda: session("run", "e1"),
        lambda: session.measure("e1"),
        lambda: session("decide", "e1"),
        lambda: session("finalize", "--drop", "e1", "--reason", "no"),
    )
    for number, step in enumerate(steps):
        before = ref(session)
        step()
        if number == 0:
            session.edit("e1", "1000", "700")
        assert kept(session) == ledger.read_bytes()
        assert ref(session) != before
        assert git(session.root, "rev-list", "--count", f"{before}..{ref(session)}") in ("1", "2"), "one for a command"
    before = ref(session)
    for words in (("status",), ("ideas", "list"), ("queue",), ("report",), ("log",)):
        session.run(*words)
    assert ref(session) == before, "nothing was added"


def clean(driver: Driver) -> None:
    git(driver.root, "clean", "-xfdq")


def clean_without_any_of_it(driver: Driver) -> None:
    git(driver.root, "clean", "-xffdq")


def remove_the_ledger(driver: Driver) -> None:
    driver.project.ledger.unlink()


def remove_the_ledger_and_the_state(driver: Driver) -> None:
    driver.project.ledger.unlink()
    shutil.rmtree(driver.project.state)


def empty(driver: Driver) -> None:
    driver.project.ledger.write_bytes(b"")


def cut(driver: Driver) -> None:
    lines = driver.project.ledger.read_bytes().splitlines(keepends=True)
    driver.project.ledger.write_bytes(b"".join(lines[:-3]))


def cut_within_a_line(driver: Driver) -> None:
    driver.project.ledger.write_bytes(driver.project.ledger.read_bytes()[:-40])


LOSSES = (
    clean, clean_without_any_of_it, remove_the_ledger, remove_the_ledger_and_the_state, empty, cut, cut_within_a_line,
)  # fmt: skip


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.__name__)
def test_what_was_lost_is_told_and_put_back(played: Driver, loss: Loss) -> None:
    ledger, before = played.project.ledger, ref(played)
    whole, ideas = ledger.read_bytes(), played.project.ideas.read_text()
    branch = git(played.root, "rev-parse", "autoresearch/t")
    loss(played)
    stands = ledger.read_bytes() if ledger.exists() else None
    for words in (("status",), ("new", "e9", "--hypothesis", "x"), ("baseline", "--timeout", "5"), ("decide", "e2")):
        code, data = played(*words)
        assert (code, data["next"]) == (5, "autoresearch doctor --repair"), data
        assert "git keeps" in data["error"]
    after = ledger.read_bytes() if ledger.exists() else None
    assert after == stands or after == (stands or b"") + b"\n", "nothing was written"
    assert ref(played) == before
    code, data = played("doctor", "--repair")
    assert (code, bool(data["repaired"])) == (0, True), data
    assert ledger.read_bytes().startswith(whole)
    assert played.project.ideas.read_text() == ideas
    assert "fewer steps are fewer steps" in played.project.document.read_text()
    assert git(played.root, "rev-parse", "autoresearch/t") == branch
    code, data = played("status")
    assert code == 0, data
    assert (data["counts"], [*data["undecided"]]) == ({"keep": 1}, ["e2"]), data
    assert played("doctor", "--repair")[1]["repaired"] == []
    assert "return 600" in (played.project.worktree("e2") / "src/work.py").read_text()
    assert played.measure("e2")[0] == 0
    assert len({line["job"] for line in played.lines() if line.get("type") in ("job", "test")}) == 3, "each its own"
    assert played("decide", "e2")[0] == 0


def test_a_ledger_that_says_something_else_is_put_aside(played: Driver) -> None:
    ledger = played.project.ledger
    whole = ledger.read_bytes()
    lines = whole.splitlines(keepends=True)
    other = b"".join(lines[:-2]) + b'{"run":9,"metric":1,"status":"discard","description":"of another loop"}\n'
    ledger.write_bytes(other)
    assert played("status")[0] == 5
    assert ledger.read_bytes() == other, "not silently"
    found = [f for f in played("doctor", "--no-run")[1]["findings"] if f["what"] == "ledger"]
    assert [f["fix"] for f in found] == ["autoresearch doctor --repair"], found
    code, data = played("doctor", "--repair")
    assert (code, "aside in .autoresearch/left/" in json.dumps(data["recovered"])) == (0, True), data
    assert ledger.read_bytes() == whole
    assert (played.project.state / "left" / f"{ledger.name}-1").read_bytes() == other


def test_a_clone_has_it_with_the_refs(played: Driver, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(played.root), str(clone))
    git(clone, "fetch", "-q", "origin", "refs/autoresearch/*:refs/autoresearch/*")
    git(clone, "fetch", "-q", "origin", "refs/heads/autoresearch/*:refs/heads/autoresearch/*")
    (clone / "deep" / "er").mkdir(parents=True)
    there = Driver(clone)
    done = there.run("status", "--json", cwd=clone / "deep" / "er")
    assert (done.returncode, json.loads(done.stdout)["next"]) == (5, "autoresearch doctor --repair")
    assert there.run("doctor", "--repair", cwd=clone / "deep" / "er").returncode == 0
    assert there.project.ledger.read_bytes() == played.project.ledger.read_bytes()
    code, data = there("status")
    assert (code, data.get("counts")) == (0, {"keep": 1}), data


@pytest.mark.parametrize("told", [True, False], ids=["before the ref", "before the note"])
def test_a_command_that_was_killed_after_its_line_costs_nothing(played: Driver, told: bool) -> None:
    """The next one keeps what it had added, whatever the note says."""
    note = played.project.state / safekeeping.NOTE
    name, before, said = safekeeping.ref_of(played.project, "t"), ref(played), note.read_bytes()
    assert played("decide", "e2", "--abandon")[0] == 1
    if told:
        git(played.root, "update-ref", name, before)
    note.write_bytes(said)
    assert played("status")[0] == 0
    assert kept(played) == played.project.ledger.read_bytes()
    played.project.ledger.unlink()
    note.unlink()
    assert played("doctor", "--repair")[0] == 0
    assert played("status")[1]["undecided"] == {}


def test_an_edited_ledger_is_kept_once_it_is_on_record_and_what_was_kept_stays(played: Driver) -> None:
    ledger, before = played.project.ledger, ref(played)
    edited = ledger.read_bytes().replace(b'"description":"idea of e1"', b'"description":"another"')
    assert edited != ledger.read_bytes()
    ledger.write_bytes(edited)
    assert played("decide", "e2", "--abandon")[0] == 1, "told, and no reason to stop"
    assert ref(played) == before
    assert played("doctor", "--repair")[0] == 0
    assert kept(played) == ledger.read_bytes()
    assert b'"description":"another"' in kept(played)
    git(played.root, "merge-base", "--is-ancestor", before, ref(played))
    assert played("status")[0] == 0


def test_line_ends_are_no_loss(played: Driver) -> None:
    ledger = played.project.ledger
    ledger.write_bytes(ledger.read_bytes().replace(b"\n", b"\r\n"))
    assert played("decide", "e2", "--abandon")[0] == 1
    assert kept(played) == ledger.read_bytes()


def test_each_document_that_is_gone_is_named_and_put_back(played: Driver) -> None:
    ideas = played.project.ideas.read_bytes()
    played.project.ideas.unlink()
    (played.root / "autoresearch.checks.sh").unlink()
    found = [f["found"] for f in played("doctor", "--no-run")[1]["findings"] if f["what"] == "documents"]
    assert any("autoresearch.ideas.md is gone" in line for line in found), found
    assert played("doctor", "--repair")[0] == 0
    assert played.project.ideas.read_bytes() == ideas
    assert played("status")[0] == 0
    assert (played.root / "autoresearch.checks.sh").exists()


def test_sessions_of_one_repository_keep_their_own(session: Driver) -> None:
    write_project(session.root / "tools" / "b")
    other = Driver(session.root / "tools" / "b")
    (other.root / "autoresearch.yaml").write_text(
        (other.root / "autoresearch.yaml").read_text().replace(": t\n", ": b\n")
    )
    git(session.root, "add", "tools")
    git(session.root, *IDENTITY, "commit", "-q", "-m", "b")
    assert other.until_done("baseline", "--timeout", "20")[0] == 0
    session.open("e1")
    other.open("e1")
    assert kept(session) == session.project.ledger.read_bytes()
    assert kept(other, "b") == other.project.ledger.read_bytes()
    whole, mine = other.project.ledger.read_bytes(), ref(session)
    other.project.ledger.unlink()
    assert other("status")[0] == 5
    assert session("status")[0] == 0
    assert other("doctor", "--repair")[0] == 0
    assert other.project.ledger.read_bytes() == whole
    assert ref(session) == mine
    other.end()


def test_another_name_begins_anew_and_the_old_one_stays(played: Driver) -> None:
    whole = kept(played)
    played.project.ledger.unlink()
    config = played.root / "autoresearch.yaml"
    config.write_text(config.read_text().replace("name: t\n", "name: second\n"))
    assert played.until_done("baseline", "--timeout", "20")[0] == 0
    assert kept(played, "second") == played.project.ledger.read_bytes()
    assert kept(played) == whole


def test_a_successor_keeps_the_whole_ledger(played: Driver) -> None:
    assert played("decide", "e2", "--abandon")[0] == 1
    assert played("init", "--after", "t")[0] == 0
    played.project.ledger.rename(aside := played.root / "aside")
    assert played("status")[0] == 5
    aside.rename(played.project.ledger)
    assert played.until_done("baseline", "--timeout", "20")[0] == 0
    assert kept(played, "t-2") == played.project.ledger.read_bytes()


def test_what_is_damaged_in_git_is_told(played: Driver) -> None:
    last = git(played.root, "rev-parse", f"{ref(played)}:{played.project.ledger.name}")
    played.project.ledger.unlink()
    path = played.root / ".git" / "objects" / last[:2] / last[2:]
    path.chmod(0o644)
    path.unlink()
    code, data = played("doctor", "--repair")
    assert code != 0, data
    assert not played.project.ledger.exists()


def test_to_keep_it_takes_little(played: Driver) -> None:
    """Of each kind one object more, however long the ledger is: the rest is shared."""
    session = load(played.root)
    before = int(git(played.root, "count-objects").split()[0])
    session.append({"type": "note", "text": "x"})
    safekeeping.keep(session)
    assert int(git(played.root, "count-objects").split()[0]) - before <= 3
    (line,) = played.project.ledger.read_bytes().splitlines(keepends=True)[-1:]
    piece = subprocess.run(
        ["git", "show", f"{ref(played)}:{Project(played.root).ledger.name}"], cwd=played.root, capture_output=True,
        check=True,
    )  # fmt: skip
    assert piece.stdout == line


def test_the_baseline_offers_to_commit_what_it_is_measured_by_and_to_exclude_the_rest(fresh: Driver) -> None:
    (fresh.root / "tools").mkdir()
    said = fresh.run("baseline").stdout
    offered = [line.strip() for line in said.splitlines() if line.startswith(("  git add ", "  printf "))]
    assert len(offered) == 2, said
    for line in offered:
        line = line.replace("git commit", f"git {' '.join(IDENTITY)} commit")
        subprocess.run(["bash", "-c", line], cwd=fresh.root, check=True, capture_output=True)
    assert git(fresh.root, "status", "--porcelain") == ""
    tracked = git(fresh.root, "ls-files").splitlines()
    assert {"autoresearch.yaml", "autoresearch.sh", "autoresearch.checks.sh", "experiment.yaml"} <= {*tracked}
    assert "autoresearch.jsonl" not in tracked
    assert fresh("new", "e1", "--hypothesis", "x")[0] == 0


def test_no_sentence_advises_to_delete_a_branch() -> None:
    """What is on it may be a win: branches are moved aside under another name."""
    texts = [*(REPO / "helpers").rglob("*.py"), REPO / "setup.sh", *REPO.glob("*.md"), *(REPO / "docs").glob("*.md")]
    advice = re.compile(r"git branch (-[dD]|--delete)|[Dd]elete (the|that|its|this) branch|push .*--delete")
    found = [f"{path.name}: {line}" for path in texts for line in path.read_text().splitlines() if advice.search(line)]
    assert found == []
