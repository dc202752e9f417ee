"""What is a fact of an output and what only its clothes: recorded outputs of runners, and drawn lines."""

from __future__ import annotations

import random
import re
import string
import time

import pytest

from autoresearch.trial import said
from driver import REPO

DATA = REPO / "tests/data/runners"
# Recorded from the tools themselves (go's as it documents it): two tests, and one that is skipped.
PASSED = {"cargo": 2, "ctest": 2, "go": 5, "jest": 2, "mocha": 2, "vitest": 2, "vitest-verbose": 2}
SUMMED_UP = {
    "==== 12 passed, 1 skipped, 3 warnings in 0.10s ====": ("pytest", 12),
    "3 passed, 2 deselected in 1.20s (0:00:01)": ("pytest", 3),
    "no tests ran in 0.01s": ("pytest", 0),
    "Ran 3 tests in 0.001s\n\nOK": ("unittest", 3),
    "Ran 3 tests in 0.001s\n\nOK (skipped=2)": ("unittest", 1),
    "Ran 5 tests in 0.001s\n\nFAILED (failures=2, errors=1)": ("unittest", 2),
    "     Summary [   0.010s] 12 tests run: 11 passed, 1 skipped": ("nextest", 11),
    "ℹ tests 3\nℹ pass 2\nℹ fail 0\nℹ skipped 1\n": ("node", 2),
    "# tests 3\n# pass 2\n# skipped 1\n": ("node", 2),
    "[INFO] Tests run: 12, Failures: 0, Errors: 0, Skipped: 2, Time elapsed: 0.1 s": ("junit", 10),
    "[  PASSED  ] 12 tests.": ("googletest", 12),
    "12 examples, 0 failures, 1 pending": ("rspec", 11),
    "OK (12 tests, 120 assertions)": ("phpunit", 12),
}


def lost(base: str, candidate: str) -> list[str]:
    return said.missing(said.read(base), said.read(candidate))


@pytest.mark.parametrize("text", SUMMED_UP)
def test_summaries_are_read(text: str) -> None:
    name, passed = SUMMED_UP[text]
    found = said.read(text)
    assert (found.runner, found.passed) == (name, passed)
    assert lost(text, text) == []
    # Whoever prints another one beside it has not run more, and one more test is no loss.
    none = re.sub(r"\d+", "0", text)
    assert bool(lost(text, f"{text}\n{none}")) == bool(lost(text, none)) == bool(lost(text, "")) == (passed > 0)
    assert lost(none, text) == []


@pytest.mark.parametrize("name", PASSED)
def test_outputs_of_real_runners(name: str) -> None:
    text = (DATA / f"{name}.txt").read_text()
    found = said.read(text)
    assert found.passed == PASSED[name]
    assert not found.silent
    # Other times, another order, warnings, times where there were none: nothing is missing.
    lines = text.splitlines()
    random.Random(7).shuffle(lines)
    other = "\n".join(re.sub(r"\d+(\.\d+)?(?= ?m?s\b| sec)", lambda m: f"{2 * float(m[0]):g}", line) for line in lines)
    other = re.sub(r"(✓|✔) nought$", r"\1 nought (12 ms)", other, flags=re.MULTILINE)
    assert lost(text, other + "\nwarning: old\n  Downloaded foo v1.0\n") == []
    # Without one of its tests, or one of them skipped: both are named or counted.
    marks = {"ctest": "Passed", "go": "--- PASS: TestSum/adds", "cargo": "tests::adds ... ok"}
    without = text.replace(marks.get(name, "2 pass"), "1 pass")
    if name == "ctest":
        without = without.replace("out of 2", "out of 1")
    assert lost(text, without), without
    assert lost(text, "") != []


