"""A whole session, step by step, that can be set back to any step: the ground that the fault tests stand on.

Commands run in children forked from the test's process, which has imported everything: a command then takes a tenth
of a second, and a fault can be put at any act of it. Trials are real: detached supervisors, builds, benchmarks.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fault_hooks

from autoresearch import cli
from autoresearch.project import Project
from driver import BENCHMARK, CHECKS, CONFIG, WORK

GIT_IDENTITY = ["-c", "user.name=t", "-c", "user.email=t@example.org"]


@dataclass(frozen=True)
class Done:
    """How a command ended: `code` is negative for a signal."""

    code: int
    out: str
    err: str
    acts: int = 0
    at: str = ""

    @property
    def data(self) -> dict[str, Any]:
        return dict(json.loads(self.out)) if self.out.startswith("{") else {}


@dataclass(frozen=True)
class Step:
    """One command of the session, what a person or agent does before it, and what it may exit with."""

    name: str
    args: tuple[str, ...]
    before: Callable[[Place], None] = lambda place: None
    codes: tuple[int, ...] = (0,)

    @property
    def polls(self) -> bool:
        return "--timeout" in self.args


@dataclass
class Place:
    """A project in a directory of its own. Its path never changes, as git worktrees and jobs know it."""

    base: Path
    env: dict[str, str] = field(default_factory=dict)
    name: str = "project"

    @property
    def root(self) -> Path:
        return self.base / self.name

    @property
    def project(self) -> Project:
        return Project(self.root)

    def run(
        self, *args: str, fault: Callable[[str, tuple[Any, ...]], None] | None = None, at: int = 0,
        count: bool = False, after: float | None = None, prepare: Callable[[], None] | None = None,
    ) -> Done:  # fmt: skip
        """Run one command; with `fault` it happens at act number `at`, with `after` it is killed by the clock."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.TemporaryFile() as report:
            pid = os.fork()
            if pid == 0:
                counter = None
                if fault is not None or count:
                    counter = fault_hooks.Counter(at, fault or fault_hooks.die, report.fileno())
                self._child([*args, "--json"], out.fileno(), err.fileno(), counter, prepare)
            if after is not None:
                time.sleep(after)
                kill_group(pid)
            status = os.waitpid(pid, 0)[1]
            texts = []
            for file in (out, err, report):
                file.seek(0)
                texts.append(file.read().decode("utf-8", "replace"))
        acts = texts[2][:8].strip()
        return Done(os.waitstatus_to_exitcode(status), texts[0], texts[1], int(acts or 0), texts[2][16:].strip("\0"))

    def _child(
        self, args: list[str], out: int, err: int, counter: fault_hooks.Counter | None,
        prepare: Callable[[], None] | None,
    ) -> None:  # fmt: skip
        code = 70
        try:
            os.setsid()
            os.chdir(self.root)
            os.environ.update(self.env)
            os.dup2(out, 1)
            os.dup2(err, 2)
            sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), encoding="utf-8")
            sys.stderr = io.TextIOWrapper(io.FileIO(2, "w", closefd=False), "utf-8", write_through=True)
            sys.modules.setdefault("matplotlib", None)  # type: ignore[arg-type]
            if prepare is not None:
                prepare()
            if counter is not None:
                fault_hooks.install(counter)
            cli.main(args)
        except SystemExit as exc:
            code = exc.code if isinstance(exc.code, int) else 0
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            with contextlib.suppress(Exception):
                sys.stdout.flush()
            os._exit(code)

    # --- setting back

    def save(self, name: str) -> None:
        where = self.base / "saved" / name
        shutil.rmtree(where, ignore_errors=True)
        where.parent.mkdir(exist_ok=True)
        subprocess.run(["cp", "-a", str(self.root), str(where)], check=True)

    def restore(self, name: str) -> None:
        self.quiet()
        shutil.rmtree(self.root)
        subprocess.run(["cp", "-a", str(self.base / "saved" / name), str(self.root)], check=True)

    # --- what lives

    def processes(self) -> set[int]:
        """Live processes that work below this place: supervisors, trials, what candidates have started."""
        found = set()
        needle = str(self.base).encode()
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            with contextlib.suppress(OSError):
                line = (entry / "cmdline").read_bytes()
                if line and (needle in line or (entry / "cwd").readlink().is_relative_to(self.base)):
                    found.add(int(entry.name))
        return found

    def quiet(self) -> None:
        """End all of them."""
        while alive := self.processes():
            for pid in alive:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)

    def settle(self, seconds: float = 60) -> None:
        """Wait until no job runs any more."""
        deadline = time.monotonic() + seconds
        while self.processes():
            assert time.monotonic() < deadline, "a job does not end"
            time.sleep(0.02)


def kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def preload() -> None:
    """Import what commands import lazily, so that a forked one starts at once (and draws no chart)."""
    for name in cli.COMMANDS:
        importlib.import_module(f"autoresearch.cli.{name}")
    for name in ("session.audit", "session.recover", "session.reverting", "report.overview", "session.baseline",
                 "engines.local", "engines.bundle", "workspace.evaluator", "report.render", "report.documents",
                 "judging.noise", "ledger.store", "search.ideas.file", "trial.runner",
                 "session.safekeeping"):  # fmt: skip
        importlib.import_module(f"autoresearch.{name}")
    importlib.import_module("msgspec.json")
    importlib.import_module("pathspec")


