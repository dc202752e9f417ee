"""One session, played the same way on this machine and on a cluster: eight experiments, each of another kind.

| experiment | what it is | what must come of it |
|---|---|---|
| win | a part of the work goes | keep, 10 % |
| placebo | a comment | discard |
| broken | does not compile | crash |
| wrong | another answer | checks_failed |
| hang | never ends | crash, at its time limit |
| long | placebo, but builds slowly: its VM is killed under it | passes all the same; given up |
| twin7, twin8 | the same file with another digit: equal size, equal time stamp | each its own number |

The metric is a count that the source states, so both engines must come to the same verdicts, to the last digit.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from autoresearch.ledger.store import records
from autoresearch.resources import shipped
from driver import IDENTITY, command, says_not_yet

STAMP = 1_700_000_000
HELPERS = Path(__file__).resolve().parents[2] / "helpers"
EXPERIMENTS = ("win", "placebo", "broken", "wrong", "hang", "long", "twin7", "twin8")
PASSING = ("win", "placebo", "twin7", "twin8")

FILES = {
    "src/first.py": "COST = 250\n",
    "src/second.py": "COST = 250\n",
    "src/third.py": "COST = 500\n",
    "src/pause.txt": "0\n",
    "src/answer.py": "ANSWER = 42\n",
    "build.sh": 'set -eu\nsleep "$(cat src/pause.txt)"\npython3 -m compileall -q src\n',
    "autoresearch.sh": """set -euo pipefail
python3 - <<'END'
import sys; sys.path.insert(0, "src")
import first, second, third
print("METRIC steps=%d" % (first.COST + second.COST + third.COST))
END
""",
    "autoresearch.checks.sh": """set -euo pipefail
