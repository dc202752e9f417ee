"""Generated inputs and hidden checks through the real command: frozen, fresh seeds, and no way round."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoresearch.config import load_config
from autoresearch.errors import BadInput
from autoresearch.project import Project
from autoresearch.workspace.evaluator import hidden_checks, survey
from driver import Driver, commit_all

DIFF = """python3 - "$1" <<'PY'
import random, sys
sys.path.insert(0, "src")
from work import answer
print(random.Random(int(sys.argv[1])).random(), answer())
PY
"""


@pytest.fixture
def fresh(fresh: Driver, project: Project) -> Driver:
    (project.root / "autoresearch.diff.sh").write_text(DIFF)
    (project.root / "autoresearch.checks.sh").write_text("exit 0\n")
    (project.root / ".gitignore").write_text("__pycache__/\n.autoresearch/\n")
    project.hidden.mkdir(parents=True)
    (project.hidden / "checks.sh").write_text("cd src && python3 -c 'from work import bonus; bonus()'\n")
    work = project.root / "src" / "work.py"
    work.write_text(work.read_text() + "\n\ndef bonus():\n    return 1\n")
    commit_all(project.root)
    fresh.configure("differential: {inputs: 3}\n")
    return fresh


@pytest.mark.slow
def test_what_the_checks_miss_is_found_on_other_inputs(session: Driver) -> None:
    for name in ("wrong", "broken", "right"):
        session.open(name)
        session.edit(name, "return 1000", "return 900")
    session.edit("wrong", "return 42", "return 41")
    session.edit("broken", "def bonus", "def malus")
    assert not list(Path(session.project.worktree("right")).rglob("*hidden*"))

    assert session.measure("wrong")[1]["reason"] == "checks_failed"
    code, data = session("decide", "wrong")
    assert (code, data["status"]) == (1, "checks_failed")
    assert data["checks"].startswith("differs on seed ")
    assert session("decide", "broken")[0] == 1  # not measured yet
    session.measure("broken")
    code, data = session("decide", "broken")
    assert (data["status"], data["checks"]) == ("checks_failed", "hidden checks failed (exit 1)")
    session.measure("right")
    assert session("decide", "right")[1]["status"] == "keep"

    # Both are the evaluator's: edited, they stop everything.
    (session.project.hidden / "checks.sh").write_text("exit 0\n")
    code, data = session("new", "e9", "--hypothesis", "more")
    assert code == 5
    assert "hidden" in data["error"]


def test_where_hidden_checks_may_be(project: Project, tmp_path: Path) -> None:
    config = project.root / "autoresearch.yaml"
    plain = config.read_text()
    assert hidden_checks(project, load_config(project.root)) is None
    assert "hidden" not in survey(project, load_config(project.root)).settings
    for place, problem in (("src", "holds no checks.sh"), ("tests", "where every worktree would hold it")):
        (project.root / "tests").mkdir(exist_ok=True)
        (project.root / "tests" / "checks.sh").write_text("exit 0\n")
        config.write_text(plain + f"hidden: {place}\n")
        with pytest.raises(BadInput, match=problem):
            hidden_checks(project, load_config(project.root))
    project.hidden.mkdir(parents=True)
    (project.hidden / "checks.sh").write_text("exit 0\n")
    config.write_text(plain)
    assert hidden_checks(project, load_config(project.root)) == project.hidden
    commit_all(project.root)
    with pytest.raises(BadInput, match="committed, so every worktree"):
        hidden_checks(project, load_config(project.root))
    outside = tmp_path / "elsewhere"
    outside.mkdir()
    (outside / "checks.sh").write_text("exit 0\n")
    config.write_text(plain + f"hidden: {outside}\n")
    before = survey(project, load_config(project.root)).settings["hidden"]
    (outside / "data").write_text("1")
    assert survey(project, load_config(project.root)).settings["hidden"] != before
