"""Runs the console blocks of a document in a toy project, line after line, as an agent would.

Between two lines an agent does what the text around them says: it writes the scripts, edits a worktree, queues further
ideas. That part is `BEFORE` and `AFTER`, by the line it belongs to. A line that says "not yet" is repeated, as the
text asks.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from driver import REPO, commit_all, says_not_yet

REFERENCES = tuple(sorted(f"references/{path.name}" for path in (REPO / "references").glob("*.md")))
BLOCK = re.compile(
    r"(?:^ *<!-- not run: (?P<why>[^>]+) -->\n)?"
    r"^(?P<indent> *)```(?P<kind>console|bash)\n(?P<body>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
FILES = {
    "src/work.py": "import time\n\n\ndef work():\n    time.sleep(0.06)\n    return 42\n",
    "src/generated/table.py": "TABLE = [1]\n",
    "bench.py": "import sys\nimport time\n\nsys.path.insert(0, 'src')\nfrom work import work\n\n"
    "begun = time.perf_counter()\nwork()\nprint(f'METRIC time_s={time.perf_counter() - begun:.6f}')\n",
    "check.py": "import sys\n\nsys.path.insert(0, 'src')\nfrom work import work\n\nassert work() == 42\n",
    "Makefile": "all:\n\t@true\n",
    ".gitignore": "__pycache__/\n",
}
SCRIPT = "#!/usr/bin/env bash\nset -euo pipefail\npython3 {}\n"


@dataclass
class Line:
    """One command line of a document, and whether its block is one of those that are run."""

    document: str
    text: str
    why_not: str


def lines(document: str) -> Iterator[Line]:
    text = (REPO / document).read_text(encoding="utf-8")
    for block in BLOCK.finditer(text):
        console = [row.strip().removeprefix("$ ") for row in block["body"].splitlines() if row.strip()]
        for row in console if block["kind"] == "console" else [block["body"]]:
            yield Line(document, row, (block["why"] or "").strip())


@dataclass
class Story:
    """The toy projects of one document, and what was said."""

    place: Path
    environment: dict[str, str]
    root: Path = field(init=False)
    number: int = 0
    said: list[tuple[str, int, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        shim = self.place / "bin" / "autoresearch"
        shim.parent.mkdir()
        shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m autoresearch "$@"\n')
        shim.chmod(0o755)
        self.environment = {
            **os.environ, "PYTHONPATH": str(REPO / "helpers"), "PYTHONDONTWRITEBYTECODE": "1",
            "PATH": f"{shim.parent}:{os.environ['PATH']}", **self.environment,
        }  # fmt: skip
        self.new_project()

    def new_project(self) -> None:
        self.number += 1
        self.root = self.place / f"project{self.number}"
        for name, text in FILES.items():
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_text(text)
        subprocess.run(["git", "init", "-q", "-b", "main", str(self.root)], check=True)
        commit_all(self.root)

    def sh(self, line: str) -> tuple[int, str]:
        """Run one line as an agent's shell does; its exit code and standard output."""
        done = subprocess.run(
            ["bash", "-c", line], cwd=self.root, env=self.environment, capture_output=True, text=True, timeout=120
        )
        self.said.append((line, done.returncode, done.stdout + done.stderr))
        assert "Traceback" not in done.stderr, f"{line}\n{done.stderr}"
        return done.returncode, done.stdout

    def until_done(self, line: str) -> tuple[int, str]:
        """Repeat it while it says "not yet"."""
        for _ in range(30):
            code, out = self.sh(line)
            if not says_not_yet(code, json.loads(out) if out.startswith("{") else {}):
                break
        return code, out

    def ok(self, *lines: str) -> None:
        for line in lines:
            code, _ = self.until_done(line)
            assert code == 0, self.said[-1]

    def tell(self, line: str) -> None:
        """Prepare, run and check one line of the document."""
        begun = (self.root / "autoresearch.yaml").exists()
        if line.startswith("autoresearch init") and begun and "--after" not in line:
            self.new_project()
        for pattern, action in BEFORE:
            if re.search(pattern, line):
                action(self)
        code, out = self.until_done(line)
        expected = next((codes for pattern, codes in EXPECTED if re.search(pattern, line)), {0})
        if line == "autoresearch status --json" and not (self.root / "autoresearch.yaml").exists():
            expected = {2}
        assert code in expected, self.said[-1]
        if line.startswith("autoresearch") and "--json" in line:
            assert out.count("\n") == 1
            assert len(out) < 2000
            assert json.loads(out)["next"], line
        for pattern, action in AFTER:
            if re.search(pattern, line):
                action(self)

    def edit(self, experiment: str, seconds: str) -> None:
        path = self.root / ".autoresearch/worktrees" / experiment / "src/work.py"
        path.write_text(re.sub(r"sleep\([\d.]+\)", f"sleep({seconds})", path.read_text()))

    def write_scripts(self) -> None:
        """Phase 1: the benchmark and the checks."""
        (self.root / "autoresearch.sh").write_text(SCRIPT.format("bench.py"))
        (self.root / "autoresearch.checks.sh").write_text(SCRIPT.format("check.py"))
        config = self.root / "autoresearch.yaml"
        config.write_text(re.sub(r"^noise_runs: .*$", "noise_runs: 4", config.read_text(), flags=re.MULTILINE))

    def session(self, ideas: int = 3) -> None:
        """A session with a baseline and a queue."""
        self.ok("autoresearch init --name parser --metric time_s --unit s --scope 'src/**'")
        self.write_scripts()
        self.ok("autoresearch baseline --timeout 25 --json")
        for text in ("Index rules by first byte", "Vectorise the scan", "Prefetch the next table row")[:ideas]:
            self.ok(
                f"autoresearch ideas add '{text}' --gain 5 --confidence 0.5 --cost 1 --source profile --class compute"
            )

    def keep(self, experiment: str, seconds: str) -> None:
        """An experiment from its worktree to a keep."""
        self.ok(f"autoresearch new {experiment} --hypothesis 'less waiting' --json")
        self.edit(experiment, seconds)
        self.ok(
            f"autoresearch ab {experiment} --timeout 25 --json",
            f"autoresearch decide {experiment} --description 'Wait less between two rows' "
            "--risk 'a reader that is slower than the wait' --checked 'the checks, and an empty row by hand' --json",
        )


