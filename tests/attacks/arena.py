"""Where a cheat is played: a copy of one measured session, the real commands, and what is looked at afterwards."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from autoresearch.config import edited
from autoresearch.ledger.store import read
from autoresearch.project import Project
from autoresearch.workspace.git import git
from driver import command, says_not_yet

HERE = Path(__file__).resolve().parent
HELPERS = HERE.parents[1] / "helpers"
# Nothing but these may reach a terminal: no escape, no carriage return, no bell.
_PLAIN = {9, 10}


@dataclass(frozen=True)
class Kind:
    """A sort of session: its evaluator ("" the suite's own, a directory of variants/, or of `PAIRED`), and
    what contains it."""

    evaluator: str = ""
    uncontained: bool = False


@dataclass
class Told:
    """One command's answer."""

    words: tuple[str, ...]
    code: int
    data: dict[str, Any]
    text: str


@dataclass
class Arena:
    """A session with a baseline, in a directory of its own; `outside` and `home` are what nobody may write to."""

    top: Path
    contained: bool = False
    experiment: str = "e1"
    told: list[Told] = field(default_factory=list)

    @property
    def root(self) -> Path:
        return self.top / "project"

    @property
    def outside(self) -> Path:
        return self.top / "outside"

    @property
    def home(self) -> Path:
        return self.top / "home"

    @property
    def project(self) -> Project:
        return Project(self.root)

    @property
    def tree(self) -> Path:
        """The worktree of the experiment."""
        return self.project.worktree(self.experiment)

    # --- what a cheat does

    def write(self, path: str, text: str | bytes, *, mode: int | None = None) -> Path:
        """Write a file of the worktree."""
        where = self.tree / path
        where.parent.mkdir(parents=True, exist_ok=True)
        where.write_bytes(text.encode() if isinstance(text, str) else text)
        if mode is not None:
            where.chmod(mode)
        return where

    def append(self, path: str, text: str) -> None:
        self.write(path, (self.tree / path).read_text() + text)

    def replace(self, path: str, old: str, new: str) -> None:
        text = (self.tree / path).read_text()
        assert old in text, f"{path} does not hold {old!r}"
        self.write(path, text.replace(old, new))

    def git(self, *words: str, at: Path | None = None, **more: Any) -> str:
        return git(at or self.root, "-c", "user.name=x", "-c", "user.email=x@example.org", *words, **more)

    # --- the commands

    def env(self) -> dict[str, str]:
        env = {k: v for k, v in os.environ.items() if not k.startswith(("AUTORESEARCH", "GIT_", "XDG_"))}
        env.update(HOME=str(self.home), GIT_CONFIG_GLOBAL=str(self.home / ".gitconfig"), GIT_CONFIG_NOSYSTEM="1")
        env.update(PYTHONPATH=str(HELPERS), TMPDIR=str(self.top / "tmp"))
        # `python3` in the project's scripts is the interpreter that tests.
        env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env.get("PATH", os.defpath)])
        return env

    def __call__(self, *words: str, timeout: float = 120) -> Told:
        """Run `autoresearch words --json`; it must answer with one object, and without a raw control byte."""
        done = subprocess.run(
            command(*words, "--json"),
            cwd=self.root, env=self.env(), capture_output=True, timeout=timeout, check=False,
        )  # fmt: skip
        both = done.stdout + done.stderr
        text = both.decode("utf-8", "replace")
        assert "Traceback" not in text, text
        assert not {b for b in both if b < 32 or b == 127} - _PLAIN, f"{words}: raw control bytes: {both!r}"
        lines = done.stdout.decode().splitlines()
        assert len(lines) == 1, text
        told = Told(words, done.returncode, json.loads(lines[0]), text)
        self.told.append(told)
        return told

    def until_done(self, *words: str) -> Told:
        for _ in range(20):
            told = self(*words, "--timeout", "25")
            if not says_not_yet(told.code, told.data):
                return told
        raise AssertionError(f"{words} did not end")

    def decide(self) -> Told:
        """With a review, so that its want is not what stops a cheat."""
        review = (
            "--description",
            "count in another way",
            "--risk",
            "lists of equal numbers",
            "--checked",
            "by reading it again",
        )
        # On a busy machine a test may be offered again: the cheat is judged by the one that was made.
        return self("decide", self.experiment, *review, "--final")

    # --- what is looked at

    def ledger(self) -> list[dict[str, Any]]:
        lines = list(read(self.project.ledger))
        assert all(line.record is not None for line in lines), [line.problem for line in lines]
        return [line.record for line in lines if line.record is not None]

    def decided(self) -> list[dict[str, Any]]:
        """Run lines that `decide` wrote; the forged ones of the cheats bear no time stamp."""
        return [r for r in self.ledger() if r.get("kind") == "experiment" and "timestamp" in r and "run" in r]

    def keeps(self) -> list[dict[str, Any]]:
        return [r for r in self.decided() if r["status"] == "keep"]

    def run_line(self) -> dict[str, Any] | None:
        return next((r for r in self.decided() if r.get("experiment") == self.experiment), None)

    def branch(self) -> str:
        return git(self.root, "rev-parse", "refs/heads/autoresearch/rank")


