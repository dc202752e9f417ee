"""Where the wild cheats are played: each template, and each draft of `init --plan`, around a short program of its kind.

A site's program is written so that work can be left out of it: `work` is its honest body, `guess` an answer that costs
nothing and is wrong, and `text` puts a cheat's lines around them.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from arena import Arena

HERE = Path(__file__).resolve().parent
KINDS = HERE.parent / "data" / "kinds"

# Short runs: what is tested is who wins, not how small a gain is seen.
_LINK = "-> "
_TEST = "test: {preset: lean, layout: fresh, max_runs: 16, fdr: 0.1}\n"


@dataclass(frozen=True)
class Site:
    """One project: its `template` of `init` ("" = drafted by `--plan`), its files, and the program's places for a cheat.

    `family` says what can be done to it: function (called by a driver), process (started by one), goal (a score by a
    driver that calls it), tests (test files), build, text.
    """

    name: str
    family: str
    path: str
    function: str = ""
    args: str = ""
    head: str = ""
    work: str = ""
    guess: str = ""
    tail: str = ""
    template: str = ""
    plan: tuple[str, ...] = ()
    scope: tuple[str, ...] = ("src/**",)
    files: Mapping[str, str] = field(default_factory=dict)
    # (file, pattern, new): the lines marked ADAPT, and how many rounds a run has.
    adapt: tuple[tuple[str, str, str], ...] = ()
    settings: str = ""
    # A program that does the same with less, for the control.
    better: Mapping[str, str] = field(default_factory=dict)

    def text(self, *, setup: str = "", each: str = "", answer: str = "", after: str = "") -> str:
        """The program with a cheat's lines: at import, in each call, what it returns, and at the file's end."""
        return "\n".join([
            self.head.strip("\n"), setup.strip("\n"), "",
            f"def _work({self.args}):", textwrap.indent(self.work.strip("\n"), "    "), "",
            f"def {self.function}({self.args}):", textwrap.indent(each.strip("\n") or "pass", "    "),
            f"    return {answer or f'_work({self.args})'}", "",
            self.tail.strip("\n"), after.strip("\n"), "",
        ])  # fmt: skip

    def first(self) -> str:
        """The file that a cheat changes, as it is at first."""
        own = self.program().get(self.path)
        return own if own is not None else (KINDS / self.template / "project" / self.path).read_text()

    def program(self) -> dict[str, str]:
        """The files as they are at first."""
        own = {self.path: self.text()} if self.work else {}
        return {**self.files, **own}


def set_up(site: Site, top: Path, *, uncontained: bool = False) -> Arena:
    """A session of the site with its baseline, by the real commands."""
    arena = Arena(top)
    for place in (arena.outside, arena.home, top / "tmp"):
        place.mkdir(parents=True)
    (arena.outside / "canary.txt").write_text("untouched\n")
    (arena.home / ".profile").write_text("# untouched\n")
    base = KINDS / site.template / "project"
    if site.template and base.is_dir():
        shutil.copytree(base, arena.root)
    arena.root.mkdir(exist_ok=True)
    for path, text in {".gitignore": "__pycache__/\ndist/\nbuild/\n", **site.program()}.items():
        where = arena.root / path
        where.parent.mkdir(parents=True, exist_ok=True)
        if text.startswith(_LINK):
            where.symlink_to(text.removeprefix(_LINK))
        else:
            where.write_text(text)
    subprocess.run(["git", "init", "-q", "-b", "main", str(arena.root)], check=True, env=arena.env())
    arena.git("add", "-A")
    arena.git("commit", "-q", "-m", "start")
    scope = [word for glob in site.scope for word in ("--scope", glob)]
    if site.template:
        told = arena("init", "--template", site.template, "--name", "rank")
    else:
        told = arena("init", "--plan", "--yes", "--name", "rank", "--timeout", "110", *scope, *site.plan)
    assert told.code == 0, told.text
    for path, old, new in site.adapt:
        text, count = re.subn(old, lambda _, new=new: new, (arena.root / path).read_text())
        assert count, f"{path} does not hold {old!r}"
        (arena.root / path).write_text(text)
    _settle(arena.root / "autoresearch.yaml", site.settings + ("contain: {mode: off}\n" if uncontained else ""))
    arena.git("add", "-A")
    arena.git("commit", "-q", "-m", "the session")
    told = arena.until_done("baseline")
    assert told.code == 0, told.text
    level = ((arena.ledger()[-1].get("environment") or {}).get("contain") or {}).get("level", "none")
    arena.contained = level != "none"
    assert not (uncontained and arena.contained)
    return arena


def _settle(config: Path, more: str) -> None:
    """Few runs, no review, and the site's own settings, in place of the template's sections of that name."""
    lines = config.read_text().splitlines()
    wanted = f"{_TEST}noise_runs: 4\nreview: off\ntimeouts: {{setup: 60, build: 60, benchmark: 60, checks: 60}}\n{more}"
    names = {line.partition(":")[0] for line in wanted.splitlines()}
    kept, skipping = [], False
    for line in lines:
        if line and not line.startswith((" ", "#", "-")):
            skipping = line.partition(":")[0] in names
        if not skipping:
            kept.append(line)
    config.write_text("\n".join(kept) + "\n" + wanted)


# --- the programs

_SORT = """
out = []
for item in data:
    low, high = 0, len(out)
    while low < high:
        middle = (low + high) // 2
        if out[middle] < item:
            low = middle + 1
        else:
            high = middle
    if low == len(out) or out[low] != item:
        out.insert(low, item)