@contextlib.contextmanager
def a_place(parent: Path | None = None) -> Iterator[Place]:
    """A fresh project with one commit and a user's own uncommitted work; in memory where there is room for it."""
    shm = Path("/dev/shm")
    roomy = shm.is_dir() and os.access(shm, os.W_OK) and shutil.disk_usage(shm).free > 2**30
    base = Path(tempfile.mkdtemp(prefix="autoresearch-faults-", dir=parent or (shm if roomy else None))).resolve()
    place = Place(base)
    try:
        make_project(place.root)
        yield place
    finally:
        place.quiet()
        shutil.rmtree(base)


def make_project(root: Path) -> None:
    (root / "src").mkdir(parents=True)
    (root / "src" / "work.py").write_text(WORK)
    (root / "src" / "fixed.py").write_text("LIMIT = 1\n")
    (root / "README.md").write_text("a project\n")
    (root / ".gitignore").write_text("__pycache__/\n")
    git(root, "init", "-q", "-b", "main", "--template=", ".")
    git(root, "add", "-A")
    git(root, *GIT_IDENTITY, "commit", "-q", "-m", "start")
    (root / "README.md").write_text("staged\n")
    git(root, "add", "README.md")
    (root / "README.md").write_text("staged, then edited\n")
    (root / "notes.txt").write_text("untracked\n")


def git(where: Path, *args: str) -> str:
    return subprocess.run(
        ["git", *args], cwd=where, check=True, capture_output=True, text=True,
        env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
    ).stdout  # fmt: skip


# ------------------------------------------------------------ the session


def write_evaluator(place: Place) -> None:
    """What the agent writes between init and baseline."""
    root = place.root
    (root / "autoresearch.sh").write_text(BENCHMARK)
    (root / "autoresearch.checks.sh").write_text(CHECKS)
    (root / "autoresearch.yaml").write_text(re.sub("(?m)^build:.*$", "build: ''", CONFIG))


def edit(name: str, old: str, new: str) -> Callable[[Place], None]:
    def change(place: Place) -> None:
        file = place.project.worktree(name) / "src" / "work.py"
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    return change


def edits(place: Place) -> None:
    edit("e1", "1000", "900")(place)
    edit("e2", "return 42", "return 40 + 2")(place)
    edit("e4", "return 1000", "raise SystemExit(3)")(place)


INIT = ("init", "--name", "t", "--metric", "steps", "--scope", "src/**", "--goal", "Fewer steps")
SCRIPT = (
    Step("init", INIT),
    Step("idea", ("ideas", "add", "Count less", "--gain", "5"), write_evaluator),
    Step("idea2", ("ideas", "add", "Add differently", "--gain", "2")),
    Step("baseline", ("baseline", "--timeout", "25")),
    Step("new", ("new", "e1", "--idea", "i1", "--hypothesis", "counting less takes fewer steps")),
    Step("new2", ("new", "e2", "--idea", "i2")),
    Step("new3", ("new", "e3", "--hypothesis", "to be given up")),
    Step("new4", ("new", "e4", "--hypothesis", "will crash")),
    Step("run", ("run", "e1", "e2", "e4"), edits),
    Step("wait", ("wait", "--timeout", "25")),
    Step("crash", ("decide", "e4"), codes=(1,)),
    Step("ab", ("ab", "e1", "--timeout", "25")),
    Step(
        "keep",
        (
            "decide",
            "e1",
            "--description",
            "count less",
            "--risk",
            "nothing that a check sees",
            "--checked",
            "by the checks and a look at the diff",
        ),
    ),
    Step("ab2", ("ab", "e2", "--timeout", "25"), codes=(1,)),
    Step("discard", ("decide", "e2"), codes=(1,)),
    Step("abandon", ("decide", "e3", "--abandon"), codes=(1,)),
    Step("audit", ("finalize", "--audit", "--runs", "12", "--timeout", "25"), codes=(0, 1)),
    Step("drop", ("finalize", "--drop", "e1", "--reason", "no longer wanted")),
    Step("report", ("report",)),
    Step("status", ("status",)),
)


def drive(place: Place, step: Step, patience: int = 20) -> Done:
    """Run a step's command as an agent does: again while it says "not yet"."""
    for _ in range(patience):
        done = place.run(*step.args)
        assert "Traceback" not in done.err, done.err
        assert len(done.out) < 2048, done.out
        data = done.data
        waiting = data.get("running") or data.get("done") is False
        words = {"autoresearch", *step.args}
        again = set(str(data.get("next")).split()) == words  # its options may come in another order
        if not (done.code in (1, 3) and (waiting or again)):
            return done
    raise AssertionError(f"{step.name} does not end: {done}")


def play(place: Place) -> dict[str, int]:
    """The undisturbed session: saves the place before each step (and `end`), returns the acts of each command."""
    acts = {}
    for step in SCRIPT:
        step.before(place)
        place.save(step.name)
        done = place.run(*step.args, count=True)
        acts[step.name] = done.acts
        if done.code not in step.codes or done.data.get("running"):
            done = drive(place, step)
        assert done.code in step.codes, (step.name, done)
        place.settle()
        place.save(f"{step.name}.after")
    return acts
