"""Records sessions with the autoresearch of a checkout; README.md beside this says what they are for.

    python record.py CHECKOUT [OUTPUT]

The Python has to have the checkout's dependencies. All is made in a temporary directory, and where its path stood the
archives hold `@HOME@`. Standard library only.
"""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

BENCHMARK = """#!/usr/bin/env bash
set -euo pipefail
python3 -c "
import sys; sys.path.insert(0, 'src')
from work import mem, size, steps
print('METRIC steps=%d' % steps())
print('METRIC mem=%d' % mem())
print('METRIC size=%d' % size())
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


def mem():
    return 50000


def size():
    return 80000


def answer():
    return 42
"""
CONFIG = """name: t
goal: Fewer steps
objective: {metric: steps, direction: lower, unit: steps}
constraints: [{metric: mem, limit_pct: 5}]
rescue: [{metric: size, min_effect_pct: 5}]
scope: ["src/**"]
off_limits: ["src/fixed.py"]
build: python3 -m compileall -q src
noise_runs: 4
test: {layout: fixed}
stop: {max_experiments: 40}
budget: {tokens: 1000000}
timeouts: {setup: 30, build: 30, benchmark: 30, checks: 30}
"""
REVIEW = (
    "--what", "it counts fewer steps", "--why", "steps are what is measured",
    "--risk", "an empty input could break", "--checked", "the unit tests pass",
)  # fmt: skip
BASELINE = ("baseline", "--timeout", "60")
AUDIT = ("finalize", "--audit", "--timeout", "60")


def git(where: Path, *args: str) -> str:
    return subprocess.run(["git", *args], cwd=where, text=True, capture_output=True, check=True).stdout


class Loop:
    """The checkout's command in one project, with what it answered."""

    def __init__(self, checkout: Path, home: Path) -> None:
        self.checkout, self.home, self.root = checkout, home, home / "project"
        self.steps: list[dict[str, Any]] = []

    def create(self) -> None:
        (self.root / "src").mkdir(parents=True)
        texts = {
            "src/work.py": WORK, "src/fixed.py": "LIMIT = 1\n", ".gitignore": "__pycache__/\n",
            "autoresearch.sh": BENCHMARK, "autoresearch.checks.sh": CHECKS, "autoresearch.yaml": CONFIG,
        }  # fmt: skip
        for name, text in texts.items():
            (self.root / name).write_text(text)
        shutil.copy(self.checkout / "experiment.yaml", self.root)
        git(self.root, "init", "-q", "-b", "main", "--template=")
        git(self.root, "config", "user.name", "t")
        git(self.root, "config", "user.email", "t@example.org")
        git(self.root, "add", "src", ".gitignore")
        git(self.root, "commit", "-q", "-m", "start")

    @property
    def ledger(self) -> Path:
        return self.root / "autoresearch.jsonl"

    def __call__(self, *args: str, code: int = 0, text: bool = False) -> None:
        """One command, which has to end with `code`; without `text` as JSON."""
        environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(self.home),
            "PYTHONPATH": str(self.checkout / "helpers"),
        }  # fmt: skip
        command = [sys.executable, "-m", "autoresearch", *args, *([] if text else ["--json"])]
        done = subprocess.run(
            command, cwd=self.root, env=environment, text=True, capture_output=True, check=False
        )
        if done.returncode != code or "Traceback" in done.stderr:
            raise SystemExit(f"{args}: exit {done.returncode}, not {code}: {done.stdout}{done.stderr}")
        answer = done.stdout if text else json.loads(done.stdout)
        self.steps.append({"args": [*args], "code": code, "text": text, "answer": answer})

    def edit(self, path: str, old: str, new: str) -> None:
        file = self.root / path
        content = file.read_text()
        if old not in content:
            raise SystemExit(f"{path} has no {old!r}")
        file.write_text(content.replace(old, new))
        self.steps.append({"path": path, "old": old, "new": new})

    def open(self, name: str, old: str, new: str, *args: str) -> None:
        """An experiment with one edit."""
        self("new", name, "--hypothesis", f"idea of {name}", *args)
        self.edit(f".autoresearch/worktrees/{name}/src/work.py", old, new)

    def keep(self, name: str, old: str, new: str, *args: str) -> None:
        self.open(name, old, new, *args)
        self("ab", name, "--timeout", "60")
        self("decide", name, *REVIEW)

    def settle(self) -> None:
        """Until every job that was submitted has ended, with nobody having read what it found."""
        for job in (self.root / ".autoresearch/jobs").iterdir():
            for _ in range(1200):
                if (job / "exit.json").exists():
                    break
                time.sleep(0.1)
            else:
                raise SystemExit(f"{job.name} does not end")
        time.sleep(1)

    def recorded(self, go_on: Callable[[Loop], None]) -> dict[str, list[Any]]:
        """What `go_on` ran and was answered, the ledger lines that came of it, and the documents as they are then."""
        self.steps = []
        before = len(self.lines())
        go_on(self)
        documents = [(self.root / name).read_text() for name in ("autoresearch.md", "IMPROVEMENTS.md")]
        steps, self.steps = self.steps, []
        return {"steps": steps, "lines": self.lines()[before:], "documents": documents}

    def lines(self) -> list[Any]:
        """The ledger's records; lines that are none, as they are."""
        if not self.ledger.exists():
            return []
        found: list[Any] = []
        for line in self.ledger.read_text().splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                found.append(line)
        return found

    def tamper(self) -> None:
        """Give the ledger what another loop, or a later version, may write: fields and records without a meaning here."""
        lines = self.ledger.read_text().splitlines()
        base = json.loads(lines[0])["base_commit"]
        for number, line in enumerate(lines):
            record = json.loads(line)
            record["later"] = {"of": [number, None, "x"]}
            for inner in ("verdict", "noise"):
                if isinstance(record.get(inner), dict):
                    record[inner]["later"] = "y"
            lines[number] = json.dumps(record, separators=(",", ":"))
        lines += [line.replace("@BASE@", base) for line in FOREIGN]
        # A killed writer left the last one without its end.
        self.ledger.write_text("\n".join([*lines, '{"type":"vm","vm":"lo']))


