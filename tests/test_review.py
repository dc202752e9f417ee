"""The review that a keep needs: what is refused, what is recorded, and where it is seen."""

from __future__ import annotations

import json
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
    with pytest.raises(BadInput, match="--risk") as caught:
        review.require("e1", said)
    assert "--checked" not in caught.value.message
    # The next command is whole: what was said in this call is not remembered.
    assert caught.value.next == "autoresearch decide e1 --description 'index the rules' --risk \"...\""
    review.require("e1", {**said, "risk": "an empty rule"})
