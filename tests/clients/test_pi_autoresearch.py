"""pi-autoresearch itself, from npm: its extension in a real Pi begins a session, we go on, its reader reads ours."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from drive import PREFIX, ClientMissing, environment, run
from fake_model import Turn
from place import git, make_bare_project

from autoresearch.project import Project
from autoresearch.session.scripts import run_script
from driver import BENCHMARK, CHECKS, REPO, command, commit_all

if not PREFIX:
    pytest.skip(
        "AGENT_CLIENTS is not set: pi-autoresearch's own code untested (setup.sh --test clients)",
        allow_module_level=True,
    )

pytestmark = pytest.mark.timeout(900)
OFFER = """export default (pi: any) => pi.on("before_agent_start", () =>
  pi.setActiveTools([...pi.getActiveTools(), "init_experiment", "run_experiment", "log_experiment"]));
"""
PACKAGE = "pi-autoresearch@1.6.0"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package's files; outside of node_modules, where Node refuses TypeScript."""
    place = tmp_path_factory.mktemp("pi-autoresearch")
    installed = Path(PREFIX) / "pi-autoresearch" / "node_modules" / "pi-autoresearch"
    if installed.is_dir():
        return Path(shutil.copytree(installed, place / "package"))
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is missing: pi-autoresearch's own code untested")
    packed = subprocess.run(
        [npm, "pack", "--silent", PACKAGE], cwd=place, capture_output=True, text=True, timeout=200, check=False
    )
    if packed.returncode != 0:
        pytest.skip(f"npm cannot provide {PACKAGE}: its own code untested ({packed.stderr[-200:]})")
    shutil.unpack_archive(next(place.glob("*.tgz")), place)
    return place / "package"


