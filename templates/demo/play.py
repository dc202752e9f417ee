#!/usr/bin/env python3
"""The demo of autoresearch: a scripted agent optimises a small log analyser, and the code decides.

    python3 play.py [--dir DIR]

Everything is real: eight prepared candidates are built, checked and measured on this machine, through the same
commands that an agent uses. Only the candidates' edits are prepared (candidates/*/change.patch). The project is a
fresh copy in a directory of its own. Exit 0: every candidate ended as expected.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent
POLL = 10  # seconds a waiting command may take: agents' shells do not wait for long
STEP_LIMIT = 900  # seconds for one step of the session; then something is broken
NO, INTEGRITY = 1, 5  # exit codes: a measured "no" or "not yet"; the evaluator was touched
PROMISING = 5.0  # percent, after the author's own doubt
# A keep needs its author's review.
RISK = "logs whose lines are malformed or come in another order"
CHECKED = "the checks compare the report with a reference on other logs; the diff was read line by line"
FOREIGN = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY")


class Failed(Exception):
    """The demo cannot go on; the text says why."""


class Screen:
    """Prints steps; colours and the live line only where a person looks."""

    def __init__(self) -> None:
        self.live = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        self.colour = self.live and "NO_COLOR" not in os.environ
        self.began = time.monotonic()

    def paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour else text

    def say(self, text: str = "") -> None:
        print(text, flush=True)

    def heading(self, text: str) -> None:
        self.say(f"\n{self.paint(text, '1')}  [{time.monotonic() - self.began:.0f} s]")

    def command(self, words: list[str]) -> None:
        shown = shlex.join(words)
        self.say("  " + self.paint(f"$ {shown if len(shown) <= 120 else shown[:119] + '…'}", "36"))

    def detail(self, text: str, lines: int = 12) -> None:
        for line in text.strip().splitlines()[:lines]:
            self.say(f"    {line}")

    def progress(self, text: str) -> None:
        if self.live:
            width = shutil.get_terminal_size().columns - 1
            print(f"\r\x1b[K    {text}"[: width + 4], end="", flush=True)

    def clear(self) -> None:
        if self.live:
            print("\r\x1b[K", end="", flush=True)


class Candidate:
    """A prepared edit and what must become of it."""

    def __init__(self, directory: Path) -> None:
        self.number = int(directory.name[:2])
        self.experiment = f"e{self.number}"
        self.patch = directory / "change.patch"
        facts = json.loads((directory / "candidate.json").read_text(encoding="utf-8"))
        self.facts: dict[str, str] = {key: str(value) for key, value in facts.items()}
        self.expected: str = facts["expect"]
        self.exit: int = facts["exit"]
        self.because: str = facts["because"]
        self.idea = ""
        self.answer: dict[str, object] = {}
        self.code = -1

    def promise(self) -> float:
        """What the idea's author expects of it, in percent."""
        return float(self.facts["gain"]) * float(self.facts["confidence"])

    def as_expected(self) -> bool:
        reason = f"{self.answer.get('error', '')} {self.answer.get('reason', '')}"
        return (self.answer.get("status"), self.code) == (self.expected, self.exit) and self.because in reason


def load_candidates(directory: Path = HERE / "candidates") -> list[Candidate]:
    """The prepared candidates, by number."""
    return [Candidate(place) for place in sorted(directory.iterdir()) if place.is_dir()]


