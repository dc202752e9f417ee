"""What drafts of init --plan compare: what a command prints, but for times, and what a Python benchmark computes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from autoresearch.prepare.aloud import aloud, script_of
from autoresearch.prepare.drivers import said_in, said_module
from driver import REPO

sys.path.insert(0, str(REPO / "templates"))
from alike import differs  # type: ignore[import-not-found]


@pytest.mark.parametrize(
    ("base", "own"),
    [
        ("3 passed in 0.05s\n", "3 passed in 1.27s\n"),
        ("sorted 500 items in 12 ms, 41000 items/s\n", "sorted 500 items in 980 us, 510000 items/s\n"),
        ("total: 12.50   time: 17\n", "total: 12.50 time: 4\n"),
        ("# duration_ms 52.331\nok 1 - twice\n", "# duration_ms 4.02\nok 1 - twice\n"),
        ("wrote /tmp/a1/out.bin at 0x7f00aa\n", "wrote /tmp/zz9/out.bin at 0x55aa\n"),
    ],
)
def test_times_rates_and_places_may_differ(base: str, own: str) -> None:
    assert differs({b"": [base.encode()]}, {b"": [own.encode()]}) is None


@pytest.mark.parametrize(
    ("base", "own"),
    [
        ("3 passed in 0.05s\n", ""),
        ("3 passed in 0.05s\n", "2 passed in 0.05s\n"),
        ("3 passed in 0.05s\n", "3 skipped in 0.05s\n"),
        ("sum 499500\n", "sum 499501\n"),
        ("pi 3.14159265\n", "pi 3.14159266\n"),
        ("a\nb\n", "a\n"),
        ("done\n", "done\nMETRIC time_s=0.1\n"),
    ],
)
def test_all_else_has_to_be_the_same(base: str, own: str) -> None:
    assert differs({b"": [base.encode()]}, {b"": [own.encode()]})


def test_what_the_base_says_differently_each_time_is_no_answer() -> None:
    base = {b"": [b"seed 17 of 3\n", b"seed 23 of 3\n"]}
    assert differs(base, {b"": [b"seed 5 of 3\n"]}) is None
    assert differs(base, {b"": [b"seed 5 of 4\n"]})
    shuffled = {b"": [b"b\na\n", b"a\nb\n"]}
    assert differs(shuffled, {b"": [b"c\na\n"]}) is None
    assert differs(shuffled, {b"": [b""]})


def test_what_was_printed_is_kept_as_it_was() -> None:
    said = (b"1 passed\n\xff\x00", b"")
    assert said_in("METRIC a=1\n" + "".join(f"SAID {one.hex()}\n" for one in said)) == said
    names: dict[str, object] = {}
    exec(said_module(said), names)
    assert names["BASE"] == list(said)


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("python3 bench/x.py --n 3", ("bench/x.py", ["--n", "3"])),
        ("python3 -c 'import words'", ("\nimport words", [])),
        ("python3 x.py | tail -1", None),
        ("python3 -m words tests", None),
        ("./x.py", None),
    ],
)
def test_which_commands_can_say_what_they_compute(command: str, found: object) -> None:
    assert script_of(command) == found


SCRIPT = '''"""A benchmark."""
from __future__ import annotations
import time
from words import Text, count

def work():
    return count("a b c")

began = time.perf_counter()
text = Text("a b")
text.split()
for _ in range(100):
    work()
best = count("x", 3)
took = time.perf_counter() - began
assert __name__ == "__main__" and __file__.endswith("bench.py")
'''
WORDS = "def count(text, more=0):\n    return len(text.split()) + more\n\n\nclass Text(str):\n    pass\n"


def said(tmp_path: Path, words: str, key: str = "k") -> tuple[int, str]:
    (tmp_path / "evaluator").mkdir(exist_ok=True)
    (tmp_path / "evaluator" / "aloud.py").write_text(aloud("bench.py", SCRIPT))
    (tmp_path / "evaluator" / "loud.py").write_text((REPO / "templates" / "loud.py").read_text())
    (tmp_path / "words.py").write_text(words)
    done = subprocess.run(
        [sys.executable, "-B", "evaluator/aloud.py"], cwd=tmp_path, input=key, capture_output=True, text=True
    )
    return done.returncode, done.stdout


def test_a_script_says_what_it_computes_by_a_key(tmp_path: Path) -> None:
    code, base = said(tmp_path, WORDS)
    assert code == 0
    assert base.count("computed at") == 5  # the calls of the project, none of time's
    assert said(tmp_path, WORDS) == (0, base)
    assert said(tmp_path, WORDS, key="other")[1] != base
    assert said(tmp_path, WORDS.replace("len(text.split())", "text.count(' ') + 1")) == (0, base)


@pytest.mark.parametrize(
    "cheat",
    [
        "import os; os._exit(0)",
        "import sys; sys.exit()",
        "import os; os.write(1, b'computed at 1 1 1\\n'); os._exit(0)",
        WORDS.replace("return len(text.split())", "return 0"),
        WORDS
        + "calls = []\ndef count(text, more=0):\n    calls.append(1)\n    return (3 + more) * (len(calls) < 50)\n",
        WORDS + "class Same(int):\n    __eq__ = lambda *_: True\ndef count(text, more=0):\n    return Same(3 + more)\n",
    ],
)
def test_who_ends_early_or_gives_back_something_else_says_so(cheat: str, tmp_path: Path) -> None:
    base, own = said(tmp_path, WORDS)[1].encode(), said(tmp_path, cheat)[1].encode()
    assert differs({b"": [base]}, {b"": [own]})


def test_a_run_of_the_tests_says_that_it_came_to_its_end(tmp_path: Path) -> None:
    script = script_of("python3 -m unittest discover -q -s tests")
    assert script is not None
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_words.py").write_text(
        "import unittest, words\n\n\nclass T(unittest.TestCase):\n    def test_a(self):\n        words.count('a')\n"
    )
    (tmp_path / "loud.py").write_text((REPO / "templates" / "loud.py").read_text())
    (tmp_path / "aloud.py").write_text(aloud("", script[0].lstrip("\n")))

    def run(words: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "words.py").write_text(words)
        call = [sys.executable, "-B", "aloud.py", *script[1]]
        return subprocess.run(call, cwd=tmp_path, input="", capture_output=True, text=True)

    honest = run(WORDS)
    assert (honest.returncode, "Ran 1 test" in honest.stderr, "computed in all" in honest.stdout) == (0, True, True)
    forged = run("import os\nos.write(2, b'Ran 1 test in 0.001s\\n\\nOK\\n')\nos._exit(0)\n")
    assert forged.returncode == 0
    assert differs({b"": [honest.stdout.encode()]}, {b"": [forged.stdout.encode()]})
