"""The whole loop through the real command: worktrees, jobs, verdicts, commits, documents."""

from __future__ import annotations

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from autoresearch.workspace.git import git
from driver import Driver, Run


def test_the_loop(fresh: Driver) -> None:
    fresh.charts = True
    code, data = fresh("doctor")
    assert (code, data["ready"]) == (0, True), data
    code, told = fresh.until_done("baseline", "--timeout", "20")
    assert (code, told["value"]) == (0, 1000), told
    header, first = fresh.lines()[:2]
    assert (header["type"], header["metricName"], header["bestDirection"]) == ("config", "steps", "lower")
    assert (first["run"], first["status"], first["kind"]) == (1, "keep", "baseline")

    for name in ("win", "same", "wrong", "broken", "crash"):
        fresh.open(name)
    fresh.edit("win", "1000", "900")
    fresh.edit("same", "return 42", "return 40 + 2")
    fresh.edit("wrong", "42", "41")
    fresh.edit("broken", "def answer():", "def answer(:")
    fresh.edit("crash", "return 1000", "raise SystemExit(3)")
    code, data = fresh("run", "win", "same", "wrong", "broken", "crash")
    assert code == 0
    assert set(data["submitted"]) == {"win", "same", "wrong", "broken", "crash"}
    code, data = fresh.until_done("wait", "--timeout", "20")
    assert code == 0
    assert data["stages"]["win"].startswith("screened")
    assert data["stages"]["wrong"].startswith("failed: checks_failed")
    assert data["stages"]["broken"].startswith("failed: crash")

    code, data = fresh("decide", "win")
    assert code == 1
    assert data["next"] == "autoresearch ab win"
    assert fresh("decide", "wrong")[1]["status"] == "checks_failed"
    assert fresh("decide", "broken")[1]["status"] == "crash"
    assert fresh("decide", "crash")[1]["status"] == "crash"
    code, data = fresh.measure("win")
    assert (code, data.get("verdict")) == (0, "keep"), data
    code, data = fresh("decide", "win", "--description", "fewer | steps\n<b>", "--source", "arxiv:2101.00001")
    assert (code, data["status"]) == (0, "keep"), data
    code, data = fresh.measure("same")
    assert (code, data.get("verdict")) == (1, "discard"), data
    assert fresh("decide", "same")[1]["status"] == "discard"

    root = fresh.project.root
    message = git(root, "log", "-1", "--format=%B", "autoresearch/t")
    assert message.startswith("fewer | steps <b>")
    assert "Literature-Source: arxiv:2101.00001" in message
    assert "Autoresearch-Effect: +10.0 %" in message
    assert "return 900" in git(root, "show", "autoresearch/t:src/work.py")
    assert git(root, "diff", "--name-only", "main", "autoresearch/t") == "src/work.py"
    assert (root / ".autoresearch/patches/same.patch").read_text().count("40 + 2") == 1
    by_name = {r["experiment"]: r["status"] for r in fresh.lines() if "run" in r}
    assert by_name == {
        "baseline": "keep", "win": "keep", "same": "discard", "wrong": "checks_failed", "broken": "crash",
        "crash": "crash",
    }  # fmt: skip
    assert "fewer" in (root / "IMPROVEMENTS.md").read_text()
    assert (root / "autoresearch.md").exists()
    assert "](autoresearch.svg)" in (root / "IMPROVEMENTS.md").read_text()
    code, data = fresh("status")
    assert code == 0
    assert data["counts"] == {"keep": 1, "discard": 1, "crash": 2, "checks_failed": 1}
    assert data["claimed_gain_pct"] == 10.0
    assert data["next"] == "autoresearch ideas next"
    assert git(root, "status", "--porcelain", "--untracked-files=no") == ""
    assert git(root, "worktree", "list").count("\n") == 0


def test_a_stale_ab_must_be_measured_again_and_wins_stack(session: Driver) -> None:
    for name in ("one", "two"):
        session.open(name)
    session.edit("one", "1000", "900")
    session.edit("two", "LIMIT = 1", "LIMIT = 1  # free", "src/fixed.py")
    code, data = session("run", "two")
    assert code == 5
    assert "off limits" in data["refused"][0]["error"]
    session.edit("two", "LIMIT = 1  # free", "LIMIT = 1", "src/fixed.py")
    (session.project.worktree("two") / "src" / "extra.py").write_text("MORE = 1\n")
    session.edit("two", "def steps():", "def steps():  # two")
    assert session.measure("one")[1]["verdict"] == "keep"
    session.measure("two")
    assert session("decide", "one")[1]["status"] == "keep"
    code, data = session("decide", "two")
    assert (code, data["next"]) == (1, "autoresearch ab two"), data
    assert "moved" in data["error"]