python3 -c 'import sys; sys.path.insert(0, "src"); from answer import ANSWER; assert ANSWER == 42'
""",
    ".gitignore": "__pycache__/\n",
}
CONFIG = """name: lab
goal: Fewer steps
objective: {{metric: steps, direction: lower, unit: steps}}
scope: ["src/**"]
evaluator: [build.sh]
build: bash build.sh
noise_runs: 4
timeouts: {{setup: 60, build: 60, benchmark: 8, checks: 60}}
test: {{layout: fixed}}
review: false
budget: {{price_per_hour: 0.2}}
{engine}
"""
EDITS = {
    "win": ("src/first.py", "250", "150"),
    "placebo": ("src/second.py", "COST = 250", "COST = 250  # as before"),
    "broken": ("src/second.py", "COST = 250", "COST = = 250"),
    "wrong": ("src/answer.py", "42", "41"),
    "hang": ("src/second.py", "COST = 250", "while True: pass"),
    "long": ("src/pause.txt", "0", "25"),
    "twin7": ("src/third.py", "500", "470"),
    "twin8": ("src/third.py", "500", "480"),
}

Answer = tuple[int, dict[str, Any]]


class Play:
    """The command in one project, as an agent uses it."""

    def __init__(self, root: Path, engine: str, env: Mapping[str, str]) -> None:
        self.root = root
        self.env = {**env, "PYTHONPATH": str(HELPERS), "GIT_CONFIG_NOSYSTEM": "1"}
        for name, text in {**FILES, "autoresearch.yaml": CONFIG.format(engine=engine)}.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (root / "experiment.yaml").write_bytes(shipped("experiment.yaml").read_bytes())
        for words in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-q", "-m", "start")):
            subprocess.run(["git", *IDENTITY, *words], cwd=root, env=self.env, check=True)
        self.said: list[str] = []

    def __call__(self, *words: str) -> Answer:
        for _ in range(2):
            done = subprocess.run(
                command(*words, "--json"),
                cwd=self.root, env=self.env, capture_output=True, text=True, timeout=300, check=False,
            )  # fmt: skip
            self.said.append(f"$ {' '.join(words)} -> {done.returncode}\n{done.stdout}{done.stderr}")
            if done.returncode != -signal.SIGKILL:
                break
            # Nodes and client share one machine's process ids, so what ends a VM may hit a command of ours (seen once).
            # An agent repeats it, and so do we: a killed command is finished or undone by the next one.
        assert "Traceback" not in done.stderr, self.said[-1]
        assert 0 < len(done.stdout) < 2048, self.said[-1]
        return done.returncode, json.loads(done.stdout)

    def until_done(self, *words: str, limit: float = 1800, meanwhile: Callable[[], None] = lambda: None) -> Answer:
        deadline = time.monotonic() + limit
        while True:
            code, data = self(*words, "--timeout", "5")
            if not says_not_yet(code, data):
                return code, data
            meanwhile()
            assert time.monotonic() < deadline, "\n".join(self.said[-5:])

    def phases(self) -> dict[str, str]:
        """{experiment: what its job does now} of what runs or waits."""
        return {job["experiment"]: f"{job['state']} {job['detail']}" for job in self("queue")[1]["jobs"]}

    def lines(self) -> list[dict[str, Any]]:
        return list(records(self.root / "autoresearch.jsonl"))

    def runs(self) -> dict[str, dict[str, Any]]:
        """The run lines by experiment; an experiment decided twice is an error."""
        found: dict[str, dict[str, Any]] = {}
        for line in self.lines():
            if "run" in line:
                assert line["experiment"] not in found, f"{line['experiment']} has two lines"
                found[line["experiment"]] = line
        return found

    # --- the story

    def baseline(self) -> None:
        code, data = self.until_done("baseline")
        assert (code, data.get("value")) == (0, 1000), "\n".join(self.said[-3:])

    def open_all(self) -> None:
        """Eight experiments; every file that an edit touches gets the same time stamp."""
        for name in EXPERIMENTS:
            code, data = self("new", name, "--hypothesis", f"idea of {name}")
            assert code == 0, data
            path, old, new = EDITS[name]
            file = self.root / ".autoresearch" / "worktrees" / name / path
            file.write_text(file.read_text().replace(old, new))
            os.utime(file, (STAMP, STAMP))
        sizes = {(self.root / f".autoresearch/worktrees/{t}/src/third.py").stat().st_size for t in ("twin7", "twin8")}
        assert len(sizes) == 1

    def screen(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        code, data = self("run", *EXPERIMENTS)
        assert (code, len(data["submitted"])) == (0, 8), data
        assert data["forecast"]["experiments"] == 8
        code, data = self.until_done("wait", meanwhile=meanwhile)
        assert code == 0, data

    def measure(self, meanwhile: Callable[[], None] = lambda: None) -> dict[str, Any]:
        """A/Bs of all that passed, at once and against the same base; what each says, before anything is decided."""
        _, data = self.until_done("ab", *PASSING, meanwhile=meanwhile)
        assert not data.get("running"), data
        return dict(data.get("verdicts") or data)

    def decide_all(self) -> None:
        """Discards first, as they need an A/B against the present best; then a keep, and one on top of it."""
        for name in ("placebo", "broken", "wrong", "hang"):
            assert self("decide", name)[0] == 1, self.said[-1]
        assert self("status")[1]["undecided"]["long"].startswith("screened"), self.said[-1]
        assert self("decide", "long", "--abandon")[0] == 1, self.said[-1]
        assert self("decide", "win", "--tokens", "1000")[0] == 0, self.said[-1]
        assert self("decide", "twin7")[0] == 1, "an A/B against the old base must not decide"
        self.until_done("ab", "twin7")
        assert self("decide", "twin7")[0] == 0, self.said[-1]
        assert self("decide", "twin8", "--abandon")[0] == 1, self.said[-1]

    def outcome(self) -> dict[str, Any]:
        """What both engines must agree on."""
        told = {}
        for name, line in self.runs().items():
            verdict = line.get("verdict") or {}
            keys = ("verdict", "reason", "effect_pct", "ci_low_pct", "ci_high_pct", "runs_used")
            told[name] = {
                "status": line["status"], "metric": line["metric"], "base": line.get("base_metric"),
                "checks": line.get("checks"), "error": line.get("error"), "lines": line.get("lines_added"),
                **{key: verdict.get(key) for key in keys},
            }  # fmt: skip
        return told
