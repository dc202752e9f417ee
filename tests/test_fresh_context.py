"""The loop of references/fresh-context.md, as it stands there: new agents until a stop rule, and never in vain."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from driver import REPO, Driver

SCRIPT = re.search(r"```bash\n(.*?)```", (REPO / "references" / "fresh-context.md").read_text(), re.DOTALL)
# An agent that does one experiment from what status says, and remembers nothing.
WORKER = """#!/usr/bin/env bash
set -euo pipefail
printf '%s\\n' "$*" >> "$CALLS"
[ "$AUTORESEARCH_LOOP" = off ]
name=$(autoresearch new --hypothesis 'something else' --json | sed 's/.*"experiment":"\\([^"]*\\)".*/\\1/')
autoresearch decide "$name" --abandon >/dev/null || true
"""


def loop(session: Driver, tmp_path: Path, agent: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    tools, calls = tmp_path / "bin", tmp_path / "calls"
    tools.mkdir()
    for name, text in (("claude", agent), ("autoresearch", f'#!/bin/sh\nexec {sys.executable} -m autoresearch "$@"\n')):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    assert SCRIPT is not None
    env = {"PATH": f"{tools}:{os.environ['PATH']}", "PYTHONPATH": str(REPO / "helpers"), "CALLS": str(calls)}
    done = subprocess.run(
        ["bash", "-c", SCRIPT[1]], cwd=session.project.root, capture_output=True, text=True, timeout=250, check=False,
        env={**os.environ, **env},
    )  # fmt: skip
    return done, calls.read_text().splitlines() if calls.exists() else []


@pytest.fixture
def fresh(fresh: Driver) -> Driver:
    fresh.configure("stop: {max_experiments: 2}\n")
    return fresh


def test_one_agent_per_experiment_until_the_stop_rule(session: Driver, tmp_path: Path) -> None:
    done, calls = loop(session, tmp_path, WORKER)
    assert done.returncode == 4, done.stderr
    assert len([c for c in calls if c.startswith("-p --allowedTools Bash,Read,Edit,Write,Skill Go on with")]) == 2
    assert [r["experiment"] for r in session.lines() if "run" in r] == ["baseline", "e1", "e2"]
    assert '"near":{' in done.stdout


def test_agents_that_do_nothing_end_the_loop(session: Driver, tmp_path: Path) -> None:
    done, calls = loop(session, tmp_path, '#!/bin/sh\necho "$1" >> "$CALLS"\nexit 9\n')
    assert (done.returncode, len(calls)) == (1, 3), done.stderr
    assert done.stderr.count("the agent ended with 9") == 3
