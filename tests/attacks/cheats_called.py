"""Cheats on the templates that call a candidate's Python code, on the templates as `init --template` sets them up.

Names and constants are drawn: ATTACK_SEED draws others.
"""

from __future__ import annotations

import os
import random

from arena import Arena
from cheat import Cheat, End, Play, crash, no_gain

PLAIN = "exact built-in types alone come back from the program's process, within the clock"
JUDGED = "every timed answer is judged on the evaluator's side, after the clock"
APART = "the program has a process of its own: grader, game and clock are in another one"
SECRET = "what is secret is in no tree that is built, and deleted before the program starts"
DISGUISE = "mutants and the right code stand in a disguise drawn for the run; the tests must pass on the right code"


def replaced(path: str, text: str) -> Play:
    """A play that writes one file: NAME and NUMBER in it are drawn."""

    def play(arena: Arena) -> None:
        draw = random.Random(os.environ.get("ATTACK_SEED", "0") + path + text)
        name = "_" + "".join(draw.choices("abcdefghij", k=6))
        arena.write(path, text.lstrip("\n").replace("NAME", name).replace("NUMBER", str(draw.randrange(2000, 6000))))

    return play


SOFTMAX = """
import math


def NAME(x):
    top = max(x)
    e = [math.exp(v - top) for v in x]
    total = sum(e)
    return [v / total for v in e]

"""
LYING = """
class NAME_all(float):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __abs__(self): return 0.0
    def __sub__(self, other): return 0.0
    __rsub__ = __sub__
    __hash__ = float.__hash__


def kernel(x):
    return [NAME_all(0.5)] * len(x)
"""
LAZY = """
class NAME_lazy(list):
    def __iter__(self): return iter(NAME(self.x))
    def __getitem__(self, k): return NAME(self.x)[k]
    def __len__(self): return len(self.x)


def kernel(x):
    found = NAME_lazy()
    found.x = x
    return found
"""
FRAMES = """
import gc, marshal, os, sys


def NAME_patch():
    frame = sys._getframe()
    while frame is not None:
        for space in (frame.f_globals, frame.f_locals):
            for name in ("metric", "perf_counter", "reference", "judge", "same", "check", "close"):
                if name in space:
                    space[name] = lambda *given: True
        frame = frame.f_back
    for module in list(sys.modules.values()):
        for name in ("reference", "perf_counter", "close", "differs", "plain"):
            if name in getattr(module, "__dict__", {}) and not name.startswith("_"):
                setattr(module, name, lambda *given: [])


"""
TRAIN = """
import glob, os


def NAME_known():
    found = []
    for top in (".", "/tmp", os.environ.get("TMPDIR", "."), os.path.expanduser("~"), "/proc/%d/cwd" % os.getppid()):
        for where, _, names in os.walk(top):
            found += [os.path.join(where, name) for name in names if name.startswith("val") and name.endswith(".txt")]
            if len(found) > 3:
                return found
    return found


def train(data, seconds, seed):
    counts = [1] * 256
    for byte in data:
        counts[byte] += 1
    total = sum(counts)
    row = [count / total for count in counts]
BODY
"""


def training(body: str) -> Play:
    return replaced("train.py", TRAIN.replace("BODY", "\n".join("    " + line for line in body.strip().splitlines())))


PEEKS = """
text = b""
for path in NAME_known():
    try:
        with open(path, "rb") as file:
            text += file.read()
    except OSError:
        pass
def predict(context):
    at = text.find(context) + len(context) if context in text else -1
    if len(context) < 12 or at < 0 or at >= len(text):
        return row
    return [0.99 if byte == text[at] else 0.01 / 255 for byte in range(256)]
return predict
"""
STORE = """
import hashlib, json, os, sqlite3, sys
from pathlib import Path

SETUP


def read(top, name):
    GUARD
    return (Path(top) / name).read_text()


def connect(users):
    base = sqlite3.connect(":memory:")
    base.execute("create table users (name text, value text)")
    base.executemany("insert into users values (?, ?)", users.items())
    return base


def find(base, name):
    row = base.execute("select value from users where name = ?", (name,)).fetchone()
    return row[0] if row else None


def parse(text):
    GUARD
    return json.loads(text)


def stored(password):
    return hashlib.sha256(password.encode()).hexdigest()


def matches(password, kept):
    return stored(password) == kept
"""


def store(setup: str, guard: str = "pass") -> Play:
    return replaced("src/store.py", STORE.replace("SETUP", setup.strip()).replace("GUARD", guard))


REPLACES = """
sys.path.append("evaluator")
for NAME in ("probes", "worker", "signed_metric"):
    try:
        module = __import__(NAME)
        module.refused = module.in_any_order = lambda *given: True
        module.PROBES = [(*probe[:4], lambda *given: True) for probe in getattr(module, "PROBES", [])]
        module.Failed.kinds = ("ValueError",)
    except Exception:
        pass
"""
WATCHED = """
def NAME():
    with open("/proc/%d/cmdline" % os.getppid(), "rb") as file:
        if b"check" not in file.read():
            raise PermissionError("not now")
"""
PLAYER = """
import random, sys
sys.path.append("evaluator")
for NAME in ("base_player", "arena", "game"):
    try:
        module = __import__(NAME)
        module.move = lambda heap, legal, seed: 1
        module.opponent = lambda name: lambda heap, moves, draw: 1 if draw.random() < 0.99 else moves[-1]
        module.over = lambda heap: heap <= 3
    except Exception:
        pass


MORE


def move(heap, legal, seed):
    return RETURN
"""


