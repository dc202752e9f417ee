"""What a case of the suite is, and the words for how it must end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from arena import Arena

Play = Callable[[Arena], None]


@dataclass(frozen=True)
class End:
    """How a cheat must end: exit codes of `ab` and `decide`, the ledger's status (None: no line), and words in it.

    None for `ab`: any. `words` are alternatives: one of them must stand in what the commands or the ledger said.
    """

    ab: int | None
    decide: int
    status: str | None
    words: tuple[str, ...]
    told: str  # for the table in docs/attacks.md


def refused(*words: str) -> End:
    return End(5, 5, "discard", words, "refused, exit 5")


def barred(*words: str) -> End:
    return End(5, 5, None, words, "nothing is measured or decided, exit 5")


def noticed(*words: str) -> End:
    return End(None, 5, None, words, "decide stops, exit 5")


def undecided(*words: str) -> End:
    return End(None, 1, None, words, "nothing is decided")


def crash(*words: str) -> End:
    return End(1, 1, "crash", words, "crash")


def checks_failed(*words: str) -> End:
    return End(1, 1, "checks_failed", words, "checks_failed")


def invalid(*words: str) -> End:
    return End(1, 1, "discard", words, "discard: invalid")


def discard(word: str) -> End:
    """On a machine too busy to see the gain there is none to doubt."""
    return End(1, 1, "discard", (word, *no_gain().words), f"discard: {word}")


def tried(*words: str) -> End:
    """It works only with rights that not every machine gives: without them it gains nothing."""
    return End(1, 1, "discard", (*words, *no_gain().words), "discard: " + " or ".join(words) + ", or no gain")


def no_gain() -> End:
    return End(1, 1, "discard", ("below_min", "hopeless", "budget", "identical"), "discard: no gain")


@dataclass(frozen=True)
class Cheat:
    """One cheat: its name, what it does and what stops it (both for people), how it is played, how it must end.

    `open` is how it ends where nothing contains a candidate, if that differs: it is played twice then. `open_note` says
    what is not stopped there, `open_harm` what is changed (names of `Snapshot`). `quick` ones run in the default suite.
    """

    name: str
    does: str
    stops: str
    play: Play
    end: End
    open: End | None = None
    open_note: str = ""
    open_harm: tuple[str, ...] = ()
    # Played after the A/B, before the decision.
    after_ab: Play | None = None
    # Another evaluator than the suite's own: a directory of variants/.
    evaluator: str = ""
    quick: bool = False
    # It edits the session itself, or gives commands, as an agent with a shell can.
    touches_checkout: bool = False
    # What it prints or names goes on to logs, status and report.
    shows: bool = False
    # The revision that the experiment starts from; default: the best commit.
    parent: Callable[[Arena], str] | None = None


# The program of the project, with places for a cheat. It answers right wherever the cheat does not say otherwise.
_PROGRAM = '''"""Reads lists of whole numbers, one a line, and prints how many pairs of each stand in the wrong order."""

import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
{setup}

def count(values):
    pairs = 0
    for i in range(len(values)):
        for j in range(i + 1, len(values)):
            if values[i] > values[j]:
                pairs += 1
    return pairs


def main():
    with open(os.path.join(HERE, "..", "build", "settings.json")) as file:
        radix = json.load(file)["radix"]
{before}
    for line in sys.stdin:
        values = [int(word, radix) for word in line.split()]
        timed = len(values) == 300
{each}
        print({answer}, flush=True)
{after}

if __name__ == "__main__":
    main()
'''


def program(
    *, setup: str = "", before: str = "", each: str = "", after: str = "", answer: str = "count(values)"
) -> Play:
    """A play that replaces the program. `timed` is true on the benchmark's lists, which are longer than the checks'."""

    def indent(text: str, by: int) -> str:
        return "\n".join(" " * by + line if line else line for line in text.strip("\n").splitlines())

    def play(arena: Arena) -> None:
        text = _PROGRAM.format(
            setup=setup.strip("\n"),
            before=indent(before, 4),
            each=indent(each, 8),
            after=indent(after, 4),
            answer=answer,
        )
        arena.write("src/rank.py", "\n".join(line.rstrip() for line in text.splitlines()) + "\n")

    return play


def build(code: str, then: Play | None = None) -> Play:
    """A play that adds `code` to what runs at build time; TOP is the tree."""

    def play(arena: Arena) -> None:
        arena.append("src/generate.py", "\n" + code.strip("\n") + "\n")
        if then is not None:
            then(arena)

    return play


# What a fast program needs no cheat for; many cheats answer by it only where they think that nobody looks.
FAST = """
import bisect


def fast(values):
    seen, pairs = [], 0
    for value in values:
        at = bisect.bisect_right(seen, value)
        pairs += len(seen) - at
        seen.insert(at, value)
    return pairs

"""
