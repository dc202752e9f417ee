"""What an agent with a shell writes into the ledger, the branch or the records is not believed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from autoresearch.judging.outcome import problem_of
from autoresearch.project import Project
from autoresearch.workspace.candidate import export
from autoresearch.workspace.git import git
from driver import Driver

IDENTITY = ("-c", "user.name=x", "-c", "user.email=x@example.org")


@pytest.fixture
def fresh(fresh: Driver) -> Driver:
    # On a busy machine a build may seem slower than the benchmark, and then other rules hold.
    fresh.configure("test: {layout: fresh}\n")
    return fresh


def kept(session: Driver) -> dict[str, Any]:
    session.open("win")
    session.edit("win", "1000", "900")
    session.measure("win")
    code, data = session("decide", "win")
    assert (code, data["status"]) == (0, "keep"), json.dumps(data)
    return session.run_line("win")


def commit_on(session: Driver, parent: str, message: str = "faster") -> str:
    root = session.project.root
    return git(root, *IDENTITY, "commit-tree", f"{parent}^{{tree}}", "-p", parent, "-m", message)


def write_line(session: Driver, line: dict[str, Any]) -> None:
    with session.project.ledger.open("a") as file:
        file.write(json.dumps(line) + "\n")


def test_a_forged_keep_of_an_open_experiment_closes_no_copy_and_stops_status_too(session: Driver) -> None:
    """Its commit is the base itself, so no branch would have to move."""
    session.open("e1")
    session.edit("e1", "1000", "1001")
    base = git(session.project.root, "rev-parse", "main")
    line = {"run": 2, "status": "keep", "metric": 1, "experiment": "e1", "segment": 0, "kind": "experiment"}
    write_line(session, line | {"commit_full": base, "commit": base[:7]})
    for command in (("status",), ("decide", "e1")):
        code, data = session(*command)
        assert (code, "no command wrote that line" in data["error"]) == (5, True), data
    assert "1001" in (session.project.worktree("e1") / "src/work.py").read_text()


def test_a_git_configuration_that_git_cannot_read_is_named(
    session: Driver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken.gitconfig"
    broken.write_text("import time\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(broken))
    code, data = session("status")
    assert (code, str(broken) in data["error"]) == (3, True), data


def test_an_honest_session_goes_on(session: Driver) -> None:
    kept(session)
    session.open("e2")
    assert session("status")[0] == 0


@pytest.mark.parametrize("known", ["nothing", "the experiment", "an A/B of something else"])
def test_a_keep_that_no_command_wrote_stops_everything_and_moves_nothing(session: Driver, known: str) -> None:
    line = kept(session)
    before = git(session.project.root, "rev-parse", "autoresearch/t")
    commit = commit_on(session, before)
    session.open("e2")
    forged = line | {"run": 3, "experiment": "e2", "commit_full": commit, "commit": commit[:7], "parent": before}
    if known == "nothing":
        forged["experiment"] = "e3"
    if known == "an A/B of something else":
        session.edit("e2", "return 42", "return 40 + 2")
        session.measure("e2")
        forged |= {"job": session.lines()[-1]["job"], "diff_sha256": "0" * 64}
    write_line(session, forged)
    for command in (("new", "e4", "--hypothesis", "x"), ("run", "e2"), ("decide", "e2")):
        code, data = session(*command)
        assert (code, "no command wrote that line" in data["error"]) == (5, True), data
    assert git(session.project.root, "rev-parse", "autoresearch/t") == before


def test_a_commit_that_nobody_judged_is_no_base(session: Driver) -> None:
    session.open("e1")
    tip = git(session.project.root, "rev-parse", "autoresearch/t")
    git(session.project.root, "update-ref", "refs/heads/autoresearch/t", commit_on(session, tip))
    code, data = session("ab", "e1")
    assert (code, "no decision made" in data["error"]) == (5, True), data
    code, data = session.until_done("baseline", "--new-segment", "--timeout", "20")
    assert code == 0, data
    session.open("e2")


@pytest.mark.parametrize(
    ("path", "old", "new", "says"),
    [
        ("experiment.yaml", "run: |\n", "run: |\n  echo faster\n", "experiment.yaml"),
        ("autoresearch.yaml", "{layout: fresh}", "{layout: fresh, fdr: 1.0}", "fdr"),
    ],
)
def test_what_measures_and_what_is_promised_are_frozen(
    session: Driver, path: str, old: str, new: str, says: str
) -> None:
    session.open("e1")
    file = session.project.root / path
    file.write_text(file.read_text().replace(old, new))
    code, data = session("ab", "e1")
    assert (code, says in data["error"]) == (5, True), data


def test_git_cannot_be_told_to_measure_another_program(project: Project, tmp_path: Path) -> None:
    root = project.root
    blob = git(root, "rev-parse", "HEAD:src/work.py")
    git(root, "replace", blob, git(root, "hash-object", "-w", "--stdin", stdin=b"replaced\n"))
    git(root, "config", "filter.odd=name.smudge", "echo filtered")
    git(root, "config", "filter.slow.smudge", "echo filtered")
    git(root, "config", "filter.slow.process", "false")
    git(root, "config", "filter.slow.required", "true")
    (root / ".git" / "info").mkdir(exist_ok=True)
    (root / ".git" / "info" / "attributes").write_text("work.py filter=slow\nfixed.py filter=odd=name\n")
    export(project, "HEAD", tmp_path / "out")
    for name in ("work.py", "fixed.py"):
        assert (tmp_path / "out" / "src" / name).read_bytes() == (root / "src" / name).read_bytes()


def sample(slot: int, **more: Any) -> dict[str, Any]:
    return {"type": "sample", "slot": slot, "side": "A", "value": 1.0, "warmup": False, "problem": None} | more


@pytest.mark.parametrize(
    ("records", "says"),
    [
        ([sample(0), sample(1), {"type": "end"}], ""),
        ([sample(0, warmup=True), sample(0, warmup=True), sample(0)], ""),
        ([sample(0), sample(0)], "the same sample"),
        ([{"type": "end"}, sample(0), {"type": "end"}], "the same end"),
        ([sample(0, problem="benchmark exit 1"), sample(0)], "benchmark exit 1"),
    ],
)
def test_records_that_contradict_each_other_count_for_nothing(records: list[dict[str, Any]], says: str) -> None:
    found = problem_of(records)
    assert says in found
    assert bool(says) == bool(found)