@dataclass(frozen=True)
class Snapshot:
    """What a cheat may not change: the checkout, the pins, the ledger so far, and the world outside."""

    checkout: dict[str, str]
    head: str
    branch: str
    pins: dict[str, str]
    ledger: bytes
    outside: dict[str, str]
    home: dict[str, str]

    @classmethod
    def take(cls, arena: Arena) -> Snapshot:
        return cls(
            checkout=hashes(arena.root, skip={".autoresearch", ".git", *RENDERED}),
            head=(arena.root / ".git" / "HEAD").read_text(),
            branch=arena.branch(),
            pins=hashes(arena.project.pin),
            ledger=arena.project.ledger.read_bytes(),
            outside={**hashes(arena.outside), **hashes(arena.top / "tmp")},
            home=hashes(arena.home, skip={".cache"}),
        )


# Written by the commands themselves after each decision.
RENDERED = {
    "autoresearch.jsonl", "autoresearch.md", "autoresearch.ideas.md", "autoresearch.svg", "autoresearch.png",
    "IMPROVEMENTS.md",
}  # fmt: skip


def hashes(top: Path, skip: set[str] | None = None) -> dict[str, str]:
    """Every file and link below `top` with its mode and content."""
    found = {}
    for where, folders, files in os.walk(top):
        folders[:] = [name for name in folders if name not in (skip or set())]
        for name in [*files, *folders]:
            path = Path(where) / name
            if name in (skip or set()):
                continue
            mode = oct(path.lstat().st_mode)
            if path.is_symlink():
                found[str(path)] = mode + " -> " + str(path.readlink())
            elif path.is_file():
                found[str(path)] = mode + " " + hashlib.sha256(path.read_bytes()).hexdigest()
            else:
                found[str(path)] = mode
    return found


def processes_of(top: Path) -> list[str]:
    """Command lines of live processes that work in, or were given, a path below `top`; this one not."""
    needle = str(top).encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            line = (entry / "cmdline").read_bytes()
            known = line + b"\0" + (entry / "environ").read_bytes() + os.fsencode((entry / "cwd").readlink())
        except OSError:
            continue
        if needle in known and state not in ("Z", "X"):
            found.append(entry.name + " " + line.replace(b"\0", b" ").decode("utf-8", "replace"))
    return found


def _function_in_pairs(root: Path) -> None:
    """The demo's project and evaluator as they are."""
    demo = HERE.parents[1] / "templates" / "demo" / "project"
    shutil.copytree(demo, root, ignore=shutil.ignore_patterns("__pycache__"))
    _edit(root / "autoresearch.yaml", "name: logstat", "name: rank")
    with (root / "autoresearch.yaml").open("a") as file:
        file.write("noise_runs: 4\ntest: {preset: lean, layout: fresh, max_runs: 20, fdr: 0.1}\n")


def _program_in_pairs(root: Path) -> None:
    """The evaluator of `templates/cpu` around a program of ours, as `init --template cpu` sets it up."""
    templates = HERE.parents[1] / "templates"
    shutil.copytree(HERE / "variants" / "program", root)
    for path in ("autoresearch.sh", "evaluator/bench.py"):
        shutil.copy2(templates / "cpu" / path, root / path)
    for name in ("paired.py", "stopwatch.py", "worker.py", "signed_metric.py"):
        shutil.copy2(templates / name, root / "evaluator" / name)
    shutil.copytree(root / "src", root / "evaluator" / "reference" / "src")


_CLOCK = """import os, subprocess, sys, time
begun = time.perf_counter()
with open("evaluator/lists.txt") as lists:
    program = [sys.executable, "-I", "-S", "src/rank.py"]
    said = subprocess.run(program, stdin=lists, capture_output=True, text=True, check=True).stdout
print("METRIC time_s=%.6f" % (time.perf_counter() - begun))
print("%d answers" % len(said.split()))
"""
_CASES = "[([], 0), ([2, 1], 1), ([3, 2, 1], 3), ([1, 2, 3], 0), (list(range(9, 0, -1)), 36)]"
_HEAD = "import sys\nsys.path.insert(0, 'src')\nfrom rank import count\n"
_UNITTEST = f"""import unittest
{_HEAD}
class Ranks(unittest.TestCase):
""" + "".join(f"    def test_{n}(self):\n        given, right = {_CASES}[{n}]\n        "
              "self.assertEqual(count(given), right)\n" for n in range(5))  # fmt: skip
