"""The small project that most tests play in, and the command in it as an agent uses it: JSON and exit codes."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from autoresearch.ledger.history import fold
from autoresearch.ledger.store import records
from autoresearch.project import Project
from autoresearch.report.chart import draw
from autoresearch.report.view import build

REPO = Path(__file__).resolve().parents[1]
IDENTITY = ("-c", "user.name=t", "-c", "user.email=t@example.org")

BENCHMARK = """#!/usr/bin/env bash
set -euo pipefail
python3 -c "
import sys; sys.path.insert(0, 'src')
from work import steps
print('METRIC steps=%d' % steps())
"
"""
CHECKS = """#!/usr/bin/env bash
set -euo pipefail
python3 -c "
import sys; sys.path.insert(0, 'src')
from work import answer
assert answer() == 42
"
"""
WORK = """def steps():
    return 1000


def answer():
    return 42
"""
CONFIG = """name: t
goal: Fewer steps
objective: {metric: steps, direction: lower, unit: steps}
scope: ["src/**"]
off_limits: ["src/fixed.py"]
build: PYTHONPATH=src python3 -c 'import work, fixed'
noise_runs: 4
review: off
timeouts: {setup: 30, build: 30, benchmark: 30, checks: 30}
"""

Answer = tuple[int, dict[str, Any]]
Run = Callable[..., subprocess.CompletedProcess[str]]


def commit_all(root: Path, message: str = "start") -> None:
    subprocess.run(["git", "add", "-A"], cwd=root, check=True)
    subprocess.run(["git", *IDENTITY, "commit", "-q", "-m", message], cwd=root, check=True)


def write_project(root: Path) -> None:
    """A project whose metric is a count that its source states: deterministic and instant."""
    (root / "src").mkdir(parents=True)
    (root / "src" / "work.py").write_text(WORK)
    (root / "src" / "fixed.py").write_text("LIMIT = 1\n")
    (root / "README.md").write_text("a project\n")
    (root / ".gitignore").write_text("__pycache__/\n")
    (root / "autoresearch.sh").write_text(BENCHMARK)
    (root / "autoresearch.checks.sh").write_text(CHECKS)
    (root / "autoresearch.yaml").write_text(CONFIG)
    (root / "experiment.yaml").write_bytes((REPO / "experiment.yaml").read_bytes())


def make_project(root: Path) -> Path:
    """A committed project; the session's own files are untracked, as a user has them at first."""
    write_project(root)
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=root, check=True)
    subprocess.run(["git", "add", "src", "README.md", ".gitignore"], cwd=root, check=True)
    subprocess.run(["git", *IDENTITY, "commit", "-q", "-m", "start"], cwd=root, check=True)
    return root


@contextlib.contextmanager
def another_program(*cores: int) -> Iterator[None]:
    """One that wants these cores all the time, in a session of its own."""
    loop = f"import os\nos.sched_setaffinity(0, {list(cores)})\nprint(flush=True)\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-S", "-c", loop], stdout=subprocess.PIPE, start_new_session=True) as other:
        assert other.stdout is not None
        other.stdout.readline()  # it runs
        try:
            yield
        finally:
            other.kill()


def command(*args: str) -> list[str]:
    return [sys.executable, "-m", "autoresearch", *args]


def environment(*, chart: bool = True, **more: str) -> dict[str, str]:
    """What a command of a test runs in. Without `chart` it cannot draw one, as if matplotlib were not installed."""
    path = [str(REPO / "helpers")] if chart else [str(REPO / "helpers"), str(REPO / "tests/data/no_chart")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path), **more}


def says_not_yet(code: int, data: dict[str, Any]) -> bool:
    """Whether a command's answer asks for the same command again."""
    return code == 1 and bool(data.get("running") or data.get("done") is False)


def state_of(root: Path) -> str:
    """What a first baseline would be measured of, as a hash; "" where there is more than that."""
    git = ["git", "--no-optional-locks"]
    said = (["status", "--porcelain", "--untracked-files=no"], ["rev-list", "--count", "--all"],
            ["for-each-ref", "--format=%(refname) %(tree)"])  # fmt: skip
    told = [subprocess.run([*git, *words], cwd=root, capture_output=True, check=True).stdout for words in said]
    told += [(root / ".git" / name).read_bytes() for name in ("HEAD", "config")]
    mine = sorted((k, v) for k, v in os.environ.items() if k.startswith(("AUTORESEARCH", "FAKE")))
    told.append(repr(mine).encode())
    found = hashlib.sha256(repr(told).encode())
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root)
        if name.parts[0] == ".git" or "__pycache__" in name.parts:
            continue
        if name.name.endswith(".jsonl") or name.parts[:2] == (".autoresearch", "jobs"):
            return ""
        mode = path.lstat().st_mode
        content = path.read_bytes() if path.is_file() else b""
        found.update(repr((str(name), mode, content)).encode())
    return found.hexdigest()


