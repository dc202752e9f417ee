"""Several agents on one session: claims on ideas; and sessions in a chain."""

from __future__ import annotations

import json
import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoresearch.config import load_config
from autoresearch.search.ideas import file
from autoresearch.search.ideas.holders import agent, claim_note, has_ended, holder
from autoresearch.search.ideas.idea import Idea
from autoresearch.session.access import load
from autoresearch.workspace.git import git
from driver import Driver, command, environment

NOW = datetime(2026, 11, 21, 6, 40, 30, tzinfo=timezone.utc)


def claimed(note: str) -> Idea:
    return Idea("i1", "an idea", status="claimed", note=note)


@given(st.text(max_size=80), st.floats(0, 100_000), st.floats(0, 100_000))
def test_a_claim_holds_until_its_end(who: str, minutes: float, later: float) -> None:
    idea = claimed(claim_note(who, minutes, NOW))
    then = NOW + timedelta(minutes=later)
    held = holder(idea, then)
    if later < minutes:
        assert held == agent(who)
    if later > minutes + 1:
        assert held is None
    assert has_ended(idea, then) == (held is None)


@pytest.mark.parametrize(
    ("note", "who"),
    [("me", "me"), ("", "somebody"), ("me, until 2026-99-21T06:40Z", "me"), ("me, until 2026-11-21T06:41Z", "me"),
     ("me, until 2026-11-21T06:40Z", None), ("me, until tomorrow", "me, until tomorrow")],
)  # fmt: skip
def test_a_persons_claim_has_no_end(note: str, who: str | None) -> None:
    assert holder(claimed(note), NOW) == who
    assert holder(Idea("i1", "x", status="running", note=note), NOW) is None


def add_ideas(session: Driver, count: int) -> None:
    words = ("alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india")
    for word in words[:count]:
        file.add(session.project.ideas, Idea("", f"{word} {word[::-1]} {word * 3}"))