class Play:
    """One session, from an empty directory to the report."""

    def __init__(self, root: Path, screen: Screen) -> None:
        self.root = root
        self.screen = screen
        self.candidates = load_candidates()
        # A surrounding repository or a commit hook that runs the demo must not lend it its git state.
        self.env = {key: value for key, value in os.environ.items() if key not in FOREIGN}
        # `python3` in the project's scripts is the interpreter that plays.
        self.env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), self.env.get("PATH", os.defpath)])
        helpers = HERE.parents[1] / "helpers"
        if (helpers / "autoresearch").is_dir():
            self.env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(helpers), self.env.get("PYTHONPATH")]))
        self.before = ""
        self.stages: dict[str, str] = {}  # where each experiment stands after the screening
        self.loads: list[float] = []  # load averages, one an answer of a waiting command

    # -- tools ------------------------------------------------------------------------------------------------

    def git(self, *words: str, cwd: Path | None = None) -> str:
        identity = ["-c", "user.name=autoresearch demo", "-c", "user.email=demo@localhost"]
        quiet = ["-c", "commit.gpgsign=false", "-c", "core.hooksPath=/dev/null", "-c", "core.autocrlf=false"]
        done = subprocess.run(
            ["git", *identity, *quiet, *words], cwd=cwd or self.root, env=self.env, text=True, capture_output=True
        )
        if done.returncode:
            raise Failed(f"git {words[0]} failed: {done.stderr.strip()}")
        return done.stdout.strip()

    def call(self, *words: str, allowed: tuple[int, ...] = (0,), show: bool = True, lines: int = 12) -> tuple[int, str]:
        """Run a command of autoresearch; returns its exit code and what it printed."""
        if show:
            self.screen.command(["autoresearch", *words])
        done = subprocess.run(
            [sys.executable, "-m", "autoresearch", *words],
            cwd=self.root, env=self.env, text=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=STEP_LIMIT,
        )  # fmt: skip
        # An exit code of 1 without an answer is a crash of the command, not a measured "no".
        if done.returncode not in allowed or (done.returncode and not done.stdout.strip()):
            said = (done.stderr.strip() or done.stdout.strip())[-2000:]
            raise Failed(f"autoresearch {shlex.join(words)} ended with exit code {done.returncode}:\n{said}")
        if show and "--json" not in words:
            self.screen.detail(done.stdout, lines)
        return done.returncode, done.stdout

    def ask(self, *words: str, allowed: tuple[int, ...] = (0,), show: bool = True) -> tuple[int, dict[str, object]]:
        """Like `call` with --json; returns the object."""
        code, text = self.call(*words, "--json", allowed=allowed, show=show)
        try:
            answer = json.loads(text)
        except ValueError:
            raise Failed(f"autoresearch {shlex.join(words)} --json printed no JSON:\n{text[:500]}") from None
        return code, answer

    def poll(self, *words: str, allowed: tuple[int, ...] = (0, NO)) -> dict[str, object]:
        """Repeat a waiting command until nothing runs any more, with a live line for a person."""
        self.screen.command(["autoresearch", *words, "--timeout", str(POLL)])
        # Short steps only where they are seen: each one costs processor time next to the measurement.
        step = "2" if self.screen.live else str(POLL)
        limit = time.monotonic() + STEP_LIMIT
        while True:
            code, answer = self.ask(*words, "--timeout", step, allowed=allowed, show=False)
            self.loads.append(os.getloadavg()[0])
            running = answer.get("running")
            if code != NO or not (running or answer.get("done") is False):
                self.screen.clear()
                return answer
            doing = running if isinstance(running, dict) else {"baseline": answer.get("detail", "")}
            self.screen.progress(", ".join(f"{name}: {phase}" for name, phase in doing.items()))
            if time.monotonic() > limit:
                raise Failed(f"autoresearch {words[0]} did not end in {STEP_LIMIT} seconds")

    def fingerprint(self) -> str:
        """What must not change in the user's checkout: branch, commit, index and every tracked file."""
        digest = hashlib.sha256()
        for name in self.git("ls-files").splitlines():
            digest.update(name.encode() + b"\0" + (self.root / name).read_bytes())
        facts = [self.git("symbolic-ref", "HEAD"), self.git("rev-parse", "HEAD"), self.git("ls-files", "--stage")]
        return "\n".join([*facts, digest.hexdigest()])

    # -- the session ------------------------------------------------------------------------------------------

    def set_up(self) -> None:
        self.screen.heading("1. A project: logstat, an analyser of access logs")
        settings = HERE / "project" / "autoresearch.yaml"
        ignore = shutil.ignore_patterns("__pycache__", settings.name)
        shutil.copytree(HERE / "project", self.root, ignore=ignore, dirs_exist_ok=True)
        self.git("init", "--quiet")
        self.git("symbolic-ref", "HEAD", "refs/heads/main")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "logstat with its benchmark and checks")
        self.call(
            "init", "--name", "logstat", "--goal", "Analyse an access log in less time", "--metric", "time_s",
            "--unit", "s", "--scope", "src/**", "--build", "python3 -m compileall -q src", lines=1,
        )  # fmt: skip
        self.screen.say("    (edits autoresearch.yaml: the evaluator's files; commits it with experiment.yaml)")
        shutil.copy(settings, self.root)
        self.git("add", settings.name, "experiment.yaml")
        self.git("commit", "--quiet", "--message", "set up autoresearch")
        self.call("doctor")
        self.before = self.fingerprint()

    def baseline(self) -> None:
        self.screen.heading("2. The baseline: freeze the evaluator, measure the noise of this machine")
        answer = self.poll("baseline")
        noise = answer.get("noise")
        facts = {**answer, **(noise if isinstance(noise, dict) else {})}
        keys = ("metric", "sigma_short_pct", "mde_pct", "grade", "line")
        self.screen.detail(", ".join(f"{key} {facts[key]}" for key in keys if facts.get(key) is not None))

    def ideas(self) -> None:
        self.screen.heading("3. Ideas, ranked by gain x confidence / cost")
        for candidate in self.candidates:
            facts = candidate.facts
            _, answer = self.ask(
                "ideas", "add", facts["title"], "--gain", facts["gain"], "--confidence", facts["confidence"],
                "--cost", facts["cost"], "--source", facts["source"], "--class", facts["class"],
                show=candidate.number <= 2,
            )  # fmt: skip
            candidate.idea = str(answer["id"])
        self.screen.detail("… and six more, among them traps: a placebo, a wrong one, two that cheat")
        self.call("ideas", "rank", lines=20)

    def experiments(self) -> None:
        self.screen.heading("4. Eight experiments, each edited in a copy of its own")
        for candidate in self.candidates:
            _, answer = self.ask(
                "new", candidate.experiment, "--idea", candidate.idea, "--hypothesis", candidate.facts["hypothesis"],
                show=candidate.number <= 2,
            )  # fmt: skip
            worktree = self.root / str(answer["worktree"])
            self.git("apply", str(candidate.patch), cwd=worktree)
            self.screen.detail(f"{candidate.experiment}: {candidate.facts['short']}")

    def screening(self) -> None:
        self.screen.heading("5. Build, run and check them all, in parallel")
        names = [candidate.experiment for candidate in self.candidates]
        _, answer = self.ask("run", *names, allowed=(0, INTEGRITY))
        refused = answer.get("refused")
        for item in refused if isinstance(refused, list) else ():
            self.screen.detail(f"{item['experiment']} refused: {item['error']}"[:150])
        stages = self.poll("wait").get("stages")
        self.stages = {str(k): str(v) for k, v in stages.items()} if isinstance(stages, dict) else {}
        for name, stage in sorted(self.stages.items()):
            self.screen.detail(f"{name} {stage}")

    def decisions(self) -> None:
        passed = [c for c in self.candidates if self.stages.get(c.experiment, "").startswith("screened")]
        self.screen.heading("6. What failed is decided at once, by code")
        for candidate in self.candidates:
            if candidate not in passed:
                self.decide(candidate)
        self.screen.heading("7. The others: A/B against the best commit, interleaved, until the rule knows")
        # A keep moves the best commit, and what was measured against the old one must be measured again: so what
        # promises much goes first and alone, and the doubtful rest together.
        passed.sort(key=Candidate.promise, reverse=True)
        for candidate in passed:
            if candidate.promise() >= PROMISING:
                self.measure([candidate])
        self.measure([c for c in passed if c.promise() < PROMISING])

    def measure(self, group: list[Candidate]) -> None:
        for _ in range(3):
            waiting = [c for c in group if c.code < 0]
            if not waiting:
                return
            self.poll("ab", *(c.experiment for c in waiting))
            for candidate in waiting:
                self.decide(candidate)

    def decide(self, candidate: Candidate) -> None:
        """Ask for the verdict, once more where it was disturbed; one that still needs a measurement stays open."""
        code, answer = self.ask(
            "decide", candidate.experiment, "--description", candidate.facts["title"], "--risk", RISK,
            "--checked", CHECKED, allowed=(0, NO, INTEGRITY),
        )  # fmt: skip
        if "status" not in answer:
            self.screen.detail(f"{candidate.experiment}: not yet: {answer.get('error')}")
            follow = shlex.split(str(answer.get("next") or ""))[1:]
            if "--again" in follow:  # offered twice at most
                self.poll(*follow[: follow.index("--again") + 2])
                self.decide(candidate)
            return
        candidate.code, candidate.answer = code, answer
        words = [str(answer["status"]).upper(), candidate.experiment, effect(candidate)]
        reason = str(answer.get("error") or answer.get("reason_text") or "")
        colour = "32" if answer["status"] == "keep" else "33"
        text = " ".join(filter(None, words)) + (f" — {reason}" if reason else "")
        self.screen.say("    " + self.screen.paint(text[:200], colour))

    def report(self) -> bool:
        self.screen.heading("8. The report, rendered from the ledger")
        self.call("report", lines=0)
        self.call("status")
        header = ("", "candidate", "expected", "outcome", "effect", "runs")
        rows = [
            (
                c.experiment, c.facts["short"], c.expected, str(c.answer.get("status", "none")),
                effect(c) or c.because or "-", str(c.answer.get("runs_used", "-")),
            )
            for c in self.candidates
        ]  # fmt: skip
        self.screen.say()
        widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
        for row, good in zip([header, *rows], [None, *(c.as_expected() for c in self.candidates)], strict=True):
            mark = "  " if good is None else "ok" if good else "!!"
            line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            self.screen.say(f"  {mark}  {line.rstrip()}")
        self.screen.say()
        self.screen.say(f"  {self.machine()}")
        return self.verify()

    def machine(self) -> str:
        """What the measurements met on this machine, by the benchmark's own account in the ledger."""
        text = (self.root / "autoresearch.jsonl").read_text(encoding="utf-8")
        met = [line["metrics"] for line in map(json.loads, text.splitlines()) if line.get("metrics")]
        words = [f"load average {min(self.loads):.1f} to {max(self.loads):.1f}"]
        waited = [one["waited_pct"] for one in met if "waited_pct" in one]
        spread = [one["speed_spread"] for one in met if "speed_spread" in one]
        if waited:  # not everywhere known
            words.append(f"the rounds waited {median(waited):.0f} % of their time for the core")
        if spread:
            words.append(f"rounds of one and the same program differed up to {max(spread):.1f}-fold within a run")
        return "the machine meanwhile: " + ", ".join(words)

    def verify(self) -> bool:
        """Whether outcomes, git and the user's files are as they must be; says what is not."""
        problems = [
            f"{c.experiment} ({c.facts['short']}) was expected to end as {c.expected} {c.because}".rstrip()
            for c in self.candidates
            if not c.as_expected()
        ]
        branch = "autoresearch/logstat"
        wins = [c for c in self.candidates if c.expected == "keep"]
        commits = self.git("log", "--reverse", "--format=%h %s", f"main..{branch}").splitlines()
        self.screen.say(f"  git log main..{branch}")
        self.screen.detail("\n".join(commits) or "nothing")
        if len(commits) != len(wins):
            problems.append(f"{branch} has {len(commits)} commits, expected {len(wins)}")
        if self.fingerprint() != self.before:
            problems.append("the user's checkout was changed")
        else:
            self.screen.say("  the user's checkout is as it was: branch, index and files")
        for name in ("autoresearch.jsonl", "autoresearch.md", "IMPROVEMENTS.md"):
            if not (self.root / name).is_file():
                problems.append(f"{name} was not written")
        self.screen.say("\n  read on:")
        for name in ("autoresearch.md", "IMPROVEMENTS.md", "autoresearch.ideas.md", "autoresearch.jsonl"):
            self.screen.say(f"    {self.root / name}")
        chart = self.root / "autoresearch.svg"
        self.screen.say(f"    {chart}" if chart.is_file() else "    no chart: matplotlib is not installed")
        for problem in problems:
            self.screen.say("  " + self.screen.paint(f"NOT AS EXPECTED: {problem}", "31"))
        return not problems


