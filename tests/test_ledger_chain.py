"""A ledger line that was edited, taken out or put in by hand is told; older ledgers and other loops' are read on."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from autoresearch.ledger import store
from autoresearch.ledger.chain import Chain
from driver import Driver

Edit = Callable[[list[bytes]], None]


def look(ledger: Path) -> list[int]:
    chain = Chain()
    list(store.read(ledger, chain))
    return sorted(chain.broken(number for number, _, _ in chain.loose))


def write(ledger: Path, lines: int, begin: int = 0) -> None:
    for n in range(begin, begin + lines):
        store.append(ledger, {"run": n, "status": "keep", "metric": 1000 - n, "description": f"idea {n}"})


def last_metric(lines: list[bytes]) -> None:
    lines[-1] = lines[-1].replace(b'"metric":995', b'"metric":1')


def last_text(lines: list[bytes]) -> None:
    lines[-1] = lines[-1].replace(b"idea 5", b"idea X")


def first_metric(lines: list[bytes]) -> None:
    lines[0] = lines[0].replace(b"1000", b"2000")


def one_less(lines: list[bytes]) -> None:
    del lines[2]


def two_swapped(lines: list[bytes]) -> None:
    lines[1], lines[2] = lines[2], lines[1]


def one_more(lines: list[bytes]) -> None:
    lines.append(b'{"run":9,"status":"keep","metric":1}')


def without_its_hash(lines: list[bytes]) -> None:
    lines[-1] = lines[-1].partition(b',"chained"')[0] + b"}"


def hash_of_another(lines: list[bytes]) -> None:
    lines[-1] = lines[-1].partition(b',"chained"')[0] + b',"chained"' + lines[0].partition(b',"chained"')[2]


def hash_first(lines: list[bytes]) -> None:
    head, _, tail = lines[-1].partition(b',"chained":')
    lines[-1] = b'{"chained":' + tail.removesuffix(b"}") + b"," + head.replace(b"995", b"1").removeprefix(b"{") + b"}"


def two_on_a_line(lines: list[bytes]) -> None:
    lines[-1] += b' {"run":9,"status":"keep","metric":1}'


@pytest.mark.parametrize(("edit", "where"), [
    (last_metric, [6]), (last_text, [6]), (first_metric, [1]), (one_less, [3]), (two_swapped, [2, 3, 4]),
    (one_more, [7]), (without_its_hash, [6]), (hash_of_another, [6]), (hash_first, [6]), (two_on_a_line, [6]),
])  # fmt: skip
def test_an_edit_is_seen_where_it_is(tmp_path: Path, edit: Edit, where: list[int]) -> None:
    ledger = tmp_path / "log.jsonl"
    write(ledger, 6)
    assert look(ledger) == []
    lines = ledger.read_bytes().splitlines()
    edit(lines)
    ledger.write_bytes(b"\n".join(lines) + b"\n")
    assert look(ledger) == where


def test_older_lines_torn_lines_and_long_ones_are_no_breach(tmp_path: Path) -> None:
    ledger = tmp_path / "log.jsonl"
    ledger.write_bytes(b"".join(b'{"run":%d,"status":"keep","metric":1}\n' % n for n in range(5000)))
    write(ledger, 2)
    with ledger.open("ab") as file:
        file.write(b'{"run":8,"stat')
    write(ledger, 1)
    store.append(ledger, {"type": "note", "text": "x" * 300_000})
    ledger.write_bytes(ledger.read_bytes() + b'{"run":8,"status":"crash"' + b"y" * 200_000)
    assert store.end_torn_line(ledger)
    write(ledger, 2)
    assert look(ledger) == []
    ledger.write_bytes(ledger.read_bytes().replace(b"\n", b"\r\n"))  # as git may check it out elsewhere
    assert look(ledger) == []


def test_status_and_doctor_tell_it_and_repair_keeps_the_evidence(session: Driver) -> None:
    session.open("e1")
    session.edit("e1", "1000", "1200")
    session.measure("e1")
    session("decide", "e1")
    ledger = session.project.ledger
    before = ledger.read_bytes()
    number = before.count(b"\n")  # the last line: no later one says what it was
    at = before.rindex(b'{"run":')
    ledger.write_bytes(edited := before[:at] + before[at:].replace(b'"metric":1', b'"metric":2', 1))
    assert edited != before
    done = session.run("status")
    assert f"line {number} is not as a command wrote it" in done.stdout + done.stderr
    assert f"line {number} is not" in json.dumps(session("status")[1])
    found = [f for f in session("doctor", "--no-run")[1]["findings"] if f["what"] == "ledger"]
    assert [f["fix"] for f in found] == ["autoresearch doctor --repair"], found
    assert session("doctor", "--repair")[1]["repaired"]
    assert ledger.read_bytes().startswith(edited)
    assert "not as a command wrote" not in session.run("status").stderr
    # What is on record speaks for that edit, and for no other.
    ledger.write_bytes(ledger.read_bytes().replace(b'"metric":2', b'"metric":3', 1))
    assert f"line {number} is not" in session.run("status").stderr
    # Another loop that goes on in the file knows of no hashes.
    with ledger.open("a") as file:
        file.write('{"run":7,"metric":900,"status":"keep","description":"by hand"}\n')
    assert f"line {number} is not" in session.run("status").stderr


@pytest.mark.slow
def test_looking_at_hashes_costs_little(tmp_path: Path) -> None:
    ledger = tmp_path / "log.jsonl"
    write(ledger, 2000)

    def best(chain: bool) -> float:
        times = []
        for _ in range(15):
            begun = time.process_time()
            list(store.read(ledger, Chain() if chain else None))
            times.append(time.process_time() - begun)
        return min(times)

    assert best(True) < best(False) + 0.02
