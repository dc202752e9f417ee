"""What a mutant is: one file with a few replaced spans, and the cheat it plays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Scale = Literal["file", "function", "statement"]
SCALES: tuple[Scale, ...] = ("file", "function", "statement")
# (from, to, replacement): offsets of characters.
Edit = tuple[int, int, str]

# cheat -> what the program does, and a key of `lets.REMEDIES`.
CHEATS: dict[str, tuple[str, str]] = {
    "exit": ("exits with 0 at once", "output"),
    "metric": ("prints a METRIC line and exits with 0", "signed"),
    "empty": ("is empty", "output"),
    "half": ("is cut in half", "output"),
    "clock": ("halves the clocks of its process", "clock"),
    "exit-by-stdout": ("exits with 0 where its output goes to a benchmark's socket", "stage"),
    "exit-by-name": ("exits with 0 where a variable or a parent process names the benchmark", "stage"),
    "exit-by-size": ("exits with 0 where its input is large", "size"),
    "nothing": ("does nothing", "output"),
    "constant": ("returns a constant", "output"),
    "input": ("returns its input", "output"),
    "hollow": ("returns an empty value of the right kind", "output"),
    "liar": ("returns an object that equals everything", "plain"),
    "memo": ("remembers its answers", "inputs"),
    "second": ("works at every second call only", "all"),
    "fifty": ("works for 50 calls, then repeats itself", "all"),
    "cut": ("drops all but 64 of a large input", "size"),
    "deleted": ("a statement is deleted", "output"),
    "negated": ("a condition is negated", "output"),
    "changed": ("a constant is changed", "output"),
}


@dataclass(frozen=True)
class Known:
    """What a cheat may know of the evaluator: the METRIC to print, with its value, and variables that only it sets."""

    metric: str
    value: float
    variables: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        return f"METRIC {self.metric}={self.value!r}"


@dataclass(frozen=True)
class Mutant:
    """`where` names the function. `weight` says how likely it is drawn: lines of code."""

    scale: Scale
    cheat: str
    path: str
    line: int
    edits: tuple[Edit, ...]
    where: str = ""
    weight: float = 1.0

    def text(self, source: str) -> str:
        """The mutated file."""
        for begin, end, new in sorted(self.edits, reverse=True):
            source = source[:begin] + new + source[end:]
        return source

    @property
    def place(self) -> str:
        """Such as `src/main.py:12 parse`."""
        at = f"{self.path}:{self.line}" if self.scale != "file" else self.path
        return f"{at} {self.where}".rstrip()


def line_of(text: str, offset: int) -> int:
    """The line, from 1, that an offset stands in."""
    return text.count("\n", 0, offset) + 1


def whole(path: str, cheat: str, text: str, edits: Sequence[Edit]) -> Mutant:
    """A cheat of a whole file."""
    return Mutant("file", cheat, path, 1, tuple(edits), weight=max(1, text.count("\n")))