@dataclass(frozen=True)
class Measured:
    """A project with its baseline, as it was left: measured once in a run of the tests, and copied for each."""

    place: Path

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Other workers that need the same one wait."""
        with self.place.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def keep(self, root: Path, answer: dict[str, Any]) -> None:
        """Remember a project that was measured just now, and what `baseline` answered."""
        shutil.copytree(root, self.place, symlinks=True)
        about = {"answer": answer, "places": [str(root), os.environ["HOME"]]}
        self.place.with_suffix(".json").write_text(json.dumps(about))

    def copy_to(self, root: Path) -> dict[str, Any]:
        """Put it in the place of the unmeasured project; returns what `baseline` answered."""
        about: dict[str, Any] = json.loads(self.place.with_suffix(".json").read_text())
        shutil.rmtree(root)
        shutil.copytree(self.place, root, symlinks=True)
        for path in (root / ".autoresearch").rglob("*.json"):  # a job knows where it ran
            text = path.read_text()
            for old, new in zip(about["places"], (str(root), os.environ["HOME"]), strict=True):
                text = text.replace(old, new)
            path.write_text(text)
        return dict(about["answer"])


class Driver:
    """The command in one project, each call a process of its own.

    To draw a chart takes half a second in every new process, so only `report` and `doctor` find matplotlib, unless
    `charts` says that all do; `end` draws in this process what the ledger has come to.
    """

    # Where projects with a baseline are kept for all tests of a run.
    measured: ClassVar[Path | None] = None

    def __init__(self, root: Path, *, charts: bool = False) -> None:
        self.root = root
        self.charts = charts
        self.project = Project(root)

    def run(
        self, *args: str, cwd: Path | None = None, stdin: str | None = None, **env: str
    ) -> subprocess.CompletedProcess[str]:
        """Run the command; exit codes are the caller's to check."""
        chart = self.charts or args[:1] in (("report",), ("doctor",))
        return subprocess.run(
            command(*args), cwd=cwd or self.root, env=environment(chart=chart, **env), input=stdin, capture_output=True,
            text=True, timeout=120, check=False,
        )  # fmt: skip

    def __call__(self, *args: str, **env: str) -> Answer:
        """The exit code and the answer, which is one object on one line and says what comes next."""
        done = self.run(*args, "--json", **env)
        assert "Traceback" not in done.stderr, done.stderr
        assert done.stdout.count("\n") == 1, done.stdout + done.stderr
        assert len(done.stdout) < 2048
        data = json.loads(done.stdout)
        assert "next" in data
        return done.returncode, data

    def until_done(self, *args: str, **env: str) -> Answer:
        for _ in range(30):
            code, data = self(*args, **env)
            if not says_not_yet(code, data):
                return code, data
        raise AssertionError(f"{args} did not end")

    def configure(self, text: str) -> None:
        """Add lines to autoresearch.yaml."""
        path = self.root / "autoresearch.yaml"
        path.write_text(path.read_text() + text)

    def baseline(self) -> dict[str, Any]:
        """Measure the baseline; in a project like one that was measured before, its session is copied instead."""
        state = state_of(self.root)
        if not (state and self.measured):
            return self._measured_now()
        known = Measured(self.measured / state)
        with known.alone():
            if known.place.with_suffix(".json").exists():
                return known.copy_to(self.root)
            data = self._measured_now()
            known.keep(self.root, data)
            return data

    def _measured_now(self) -> dict[str, Any]:
        code, data = self.until_done("baseline", "--timeout", "20")
        assert code == 0, data
        return data

    def end(self) -> None:
        """Stop what a test has left running; what has ended needs no command. Draw the chart."""
        if any(not (job.parent / "exit.json").exists() for job in self.project.jobs.glob("*/job.json")):
            self.run("cancel", "--all")
        if self.project.ledger.is_file():
            draw(build(fold(self.lines())))

    def edit(self, name: str, old: str, new: str, path: str = "src/work.py") -> None:
        file = self.project.worktree(name) / path
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    def open(self, name: str, *args: str) -> dict[str, Any]:
        code, data = self("new", name, "--hypothesis", f"idea of {name}", *args)
        assert code == 0, data
        return data

    def measure(self, name: str) -> Answer:
        return self.until_done("ab", name, "--timeout", "20")

    def lines(self) -> list[dict[str, Any]]:
        return list(records(self.project.ledger))

    def run_line(self, name: str) -> dict[str, Any]:
        (line,) = [r for r in self.lines() if r.get("experiment") == name and "run" in r]
        return line