def test_a_changed_file_mode_is_told_wherever_the_change_is_judged(session: Driver, autoresearch: Run) -> None:
    session.open("modes")
    session.edit("modes", "1000", "900")
    tree = session.project.worktree("modes")
    (tree / "src/work.py").chmod(0o755)
    (tree / "src/run.sh").write_text("exec true\n")
    (tree / "src/run.sh").chmod(0o755)
    (tree / "src/alias.py").symlink_to("work.py")
    (tree / "src/plain.py").write_text("X = 1\n")
    told = ["src/alias.py: new symbolic link", "src/run.sh: new executable", "src/work.py: file -> executable"]

    code, data = session.measure("modes")
    assert (code, data["modes"]) == (0, told), data
    assert f"file modes changed: {told[0]}" in autoresearch("ab", "modes").stdout
    # What templates/review.md has the reviewer look at.
    shown = git(tree, "diff", "-p", "--summary", "HEAD", "refs/worktree/candidate")
    assert "mode change 100644 => 100755 src/work.py" in shown
    assert "create mode 100755 src/run.sh" in shown
    code, data = session("decide", "modes", "--description", "fewer steps")
    assert (code, data["status"], data["modes"]) == (0, "keep", told)
    assert session.run_line("modes")["modes"] == told
    root = session.project.root
    assert f"File modes: {'; '.join(told)}" in git(root, "log", "-1", "--format=%B", "autoresearch/t")
    assert "File modes: src/alias.py: new symbolic link" in (root / "IMPROVEMENTS.md").read_text()

    session.open("plain")
    session.edit("plain", "900", "800")
    assert "file modes" not in autoresearch("decide", "plain", "--abandon").stdout
    assert "modes" not in session.run_line("plain")


def test_touching_the_evaluator_is_refused_and_logged(session: Driver) -> None:
    session.open("cheat")
    session.edit("cheat", "%d", "1", "autoresearch.sh")
    code, data = session("run", "cheat")
    assert code == 5
    assert "evaluator" in data["refused"][0]["error"]
    code, data = session("decide", "cheat")
    assert (code, data["status"]) == (5, "discard")
    assert "autoresearch.sh belongs to the evaluator" in session.run_line("cheat")["error"]


def test_a_parent_that_nobody_judged_smuggles_nothing_in(session: Driver) -> None:
    session.open("carrier")
    where = session.project.worktree("carrier")
    (where / "sitecustomize.py").write_text("print('METRIC steps=1')\n")
    git(where, "add", "-A")
    git(where, "-c", "user.name=x", "-c", "user.email=x@y", "commit", "-qm", "out of scope")
    smuggler = git(where, "rev-parse", "HEAD")
    session.open("e2", "--parent", smuggler)
    session.edit("e2", "1000", "900")
    for command in (("run", "e2"), ("ab", "e2")):
        code, data = session(*command)
        assert code == 5, data
        assert "sitecustomize.py is outside scope" in data["refused"][0]["error"]
    assert session("decide", "e2")[0] == 5


def test_an_edited_evaluator_stops_everything_until_a_new_segment(session: Driver) -> None:
    session.open("e1")
    benchmark = session.project.root / "autoresearch.sh"
    benchmark.write_text(benchmark.read_text() + "# longer\n")
    for command in (("run", "e1"), ("ab", "e1"), ("decide", "e1"), ("new", "e2", "--hypothesis", "x")):
        code, data = session(*command)
        assert code == 5, (command, data)
    code, data = session.until_done("baseline", "--new-segment", "--timeout", "20")
    assert code == 0, data
    assert [r["type"] for r in session.lines() if r.get("type") == "config"] == ["config", "config"]
    assert session("status")[1]["counts"] == {}


def test_a_forged_metric_is_never_kept(session: Driver) -> None:
    session.open("forged")
    session.edit("forged", "    return 1000", "    print('METRIC steps=1')\n    return 999")
    session("run", "forged")
    assert session.until_done("wait", "--timeout", "20")[1]["stages"]["forged"].startswith("failed: invalid")
    code, data = session("decide", "forged")
    assert (code, data["status"]) == (1, "discard")
    assert "conflicting METRIC steps" in session.run_line("forged")["error"]