def drawn(rng: random.Random) -> str:
    """A line of words with what changes from run to run among them."""
    word = "".join(rng.choices(string.ascii_lowercase, k=6))
    now = time.gmtime(rng.randrange(10**9, 2 * 10**9))
    hexes = "".join(rng.choices("0123456789abcdef", k=12)) + "a1"
    parts = [
        f"0x{rng.getrandbits(40):x}", f"{rng.uniform(0, 1e4):.{rng.randrange(5)}f} ms", f"({rng.random():.2f}s)",
        time.strftime("%Y-%m-%d %H:%M:%S", now), time.strftime("%Y-%m-%dT%H:%M:%SZ", now), f"seed={rng.randrange(999)}",
        f"/tmp/tmp{word}/run", f"/home/{word}/{word}/lib/work.py", f"pid {rng.randrange(1, 99999)}",
        f"{rng.randrange(10**6):,} kB", f"{rng.uniform(1, 100):.1f}%", f"{rng.uniform(1, 9):.3e}", hexes,
        f"{rng.randrange(1, 60)}m {rng.randrange(60)}s", f"{rng.uniform(1, 1e4):.2f} MB/s", f"[gw{rng.randrange(9)}]",
    ]  # fmt: skip
    return " then ".join(f"word {part} end" for part in parts)


def test_what_changes_from_run_to_run_is_masked_and_words_are_not() -> None:
    rng = random.Random(3)
    first = said.masked(drawn(rng))
    assert {said.masked(drawn(rng)) for _ in range(500)} == {first}
    assert first.count("word") == first.count("end") == 16
    assert said.masked("all right") != said.masked("all wrong")
    assert said.masked("test_a[3]", numbers=False) != said.masked("test_a[4]", numbers=False)
    assert said.masked("checksum: 0badf00d") != said.masked("checksum: 0badf00e")
    assert said.masked(said.masked(drawn(rng))) == first


@pytest.mark.parametrize(
    ("base", "candidate", "words"),
    [
        ("1000 cases ok", "999 cases ok", "999 in '# cases ok', 1000 at the base"),
        ("cases: 1,000", "cases: 0", "0 in 'cases: #', 1000 at the base"),
        ("cases: 1,000", "cases: 100", "100 in 'cases: #', 1000 at the base"),
        ("verified 5 of 5 answers", "verified 4 of 5 answers", ""),
        ("1000 cases ok", "1001 cases ok", ""),
        ("1000 cases in 12 s", "1000 cases in 1.2 s", ""),
        ("120 cases/s", "80 cases/s", ""),
        ("size is 1000 bytes", "size is 900 bytes", ""),
        ("error 1.5e-7", "error 1.5e-9", ""),
        ("gcc -O2 -c a.c\nok", "gcc -O3 -c a.c\nok", ""),
        ("a.c:12:3: warning: unused\nok", "ok", ""),
        ("ok\nok\nok", "ok\nok", "'ok' 2 times, 3 at the base"),
        ("All tests passed (120 assertions in 12 test cases)", "All tests passed (90 assertions in 12 test cases)",
         "90 in 'All tests passed (# assertions in # test cases)', 120 at the base"),
        ("\x1b[32mok\x1b[0m 1", "ok 2", ""),
    ],
)  # fmt: skip
def test_counts_fall_and_other_numbers_may(base: str, candidate: str, words: str) -> None:
    assert lost(base, candidate) == ([words] if words else [])


def test_hostile_output_costs_little() -> None:
    begun = time.process_time()
    rng = random.Random(1)
    wild = "".join(chr(rng.randrange(32, 3000)) for _ in range(10**5))
    for text in (*(part * 10**6 for part in ("(", "1 ", "/", "a/", "\n", "-- ", "=", "1m ", "1,000", "0x")), wild):
        said.read(text)
        said.read(text.replace(" ", "\n"))
    assert time.process_time() - begun < 20
    words = said.missing(said.read("\x1b]0;evil\x07" + "x" * 10**5), said.read(""))
    assert len(words[0]) < 200
    assert "\x1b" not in words[0]
