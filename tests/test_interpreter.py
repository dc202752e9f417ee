"""Variables and modules of the caller's interpreter do not reach the command; the guard stays on."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path

import pytest

from driver import REPO, Driver, command, environment

# Of the standard library, of what we depend on, and what an interpreter loads by its name.
SHADOWS = ("random", "json", "types", "click", "msgspec", "pathspec", "dataclasses", "sitecustomize", "autoresearch")
SETTINGS = {
    "PYTHONINSPECT": "1", "PYTHONWARNINGS": "error", "PYTHONIOENCODING": "ascii", "PYTHONSTARTUP": "/nowhere.py",
    "PYTHONSAFEPATH": "1", "PYTHONOPTIMIZE": "2", "PYTHONUTF8": "0", "PYTHONNOUSERSITE": "1", "PYTHONDEVMODE": "1",
}  # fmt: skip


def shadow(place: Path, *names: str) -> str:
    """A directory of the caller's with modules of these names, that cannot be imported."""
    place.mkdir(exist_ok=True)
    for name in names:
        (place / f"{name}.py").write_text("raise RuntimeError('a module of the caller')\n")
    return str(place)


def paths(*places: object) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, places))}


@pytest.mark.parametrize("name", SHADOWS)
def test_a_module_of_the_callers_does_not_stand_before_ours(session: Driver, tmp_path: Path, name: str) -> None:
    first = shadow(tmp_path / "theirs", name)
    if name == "autoresearch":  # found first, it is the one that was asked for
        first = str(REPO / "helpers") + os.pathsep + first
    # As an installer writes it.
    script = tmp_path / "autoresearch"
    script.write_text("import sys\nfrom autoresearch.cli import main\nsys.exit(main())\n")
    words, env = [command()[0], str(script), "status", "--json"], paths(first, REPO / "helpers")
    done = subprocess.run(words, cwd=session.root, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["next"]
    assert name == "sitecustomize" or not done.stderr


def test_nor_does_one_in_the_project(session: Driver) -> None:
    shadow(session.root, "random", "click", "json")
    assert session("status")[0] == 0
    session.open("e1")
    session.edit("e1", "1000", "700")
    assert session.measure("e1")[0] == 0


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_of_the_callers_interpreter_changes_no_answer(session: Driver, name: str) -> None:
    settings = {name: SETTINGS[name]}
    code, data = session("status", **settings)
    assert (code, data["next"]) == (0, session("status")[1]["next"])
    done = session.run("decide", "nothing", "--json", **settings)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done
    code, data = session("ideas", "add", "ein sch\u00f6ner Gedanke \u2026", "--gain", "5", **settings)
    assert code == 0, data
    done = session.run("ideas", "list", **settings)
    assert (done.returncode, "sch\u00f6ner" in done.stdout) == (0, True), done


@pytest.mark.parametrize(
    "settings",
    [{"PYTHONPATH": "theirs"}, {"PYTHONHOME": "/nowhere"}, {"PYTHONINSPECT": "1"}, {"PYTHONHASHSEED": "none"}],
    ids=str,
)
def test_the_guard_stays_on(session: Driver, tmp_path: Path, settings: dict[str, str]) -> None:
    hooks = json.loads((REPO / "hooks" / "hooks.json").read_text())["hooks"]
    line = hooks["PreToolUse"][0]["hooks"][0]["command"]
    # The installed command knows its interpreter, and needs no PYTHONPATH.
    shim = tmp_path / "bin" / "autoresearch"
    shim.parent.mkdir()
    code = f"import sys; sys.path.insert(0, {str(REPO / 'helpers')!r}); from autoresearch.cli import main; main()"
    shim.write_text(f'#!/bin/sh\nexec {shlex.quote(command()[0])} -c {shlex.quote(code)} "$@"\n')
    shim.chmod(0o755)
    if "PYTHONPATH" in settings:
        settings = {"PYTHONPATH": shadow(tmp_path / "theirs", "json", "click", "types")}
    env = {**environment(), **settings, "PATH": f"{shim.parent}:{os.environ['PATH']}"}
    event = {"hook_event_name": "PreToolUse", "tool_name": "Write", "cwd": str(session.root),
             "tool_input": {"file_path": "autoresearch.sh"}}  # fmt: skip
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=session.root,
        env=env,
        input=json.dumps(event),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, '"deny"' in done.stdout) == (0, True), done
