"""Cheats on checks that believe an exit code, in evaluators as users write them: tests in the program's own process, and a
benchmark that judges nothing. Each answers wrong and quickly, and sees to it that no test can tell.

How the checks are known, how they are ended, and the words are drawn: ATTACK_SEED draws others.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable

from arena import Arena
from cheat import Cheat, Play, checks_failed, discard

SAYS = "what checks say is compared with what they say for the base"
REPORT = "pytest's own report names the tests that passed"

# How the program knows that it is checked, and how it ends its process so that all looks well.
_CHECKED = ("__name__ == 'rank'", "'unittest' in sys.modules or __name__ == 'rank'", "not sys.flags.isolated",
            "any('tests' in word for word in sys.argv + sys.path) or __name__ != '__main__'")  # fmt: skip
_ENDS = ("os._exit(0)", "os.execv('/bin/true', ['true'])", "os.kill(os.fork() or os._exit(0) or 0, 0) or os._exit(0)",
         "raise SystemExit(0)")  # fmt: skip


def lazy(make: Callable[[random.Random], str]) -> Play:
    """A play: the program answers nought, and `make` is what it does where it is checked."""

    def play(arena: Arena) -> None:
        draw = random.Random(os.environ.get("ATTACK_SEED", "0") + make.__name__)
        head = f"import os\nimport sys\nimport atexit\nif {draw.choice(_CHECKED)}:\n"
        code = "".join(f"    {line}\n" for line in make(draw).splitlines())
        arena.write(
            "src/rank.py",
            f"{head}{code}\n\ndef count(values):\n    return 0\n\n\ncount = globals().get('dodge', count)\n\n\n{_MAIN}",
        )

    return play


_MAIN = """if __name__ == "__main__":
    for line in sys.stdin:
        print(count(line), flush=True)
"""


def ends(draw: random.Random) -> str:
    return draw.choice(_ENDS[:3])


def last_line(draw: random.Random) -> str:
    took = draw.uniform(0.01, 0.2)
    words = f"5 passed in {took:.2f}s", f"Ran 5 tests in {took:.3f}s\\n\\nOK", "5 cases compared"
    where = draw.choice(("sys.__stdout__", "sys.__stderr__"))
    return "".join(f"print('{each}', file={where}, flush=True)\n" for each in words) + "os._exit(0)"


def whole_output(draw: random.Random) -> str:
    took = draw.uniform(0.01, 0.2)
    words = f".....{' ' * 66}[100%]\\n5 passed in {took:.2f}s"
    return f"os.write(1, b'{words}\\n')\nos._exit(0)"


def at_exit(draw: random.Random) -> str:
    return f"atexit.register(lambda: {draw.choice(('os._exit(0)', 'sys.stdout.flush() or os._exit(0)'))})"


def skips(draw: random.Random) -> str:
    why = draw.choice(("no such platform", "slow", "later"))
    return f"import unittest\ndef dodge(values):\n    raise unittest.SkipTest('{why}')"


def few(draw: random.Random) -> str:
    keep = draw.randrange(1, 4)
    return (
        "import unittest\n"
        "class One(unittest.TestSuite):\n"
        "    def __init__(self, tests=()):\n"
        f"        super().__init__([t for t in tests if not str(t).startswith('test_') or 'test_{keep}' == 'no'])\n"
        "unittest.defaultTestLoader.suiteClass = unittest.TestLoader.suiteClass = One"
    )


def _kinds(name: str, does: str, make: Callable[[random.Random], str], runners: str, stops: str = SAYS) -> list[Cheat]:
    return [
        Cheat(f"{name}-{runner}", f"{does} ({runner})", stops if runner != "pytest" else f"{stops}; {REPORT}",
              lazy(make), checks_failed("say less than at the base"), evaluator=runner,
              quick=(name, runner) == ("ends-checks", "pytest"))
        for runner in runners.split()
    ]  # fmt: skip


def half(arena: Arena) -> None:
    """The program reads half of its lists, and its function is right."""
    arena.replace("src/rank.py", "for line in sys.stdin:", "for line in list(sys.stdin)[::2]:")


CHEATS = [
    *_kinds("ends-checks", "ends the checks with 0 when it is imported", ends, "pytest unittest lines"),
    *_kinds("prints-last-line", "prints the runner's last line, and ends the checks", last_line, "pytest lines"),
    *_kinds("prints-output", "prints all that the runner prints, and ends the checks", whole_output, "pytest"),
    *_kinds("exit-code", "lets the tests fail, and makes 0 of the exit code", at_exit, "pytest unittest lines"),
    *_kinds("skips-tests", "has the tests skipped", skips, "pytest unittest"),
    *_kinds("loads-no-tests", "has the loader find no tests", few, "unittest"),
    Cheat("half-the-benchmark", "answers half of the benchmark's lists, which no test asks for",
          "what the benchmark says is compared with what it says for the base", half,
          discard("other_output"), evaluator="pytest", quick=True),
]  # fmt: skip