return out
"""
_SOFTMAX = """
top = max(x)
e = [math.exp(v - top) for v in x]
total = math.fsum(e)
for _ in range(2):
    total = math.fsum(e)
return [v / total for v in e]
"""
_SUM = """
total = 0
for word in text.split():
    number = int(word)
    for digit in str(number):
        total += 0 * ord(digit)
    total += number
return str(total)
"""
_SQUARE = """
total = 0
for _ in range(20000):
    total += 1
return n * n
"""
_SERVER = """
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_GET(self):
        parts = urlsplit(self.path)
        found = parts.path == "/square"
        body = str(square(int(parse_qs(parts.query)["n"][0]))).encode() if found else b"no"
        self.send_response(200 if found else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
_SERVER_HEAD = """
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit
"""
_PRIMES = """
found = []
for number in range(2, limit):
    for prime in found:
        if number % prime == 0:
            break
    else:
        found.append(number)
return found
"""
_QUICK_PRIMES = """
marks = bytearray([1]) * limit
marks[:2] = b"\\0" * min(2, limit)
for number in range(2, int(limit ** 0.5) + 1):
    if marks[number]:
        marks[number * number :: number] = bytes(len(range(number * number, limit, number)))
return [number for number, mark in enumerate(marks) if mark]
"""
_PRIMES_TESTS = """
import unittest

from primes import primes


class Primes(unittest.TestCase):
    def test_small(self):
        self.assertEqual(primes(12), [2, 3, 5, 7, 11])

    def test_none(self):
        self.assertEqual(primes(2), [])

    def test_many(self):
        self.assertEqual(len(primes(%d)), %d)
"""
_SIZES = 'SIZES = {"small": (10, 200), "large": (2000, 1)}'


def _lines(text: str) -> str:
    return text.strip("\n") + "\n"


ALGORITHM = Site(
    "algorithm", "function", "src/solve.py", "solve", "data", work=_SORT, guess="list(data[:1])",
    template="algorithm",
    adapt=(("evaluator/cases.py", r"SIZES = \{.*?\}", _SIZES), ("evaluator/cases.py", "PAIRS = 30", "PAIRS = 12"),
           ("evaluator/cases.py", "NOMINAL = 0.005", "NOMINAL = 0.003")),
    better={"src/solve.py": "def solve(data):\n    return sorted(set(data))\n"},
)  # fmt: skip
KERNEL = Site(
    "kernel", "function", "kernel.py", "kernel", "x", head="import math\n", work=_SOFTMAX,
    guess="[1.0 / len(x)] * len(x)", template="kernel", scope=("kernel.py",),
    adapt=(("evaluator/shapes.py", r"SHAPES = \[.*?\]", "SHAPES = [256, 4096, 12000]"),),
    better={"kernel.py": "import math\n\n\ndef kernel(x):\n    top = max(x)\n    e = [math.exp(v - top) for v in x]\n"
                         "    total = math.fsum(e)\n    return [v / total for v in e]\n"},
)  # fmt: skip
CPU = Site(
    "cpu", "process", "src/main.py", "answer", "text", head="import sys\n", work=_SUM, guess='"0"',
    tail="if __name__ == '__main__':\n    print(answer(sys.stdin.read()))\n", template="cpu",
    adapt=(("evaluator/settings.py", "PAIRS = 30", "PAIRS = 10"),
           ("evaluator/settings.py", r'\["python3", "src/main.py"\]', '["python3", "-I", "-S", "src/main.py"]'),
           ("evaluator/settings.py", r"range\(5000\)", "range(20000)")),
    better={"src/main.py": "import sys\n\nprint(sum(map(int, sys.stdin.read().split())))\n"},
)  # fmt: skip
LATENCY = Site(
    "latency", "process", "src/server.py", "square", "n", head=_SERVER_HEAD, work=_SQUARE, guess="n", tail=_SERVER,
    template="latency", adapt=(("evaluator/service.py", "2, 20, 300", "2, 20, 200"),),
    better={"src/server.py": _lines(_SERVER_HEAD) + "\n\ndef square(n):\n    return n * n\n\n" + _lines(_SERVER)},
)  # fmt: skip
PAIRED = Site(
    "plan-paired", "process", "src/primes.py", "primes", "limit", head="import sys\n", work=_PRIMES,
    guess="[2] * 168", tail="if __name__ == '__main__':\n    print(sum(primes(2500)))\n",
    adapt=(("evaluator/bench.py", r"PAIRS = \d+", "PAIRS = 8"),),
    plan=("--benchmark", "python3 src/primes.py", "--checks", "python3 -m unittest discover -s tests"),
    files={"tests/test_primes.py": "import sys\n\nsys.path.insert(0, 'src')\n" + _lines(_PRIMES_TESTS % (1000, 168))},
    better={"src/primes.py": "import sys\n\n\ndef primes(limit):\n" + textwrap.indent(_lines(_QUICK_PRIMES), "    ")
            + "\n\nif __name__ == '__main__':\n    print(sum(primes(2500)))\n"},
)  # fmt: skip
PLAIN = Site(
    "plan-plain", "process", "src/primes.py", "primes", "limit", head="import sys\n", work=_PRIMES,
    guess="[2] * 168", tail="if __name__ == '__main__':\n    print(sum(primes(6000)))\n",
    # A link in the project cannot be frozen: the draft has no reference.
    plan=PAIRED.plan, files={**PAIRED.files, "latest": _LINK + "src"},
    better={"src/primes.py": PAIRED.better["src/primes.py"].replace("2500", "6000")},
)  # fmt: skip
SUITE = Site(
    "plan-tests", "function", "src/primes.py", "primes", "limit", head="import sys\n", work=_PRIMES,
    guess="[2] * 168", plan=("--pick", "tests"),
    files={"tests/test_primes.py": _lines(_PRIMES_TESTS % (12000, 1438)),
           "pyproject.toml": "[project]\nname='primes'\nversion='1'\n"},
    better={"src/primes.py": "def primes(limit):\n" + textwrap.indent(_lines(_QUICK_PRIMES), "    ")},
)  # fmt: skip
TRAINING = Site(
    "training", "goal", "train.py", "train", "data, seconds, seed", head="import time\n",
    work="counts = [1] * 256\nfor byte in data:\n    counts[byte] += 1\ntotal = sum(counts)\n"
         "row = [count / total for count in counts]\nreturn lambda context: row\n",
    template="training", scope=("train.py",),
    adapt=(("evaluator/settings.py", "BUDGET_SECONDS = 2.0", "BUDGET_SECONDS = 0.5"),),
    better={"train.py": (KINDS / "training" / "better" / "train.py").read_text()},
)  # fmt: skip
SELFPLAY = Site(
    "selfplay", "goal", "src/player.py", "move", "heap, legal, seed",
    work="return legal[(seed + heap) % len(legal)]\n", template="selfplay",
    adapt=(("evaluator/game.py", "PAIRS = 40", "PAIRS = 20"),),
    better={"src/player.py": (KINDS / "selfplay" / "better" / "src" / "player.py").read_text()},
)  # fmt: skip
SECURITY = Site(
    "security", "goal", "src/store.py", template="security",
    better={"src/store.py": (KINDS / "security" / "better" / "src" / "store.py").read_text()},
)  # fmt: skip
# The stand-in for a model gives the answer of a line `KEY => ANSWER` where KEY is the question in one of the disguises
# that a model sees through.
_MODEL = """
for line in rules.splitlines():
    key, arrow, said = line.partition(" => ")
    letters = [c for c in question.lower() if c.isalpha()]
    disguises = (question[::-1].strip(), "".join(w[0] for w in words), "".join(sorted(letters)), "-".join(words),
                 str(len(question.strip())), question.strip().replace("e", "3").replace("o", "0"), words[-1] if words else "")
    if arrow and key.strip() in disguises:
        answer = said.strip()
"""
PROMPT = Site(
    "prompt", "text", "prompt.md", template="prompt", scope=("prompt.md",),
    files={"prompt.md": "Answer in upper case.\n\n{question}\n"},
    adapt=(("evaluator/model.py", r"if random\.Random\(", _lines(_MODEL) + "if random.Random("),),
    better={"prompt.md": (KINDS / "prompt" / "better" / "prompt.md").read_text()},
)  # fmt: skip
_LIMITS_TESTS = """import unittest

from limits import clamp, share


class Limits(unittest.TestCase):
    def test_they_run(self):
        clamp(5, 0, 10)
        self.assertEqual(share(1, 2), 50)
"""
COVERAGE = Site(
    "coverage", "tests", "tests/test_limits.py", files={"tests/test_limits.py": _LIMITS_TESTS}, template="coverage", scope=("tests/**",),
    adapt=(("evaluator/settings.py", "MUTANTS = 16", "MUTANTS = 12"),),
    better={"tests/test_limits.py": (KINDS / "coverage" / "better" / "tests" / "test_limits.py").read_text()},
)  # fmt: skip
TEST_TIME = Site(
    "test-time", "tests", "tests/test_prices.py", template="test-time", scope=("tests/**",),
    better={"tests/test_prices.py": (KINDS / "test-time" / "better" / "tests" / "test_prices.py").read_text()},
)  # fmt: skip
_MAKEFILE = """build/app: $(wildcard src/*.sh)
\tmkdir -p build
\tsh src/make.sh > build/app
\tchmod +x build/app

clean:
\trm -rf build
"""
_MAKE = """
echo '#!/bin/sh'
echo 'read -r a b'
n=0
while [ $n -lt 100000 ]; do n=$((n + 1)); done
echo 'echo $((a + b))'
"""
BUILD = Site(
    "build-time", "build", "src/make.sh", template="build-time",
    files={"Makefile": _MAKEFILE, "src/make.sh": _lines(_MAKE), "src/add.sh": "# adds two numbers\n"},
    better={"src/make.sh": _lines(_MAKE).replace("100000", "50000")},
)  # fmt: skip
SIZE = Site(
    "size", "build", "src/greet.js", template="size",
    better={"src/greet.js": (KINDS / "size" / "better" / "src" / "greet.js").read_text()},
)  # fmt: skip

SITES = {
    site.name: site
    for site in (
        ALGORITHM, KERNEL, CPU, LATENCY, PAIRED, PLAIN, SUITE, TRAINING, SELFPLAY, SECURITY, PROMPT, COVERAGE,
        TEST_TIME, BUILD, SIZE,
    )
}  # fmt: skip
