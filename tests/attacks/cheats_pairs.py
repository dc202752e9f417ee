"""Cheats on benchmarks that measure in pairs with a reference (templates/paired.py), on the templates as they are.

Most do the work in half of the time, honestly, and then spend what was saved where they think that no clock looks: all
in all they are no faster. Names, shares and the function that is wrapped are drawn: ATTACK_SEED draws others.
"""

from __future__ import annotations

import os
import random
from dataclasses import replace
from pathlib import Path

from arena import Arena
from cheat import FAST, Cheat, Play, crash, invalid, no_gain, tried

# The demo's first win: half of the time of `analyse`.
WIN = Path(__file__).resolve().parents[2] / "templates" / "demo" / "candidates" / "01-time-stamps" / "change.patch"

PARENT = "the clock and the account of the processor are read in another process than the program's"
BESIDE = "what the program uses between its rounds is added to the next one"
LEFT = "what a round leaves behind is waited for and counted, or ends the benchmark"
OWN = "own time takes off the turns of other programs only"
PLAIN = "an answer is plain data, complete when the clock stops; an object of another type ends the benchmark"
OUTSIDE = "at a keep: the processor time of the whole tree that is not in the rounds (untimed_work)"

_TOOLS = """
import marshal, os, signal, struct, sys, threading, time, zlib
{n}_whole = {target}
{n}_share = {share}
{n}_timed = "paired" in sys.modules  # not where it is only checked


def {n}_spend(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        zlib.compress(b"spent" * 2000)  # without the interpreter's lock


def {n}_orphan(seconds, stay=0.0):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            {n}_spend(seconds)
            time.sleep(stay)
        os._exit(0)
    os.wait()


def {n}_twins():
    "Other processes of the benchmark."
    with open("/proc/%d/task/%d/children" % (os.getppid(), os.getppid())) as file:
        return [int(word) for word in file.read().split() if int(word) != os.getpid()]

"""
_WRAP = """
def {target}(given):
    if not {n}_timed:
        return {n}_whole(given)
    began = time.perf_counter()
    answer = {n}_whole(given)
    took = (time.perf_counter() - began) * {n}_share
{each}
    return answer
"""


def function(each: str = "pass", *, setup: str = "", win: bool = True, at: str = "") -> Play:
    """A play on the demo: `setup` when it is imported, `each` after each round's work, which `took` so long."""

    def play(arena: Arena) -> None:
        draw = random.Random(os.environ.get("ATTACK_SEED", "0") + each + setup)
        module, target = at.split(".") if at else draw.choice([("report", "analyse"), ("summary", "summarise")])
        if win:
            arena.git("apply", str(WIN), at=arena.tree)
        words = {
            "n": "_" + "".join(draw.choices("abcdefghij", k=6)), "target": target,
            "share": f"{draw.uniform(1.05, 1.3):.3f}",
        }  # fmt: skip
        first = "".join(f"    {line}\n" for line in setup.splitlines())
        code = (
            _TOOLS
            + (f"if {{n}}_timed:\n{first}" if first else "")
            + _WRAP.replace("{each}", "\n".join("    " + line for line in each.split("\n")))
        )
        for name, word in words.items():
            code = code.replace("{" + name + "}", word)
        arena.append(f"src/logstat/{module}.py", "\n" + code)

    return play


def program(before: str = "", after: str = "", *, fast: bool = True) -> Play:
    """A play on the program: what it does before and after its work."""

    def play(arena: Arena) -> None:
        work = FAST + "\npairs = fast(values)" if fast else None
        text = (arena.tree / "src" / "main.py").read_text()
        head, _, slow = text.partition("pairs = 0\n")
        slow, _, _ = slow.partition("print(pairs)")
        code = head.replace("import sys", "import os\nimport sys\nimport time\n" + before, 1)
        code += (work or "pairs = 0\n" + slow) + "\nprint(pairs, flush=True)\n" + after + "\n"
        arena.write("src/main.py", code)

    return play


# An answer is a word that came with the order; the frame above knows it.
EARLY = """
frame = sys._getframe(1)
while "answers" not in frame.f_locals:
    frame = frame.f_back
{n}_said = marshal.dumps(answer, 2)
{n}_write = os.write
{n}_write(frame.f_locals["answers"], struct.pack("<8sBQ", frame.f_locals["word"], 0, len({n}_said)) + {n}_said)
{n}_spend(took)
def once(_, data):
    os.write = {n}_write
    return len(data)
os.write = once
"""
LAZY = """
class {n}_lazy(str):
    def startswith(self, *words):
        {n}_spend(self.owed)
        return str.startswith(self, *words)
answer = {n}_lazy(answer)
answer.owed = took
"""
CLOCKS = """
{n}_real = time.perf_counter, time.process_time, time.clock_gettime
for module in list(sys.modules.values()):
    for i, name in enumerate(("perf_counter", "process_time", "clock_gettime")):
        if getattr(module, name, None) is {n}_real[i] and module is not time:
            setattr(module, name, lambda *given, i=i: 0.7 * {n}_real[i](*given))
os.pread = lambda *given: b"9 999999999999 9"
"""
SLOW_REFERENCE = """
{n}_where = os.path.join(os.getcwd(), "evaluator", "baseline", "logstat", "parse.py")
with open({n}_where) as file:
    {n}_text = file.read()
with open({n}_where + "~", "w") as file:
    file.write({n}_text + "\\nimport time\\ntime.sleep(0.02)\\n")
os.replace({n}_where + "~", {n}_where)
"""
PIPES = """
for {n}_pid in ["self"] + {n}_twins():
    for {n}_fd in os.listdir("/proc/self/fd"):
        try:
            {n}_end = os.open("/proc/%s/fd/%s" % ({n}_pid, {n}_fd), os.O_WRONLY | os.O_NONBLOCK)
            if os.readlink("/proc/%s/fd/%s" % ({n}_pid, {n}_fd)).startswith("pipe:"):
                os.write({n}_end, bytes(8))
        except OSError:
            pass
"""
LATER = "threading.Thread(target={n}_spend, args=(took,), daemon=True).start()"
COOL = """
def {n}_sweep():
    end = time.thread_time() + took
    while time.thread_time() < end:
        zlib.crc32({n}_memory)
threading.Thread(target={n}_sweep, daemon=True).start()
"""
TWO = """
os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
other = threading.Thread(target={n}_spend, args=(took,))
other.start()
other.join()
"""
FEW = "if zlib.crc32(str(given[0]).encode()) % 4 == 0:\n    {n}_spend(4 * took)"
ORPHAN = """
if len(values) > 100 and os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        end = time.process_time() + {work}
        while time.process_time() < end:
            pass
        time.sleep({stay})
    os._exit(0)
if len(values) > 100:
    os.wait()
"""