def effect(candidate: Candidate) -> str:
    """The measured effect with its interval, or nothing."""
    value, low, high = (candidate.answer.get(key) for key in ("effect_pct", "ci_low_pct", "ci_high_pct"))
    if not isinstance(value, (int, float)):
        return ""
    if not (isinstance(low, (int, float)) and isinstance(high, (int, float))):
        return f"{value:+.1f} %"
    return f"{value:+.1f} % [{low:+.1f}, {high:+.1f}]"


def place(wanted: str | None) -> Path:
    """The directory to play in: empty, and the demo's own."""
    if wanted is None:
        return Path(tempfile.mkdtemp(prefix="autoresearch-demo-")).resolve()
    root = Path(wanted).resolve()
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise Failed(f"{root} is there and not empty: give another --dir")
    root.mkdir(parents=True, exist_ok=True)
    return root


def main() -> int:
    parser = argparse.ArgumentParser(description="Play a whole autoresearch session on this machine.")
    parser.add_argument("--dir", help="an empty or new directory to play in (default: a temporary one, which stays)")
    options = parser.parse_args()
    screen = Screen()
    play = None
    try:
        root = place(options.dir)
        screen.say(f"autoresearch demo: a real session in {root} (about two minutes)")
        play = Play(root, screen)
        for step in (play.set_up, play.baseline, play.ideas, play.experiments, play.screening, play.decisions):
            step()
        good = play.report()
    except (Failed, OSError, subprocess.TimeoutExpired, KeyboardInterrupt) as exc:
        screen.clear()
        print(f"demo: {str(exc) or 'interrupted'}", file=sys.stderr)
        if play is not None:
            # Nothing that the demo started may go on without it.
            subprocess.run([sys.executable, "-m", "autoresearch", "cancel", "--all"], cwd=play.root, env=play.env,
                           capture_output=True)  # fmt: skip
            print(f"demo: the session is in {play.root}", file=sys.stderr)
        return 130 if isinstance(exc, KeyboardInterrupt) else 1
    seconds = time.monotonic() - screen.began
    screen.say(f"\n  {'all as expected' if good else 'NOT all as expected'}, {seconds:.0f} seconds. {root}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
