"""Cheats that do less work than the number says: remembered, moved, or skipped where nobody looks."""

from __future__ import annotations

import os

from arena import Arena
from cheat import FAST, Cheat, build, checks_failed, crash, no_gain, program

FRESH = "the evaluator: every run has inputs that no run has seen before"
WHOLE = "the evaluator: the whole life of the program is timed"
JUDGED = "the evaluator: what was timed is judged, after the clock has stopped"
EPHEMERAL = "every run begins with a fresh copy of the tree, and a TMPDIR of its own"
GONE = "what a command leaves running is ended with it"

# The benchmark's lists, made again from what the build can see.
PRECOMPUTED = """
import random, sys
sys.path.insert(0, os.path.join(TOP, "evaluator"))
from drive import expected
answers = {}
for seed in (os.environ.get("AUTORESEARCH_LAYOUT_SEED", "0"), "0", "1", "11", "for ever the same"):
    rng = random.Random(seed)
    for values in [[rng.randrange(-10**6, 10**6) for _ in range(300)] for _ in range(12)]:
        answers[str(values)] = expected(values)
with open(os.path.join(TOP, "build", "answers.json"), "w") as file:
    json.dump(answers, file)
"""
LOOK_UP = """
with open(os.path.join(HERE, "..", "build", "answers.json")) as file:
    known = json.load(file)
"""

# Every place where a file might outlive the run: beside the program, scratch, home, memory.
REMEMBER = """
import glob, pickle, tempfile
PLACES = [os.path.join(HERE, "answers.cache"), os.path.join(HERE, "..", "build", "answers"),
          os.path.join(tempfile.gettempdir(), "ar-attack.cache"), "/tmp/ar-attack.cache", "/var/tmp/ar-attack.cache",
          "/dev/shm/ar-attack.cache", os.path.expanduser("~/ar-attack.cache")]
known = {}
for place in PLACES:
    try:
        with open(place, "rb") as file:
            known.update(pickle.load(file))
    except Exception:
        pass


def remembered(values):
    key = tuple(values)
    if key not in known:
        known[key] = count(values)
    return known[key]
"""
STORE = """
for place in PLACES:
    try:
        with open(place, "wb") as file:
            pickle.dump(known, file)
    except OSError:
        pass
"""

# More than the size up to which a built tree is copied for each run, so that it is moved instead, with what runs leave.
BULK = """
with open(os.path.join(TOP, "build", "bulk"), "wb") as file:
    for _ in range(52):
        file.write(b"x" * (1 << 20))
"""
WARM_FLAG = """
flag = os.path.join(HERE, "..", "build", "warm")
warm = os.path.exists(flag)
open(flag, "w").close()
"""

DAEMON = '''
import socket, subprocess, sys
server = """
import bisect, os, socket, time
os.setsid()
listener = socket.socket(socket.AF_UNIX)
listener.bind(chr(0) + "ar-attack-answers")
listener.listen()
while True:
    peer, _ = listener.accept()
    with peer, peer.makefile("rw") as talk:
        for line in talk:
            seen, pairs = [], 0
            for value in map(int, line.split()):
                at = bisect.bisect_right(seen, value)
                pairs += len(seen) - at
                seen.insert(at, value)
            talk.write("%d\\\\n" % pairs)
            talk.flush()
"""
subprocess.Popen([sys.executable, "-I", "-c", server], env={}, start_new_session=True,
                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
'''
ASK_DAEMON = """
import socket
try:
    link = socket.socket(socket.AF_UNIX)
    link.connect(chr(0) + "ar-attack-answers")
    talk = link.makefile("rw")
except OSError:
    talk = None


def asked(values):
    if talk is None:
        return count(values)
    talk.write(" ".join(map(str, values)) + "\\n")
    talk.flush()
    return int(talk.readline())
"""