def their_view(package: Path, project: Path) -> dict[str, Any]:
    try:
        path = environment("pi", project.parent, [])["PATH"]
    except ClientMissing as exc:
        pytest.skip(str(exc))
    done = subprocess.run(
        ["node", "--experimental-strip-types", "--no-warnings", str(Path(__file__).with_name("pi_autoresearch.mjs")),
         str(package), str(project)],
        env={"PATH": path}, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def tool(root: Path, *args: str) -> dict[str, Any]:
    """Our command; a wait that is not over is repeated."""
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    env = {"PATH": path, "HOME": str(root.parent), "PYTHONPATH": str(REPO / "helpers")}
    for _ in range(40):
        done = subprocess.run(
            command(*args, "--json"), cwd=root, capture_output=True, text=True,
            env=env,
            timeout=300, check=False,
        )  # fmt: skip
        data: dict[str, Any] = json.loads(done.stdout)
        if not data.get("running") and data.get("done") is not False:
            assert done.returncode in (0, 1), data
            return data
    raise AssertionError(data)


def their_turns() -> list[Turn]:
    """What an agent does by pi-autoresearch's skill: a header, a baseline, one keep."""
    log = {"commit": "abc1234", "status": "keep", "asi": {"hypothesis": "less work", "next_action_hint": "still less"}}
    return [
        {"calls": [{"name": "init_experiment", "input": {
            "name": "fewer steps", "metric_name": "steps", "metric_unit": "", "direction": "lower"}}]},
        {"expect": {"result": "Experiment initialized"},
         "calls": [{"name": "run_experiment", "input": {"command": "bash .auto/measure.sh"}}]},
        {"expect": {"result": "steps"},
         "calls": [{"name": "log_experiment", "input": {**log, "metric": 1000, "description": "baseline"}}]},
        {"expect": {"result": "Logged #1"}, "calls": [{"shell": "sed -i s/1000/950/ src/work.py"}]},
        {"calls": [{"name": "run_experiment", "input": {"command": "bash .auto/measure.sh"}}]},
        {"calls": [{"name": "log_experiment", "input": {**log, "metric": 950, "description": "fewer"}}]},
        {"expect": {"result": "Logged #2"}, "text": "That is enough for today."},
    ]  # fmt: skip


def their_project(root: Path) -> Path:
    make_bare_project(root)
    (root / ".auto").mkdir()
    (root / ".auto/measure.sh").write_text(BENCHMARK)
    (root / ".auto/checks.sh").write_text(CHECKS)
    (root / ".auto/prompt.md").write_text("# Autoresearch: fewer steps\n\n## Files in Scope\n- `src/work.py`\n")
    (root / ".auto/ideas.md").write_text("- [ ] Halve the steps\n")
    (root / ".auto/config.json").write_text('{"maxIterations": 9}')
    commit_all(root, "their set-up")
    return root


def begin_with_pi(package: Path, root: Path, home: Path) -> None:
    """A real Pi with the real extension works in the project, and logs two runs."""
    git(root, "config", "user.name", "t")
    git(root, "config", "user.email", "t@example.org")
    extension = str(package / "extensions/pi-autoresearch/index.ts")
    # Their command /autoresearch offers their tools; a headless Pi runs no command before its prompt, so this does it.
    offer = home / "offer.ts"
    home.mkdir()
    offer.write_text(OFFER)
    args = ("-e", extension, "-e", str(offer))
    try:
        result = run("pi", root, home, their_turns(), "Begin", args=args)
    except ClientMissing as exc:
        pytest.skip(str(exc))
    assert result.ok, result.explain()


def test_there_and_back(package: Path, tmp_path: Path) -> None:
    root = their_project(tmp_path / "project")
    begin_with_pi(package, root, tmp_path / "home")
    log = root / ".auto/log.jsonl"
    theirs = log.read_text()
    before = their_view(package, root)
    assert [(r["run"], r["metric"], r["status"]) for r in before["state"]["results"]] == [
        (1, 1000, "keep"), (2, 950, "keep"),
    ]  # fmt: skip

    # We go on: their log is history, the numbers are measured anew.
    assert tool(root, "init", "--continue", "--name", "ours")["history"] == "2 runs of pi-autoresearch"
    config = root / "autoresearch.yaml"
    config.write_text(
        config.read_text().replace("noise_runs: 20", "noise_runs: 4").replace("review: on", "review: off")
    )
    assert tool(root, "baseline", "--timeout", "25")["value"] == 950
    for name, old, new in (("e1", "return 950", "return 900"), ("e2", "return 42", "return 41")):
        assert tool(root, "new", name, "--hypothesis", f"{name} does less")["worktree"]
        work = root / ".autoresearch/worktrees" / name / "src/work.py"
        work.write_text(work.read_text().replace(old, new))
    assert tool(root, "ab", "e1", "--timeout", "25")["verdict"] == "keep"
    assert tool(root, "decide", "e1", "--description", "Fewer | steps")["status"] == "keep"
    tool(root, "run", "e2")
    tool(root, "wait", "--timeout", "25")
    assert tool(root, "decide", "e2", "--description", "wrong")["status"] == "checks_failed"

    # Back to theirs: nothing of it has changed, and its reader sees ours as a segment of its own.
    assert log.read_text().startswith(theirs)
    after = their_view(package, root)
    state = after["state"]
    assert (state["currentSegment"], state["metricName"], state["bestDirection"]) == (1, "steps", "lower")
    assert state["results"][:2] == before["state"]["results"]
    assert [(r["run"], r["segment"], r["metric"], r["status"], r["description"]) for r in state["results"][2:]] == [
        (3, 1, 950, "keep", "baseline"), (4, 1, 900, "keep", "Fewer | steps"),
        (5, 1, 950, "checks_failed", "wrong"),
    ]  # fmt: skip
    assert state["results"][3]["asi"]["hypothesis"] == "e1 does less"
    assert state["results"][3]["commit"] == git(root, "rev-parse", "--short=7", "autoresearch/ours")
    assert "Baseline (#3): 950\nBest     (#4): 900 (-5.3%)" in after["summary"]
    assert "Runs so far: 3 (2 keep · 1 checks_failed)" in after["summary"]
    assert "Halve the steps" in after["summary"], "its ideas are where it looks for them"
    # What we export stands on its own: our two segments in its own words.
    exported = tmp_path / "exported"
    (exported / ".auto").mkdir(parents=True)
    tool(root, "log", "--export", "jsonl", "--output", str(exported / ".auto/log.jsonl"))
    again = their_view(package, exported)["state"]
    pick = ("run", "segment", "metric", "status", "description", "commit")
    assert [[r[k] for k in pick] for r in again["results"]] == [[r[k] for k in pick] for r in state["results"]]


def test_their_examples_are_hooks_of_ours(package: Path, tmp_path: Path) -> None:
    if shutil.which("jq") is None:
        pytest.skip("jq is not installed: pi-autoresearch's example hooks untested")
    root = their_project(tmp_path / "project")
    project = Project(root)
    session = {"metric_name": "steps", "metric_unit": "", "direction": "lower", "baseline_metric": 1000,
               "best_metric": 900, "run_count": 2, "goal": "fewer"}  # fmt: skip
    entry = {"run": 2, "status": "keep", "metric": 900, "description": "x", "asi": {"hypothesis": "less"}}
    runs = [{"run": n, "status": "discard", "metric": 1} for n in range(1, 7)]
    (root / ".auto/log.jsonl").write_text("".join(json.dumps(r) + "\n" for r in runs))
    events: dict[str, dict[str, Any]] = {
        "after": {"event": "after", "cwd": str(root), "run_entry": entry, "session": session},
        "before": {"event": "before", "cwd": str(root), "next_run": 3, "last_run": entry, "session": session},
    }

    def example(stage: str, name: str) -> str:
        target = root / ".auto/hooks" / f"{stage}.sh"
        target.parent.mkdir(exist_ok=True)
        shutil.copy(package / f"skills/autoresearch-hooks/examples/{stage}/{name}.sh", target)
        target.chmod(0o755)
        return run_script(project, events[stage], patience=25)

    assert example("before", "idea-rotator").endswith("Halve the steps")
    assert "5 consecutive discards" in example("before", "anti-thrash")
    assert example("before", "context-rotation") == ""
    assert example("after", "learnings-journal") == ""
    assert (root / ".auto/learnings.md").read_text() == "run=2 status=keep metric=900 hyp=less\n"
    assert example("after", "auto-tag-winners") == ""
    assert git(root, "tag", "--list") == "autoresearch/best-run-2-900"
    # One that needs a tool that is not here fails, is told, and breaks nothing.
    assert "[before hook exited 127]" in example("before", "qmd-search")
    logged = [json.loads(line) for line in (root / ".auto/log.jsonl").read_text().splitlines()[6:]]
    assert [(h["type"], h["stage"], h["exit_code"]) for h in logged][-1] == ("hook", "before", 127)
