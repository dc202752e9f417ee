"""The user's own scripts around each experiment: the contract, and every recipe of docs/user-hooks.md."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from autoresearch.project import Project
from autoresearch.session import scripts
from autoresearch.workspace.git import git
from driver import REPO, Driver

RECIPES = re.findall(r"```bash\n(.*?)```", (REPO / "docs" / "user-hooks.md").read_text(), re.DOTALL)


def put(root: Path, stage: str, body: str, place: str = "autoresearch.hooks") -> Path:
    script = root / place / f"{stage}.sh"
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(f"#!/usr/bin/env bash\n{body}\n")
    script.chmod(0o755)
    return script


def run(tmp_path: Path, body: str, limit: float = 20) -> tuple[int | None, str, str, bool]:
    return scripts.to_its_end(tmp_path, put(tmp_path, "after", body), b'{"event":"after"}', limit)


def test_the_first_8_kb_reach_the_agent_cut_at_a_line(tmp_path: Path) -> None:
    code, out, _, _ = run(tmp_path, "cat; for i in $(seq 3000); do echo line $i; done; seq 200000")
    assert code == 0
    assert out.startswith('{"event":"after"}\nline 1\n')
    assert out.endswith("\n\n…[truncated: hook stdout exceeded 8KB]")
    assert len(out.encode()) < 8 * 1024 + 60
    assert run(tmp_path, "head -c 9000 /dev/zero | sed 's/./é/g'")[1].count("é") <= 4096


def test_a_script_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    begun = time.monotonic()
    code, _, _, timed_out = run(tmp_path, "sleep 1000 & echo $! > pid; wait", limit=1.0)
    assert (code, timed_out) == (None, True)
    assert time.monotonic() - begun < 15
    pid = (tmp_path / "pid").read_text().strip()
    state = subprocess.run(["ps", "-o", "stat=", "-p", pid], capture_output=True, text=True, check=False).stdout
    assert state.strip() in ("", "Z")
    assert scripts.message("after", code, "", "", timed_out=True) == "[after hook timed out after 30s]"


def test_what_a_script_leaves_running_holds_nobody_up(tmp_path: Path) -> None:
    begun = time.monotonic()
    code, out, _, _ = run(tmp_path, "sleep 60 & echo said; kill -0 $! && echo $! > pid")
    assert (code, out) == (0, "said\n")
    assert time.monotonic() - begun < 30
    subprocess.run(["kill", (tmp_path / "pid").read_text().strip()], check=True)


def test_output_is_data(tmp_path: Path) -> None:
    assert run(tmp_path, r"printf 'a\x1b[2Jb\u202ec\xff'; exec <&-")[1].startswith("abc")
    assert scripts.message("after", 3, "out\n", "err\n", timed_out=False) == "[after hook exited 3]\nerr\nout"
    assert scripts.message("before", 0, " \n", "noise", timed_out=False) == ""


def test_where_scripts_are_found(tmp_path: Path) -> None:
    project = Project(tmp_path)
    assert scripts.script_of(project, "after") is None
    flat = put(tmp_path, "after", "")
    assert scripts.script_of(project, "after") == flat
    theirs = put(tmp_path, "after", "", ".auto/hooks")
    assert scripts.script_of(project, "after") == theirs
    assert scripts.switched_off(project) == []
    theirs.chmod(0o644)
    assert scripts.switched_off(project) == [theirs]
    assert scripts.script_of(project, "after") == flat
    assert Project(tmp_path).ledger.name == "autoresearch.jsonl", "scripts alone do not move a session"


def test_a_long_message_is_cut_for_the_answer_and_kept_whole(tmp_path: Path) -> None:
    project = Project(tmp_path)
    put(tmp_path, "before", "seq 1000")
    said = scripts.run_script(project, {"event": "before"})
    assert said.startswith("1\n2\n")
    assert len(json.dumps(said)) < 620
    assert (tmp_path / ".autoresearch/hooks/last.txt").read_text().endswith("\n1000")
    assert scripts.collect(project) == ""


def test_a_slow_script_does_not_hold_up_the_command(tmp_path: Path) -> None:
    project = Project(tmp_path)
    put(tmp_path, "after", "until [ -e go ]; do sleep 0.05; done; echo late")
    said = scripts.run_script(project, {"event": "after"}, patience=0.3)
    assert said == "[after hook is still running; its words follow]"
    (tmp_path / "go").touch()
    deadline = time.monotonic() + 25
    while not (late := scripts.collect(project)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert late == "late"


def keep(session: Driver, name: str, old: str, new: str) -> dict[str, Any]:
    session.open(name)
    session.edit(name, old, new)
    assert session.measure(name)[0] == 0
    code, data = session("decide", name, "--description", f"{name} is less")
    assert (code, data["status"]) == (0, "keep")
    return data


def test_both_scripts_around_each_experiment_and_every_recipe(session: Driver, tmp_path: Path) -> None:
    root = session.project.root
    put(root, "before", "cat > before.json; echo 'think first'")
    put(root, "after", "cat > after.json; echo broken >&2; exit 7")
    code, data = session("new", "e1", "--hypothesis", "less work")
    assert (code, data["hook"]) == (0, "think first")
    told = json.loads((root / "before.json").read_text())
    assert set(told) == {"event", "cwd", "next_run", "last_run", "session"}
    assert (told["event"], told["cwd"], told["next_run"]) == ("before", str(root), 2)
    assert (told["last_run"]["run"], told["last_run"]["status"], "samples" in told["last_run"]) == (1, "keep", False)
    assert told["session"] == {
        "metric_name": "steps", "metric_unit": "steps", "direction": "lower", "baseline_metric": 1000,
        "best_metric": 1000, "run_count": 1, "goal": "Fewer steps",
    }  # fmt: skip
    code, data = session("decide", "e1", "--abandon")
    assert (code, data["status"], data["hook"]) == (1, "discard", "[after hook exited 7]\nbroken"), "told, and no more"
    told = json.loads((root / "after.json").read_text())
    assert set(told) == {"event", "cwd", "run_entry", "session"}
    assert (told["run_entry"]["run"], told["session"]["run_count"]) == (2, 2)
    assert told["run_entry"]["asi"]["hypothesis"] == "less work"
    calls = [r for r in session.lines() if r.get("type") == "hook"]
    assert [(c["stage"], c["exit_code"], c["timed_out"]) for c in calls] == [("before", 0, False), ("after", 7, False)]
    assert session("status")[1]["counts"] == {"discard": 1}

    if shutil.which("jq") is None:
        pytest.skip("jq is not installed: the recipes of docs/user-hooks.md are untested")
    notify, webhook, tag, journal, thrash = RECIPES
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("notify-send", "curl"):  # stand-ins that write down what they are called with
        (tools / name).write_text(f'#!/bin/sh\nprintf "%s|" "$@" > {tmp_path}/{name}.txt\n')
        (tools / name).chmod(0o755)
    (root / ".webhook").write_text("http://127.0.0.1:9/hook")
    path = f'PATH="{tools}:$PATH"\n'
    put(root, "before", thrash)
    put(root, "after", path + "event=$(cat)\n" + "\n".join(
        f"echo \"$event\" | {{ {recipe.strip()}; }}" for recipe in (notify, webhook, tag, journal)))  # fmt: skip
    assert keep(session, "e2", "1000", "900").get("hook") is None
    notified = (tmp_path / "notify-send.txt").read_text()
    # jq 1.7 keeps the zero.
    assert notified.replace("900.0", "900") == "autoresearch|steps 900steps: e2 is less|"
    assert '{"text":"autoresearch: e2 is less"}|http://127.0.0.1:9/hook|' in (tmp_path / "curl.txt").read_text()
    assert git(root, "rev-parse", "best-run-3") == git(root, "rev-parse", "autoresearch/t")
    for number in range(3, 8):
        session.open(f"e{number}")
        session("decide", f"e{number}", "--abandon")
    assert (root / "learnings.md").read_text().replace("900.0", "900").splitlines()[:2] == [
        "run=3 status=keep metric=900 hyp=idea of e2", "run=4 status=discard metric=0 hyp=idea of e3",
    ]  # fmt: skip
    assert session("new", "e8", "--hypothesis", "x")[1]["hook"].startswith("Five in a row without a keep")
