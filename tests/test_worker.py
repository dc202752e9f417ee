"""templates/worker.py: what a candidate's process may send, and what it never holds."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

TEMPLATES = Path(__file__).resolve().parents[1] / "templates"
PROGRAM = """
import os, sys
class Lie(int):
    def __eq__(self, other): return True
    __hash__ = int.__hash__
class Lazy(list):
    def __getitem__(self, k): return 1
def echo(x): return x
def lie(): return Lie(3)
def nested(): return [{"a": (1, Lazy())}]
def generator(): return (i for i in range(3))
def deep():
    x = []
    for _ in range(1000): x = [x]
    return x
def refuse(): raise PermissionError("no")
def die(): os._exit(3)
def wait():
    import time; time.sleep(9)
def held(): return [name for name in os.environ if name.startswith("AUTORESEARCH_")], sorted(sys.modules)
def forged(): os.write(4, b"x" * 17 + b"i" + bytes(4))
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "program.py").write_text(PROGRAM)
    monkeypatch.syspath_prepend(str(TEMPLATES))
    return tmp_path


def test_plain_data_come_back_as_they_are(place: Path) -> None:
    import worker

    one = worker.Worker("program", str(place))
    values = [
        0, -1, 2**31, -(2**31) - 1, 10**40, -(10**40), 1.5, math.inf, True, None, "é\ud800", b"\0x", (), [], {},
        [1, 2, 3], [1.0, 2.0], (1, 2), [1, 2.0], {"a": [1, {2: (None,)}]}, ["a"] * 3, [[], [1]],
    ]  # fmt: skip
    for value in values:
        assert repr(one.call("echo", value)) == repr(value)
    assert math.isnan(one.call("echo", math.nan))
    one.close()


@pytest.mark.parametrize("name", ["lie", "nested", "generator", "deep", "forged", "die", "missing"])
def test_what_is_no_plain_answer_is_an_error(place: Path, name: str) -> None:
    import worker

    one = worker.Worker("program", str(place))
    with pytest.raises(worker.Failed):
        one.call(name)
    one.kill()


def test_an_exception_is_known_by_its_kinds_and_a_late_answer_ends_the_process(place: Path) -> None:
    import worker

    one = worker.Worker("program", str(place), limit=0.5)
    with pytest.raises(worker.Failed, match="PermissionError: no") as raised:
        one.call("refuse")
    assert "OSError" in raised.value.kinds
    begun = time.monotonic()
    with pytest.raises(worker.Failed, match="late"):
        one.call("wait")
    assert time.monotonic() - begun < 5
    with pytest.raises(worker.Failed, match="has ended"):
        one.call("echo", 1)


def test_the_program_holds_no_seed_no_secret_and_no_module_of_the_evaluator(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import worker

    (place / "secrets" / "evaluator").mkdir(parents=True)
    (place / "secrets" / "evaluator" / "cases").write_text("x")
    for name, value in (("SECRETS", str(place / "secrets")), ("LAYOUT_SEED", "7"), ("TOKEN", "t")):
        monkeypatch.setenv("AUTORESEARCH_" + name, value)
    assert Path(worker.secret("evaluator/cases")).read_text() == "x"
    one = worker.Worker("program", str(place))
    assert not (place / "secrets").exists()
    names, modules = one.call("held")
    assert not {"AUTORESEARCH_SECRETS", "AUTORESEARCH_LAYOUT_SEED", "AUTORESEARCH_TOKEN"} & set(names)
    assert not {"worker", "signed_metric", "paired", "cases"} & set(modules)
    one.close()


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"c",
        b"[\xff\xff\xff\x7f",
        b"{[\0\0\0\0N0",
        b"NN",
        b"l\xff\xff\xff\xff",
        b"u\1\0\0\0\xff",
        b"(\4\0\0\0.N",
        b"i",
    ],
)
def test_bytes_that_are_no_plain_data_are_refused(place: Path, said: bytes) -> None:
    import worker

    with pytest.raises(worker.Failed):
        worker.plain(said)


def test_a_functions_answer_counts_only_where_it_is_the_references(tmp_path: Path) -> None:
    for side, more in (("src", "0"), ("old", "0"), ("wrong", "(n == 5)")):
        (tmp_path / side).mkdir()
        (tmp_path / side / "solve.py").write_text(f"def solve(n):\n    return sum(range(2000)) + n + {more}\n")
    program = """
import sys; sys.path.insert(0, sys.argv[1])
import paired
twins = (paired.Function("solve", top, "solve") for top in (sys.argv[2], "old"))
print(paired.rounds(*twins, list(range(9)), 1, launches=3, same=True).ratio)
"""

    def run(side: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", program, str(TEMPLATES), side],
            cwd=tmp_path, capture_output=True, text=True, timeout=60, env=dict(os.environ),
        )  # fmt: skip

    right, wrong = run("src"), run("wrong")
    assert 0.3 < float(right.stdout) < 3, right.stderr
    assert "another answer than the reference's" in wrong.stderr
    assert wrong.stdout == ""