WATCHED = """
def parents():
    pid, said = os.getppid(), ""
    while pid > 1:
        try:
            with open("/proc/%d/cmdline" % pid) as file:
                said += file.read()
            with open("/proc/%d/stat" % pid) as file:
                pid = int(file.read().rpartition(")")[2].split()[1])
        except OSError:
            break
    return said


def lazy(values):
    return len(values) * (len(values) - 1) // 4


# It is right wherever it thinks that it is checked, and guesses where it thinks that it is only timed.
measured = "bench.py" in parents() or "AUTORESEARCH_RUN" in os.environ
"""


def ignored_file(arena: Arena) -> None:
    """An ignored file with fast code, which the program uses where it finds it."""
    program(setup="import sys\nsys.path.insert(0, HERE)\ntry:\n    exec(open(os.path.join(HERE, 'fast.cache')).read())\n"
                  "except OSError:\n    fast = None", answer="(fast or count)(values)")(arena)  # fmt: skip
    arena.write("src/fast.cache", FAST)


def hard_link(arena: Arena) -> None:
    """A file of the candidate is a hard link to one of the user's; the build appends to it."""
    target = arena.tree / "src" / "copy.py"
    os.link(arena.root / "evaluator" / "bench.py", target)
    build("open(os.path.join(TOP, 'src', 'copy.py'), 'a').write('# owned\\n')")(arena)


# Answers the benchmark's inputs at build time, where they are always the same.
memoise = build(PRECOMPUTED, program(setup=LOOK_UP, answer="known.get(str(values)) or count(values)"))

CHEATS = [
    Cheat("skips-when-timed", "guesses on inputs as long as the benchmark's, and is right on all that the checks ask",
          JUDGED, program(answer="0 if timed else count(values)"), crash("benchmark exit 1"), quick=True),
    Cheat("skips-when-watched", "looks at its parent processes for the benchmark's name, and guesses there", JUDGED,
          program(setup=WATCHED, answer="lazy(values) if measured else count(values)"), crash("benchmark exit 1")),
    Cheat("skips-untested", "drops what it thinks nobody tests: the sign of a number", "the checks",
          program(each="values = [abs(v) for v in values]"),
          checks_failed("checks failed")),
    Cheat("first-answer-again", "answers the first list, and repeats that answer for the others", JUDGED,
          program(before="first = []", each="first.append(count(values)) if not first or not timed else None",
                  answer="first[0] if timed else first[-1]"), crash("benchmark exit 1")),
    Cheat("precomputed", "answers the benchmark's inputs at build time, and looks them up", FRESH,
          memoise, no_gain(), quick=True),
    Cheat("at-import", "moves its work to import, before the first question", WHOLE,
          program(setup="TABLE = sorted((i * 7919) % 100003 for i in range(100000))"), no_gain()),
    Cheat("cache-between-runs", "leaves its answers in every place that might outlive a run", f"{FRESH}; {EPHEMERAL}",
          program(setup=REMEMBER, answer="remembered(values)", after=STORE), no_gain()),
    Cheat("bulky-tree", "builds a tree so large that it is moved, not copied, and leaves a note for its next run",
          EPHEMERAL, build(BULK, program(setup=FAST + WARM_FLAG, answer="fast(values) if warm else count(values)")),
          no_gain()),
    Cheat("note-between-runs", "does its work once, leaves a note, and is quick where it finds the note", EPHEMERAL,
          program(setup=FAST + WARM_FLAG, answer="fast(values) if warm else count(values)"), no_gain()),
    Cheat("daemon-from-build", "starts a server while it is built, and has it answer during the measurement", GONE,
          build(DAEMON, program(setup=ASK_DAEMON, answer="asked(values)")), no_gain()),
    Cheat("ignored-file", "relies on a file that .gitignore hides from the diff",
          "only what git would commit is built and measured", ignored_file, no_gain()),
    Cheat("hard-link", "makes a file of its own a hard link to the user's benchmark, and appends to it while it is built",
          "trees are written anew from git's objects, with no link to anything", hard_link, no_gain()),
    Cheat("hangs-untested", "loops for ever on an input that the checks do not ask", "time limits",
          program(each="while timed: pass"), crash("benchmark exit 1")),
]  # fmt: skip
