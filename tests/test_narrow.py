"""On a terminal of 60 columns no line is wider, and a command that is broken over lines is still that command."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import pty
import re
import shlex
import signal
import struct
import subprocess
import termios
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoresearch.cli import COMMANDS, _output
from autoresearch.workspace.git import IDENTITY, git
from driver import Driver, command, environment

WIDTH = 60
CODES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def on_a_terminal(root: Path, *words: str, interrupt: float | None = None) -> str:
    """What a command shows on a terminal of 60 columns, stdout and stderr."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, WIDTH, 0, 0))
    env = {name: value for name, value in environment(chart=False).items() if name not in ("COLUMNS", "LINES")}
    done = subprocess.Popen(
        command(*words), cwd=root, env=env, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a suite in the background ignores it
    )  # fmt: skip
    os.close(theirs)
    if interrupt is not None:
        time.sleep(interrupt)
        done.send_signal(signal.SIGINT)
    said = b""
    with contextlib.suppress(OSError):
        while part := os.read(ours, 65536):
            said += part
    os.close(ours)
    done.wait(60)
    return CODES.sub("", said.decode()).replace("\r\n", "\n")


def too_wide(said: str) -> list[str]:
    return [line for line in re.split(r"[\n\r]", said) if len(line) > WIDTH]


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_each_help_fits(tmp_path: Path, name: str) -> None:
    said = on_a_terminal(tmp_path, *name.split(), "--help")
    assert "Usage: " in said
    assert too_wide(said) == []


def test_each_answer_of_a_session_fits(session: Driver) -> None:
    long = "index the rules by their first byte, since most of them cannot match at all where that byte is another one"
    session("ideas", "add", long, "--gain", "5", "--confidence", "0.5", "--cost", "1", "--source", "profile")
    session.open("e1")
    session.edit("e1", "1000", "700")
    session.open("e2")
    session.edit("e2", "1000", "1200")
    for words in (
        ("run", "e1", "e2"), ("wait", "--timeout", "20"), ("queue",), ("logs", "e1"), ("ab", "e1", "--timeout", "20"),
        ("decide", "e1", "--description", long), ("ab", "e2", "--timeout", "20"), ("decide", "e2"), ("log",),
        ("status",), ("ideas", "list"), ("ideas", "next"), ("report",), ("doctor", "--no-run"), ("doctor", "--repair"),
        ("new", "e1", "--hypothesis", long), ("decide", "e9"), ("cancel",), ("parse", "README.md"), ("baseline",),
        ("finalize", "--audit", "--runs", "12", "--timeout", "25"), ("init", "--template", "list"), ("noise",),
    ):  # fmt: skip
        said = on_a_terminal(session.root, *words)
        assert said.strip(), words
        assert "Traceback" not in said
        assert too_wide(said) == [], words


WORDS = st.lists(st.text("abc d'", min_size=1, max_size=90), min_size=1, max_size=12)


@given(WORDS, st.integers(20, 100))
def test_a_broken_command_is_the_same_command(words: list[str], width: int) -> None:
    line = "next: " + shlex.join(["autoresearch", *words])
    shown = _output._broken(line, width)
    if '"' not in line:
        assert max(map(len, shown)) <= width
    assert shlex.split("\n".join(shown).replace("\\\n", "")) == shlex.split(line)


def test_what_is_piped_is_as_it_was() -> None:
    assert _output.fitted("x" * 500, io.StringIO()) == "x" * 500


def test_ctrl_c_says_what_goes_on_and_how_to_stop_it(session: Driver) -> None:
    session.open("e1")
    session.edit("e1", "def steps():\n", "import time\ntime.sleep(3)\n\n\ndef steps():\n")
    said = on_a_terminal(session.root, "ab", "e1", interrupt=2.5)
    assert "interrupted; the measurement of e1 goes on" in said.replace("\n    ", " "), said
    assert "to stop it: autoresearch cancel e1" in said
    assert "running" in session("wait", "--timeout", "0.1")[1]
    assert session("cancel", "e1")[1]["stopped"] == ["e1"]


def test_status_begins_with_what_is_broken(session: Driver) -> None:
    script = session.root / "autoresearch.sh"
    text = script.read_text()
    script.write_text(text + "# edited\n")
    code, data = session("status")
    first = next(key for key in data if key != "foreign")
    assert (code, first, "autoresearch.sh" in data["broken"]) == (5, "broken", True), data
    assert session.run("status").stdout.startswith(
        "BROKEN    the evaluator changed since the baseline (autoresearch.sh)"
    )
    script.write_text(text)
    assert session("status")[0] == 0
    git(session.root, "update-ref", "refs/heads/autoresearch/t", "HEAD~0")
    stray = git(session.root, "commit-tree", "HEAD^{tree}", "-p", "autoresearch/t", "-m", "stray", env=IDENTITY)
    git(session.root, "update-ref", "refs/heads/autoresearch/t", stray)
    code, data = session("status")
    assert (code, "no decision made" in data["broken"]) == (5, True), data