FOREIGN = (
    '{"type":"hook","stage":"after","exit_code":0,"duration_ms":12,"fired":true}',
    '{"type":"weather","experiment":"open","temperature":21.5,"run":"none"}',
    '{"type":"experiment","experiment":"later","parent":"@BASE@","idea":null,"hypothesis":"of a later version",'
    '"predicted_pct":null,"source":"","agent":null,"timestamp":1,"operator":"crossover","parents":["@BASE@"]}',
    '{"type":"job","mode":"single","experiment":"nobody","job":"nobody-1","timestamp":1}',
    '{"run":900,"commit":"abcdef1","metric":1.5,"metrics":{"steps":1.5},"status":"keep","description":"another loop",'
    '"timestamp":1,"segment":1,"confidence":2.5,"iterationTokens":12}',
    "this is not JSON",
    '["nor", "a", "record"]',
    '{"run":901,"commit":"@BASE@","metric":0,"metrics":{},"status":"discard","description":"given up",'
    '"timestamp":1,"segment":1,"confidence":null,"asi":{},"experiment":"later","kind":"experiment","runs_used":0,'
    '"error":"given up before a verdict","verdict":null,"novelty":0.4,"branch":{"of":"win"}}',
    '{"type":"audit","note":"without a tip"}',
    '{"type":"revert","note":"without an experiment"}',
)


def record_loop(loop: Loop) -> None:
    """Two segments: in the first a keep and a discard; in the second everything that can stand in a ledger, and in flight."""
    loop(*BASELINE)
    for number, text in enumerate(("count fewer", "unroll", "cache the table", "skip the checks", "one pass"), 1):
        loop("ideas", "add", text, "--gain", str(number), "--confidence", "0.5", "--source", f"arxiv:2101.0000{number}")
    loop.keep("first", "1000", "900", "--idea", "i1", "--predict", "8")
    loop.open("same", "return 42", "return 40 + 2")
    loop("ab", "same", "--timeout", "60", code=1)
    loop("decide", "same", code=1)
    loop.edit("autoresearch.sh", "set -euo", "# longer\nset -euo")
    loop("new", "early", "--hypothesis", "x", code=5)
    loop("baseline", "--new-segment", "--timeout", "60")

    loop.keep("win", "900", "720")
    loop.keep("rescued", "80000", "60000")
    loop.open("limited", "50000", "55000")
    loop.edit(".autoresearch/worktrees/limited/src/work.py", "720", "700")
    loop("ab", "limited", "--timeout", "60", code=1)
    loop("decide", "limited", code=1)
    loop.open("wrong", "42", "41")
    loop.open("crash", "return 720", "raise SystemExit(3)")
    loop("run", "wrong", "crash")
    loop.settle()
    loop("decide", "wrong", code=1)
    loop("decide", "crash", "--tokens", "1200", code=1)
    loop.open("stray", "720", "600")
    (loop.root / ".autoresearch/worktrees/stray/elsewhere.py").write_text("X = 1\n")
    loop("decide", "stray", code=5)
    loop.open("given-up", "720", "719")
    loop("decide", "given-up", "--abandon", code=1)
    loop(*AUDIT)
    loop("finalize", "--drop", "rescued", "--reason", "nobody needs the memory")

    loop.open("measured", "720", "700")
    loop("ab", "measured", "--timeout", "60")
    loop.open("screened", "720", "710", "--idea", "i2", "--as", "bot")
    loop.open("poor", "720", "2000")
    loop.open("failed", "return 720", "raise SystemExit(4)")
    loop.open("stopped", "return 720", "import time; time.sleep(20); return 720")
    loop("run", "screened", "poor", "failed", "stopped")
    loop("cancel", "stopped")
    loop.open("open", "80000", "60000", "--idea", "i3")
    loop("finalize", "--audit", "--timeout", "0", code=1)
    loop.settle()
    loop("report")


