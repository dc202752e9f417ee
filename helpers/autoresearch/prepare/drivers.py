"""The benchmark that a plan drafts for a command: in pairs with a copy of the project, or alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from autoresearch.prepare.aloud import MODULE

# Whether what the two sides print has to be the same: to the letter, but for times, or with what they compute, too.
Same = Literal["exact", "alike", "aloud"]
SAID = "said.py"
# What a driver imports (templates/).
STANDS_ON = ("signed_metric.py", "paired.py", "stopwatch.py", "worker.py", "alike.py")

_HEAD = '''"""Draft by autoresearch init --plan: times the whole command; narrow it to the hot part where you can."""

from signed_metric import metric  # first: it takes the token away before the program starts

import os

COMMAND = {command}
os.environ.update({environment!r})  # the command's; this process sees nothing of the project
'''
_PAIRED = """
import random

import paired

# Each round is paired with one of {home}/reference, the project as it was when this was planned: see paired.py.
# What the two print, {what}, is compared once the clock is read.
PAIRS = {rounds}
NOMINAL = {nominal:.3g}  # seconds of the reference's round: not yet measured well, autoresearch doctor does
SAME = {same}

seed = os.environ.get("AUTORESEARCH_LAYOUT_SEED", "1")
{inputs}
result = paired.commands(COMMAND, inputs, seed, reference="{home}/reference", same=SAME)
paired.tell(metric, result, NOMINAL, "{metric}")
"""
_INPUTS = 'inputs = [b""] * PAIRS  # it reads none: what it prints could be printed without work; let it read some'
_KEYS = """rng = random.Random(seed)
inputs = [b"%016x" % rng.getrandbits(64) for _ in range(PAIRS)]  # keys of what it says: see loud.py"""
_ALONE = """
import sys

import alike
from paired import Command, environments
from stopwatch import Stopwatch

try:
    from said import BASE  # what it printed when this was planned
except ImportError:
    BASE = []

ROUNDS = {rounds}

program, watch = Command(COMMAND, ".", environments()[0]), Stopwatch()


def run():
    span, answer, _ = program.run(b"", watch)
    return span, answer + program.errors


runs = [run() for _ in range({first} + ROUNDS)]{warm}
told = alike.differs({{b"": BASE}}, {{b"": [answer for _, answer in runs]}}) if BASE else None
if told:
    sys.exit("another answer than when this was planned: " + told)
spans = [span for span, _ in runs[{first}:]]
metric("{metric}", sum(span.own for span in spans) / ROUNDS)  # without the turns of other programs: see stopwatch.py
metric("time_own_s", sum(span.own for span in spans))
metric("time_wall_s", sum(span.wall for span in spans))
metric("time_cpu_s", sum(span.cpu for span in spans))
for _, answer in () if BASE else runs:
    print("SAID", alike.cut(answer).hex())
"""
_WARM = "  # the first is a warm-up: caches and compiled files"


def driver(
    command: str, metric: str, environment: Mapping[str, str], home: str, rounds: int, nominal: float, *,
    same: Same, warm: bool, arguments: list[str] | None = None,
) -> str:  # fmt: skip
    """The benchmark that times `command` `rounds` times: in pairs where `nominal` says what one takes.

    `arguments`: of the script that says what it computes, in the command's place. `warm`: run it once before.
    """
    words = repr(_words(command))
    if same == "aloud":
        start = ", ".join(map(repr, arguments or []))
        words = f'["python3", os.path.abspath("{home}/{MODULE}"){", " + start if start else ""}]'
    return (_HEAD + (_PAIRED if nominal else _ALONE)).format(
        command=words, environment=dict(environment), home=home, rounds=rounds, nominal=nominal, metric=metric,
        same=True if same == "exact" else '"alike"', inputs=_KEYS if same == "aloud" else _INPUTS,
        what="and what each call of the project gives (loud.py)" if same == "aloud" else "but for times",
        first=1 if warm else 0, warm=_WARM if warm else "",
    )  # fmt: skip


def said_in(printed: str) -> tuple[bytes, ...]:
    """What the command printed in each run, as a driver that knows nothing to compare with tells it."""
    return tuple(bytes.fromhex(found) for found in re.findall(r"^SAID ((?:[0-9a-f]{2})*)$", printed, re.MULTILINE))


def said_module(said: tuple[bytes, ...]) -> str:
    """The text of `SAID`: what the driver compares with."""
    rows = "".join(f"    {one!r},\n" for one in said)
    return f"# What the command printed when this was planned; times may differ (alike.py).\nBASE = [\n{rows}]\n"


def _words(command: str) -> list[str]:
    """What to start for a shell's `command`: itself where it needs no shell."""
    if re.fullmatch(r"[\w./+:,@%-]+( [\w./+:,@%=-]+)*", command):
        return command.split()
    return ["bash", "-euo", "pipefail", "-c", command]
