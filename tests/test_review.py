"""The review that a keep needs: what is refused, what is recorded, and where it is seen."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from autoresearch.errors import BadInput
from autoresearch.session import review
from autoresearch.workspace.git import git
from driver import Driver


@pytest.fixture
def fresh(fresh: Driver) -> Driver:
    path = fresh.root / "autoresearch.yaml"
    path.write_text(path.read_text().replace("review: off\n", ""))
    return fresh


def test_a_keep_is_committed_only_with_its_review(session: Driver) -> None:
    session.open("win")
    session.edit("win", "return 1000", "return 900")
    session.measure("win")
    root, ledger = session.project.root, session.project.ledger.read_bytes()

    code, data = session("decide", "win", "--description", "count by hundreds")
    assert (code, data["exit"]) == (2, 2)
    assert "earned a keep" in data["error"]
    assert "--risk: what could break; --checked: how you" in data["error"]
    assert "--what" not in data["error"]
    assert data["next"] == ('autoresearch decide win --description \'count by hundreds\' --risk "..." --checked "..."')
    assert session("decide", "win", "--risk", "...", "--checked", "none")[0] == 2
    assert session.project.ledger.read_bytes() == ledger
    assert git(root, "rev-parse", "main") == git(root, "rev-parse", "autoresearch/t")

    said = {"risk": "a caller that counts | by <one>\nAutoresearch-Run: 99", "checked": "read the diff, and the tests"}
    (root / "review.json").write_text(json.dumps(said))
    code, data = session(
        "decide", "win", "-m", "count by hundreds", "--review", "review.json", "--why", "less to count"
    )
    assert (code, data["status"]) == (0, "keep")
    kept = session.run_line("win")["review"]
    assert kept == {
        "what": "count by hundreds",
        "why": "less to count",
        "risk": "a caller that counts | by <one> Autoresearch-Run: 99",
        "checked": "read the diff, and the tests",
    }
    message = git(root, "log", "-1", "--format=%B", "autoresearch/t")
    assert "\nCould break: a caller that counts | by <one> Autoresearch-Run: 99\nChecked: read the diff" in message
    trailers = git(root, "log", "-1", "--format=%(trailers:key=Autoresearch-Run,valueonly)", "autoresearch/t")
    assert trailers.strip() != "99"
    document = session.project.improvements.read_text()
    assert "- Could break: a caller that counts &#124; by &lt;one&gt; Autoresearch-Run: 99\n" in document
    assert "- Checked: read the diff, and the tests\n" in document

    # A discard needs none.
    session.open("same")
    assert session("decide", "same", "--abandon")[1]["status"] == "discard"
    assert "review" not in session.run_line("same")


LONG = "a sentence of some length that says what was looked at, and what was found there: " * 3


@pytest.mark.parametrize(
    "calls",
    [
        [("-m", "count by hundreds", "--risk", "callers that count by ones")],
        [("--risk", "callers that count by ones"), ("--why", "there is less to count"), ("-m", "count by hundreds")],
        [("--risk", LONG, "--source", "arxiv:2101.00001", "--tokens", "12"), ("-m", "count by hundreds")],
    ],
)
def test_what_a_refused_decide_was_told_is_not_asked_again(session: Driver, calls: list[tuple[str, ...]]) -> None:
    session.open("win")
    session.edit("win", "return 1000", "return 900")
    session.measure("win")
    for words in calls:
        code, data = session("decide", "win", *words)
        assert code == 2, data
        assert ("--checked: " in data["error"], "--risk: " in data["error"]) == (True, False)
    asked = [word for word in shlex.split(data["next"]) if word != "..."]
    assert asked[:3] == ["autoresearch", "decide", "win"]
    # What has no answer yet is answered, and the command that was named is all that is needed.
    answered = data["next"].replace('"..."', "'the tests, and the diff'")
    code, data = session(*shlex.split(answered)[1:])
    assert (code, data["status"]) == (0, "keep"), data
    line = session.run_line("win")
    said = {word: text for words in calls for word, text in zip(words[::2], words[1::2], strict=True)}
    assert line["description"] == said["-m"]
    assert line["review"]["risk"] == said["--risk"].strip()
    assert line["review"]["checked"] == "the tests, and the diff"
    assert line.get("tokens") == (int(said["--tokens"]) if "--tokens" in said else None)
    assert line["source"] == said.get("--source", "")


def test_what_was_told_outlasts_another_measurement(session: Driver) -> None:
    session.open("win")
    session.edit("win", "return 1000", "return 900")
    code, data = session(
        "decide",
        "win",
        "-m",
        "count by hundreds",
        "--risk",
        "callers that count by ones",
        "--checked",
        "the tests, and the diff",
    )
    assert (code, data["next"]) == (1, "autoresearch run win")
    session.measure("win")
    code, data = session("decide", "win")
    assert (code, data["status"], session.run_line("win")["description"]) == (0, "keep", "count by hundreds"), data
    assert not list((session.project.state / "said").glob("*"))


def test_an_id_that_is_taken_is_answered_with_all_that_was_said(session: Driver) -> None:
    session.open("win")
    code, data = session("new", "win", "--hypothesis", "it's less work")
    assert code == 2
    code, data = session(*shlex.split(data["next"])[1:])
    assert (code, session.lines()[-1]["hypothesis"]) == (0, "it's less work"), data


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("nonsense", "is not JSON"),
        ("[]", "is no object of texts"),
        ('{"risk": 5}', "is no object of texts"),
        ('{"danger": "x"}', "unknown field danger"),
    ],
)
def test_a_bad_review_file_is_named(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "review.json"
    path.write_text(text)
    with pytest.raises(BadInput, match=problem):
        review.read_review(path.as_posix())
    with pytest.raises(BadInput, match="cannot read"):
        review.read_review((tmp_path / "none").as_posix())


def test_defaults_and_least_words() -> None:
    said = review.compose({"risk": " \n", "checked": "by the tests"}, "index the rules", "most cannot match")
    assert said == {"what": "index the rules", "why": "most cannot match", "checked": "by the tests"}
    assert review.compose({}, " ", "most cannot match") == {"what": "most cannot match", "why": "most cannot match"}
    with pytest.raises(BadInput, match="--risk") as caught:
        review.require("e1", said, {"description": "index the rules"})
    assert "--checked" not in caught.value.message
    # The next command is whole: what was said in this call is in it.
    assert caught.value.next == "autoresearch decide e1 --description 'index the rules' --risk \"...\""
    review.require("e1", {**said, "risk": "an empty rule"})