def continue_loop(loop: Loop) -> None:
    """What the next version has to answer in the same way; few measurements, as a test repeats it."""
    loop("status")
    loop("queue", "--all")
    loop("ideas", "list")
    loop("log")
    loop("log", "--all", text=True)
    loop("log", "--export", "tsv", text=True)
    loop("log", "--export", "jsonl", text=True)
    loop("report")
    loop("wait", "--timeout", "60")
    loop("doctor")
    loop("logs", "failed")
    loop("decide", "screened", code=1)
    loop("decide", "stopped", code=1)
    loop("decide", "poor", code=1)
    loop("decide", "failed", code=1)
    loop(*AUDIT)
    loop("decide", "measured", code=2)
    loop("decide", "measured", *REVIEW)
    loop("run", "open")
    loop("wait", "open", "--timeout", "60")
    loop("ab", "open", "--timeout", "60")
    loop("decide", "open", *REVIEW)
    loop("ideas", "next", "--claim", "bot")
    loop("new", "fresh", "--idea", "i5", "--as", "bot")
    loop("finalize", "--drop", "open")
    loop("status")
    loop("log")
    loop("report")
    loop.edit("autoresearch.sh", "# longer", "# and longer")
    for words in (("run", "fresh"), ("ab", "fresh"), ("decide", "fresh"), ("new", "late", "--hypothesis", "x")):
        loop(*words, code=5)
    loop("baseline", "--new-segment", "--timeout", "60")
    loop("status")


def record_baseline(loop: Loop) -> None:
    """A baseline whose job has ended and that nobody has written down."""
    loop("baseline", "--timeout", "0", code=1)
    loop.settle()


def continue_baseline(loop: Loop) -> None:
    loop("status")
    loop(*BASELINE)
    loop("status")


def continue_foreign(loop: Loop) -> None:
    loop("status")
    loop("log")
    loop("log", "--all", text=True)
    loop("log", "--export", "jsonl", text=True)
    loop("report")
    loop("new", "fresh", "--hypothesis", "after lines of others")
    loop("decide", "fresh", "--abandon", code=1)


def neutral(text: str, home: Path) -> str:
    """Without what names this machine."""
    return text.replace(str(home), "@HOME@").replace(platform.release(), "6.1.0")


def pack(home: Path, archive: Path) -> None:
    """The project as a .tar.gz."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "project"
        shutil.copytree(home / "project", copy, symlinks=True)
        for path in copy.rglob("*"):
            if path.is_file() and not path.is_symlink():
                # Latin 1 gives every byte back, so that git's objects pass unharmed.
                content = path.read_bytes().decode("latin-1")
                if neutral(content, home) != content:
                    path.write_bytes(neutral(content, home).encode("latin-1"))
        with tarfile.open(archive, "w:gz") as out:
            out.add(copy, "project", filter=_nobody)


def _nobody(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    return info


def main() -> None:
    checkout = Path(sys.argv[1]).resolve()
    output = Path(sys.argv[2] if len(sys.argv) > 2 else Path(__file__).parent).resolve()
    told: dict[str, Any] = {"commit": git(checkout, "rev-parse", "HEAD").strip()}
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch).resolve() / "home"
        loop = Loop(checkout, home)
        loop.create()
        record_baseline(loop)
        pack(home, output / "baseline.tar.gz")
        told["baseline"] = loop.recorded(continue_baseline)

        shutil.rmtree(home)
        loop.create()
        record_loop(loop)
        pack(home, output / "loop.tar.gz")
        before = Path(scratch) / "before"
        shutil.copytree(loop.root, before, symlinks=True)
        told["loop"] = loop.recorded(continue_loop)

        shutil.rmtree(loop.root)
        shutil.copytree(before, loop.root, symlinks=True)
        loop.tamper()
        (output / "foreign.jsonl").write_text(neutral(loop.ledger.read_text(), home))
        told["foreign"] = loop.recorded(continue_foreign)
    (output / "recorded.json").write_text(neutral(dumped(told), home))


def dumped(told: dict[str, Any]) -> str:
    """JSON with a line for each step and each ledger line."""
    parts = []
    for name, part in told.items():
        if isinstance(part, dict):
            lists = {key: ",\n".join(json.dumps(item) for item in items) for key, items in part.items()}
            inner = ",\n".join(f'"{key}": [\n{items}\n]' for key, items in lists.items())
            parts.append(f'"{name}": {{\n{inner}\n}}')
        else:
            parts.append(f'"{name}": {json.dumps(part)}')
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    main()