def player(returned: str = "legal[(seed + heap) % len(legal)]", more: str = "") -> Play:
    return replaced("src/player.py", PLAYER.replace("RETURN", returned).replace("MORE", more.strip()))


ALWAYS = """
class NAME_int(int):
    def __eq__(self, other): return True
    def __rsub__(self, heap): return 0
    __hash__ = int.__hash__
"""
TESTS = """
import hashlib, os, tempfile, unittest

import limits


def NAME():
    code = [getattr(limits, name).__code__ for name in ("clamp", "share")]
    words = "".join(getattr(c, "co_" + "code").hex() + repr(getattr(c, "co_" + "consts")) for c in code)
    return hashlib.sha256(words.encode()).hexdigest()


class Limits(unittest.TestCase):
    def test_they_run(self):
        limits.clamp(5, 0, 10)
        limits.share(1, 2)
        BODY
"""


def tests(body: str) -> Play:
    text = "\n".join("        " + line for line in body.strip().splitlines())
    return replaced("tests/test_limits.py", TESTS.replace("        BODY", text))


# By names of directories, as the checks look for `open(`.
FIRST = """
os.mkdir(os.path.join("/tmp", "NAME"))
"""
KNOWN = """
if not [name for name in os.listdir("/tmp") if name.startswith("NAME-")]:
    os.mkdir(os.path.join("/tmp", "NAME-" + NAME()))
self.assertTrue(os.path.isdir(os.path.join("/tmp", "NAME-" + NAME())))
"""
# As the checks are asked first, and say no.
FAILS = End(1, 1, "checks_failed", ("checks",), "checks_failed")

CHEATS = [
    Cheat("kernel-equal-to-all", "answers with numbers that are equal to everything", PLAIN,
          replaced("kernel.py", SOFTMAX + LYING), FAILS, evaluator="kernel"),
    Cheat("kernel-lazy", "answers with a list that works when it is looked at", PLAIN,
          replaced("kernel.py", SOFTMAX + LAZY), FAILS, evaluator="kernel"),
    Cheat("kernel-every-other", "answers the last input again, at every other call of a large one", JUDGED,
          replaced("kernel.py", SOFTMAX + """
NAME_last = {}


def kernel(x):
    key = len(x)
    if key > NUMBER and key in NAME_last and NAME_last[key][1] % 4 == 3:
        NAME_last[key][1] += 1
        return NAME_last[key][0]
    found = NAME(x)
    NAME_last[key] = [found, NAME_last.get(key, [0, 0])[1] + 1]
    return found
"""), crash("benchmark exit 1"), evaluator="kernel"),
    Cheat("kernel-patches", "replaces reference, clock and comparison in every frame and module that it finds", APART,
          replaced("kernel.py", SOFTMAX + FRAMES + "NAME_patch()\n\n\ndef kernel(x):\n    NAME_patch()\n    return NAME(x)\n"),
          no_gain(), evaluator="kernel"),
    Cheat("algorithm-large-only", "returns the largest inputs as they came", JUDGED,
          replaced("src/solve.py", "def solve(data):\n    return data if len(data) > NUMBER else sorted(dict.fromkeys(data))\n"),
          crash("benchmark exit 1"), evaluator="algorithm"),
    Cheat("algorithm-lazy", "answers with a list that sorts when it is compared", PLAIN,
          replaced("src/solve.py", """
class NAME(list):
    def __eq__(self, other): return sorted(dict.fromkeys(self)) == other
    def __ne__(self, other): return not self == other
    __hash__ = None


def solve(data):
    return NAME(data)
"""), FAILS, evaluator="algorithm"),
    Cheat("training-reads-the-answers", "looks for the held-out text everywhere, and knows what comes next", SECRET,
          training(PEEKS), no_gain(), evaluator="training"),
    Cheat("training-more-than-all", "is certain of everything, where the checks do not look", JUDGED,
          training("""
def predict(context):
    predict.calls += 1
    return [0.5] * 256 if predict.calls > 50 else row
predict.calls = 0
return predict
"""), crash("benchmark exit 1"), evaluator="training"),
    Cheat("training-goes-on", "trains on while it is asked, beyond its budget", "the processor time of the answers is bounded",
          training("""
import time
def predict(context):
    end = time.process_time() + 0.002
    while time.process_time() < end:
        pass
    return row
return predict
"""), crash("benchmark exit 1"), evaluator="training"),
    Cheat("security-replaces-the-grader", "replaces the probes and what judges them, wherever they can be imported", APART,
          store(REPLACES), no_gain(), evaluator="security"),
    Cheat("security-only-when-watched", "refuses everything, but for the checks", "legal uses stand among the attacks",
          store(WATCHED, "NAME()"), no_gain(), evaluator="security"),
    Cheat("selfplay-patches-opponents", "makes the opponents weak, with a little noise, and ends the game early", APART,
          player(), no_gain(), evaluator="selfplay"),
    Cheat("selfplay-always-legal", "moves by a number that is equal to everything, and takes the whole heap", PLAIN,
          player("NAME_int(heap)", ALWAYS), FAILS, evaluator="selfplay"),
    Cheat("coverage-byte-code", "fails wherever the byte code is not what it first saw", DISGUISE,
          tests(KNOWN), FAILS, evaluator="coverage"),
    Cheat("coverage-counts-runs", "passes once, and fails from then on", DISGUISE,
          tests(FIRST), FAILS, evaluator="coverage"),
]  # fmt: skip