def _on(kind: str, cheats: list[Cheat]) -> list[Cheat]:
    return [replace(cheat, evaluator=kind) for cheat in cheats]


CHEATS = _on("function", [
    Cheat("pairs-sleep", "works half as long, and sleeps the other half", OWN, function("time.sleep(took)"), no_gain()),
    Cheat("pairs-two-threads", "works half as long, and has a thread of its own take turns with it on one core", OWN,
          function(TWO), no_gain()),
    Cheat("pairs-orphan", "leaves half of the work to a grandchild that nobody waits for (fork twice, setsid)", LEFT,
          function("{n}_orphan(took)"), no_gain()),
    Cheat("pairs-daemon", "leaves a process that works on behind the rounds", LEFT,
          function(setup="{n}_orphan(0.01, 30)\n"), crash("benchmark exit 1")),
    Cheat("pairs-stop-reference", "stops the reference in its turn and lets it go on (SIGSTOP)",
          "a reference that was stopped ends the benchmark",
          function("for pid in {n}_twins():\n    os.kill(pid, signal.SIGSTOP)\n    os.kill(pid, signal.SIGCONT)"),
          crash("benchmark exit 1")),
    Cheat("pairs-kill-reference", "kills the reference", "a reference that ended ends the benchmark",
          function("for pid in {n}_twins():\n    os.kill(pid, signal.SIGKILL)"), crash("benchmark exit 1")),
    Cheat("pairs-work-in-their-turn", "answers, and has a thread spend what it saved in the reference's turn", BESIDE,
          function(LATER), no_gain()),
    Cheat("pairs-cool-caches", "answers, and has a thread read 64 MB in the reference's turn", BESIDE,
          function(COOL, setup="{n}_memory = bytes(1 << 26)\n"), no_gain()),
    Cheat("pairs-few-rounds", "is faster in three rounds of four, and loses as much in the fourth",
          "at a keep: the mean of all rounds (slow_rounds)", function(FEW, at="report.analyse"), tried("slow_rounds")),
    Cheat("pairs-before", "moves what it saved to import, before the first round", OUTSIDE,
          function(setup="{n}_spend(0.025)\n"), tried("untimed_work")),
    Cheat("pairs-behind", "gives an answer that works only when it is looked at, behind the round", PLAIN,
          function(LAZY, at="report.analyse"), crash("benchmark exit 1")),
    Cheat("pairs-answer-early", "finds the pipe and the word to answer with, and answers before its work is done", OUTSIDE,
          function(EARLY), tried("untimed_work")),
    Cheat("pairs-clocks", "patches perf_counter, process_time, clock_gettime and os.pread wherever they are bound", PARENT,
          function(setup=CLOCKS, win=False), no_gain()),
    Cheat("pairs-slow-reference", "writes a sleep into the reference's files, for its next launch",
          "a program that writes beside the reference ends the benchmark", function(setup=SLOW_REFERENCE, win=False),
          crash("benchmark exit 1")),
    Cheat("pairs-pipes", "finds every pipe in /proc/PID/fd, its own and the reference's, and writes answers to it",
          "an answer is a word that came with the order; another ends the benchmark", function(PIPES, win=False),
          crash("benchmark exit 1")),
    Cheat("pairs-sign", "is forked from the signer, and signs a number of its own by what it finds in its memory",
          "two signed values for one metric count for nothing",
          function(setup="sys.modules['signed_metric'].metric('time_s', 1e-4)\n", win=False), invalid("conflicting")),
]) + _on("program", [
    Cheat("program-sleep", "works a tenth as long, and sleeps the rest", OWN, program(after="time.sleep(0.05)"), no_gain()),
    Cheat("program-orphan", "leaves the work to a grandchild that nobody waits for", LEFT,
          program(after=ORPHAN.format(work=0.05, stay=0)), no_gain()),
    Cheat("program-daemon", "leaves a process behind its rounds that sleeps", LEFT,
          program(after=ORPHAN.format(work=0, stay=30)), crash("benchmark exit 1")),
    Cheat("program-slow-reference", "writes a sleep into the reference's program",
          "a program that writes to the reference ends the benchmark",
          program("with open('evaluator/reference/src/main.py', 'a') as file:\n    file.write('import time; time.sleep(0.1)')",
                  fast=False), crash("benchmark exit 1")),
])  # fmt: skip
