"""What an agent reads: tokens at the start of a session, and for each experiment. Prints both against their limits.

    python benchmarks/token_cost.py            a real toy session, then a table; exit 1 when a limit is exceeded

Start-up is SKILL.md and instructions.md plus the answers from `status` to the first idea; an experiment is every answer
from `new` to the next idea, with POLLS answers "not yet" of `wait` and of `ab` each. A playbook is read by need and is
listed apart. What the agent writes itself, its edits and the code that it reads are its own.

Method: tiktoken's o200k_base where its data is in a local cache (TIKTOKEN_CACHE_DIR; nothing is downloaded), else an
estimate from above: the text is cut as byte-pair tokenisers cut it first, into words with the space before them,
numbers and runs of punctuation; a word costs one token for each six letters begun (parts of camelCase and snake_case
count apart), a number one for each three digits begun, punctuation one for each two characters begun, what is outside
ASCII one a character; and never less than characters / 3.5. RECORDED holds published counts of cl100k_base and
o200k_base: the estimate is at least as large for each.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# By the estimate from above, which a tokenizer undercuts. Marks of foreign text in each answer, and both values with an
# interval in each verdict, have cost 200 and 40.
START_LIMIT, EXPERIMENT_LIMIT = 6400, 950
POLLS = 2
# (text, tokens): OpenAI's cookbook "How to count tokens with tiktoken", and its tokenizer page.
RECORDED = [
    ("tiktoken is great!", 6),
    ("antidisestablishmentarianism", 6),
    ("2 + 2 = 4", 7),
    ("お誕生日おめでとう", 9),
    ("Hello, how are you doing today?", 8),
    ("The quick brown fox jumps over the lazy dog.", 10),
]
_PIECE = re.compile(
    r"(?P<word> ?[A-Z]?[a-z]+| ?[A-Z]+)|(?P<number>\d+)|(?P<other>[^\x00-\x7f])|(?P<mark> ?[^\w\s]+|_)|(?P<space>\s+)"
)


def estimate(text: str) -> int:
    """Tokens of `text`, from above (see the module's text)."""
    total = 0
    for piece in _PIECE.finditer(text):
        kind, size = piece.lastgroup, len(piece[0].strip(" ")) or 1
        per = {"word": 6, "number": 3, "other": 1, "mark": 2, "space": 16}[kind or "space"]
        total += -(-size // per)
    return max(total, -(-2 * len(text) // 7))


def counter() -> tuple[str, object]:
    """How tokens are counted here: a name, and a function of a text."""
    cache = os.environ.get("TIKTOKEN_CACHE_DIR")
    if cache and Path(cache).is_dir() and any(Path(cache).iterdir()):
        import tiktoken

        encoding = tiktoken.get_encoding("o200k_base")
        return "tiktoken o200k_base", lambda text: len(encoding.encode(text))
    return "estimate from above (no tokenizer data on this machine)", estimate


FILES = {
    "src/work.py": "import time\n\n\ndef work():\n    time.sleep(0.12)\n    return 42\n",
    "bench.py": "import sys\nimport time\n\nsys.path.insert(0, 'src')\nfrom work import work\n\n"
    "begun = time.perf_counter()\nwork()\nprint(f'METRIC time_s={time.perf_counter() - begun:.6f}')\n",
    ".gitignore": "__pycache__/\n",
}
IDEAS = ("Index rules by their first byte", "Vectorise the scan of digits", "Prefetch the next table row",
         "Store fields as one array", "Drop the second pass over the log")  # fmt: skip


class Toy:
    """One session; `said` has every answer, by command, in order."""

    def __init__(self, root: Path) -> None:
        self.root, self.said = root, []
        for name, text in FILES.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        for args in (["init", "-q", "-b", "main"], ["add", "-A"],
                     ["-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "start"]):  # fmt: skip
            subprocess.run(["git", *args], cwd=root, check=True)

    def __call__(self, *args: str) -> tuple[int, dict[str, object]]:
        env = {**os.environ, "PYTHONPATH": str(ROOT / "helpers"), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-m", "autoresearch", *args, "--json"]
        done = subprocess.run(command, cwd=self.root, env=env, capture_output=True, text=True, timeout=120)
        self.said.append((" ".join(a for a in args if not a.startswith("-"))[:24], done.stdout + done.stderr))
        return done.returncode, json.loads(done.stdout)

    def until_done(self, *args: str) -> str:
        """Repeat until it is done; of the answers "not yet" only the last is kept (POLLS of them are charged)."""
        waiting = ""
        while True:
            code, data = self(*args)
            if code != 1 or (not data.get("running") and data.get("done") is not False):
                return waiting
            waiting = self.said.pop()[1]

    def write_scripts(self) -> None:
        for name, line in (
            ("autoresearch.sh", "python3 bench.py"),
            ("autoresearch.checks.sh", "python3 -m compileall -q src"),
        ):
            (self.root / name).write_text(f"#!/usr/bin/env bash\nset -euo pipefail\n{line}\n")

    def edit(self, experiment: str, seconds: str) -> None:
        path = self.root / ".autoresearch/worktrees" / experiment / "src/work.py"
        path.write_text(re.sub(r"sleep\([\d.]+\)", f"sleep({seconds})", path.read_text()))


def play(root: Path) -> tuple[list[tuple[str, str]], list[list[tuple[str, str]]]]:
    """(answers at the start, answers of each experiment) of a session: one keep, one discard."""
    toy = Toy(root)
    toy("status")
    toy("init", "--plan", "--timeout", "10")
    toy(
        "init",
        "--name",
        "parser",
        "--goal",
        "Parse logs faster",
        "--metric",
        "time_s",
        "--unit",
        "s",
        "--scope",
        "src/**",
    )
    toy.write_scripts()
    toy("doctor")
    toy.until_done("baseline", "--timeout", "25")
    for text in IDEAS:
        toy(
            "ideas",
            "add",
            text,
            "--gain",
            "8",
            "--confidence",
            "0.6",
            "--cost",
            "1",
            "--source",
            "profile",
            "--class",
            "compute",
        )
    toy("ideas", "next")
    start, toy.said = toy.said, []
    experiments = []
    for number, seconds in ((1, "0.02"), (2, "0.021")):
        name = f"e{number}"
        toy("new", name, "--idea", f"i{number}", "--hypothesis", "most rules cannot match: an index skips them")
        toy.edit(name, seconds)
        toy("run", name)
        polls = [
            toy.until_done("wait", "--timeout", "0.1") or _NOT_YET,
            toy.until_done("ab", name, "--timeout", "0.1") or _NOT_YET,
        ]
        toy(
            "decide",
            name,
            "--description",
            "Index rules by first byte",
            "--risk",
            "empty rules",
            "--checked",
            "tests, and 9 cases",
        )
        toy("ideas", "next")
        toy.said += [("not yet", text) for text in polls for _ in range(POLLS)]
        experiments.append(toy.said)
        toy.said = []
    return start, experiments


# When a job was quicker than the first look; about what such an answer says.
_NOT_YET = '{"done":false,"running":["e1"],"detail":"benchmark","next":"autoresearch wait --timeout 25"}\n'


def main() -> int:
    how, count = counter()
    assert callable(count)
    with tempfile.TemporaryDirectory() as place:
        start, experiments = play(Path(place))
    print(f"tokens by: {how}\n")
    documents = [(name, (ROOT / name).read_text(encoding="utf-8")) for name in ("SKILL.md", "instructions.md")]
    rows = [*documents, *start]
    first = sum(count(text) for _, text in rows)
    for name, text in rows:
        print(f"  {count(text):>6}  {name}")
    print(f"{first:>8}  at the start of a session, of {START_LIMIT}\n")
    worst = 0
    for number, answers in enumerate(experiments, 1):
        for name, text in answers:
            print(f"  {count(text):>6}  {name}")
        total = sum(count(text) for _, text in answers)
        worst = max(worst, total)
        print(f"{total:>8}  for experiment {number}, of {EXPERIMENT_LIMIT}\n")
    print("by need:")
    for path in sorted((ROOT / "references").glob("*.md")):
        print(f"  {count(path.read_text(encoding='utf-8')):>6}  references/{path.name}")
    return int(first > START_LIMIT or worst > EXPERIMENT_LIMIT)


if __name__ == "__main__":
    sys.exit(main())