_PYTEST = f"""import pytest
{_HEAD}
@pytest.mark.parametrize(("given", "right"), {_CASES})
def test_count(given, right):
    assert count(given) == right
"""
_LINES = f"""{_HEAD}
for given, right in {_CASES}:
    assert count(given) == right
    print("ok:", given)
print("5 cases compared")
"""
# What the tests are, and how they are run.
_RUNNERS = {
    "pytest": (_PYTEST, "python3 -m pytest -q -p no:cacheprovider tests"),
    "unittest": (_UNITTEST, "python3 -m unittest tests/test_rank.py"),
    "lines": (_LINES, "python3 tests/test_rank.py"),
}


def _tested(runner: str, root: Path) -> None:
    """A user's own evaluator: it times the program, judges nothing, and leaves the rest to tests in one process."""
    shutil.copytree(HERE / "project", root)
    tests, command = _RUNNERS[runner]
    lists = "\n".join(" ".join(str((i * 7919 + 31 * j * j) % 10007) for i in range(300)) for j in range(24))
    for path, text in {
        "tests/test_rank.py": tests, "evaluator/clock.py": _CLOCK, "evaluator/lists.txt": lists + "\n",
        "autoresearch.sh": "set -eu\nexec python3 -I -S evaluator/clock.py\n",
        "autoresearch.checks.sh": f"set -eu\nexec {command}\n",
    }.items():  # fmt: skip
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_text(text)
    _edit(root / "autoresearch.yaml", '["evaluator/**"]', '["evaluator/**", "tests/**"]')
    _edit(root / "autoresearch.yaml", "max_runs: 60, fdr: 0.02", "max_runs: 40, fdr: 0.5")


# Kinds of sessions whose evaluator is made: in pairs, by the templates themselves, and with the tests of a runner.
PAIRED = {
    "function": _function_in_pairs, "program": _program_in_pairs,
    **{runner: partial(_tested, runner) for runner in _RUNNERS},
}  # fmt: skip


# Templates as `init --template` sets them up, around the projects of tests/test_kinds.py.
CALLED = ("kernel", "algorithm", "training", "security", "selfplay", "coverage")
FIXTURES = HERE.parent / "data" / "kinds"


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text, f"{path} does not hold {old!r}"
    path.write_text(text.replace(old, new))


def make_template(top: Path, kind: Kind) -> Arena:
    """A committed project with a baseline, measured once; cases are played on copies of it."""
    arena = Arena(top)
    for place in (arena.outside, arena.home, top / "tmp"):
        place.mkdir(parents=True)
    (arena.outside / "canary.txt").write_text("untouched\n")
    (arena.home / ".profile").write_text("# untouched\n")
    if kind.evaluator in PAIRED:
        PAIRED[kind.evaluator](arena.root)
    elif kind.evaluator in CALLED:
        shutil.copytree(FIXTURES / kind.evaluator / "project", arena.root)
    else:
        shutil.copytree(HERE / "project", arena.root)
    called = kind.evaluator in CALLED
    settings = "" if called else (arena.root / "autoresearch.yaml").read_text()
    if kind.evaluator and kind.evaluator not in PAIRED and not called:
        shutil.copytree(HERE / "variants" / kind.evaluator, arena.root, dirs_exist_ok=True)
    subprocess.run(["git", "init", "-q", "-b", "main", str(arena.root)], check=True, env=arena.env())
    arena.git("add", "-A")
    arena.git("commit", "-q", "-m", "start")
    scope = ["--template", kind.evaluator] if called else ["--scope", "src/**", "--force"]
    told = arena("init", "--name", "rank", *scope)
    assert told.code == 0, told.text
    if called:
        changes = {"noise_runs": 4, "test.preset": "lean", "test.max_runs": 20}
        settings = edited((arena.root / "autoresearch.yaml").read_text(), changes)
    off = "contain: {mode: off}\n" if kind.uncontained else ""
    (arena.root / "autoresearch.yaml").write_text(settings + off)
    for backup in arena.root.glob("autoresearch.yaml.bak*"):
        backup.unlink()
    told = arena.until_done("baseline")
    assert told.code == 0, told.text
    level = ((arena.ledger()[-1].get("environment") or {}).get("contain") or {}).get("level", "none")
    arena.contained = level != "none"
    assert not (kind.uncontained and arena.contained)
    return arena


def copy_of(template: Arena, top: Path) -> Arena:
    """An arena of its own at `top`."""
    shutil.copytree(template.top, top, symlinks=True)
    return Arena(top, contained=template.contained)
