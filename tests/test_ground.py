"""What a command does where the ground goes away: its directory, the bytes of an event, files that git does not see."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from driver import Driver, Run, command, environment


@pytest.fixture
def guarded(session: Driver) -> Driver:
    session.open("e1")
    return session


def stand_and_run(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A shell in a directory that is removed under it."""
    line = f"cd {shlex.quote(str(place))} && rm -rf {shlex.quote(str(place))} && {shlex.join(command(*words))}"
    return subprocess.run(["bash", "-c", line], env=environment(), capture_output=True, text=True, check=False)


@pytest.mark.parametrize("where", ["the copy", "below the copy", "a directory of the project", "elsewhere"])
@pytest.mark.parametrize("words", [("status", "--json"), ("new", "e9", "--hypothesis", "it's less", "--json")])
def test_a_directory_that_is_gone_is_a_sentence_and_a_next(
    guarded: Driver, tmp_path: Path, where: str, words: tuple[str, ...]
) -> None:
    copy = guarded.project.worktree("e1")
    place = {
        "the copy": copy, "below the copy": copy / "src", "a directory of the project": guarded.root / "deep" / "er",
        "elsewhere": tmp_path / "elsewhere",
    }[where]  # fmt: skip
    place.mkdir(parents=True, exist_ok=True)
    done = stand_and_run(place, *words)
    told = json.loads(done.stdout)
    assert (done.returncode, "is gone" in told["error"]) == (2, True), done
    assert shlex.split(told["next"])[3:] == ["autoresearch", *words]
    if where != "elsewhere":
        assert shlex.split(told["next"])[1] == str(guarded.root)


def test_a_hook_needs_no_ground(guarded: Driver) -> None:
    event = {"hook_event_name": "PreToolUse", "tool_name": "Write", "cwd": str(guarded.root),
             "tool_input": {"file_path": "autoresearch.sh"}}  # fmt: skip
    shutil.rmtree(guarded.project.worktree("e1"))
    line = f"mkdir x && cd x && rmdir ../x && {shlex.join(command('hook'))}"
    done = subprocess.run(
        ["bash", "-c", line], cwd=guarded.root, env=environment(), input=json.dumps(event),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert '"deny"' in done.stdout, done


def hook(session: Driver, event: bytes) -> subprocess.CompletedProcess[bytes]:
    words = command("hook")
    return subprocess.run(words, cwd=session.root, env=environment(), input=event, capture_output=True, check=False)


EVENT = (
    '{"hook_event_name":"PreToolUse","tool_name":"Bash","cwd":".","tool_input":{"command":"echo>autoresearch.sh%s"}}'
)


@pytest.mark.parametrize(
    "event",
    [
        EVENT.replace("%s", " # \x01").encode(),
        EVENT.replace("%s", "\n\techo \x1b[0m").encode(),
        EVENT.replace("%s", " # \u00e9").encode("latin-1"),
        b"\xef\xbb\xbf" + EVENT.replace("%s", "").encode(),
        EVENT.replace("%s", "").encode("utf-16"),
        EVENT.replace("%s", "; touch \\u0000x \\ud800").encode(),
        EVENT.replace("%s", "").encode()[:-3],
        EVENT.replace("%s", "").replace("}}", "," + '"x":' + "[" * 100_000).encode(),
        EVENT.replace('command":"echo>', 'file_path":"').replace("Bash", "Write").replace("%s", "\\u0000").encode(),
    ],
    ids=[
        "control",
        "tab and escape",
        "latin-1",
        "byte order mark",
        "utf-16",
        "nul and surrogate",
        "cut off",
        "deep",
        "nul",
    ],
)
def test_an_event_is_read_leniently_and_never_open(session: Driver, event: bytes) -> None:
    done = subprocess.run(
        command("hook"), cwd=session.root, env=environment(), input=event, capture_output=True, check=False
    )
    assert done.returncode == 0
    assert json.loads(done.stdout)["hookSpecificOutput"]["permissionDecision"] == "deny", done


def test_an_event_that_cannot_be_read_and_names_nothing_goes_on(session: Driver) -> None:
    event = b'{"hook_event_name":"PreToolUse","tool_name":"Bash","tool_input":{"command":"ls'
    done = subprocess.run(
        command("hook"), cwd=session.root, env=environment(), input=event, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, b"")


@pytest.mark.parametrize("by", [".gitignore", "src/.gitignore", "info/exclude"])
def test_new_files_that_git_ignores_are_told_once(session: Driver, autoresearch: Run, by: str) -> None:
    if by == "info/exclude":
        (session.root / ".git" / "info" / "exclude").write_text("*.gen.py\n")
    session.open("e1")
    tree = session.project.worktree("e1")
    if by != "info/exclude":
        (tree / by).write_text("*.gen.py\n")
    session.edit("e1", "1000", "900")
    (tree / "src" / "table.gen.py").write_text("X = 1\n")
    (tree / "src" / "__pycache__").mkdir()
    (tree / "src" / "__pycache__" / "work.pyc").write_text("x")
    if by != "src/.gitignore":
        (tree / "notes.gen.py").write_text("out of scope\n")
    if by == ".gitignore":
        (tree / by).write_text((session.root / by).read_text())
        (session.root / ".git" / "info" / "exclude").write_text("*.gen.py\n")
    if by == "src/.gitignore":
        code, data = session("run", "e1")
        assert code == 0, data
        assert data["not_measured"] == {"e1": ["src/table.gen.py"]}
    else:
        done = autoresearch("run", "e1")
        assert "not measured, as .gitignore covers them: src/table.gen.py\n" in done.stdout, done
    session.edit("e1", "900", "800")
    assert "not_measured" not in session("run", "e1")[1]