def start(session: Driver, *words: str) -> subprocess.Popen[str]:
    """The command as its own process, so that many run at once."""
    return subprocess.Popen(
        command(*words, "--json"), cwd=session.root, text=True, env=environment(),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def answers(started: list[subprocess.Popen[str]]) -> list[tuple[int, dict[str, Any]]]:
    ended = [(p.communicate(timeout=120), p.returncode) for p in started]
    assert all("Traceback" not in err for (_, err), _ in ended)
    return [(code, json.loads(out)) for (out, _), code in ended]


def test_eight_agents_share_a_session(session: Driver) -> None:
    add_ideas(session, 8)
    names = [f"agent {n}" for n in range(8)]
    claims = answers([start(session, "ideas", "next", "--claim", name) for name in names])
    assert [code for code, _ in claims] == [0] * 8
    assert len({data["ideas"][0]["id"] for _, data in claims}) == 8, "each its own idea"
    assert session("ideas", "next")[0] == 1, "none is left"
    # Each starts what it was told to; no experiment id is given twice.
    begins = [data["next"] for _, data in claims]
    assert begins[0].startswith("autoresearch new --idea i")
    import shlex

    opened = answers([start(session, *shlex.split(begin)[1:]) for begin in begins])
    assert [code for code, _ in opened] == [0] * 8, opened
    assert {data["experiment"] for _, data in opened} == {f"e{n}" for n in range(1, 9)}
    lines = [r for r in session.lines() if r.get("type") == "experiment"]
    assert {r["agent"] for r in lines} == set(names)
    assert len({r["idea"] for r in lines}) == 8
    held = {idea.id: idea.note for idea in file.load(session.project.ideas) if idea.status == "running"}
    assert held == {r["idea"]: r["experiment"] for r in lines}
    # Each is told its own next step; eight at once decide, one line each, in a ledger that stays whole.
    ends = answers([start(session, "decide", r["experiment"], "--abandon") for r in lines])
    assert [code for code, _ in ends] == [1] * 8
    runs = [r["run"] for r in session.lines() if "run" in r]
    assert runs == list(range(1, 10))
    assert session("status")[1]["counts"] == {"discard": 8}


def test_an_idea_that_another_agent_holds_is_refused(session: Driver) -> None:
    add_ideas(session, 3)
    assert session("ideas", "next", "--claim", "ann")[1]["ideas"][0]["id"] == "i1"
    for words in (("new", "e1", "--idea", "i1"), ("new", "e1", "--idea", "i1", "--as", "bob")):
        code, data = session(*words)
        assert (code, data["next"]) == (1, "autoresearch ideas next")
        assert "claimed by ann" in data["error"]
    assert not (session.project.worktree("e1")).exists()
    assert session("new", "e1", "--idea", "i1", "--as", "ann")[0] == 0
    code, data = session("new", "e2", "--idea", "i1", "--as", "ann")
    assert (code, "is being tried in e1" in data["error"]) == (1, True)
    # An agent that is gone blocks nothing: its claim ends, and the idea comes up again.
    assert session("ideas", "next", "--claim", "cleo", "--minutes", "0")[1]["ideas"][0]["id"] == "i2"
    text = session.project.ideas.read_text()
    stamp = datetime.now(timezone.utc) - timedelta(minutes=1)
    found = next(i for i in file.load(session.project.ideas) if i.id == "i2")
    session.project.ideas.write_text(text.replace(found.note, f"cleo, until {stamp:%Y-%m-%dT%H:%M}Z"))
    assert session("ideas", "next", "--claim", "bob")[1]["ideas"][0]["id"] == "i2"
    assert session("new", "--idea", "i2", "--as", "bob")[1]["experiment"] == "e2"
    # What fails to open gives the idea back as it was.
    assert session("ideas", "next", "--claim", "bob")[1]["ideas"][0]["id"] == "i3"
    assert session("new", "e2", "--idea", "i3", "--as", "bob")[0] == 2
    assert next(i for i in file.load(session.project.ideas) if i.id == "i3").status == "claimed"
    # next of one agent leaves the other's experiments alone.
    assert session("status", "--as", "ann")[1]["next"] == "autoresearch run e1"
    assert session("status", "--as", "bob")[1]["next"] == "autoresearch run e2"
    assert session("status", "--as", "cleo")[1]["next"] == "autoresearch ideas next"


def test_a_successor_goes_on_where_the_session_ended(session: Driver) -> None:
    root = session.project.root
    add_ideas(session, 2)
    session.open("e1")
    session.edit("e1", "return 1000", "return 900")
    session.measure("e1")
    code, data = session("init", "--after", "t")
    assert (code, data["next"]) == (1, "autoresearch status"), "e1 is undecided"
    assert session("decide", "e1", "--description", "less")[0] == 0
    code, data = session("init", "--after", "other")
    assert (code, "the session here is t" in data["error"]) == (2, True)
    document = session.project.document
    document.write_text(document.read_text().replace("What was learned", "LESSON: fewer is better. What was learned"))
    code, data = session("init", "--after", "t", "--max-iterations", "5", "--goal", "Even fewer")
    assert (code, data["session"], data["branch"]) == (0, "t-2", "autoresearch/t-2")
    assert "not verified" in data["note"]
    config = load_config(root)
    assert (config.name, config.after, config.goal, config.stop.max_experiments) == ("t-2", "t", "Even fewer", 5)
    assert (root / "autoresearch.yaml.bak-1").exists()
    code, data = session("status")
    assert (code, data["state"]) == (0, "no baseline yet")
    assert data["after"].startswith("t, from its last commit")
    told = session.baseline()
    assert (told["value"], told["branch"]) == (900, "autoresearch/t-2"), "from the predecessor's best commit"
    code, data = session("status")
    assert (data["session"], data["counts"], data["stop"]["near"]["experiments"]) == ("t-2", {}, "0/5")
    assert data["cost"]["runs"] == 4, "the baseline's own"
    assert session("ideas", "next")[1]["ideas"][0]["id"] == "i1", "ideas are carried"
    assert "LESSON: fewer is better" in document.read_text()
    session.open("e2")
    session.edit("e2", "return 900", "return 800")
    assert session.measure("e2")[1]["verdict"] == "keep"
    assert session("decide", "e2", "--description", "less again")[0] == 0
    assert git(root, "rev-list", "--count", "main..autoresearch/t-2") == "2"
    assert git(root, "rev-list", "--count", "main..autoresearch/t") == "1", "the predecessor's branch stays"
    assert [r["after"] for r in session.lines() if r.get("type") == "config" and "after" in r] == ["t"]
    assert len(load(root).kept) == 1
    assert Path(session.project.ledger).name == "autoresearch.jsonl"
