"""Many writers, many agents: 32 processes append at once, and two agents lose nothing while they are killed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fault_session import SCRIPT, a_place, drive, play, preload
from fault_state import describe

from autoresearch.ledger import store

HELPERS = Path(__file__).resolve().parents[2] / "helpers"
WRITER = """
import sys
from autoresearch.ledger import store
for n in range(int(sys.argv[3])):
    store.append(sys.argv[1], {"type": "note", "writer": int(sys.argv[2]), "n": n, "pad": "x" * (n * 131 % 9000)})
"""


def writer(ledger: Path, number: int, count: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(ledger), str(number), str(count)],
        env={**os.environ, "PYTHONPATH": str(HELPERS)},
    )


@pytest.mark.slow
def test_32_writers_lose_and_double_nothing(tmp_path: Path) -> None:
    ledger = tmp_path / "autoresearch.jsonl"
    writers = [writer(ledger, number, 20) for number in range(32)]
    assert [process.wait(240) for process in writers] == [0] * 32
    seen = [(record["writer"], record["n"]) for record in store.records(ledger)]
    assert sorted(seen) == [(number, n) for number in range(32) for n in range(20)]
    assert all(line.problem is None for line in store.read(ledger))


@pytest.mark.slow
def test_killed_among_32_writers(tmp_path: Path) -> None:
    """A kill tears at most the killed one's last line; what others wrote is whole, in their order."""
    rng = random.Random(5)
    ledger = tmp_path / "autoresearch.jsonl"
    writers = [writer(ledger, number, 40) for number in range(32)]
    victims = rng.sample(range(32), 12)
    for victim in victims:
        time.sleep(rng.uniform(0.02, 0.2))
        writers[victim].send_signal(signal.SIGKILL)
    codes = [process.wait(240) for process in writers]
    lines = list(store.read(ledger))
    assert sum(line.problem is not None for line in lines) <= len(victims)
    for number in range(32):
        mine = [line.record["n"] for line in lines if line.record and line.record["writer"] == number]
        assert mine == list(range(len(mine)))
        assert len(mine) == 40 or codes[number] == -signal.SIGKILL
    store.append(ledger, {"type": "note", "writer": 99, "n": 0})
    assert list(store.records(ledger))[-1]["writer"] == 99


def test_torn_and_interleaved_lines_cost_only_themselves(tmp_path: Path) -> None:
    """Two writers without our lock, as an editor or an old version might be: whole lines are read."""
    rng = random.Random(9)
    ledger = tmp_path / "autoresearch.jsonl"
    whole = [json.dumps({"type": "note", "n": n, "pad": "y" * rng.randint(0, 50)}) for n in range(200)]
    torn = set(rng.sample(range(200), 40))
    text = "".join(
        line[: rng.randint(1, len(line) - 1)] + "\n" if n in torn else line + "\n" for n, line in enumerate(whole)
    )
    ledger.write_text(text)
    found = [record["n"] for record in store.records(ledger)]
    assert found == [n for n in range(200) if n not in torn]
    before = ledger.read_bytes()
    assert not store.end_torn_line(ledger)
    assert ledger.read_bytes() == before


def test_a_torn_last_line_is_ended_and_told(tmp_path: Path) -> None:
    ledger = tmp_path / "autoresearch.jsonl"
    store.append(ledger, {"type": "note", "n": 1})
    whole = ledger.read_bytes()
    ledger.write_bytes(whole + b'{"type":"no')
    assert store.end_torn_line(ledger)
    assert ledger.read_bytes() == whole + b'{"type":"no\n'
    ledger.write_bytes(whole + whole.rstrip(b"\n"))
    assert not store.end_torn_line(ledger)  # it lacked its newline only: nothing is lost
    assert [record["n"] for record in store.records(ledger)] == [1, 1]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_agents_whose_commands_are_killed() -> None:
    """Each opens and gives up experiments; one command in three is killed and repeated."""
    preload()
    with a_place() as place:
        play(place)
        place.restore("new")
        running = []
        for number, agent in enumerate(("a", "b")):
            pid = os.fork()
            if pid == 0:
                code = 70
                try:
                    mine = random.Random(number)
                    for n in range(4):
                        for args in (("new", f"{agent}{n}", "--hypothesis", "to be given up"),
                                     ("decide", f"{agent}{n}", "--abandon")):  # fmt: skip
                            if mine.random() < 0.4:
                                place.run(*args, after=mine.uniform(0, 0.3))
                            done = place.run(*args)
                            assert done.code in (0, 1, 2), done
                            assert "Traceback" not in done.err, done.err
                    code = 0
                finally:
                    os._exit(code)
            running.append(pid)
        assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in running] == [0, 0]
        records = list(store.records(place.project.ledger))
        runs = [r for r in records if "run" in r]
        assert [r["run"] for r in runs] == list(range(1, len(runs) + 1))
        opened = [r["experiment"] for r in records if r.get("type") == "experiment"]
        assert sorted(opened) == sorted(f"{agent}{n}" for agent in "ab" for n in range(4))
        assert sorted(r["experiment"] for r in runs[1:]) == sorted(opened)
        drive(place, SCRIPT[-1])
        assert list(place.project.worktrees.glob("*")) == []
        assert not [name for name in describe(place)["house"] if name.startswith("tmp/")]