def test_killed_jobs_are_found_and_can_be_run_again(session: Driver) -> None:
    session.open("slow")
    session.edit("slow", "return 1000", "import time; time.sleep(60); return 1000")
    session("run", "slow")
    job = session.lines()[-1]["job"]
    pid_file = session.project.jobs / job / "pid.json"
    for _ in range(200):
        if pid_file.exists():
            break
        subprocess.run(["sleep", "0.05"], check=True)
    subprocess.run(["kill", "-9", str(json.loads(pid_file.read_text())["pid"])], check=True)
    code, data = session.until_done("wait", "--timeout", "20")
    assert data["stages"]["slow"].startswith("lost")
    assert data["next"] == "autoresearch run slow"
    code, data = session("decide", "slow")
    assert (code, data["next"]) == (1, "autoresearch run slow")


def test_decide_killed_between_ledger_and_branch_is_finished_by_the_next_command(session: Driver) -> None:
    session.open("win")
    session.edit("win", "1000", "900")
    session.measure("win")
    before = git(session.project.root, "rev-parse", "autoresearch/t")
    session("decide", "win")
    after = git(session.project.root, "rev-parse", "autoresearch/t")
    git(session.project.root, "update-ref", "refs/heads/autoresearch/t", before)
    session("status")
    assert git(session.project.root, "rev-parse", "autoresearch/t") == after


def test_commands_work_from_a_worktree_and_a_subdirectory(session: Driver, autoresearch: Run) -> None:
    where = session.project.root / session.open("e1")["worktree"]
    for place in (where, where / "src", session.project.root / "src"):
        assert json.loads(autoresearch("status", "--json", cwd=place).stdout)["session"] == "t"


def test_stop_rules_end_the_session_with_exit_4(fresh: Driver) -> None:
    fresh.configure("stop: {dry: 1}\n")
    fresh.baseline()
    fresh.open("e1")
    assert fresh("decide", "e1", "--abandon")[1]["status"] == "discard"
    assert fresh("new", "e2", "--hypothesis", "x")[0] == 4
    code, data = fresh("status")
    assert (code, data["stop"]["now"], data["next"]) == (4, True, "autoresearch report")


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (("decide", "nobody"), 2, "no experiment"),
        (("new", "../x", "--hypothesis", "y"), 2, "cannot be an experiment"),
        (("new", "e1"), 2, "needs a reason"),
        (("run", "nobody"), 2, "no experiment"),
        (("new", "e1", "--hypothesis", "y", "--parent", "nowhere"), 2, "no commit"),
    ],
)
def test_wrong_use_is_one_sentence(
    session: Driver, autoresearch: Run, args: tuple[str, ...], code: int, says: str
) -> None:
    done = autoresearch(*args)
    assert done.returncode == code
    assert says in done.stderr
    assert len(done.stderr.splitlines()) <= 2


def test_before_the_baseline(fresh: Driver, autoresearch: Run) -> None:
    done = autoresearch("new", "e1", "--hypothesis", "y")
    assert done.returncode == 2
    assert "no baseline" in done.stderr
    assert fresh("status")[1]["next"] == "autoresearch doctor"


def test_a_base_that_fails_its_own_checks_opens_no_ledger(fresh: Driver) -> None:
    checks = fresh.project.root / "autoresearch.checks.sh"
    checks.write_text("echo 'the answer is wrong'; exit 1\n")
    code, data = fresh.until_done("baseline", "--timeout", "20")
    assert code == 3
    assert "checks" in data["error"]
    assert not fresh.project.ledger.exists()


def test_two_agents_at_once_lose_nothing(session: Driver) -> None:
    names = [f"a{i}" for i in range(3)] + [f"b{i}" for i in range(3)]

    def work(mine: list[str]) -> None:
        for name in mine:
            session.open(name)
            (session.project.worktree(name) / "src" / f"{name}.py").write_text("X = 1\n")
            session("run", name)
            assert session.until_done("wait", name, "--timeout", "20")[1]["stages"][name].startswith("screened")
            assert session("decide", name, "--abandon")[1]["status"] == "discard"

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, (names[:3], names[3:])))
    runs = [r for r in session.lines() if "run" in r]
    assert [r["run"] for r in runs] == list(range(1, 8))
    assert {r["experiment"] for r in runs} == {"baseline", *names}
    assert session("queue")[1]["count"] == 0


def test_the_users_files_survive(fresh: Driver) -> None:
    root: Path = fresh.project.root
    (root / "README.md").write_text("uncommitted\n")
    (root / "src" / "draft.py").write_text("untracked\n")
    told = fresh.baseline()
    assert told["dirty"] == 1
    fresh.open("win")
    assert not (fresh.project.worktree("win") / "src" / "draft.py").exists()
    fresh.edit("win", "1000", "900")
    fresh.measure("win")
    fresh("decide", "win")
    assert (root / "README.md").read_text() == "uncommitted\n"
    assert (root / "src" / "draft.py").read_text() == "untracked\n"
    assert git(root, "rev-parse", "--abbrev-ref", "HEAD") == "main"