Action = Callable[[Story], None]


def _wave(story: Story) -> None:
    """ "Prepare two or three experiments": e1 is open; the others follow."""
    story.edit("e1", "0.02")
    for name, seconds in (("e2", "0.055"), ("e3", "0.05")):
        story.ok(f"autoresearch new {name} --hypothesis 'another place waits, too' --json")
        story.edit(name, seconds)


def _further_segment(story: Story) -> None:
    script = story.root / "autoresearch.sh"
    script.write_text(script.read_text() + "# a longer run\n")


def _one_more_idea(story: Story) -> None:
    code, _ = story.sh("autoresearch ideas add 'Drop the second pass' --gain 3")
    assert code in (0, 1), story.said[-1]  # 1: it is in the queue already


def _session_if_none(story: Story) -> None:
    if not (story.root / "autoresearch.yaml").exists():
        story.session()


def _finished(story: Story) -> None:
    """A session whose experiments are all decided."""
    _session_if_none(story)
    if (story.root / ".autoresearch/worktrees/e1").exists():
        assert story.sh("autoresearch decide e1 --abandon --description 'not tried'")[0] == 1


def _foreign_log(story: Story) -> None:
    rows = "commit\tval_bpb\tmemory_gb\tstatus\tdescription\nabc1234\t0.99\t1.0\tkeep\tbaseline\n"
    (story.root / "results.tsv").write_text(rows)
    (story.root / "train.py").write_text("print('METRIC val_bpb=0.99')\n")
    commit_all(story.root, "a loop of another kind")


def _scripts_of_the_other_loop(story: Story) -> None:
    (story.root / "autoresearch.sh").write_text(SCRIPT.format("train.py"))
    (story.root / "autoresearch.checks.sh").write_text(SCRIPT.format("check.py"))


BEFORE: list[tuple[str, Action]] = [
    (r"baseline --new-segment", _further_segment),
    (r"ideas next --n 3|decide e1 ", _one_more_idea),  # "queue at least five"
    (r"cancel e3", lambda story: story.ok("autoresearch run e3 --json")),
    (r"ideas next --claim", _session_if_none),
    (r"init --after parser", _finished),
    (r"init --continue", _foreign_log),
    (r"finalize --audit", lambda story: (_session_if_none(story), story.keep("e7", "0.01"))[0]),
]  # fmt: skip
AFTER: list[tuple[str, Action]] = [
    (r"^autoresearch init --name", Story.write_scripts),
    (r"^autoresearch init --continue", _scripts_of_the_other_loop),
    (r"^autoresearch new e1 ", _wave),
]
EXPECTED: list[tuple[str, set[int]]] = [
    (r"^autoresearch finalize --audit", {0, 1}),
    (r"^autoresearch decide \S+ --abandon", {1}),  # a measured no
]
