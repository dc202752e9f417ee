"""Appending loses nothing, and reading takes whatever a disk may hold."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jsonlines
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoresearch.errors import BadInput, EnvironmentMissing
from autoresearch.ledger import store

RUN = {"run": 1, "commit": "abc1234", "metric": 1.5, "status": "keep"}
HELPERS = Path(store.__file__).parents[2]


def child(code: str, *args: object) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(HELPERS)}
    return subprocess.Popen([sys.executable, "-c", code, *map(str, args)], env=environment, text=True)


def test_append_then_read(tmp_path: Path) -> None:
    ledger = tmp_path / "deep" / "autoresearch.jsonl"
    store.append(ledger, {"type": "config", "name": "µ"})
    store.append(ledger, RUN)
    assert ledger.read_bytes().endswith(b"}\n")
    assert list(store.records(ledger)) == [{"type": "config", "name": "µ"}, RUN]
    assert [line.number for line in store.read(ledger)] == [1, 2]


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    # Lone surrogates, line separators and control characters included.
    | st.text(st.characters(), max_size=20)
    | st.sampled_from(["\ud800", "\u2028\x85\n\r", "\x00\x1b"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)


_RECORD = st.dictionaries(st.text(st.characters(), max_size=8), _JSON, min_size=1, max_size=5)


@given(st.lists(_RECORD, min_size=1, max_size=4))
@settings(max_examples=80, deadline=None)
def test_round_trip_of_any_record(tmp_path_factory: pytest.TempPathFactory, records: list[dict[str, Any]]) -> None:
    ledger = tmp_path_factory.mktemp("round") / "log.jsonl"
    for record in records:
        store.append(ledger, {**record, "type": "note"})
    assert list(store.records(ledger)) == [{**record, "type": "note"} for record in records]
    # Readers that split at other line ends, and strict ones, see the same lines.
    assert len(ledger.read_text(encoding="utf-8").splitlines()) == len(records)
    with jsonlines.open(ledger) as reader:
        assert len(list(reader)) == len(records)


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"a": float("nan")},
        {"a": [float("inf")]},
        {"a": {1, 2}},
        {"run": 1, "metric": 1, "status": "kept"},
        {"run": 1, "metric": 1},
    ],
)
def test_refuses_what_other_readers_choke_on(tmp_path: Path, record: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        store.append(tmp_path / "log.jsonl", record)
    assert not (tmp_path / "log.jsonl").exists()


def test_refuses_what_is_no_object(tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        store.append(tmp_path / "log.jsonl", None)  # type: ignore[arg-type]


def test_repairs_a_missing_final_newline(tmp_path: Path) -> None:
    ledger = tmp_path / "log.jsonl"
    ledger.write_bytes(json.dumps(RUN).encode())
    store.append(ledger, {**RUN, "run": 2})
    assert [record["run"] for record in store.records(ledger)] == [1, 2]


@pytest.mark.parametrize("cut", [1, 5, 20, 40])
def test_a_torn_line_costs_only_itself(tmp_path: Path, cut: int) -> None:
    ledger = tmp_path / "log.jsonl"
    store.append(ledger, RUN)
    torn = json.dumps(RUN).encode()[:cut]
    with ledger.open("ab") as handle:
        handle.write(torn)
    store.append(ledger, {**RUN, "run": 3})
    lines = list(store.read(ledger))
    assert [line.record and line.record["run"] for line in lines] == [1, None, 3]
    assert lines[1].number == 2
    assert lines[1].problem


def test_a_record_glued_to_a_torn_line_is_saved(tmp_path: Path) -> None:
    """What a writer without repair leaves after one that was killed."""
    ledger = tmp_path / "log.jsonl"
    ledger.write_text('{"run":1,"asi":{"run":9,"status":"keep"},"desc' + json.dumps({**RUN, "run": 2}) + "\n")
    lines = list(store.read(ledger))
    assert [line.problem for line in lines] == ["not JSON", None]
    assert [record["run"] for record in store.records(ledger)] == [2]


def test_a_full_disk_leaves_the_ledger_as_it_was(tmp_path: Path) -> None:
    """A file-size limit makes the kernel write a part of the line, as a full disk does."""
    ledger = tmp_path / "log.jsonl"
    store.append(ledger, RUN)
    before = ledger.read_bytes()
    code = (
        "import resource, sys\n"
        "from autoresearch.errors import EnvironmentMissing\n"
        "from autoresearch.ledger import store\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)\n"
        "try:\n"
        "    store.append(sys.argv[1], {'type': 'note', 'text': 'x' * 1000})\n"
        "except EnvironmentMissing as exc:\n"
        "    assert 'no room' in exc.message and 'nothing was added' in exc.message, exc.message\n"
        "    sys.exit(42)\n"
    )
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    process = child(code, ledger, len(before) + 100)
    assert process.wait(30) == 42
    assert ledger.read_bytes() == before


def test_a_place_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentMissing, match="cannot write"):
        store.append(tmp_path / "file" / "log.jsonl", RUN)


def test_concurrent_writers_lose_nothing(tmp_path: Path) -> None:
    ledger = tmp_path / "log.jsonl"
    code = (
        "import sys\nfrom autoresearch.ledger import store\n"
        "for n in range(50):\n"
        "    store.append(sys.argv[1], {'type': 'note', 'writer': int(sys.argv[2]), 'n': n, 'pad': 'x' * (n * 97)})\n"
    )
    writers = [child(code, ledger, number) for number in range(8)]
    assert [writer.wait(120) for writer in writers] == [0] * 8
    seen = [(record["writer"], record["n"]) for record in store.records(ledger)]
    assert sorted(seen) == [(writer, n) for writer in range(8) for n in range(50)]
    for number in range(8):
        assert [n for writer, n in seen if writer == number] == list(range(50))


def test_killed_writers_leave_a_readable_ledger(tmp_path: Path) -> None:
    ledger = tmp_path / "log.jsonl"
    code = (
        "import itertools, sys\nfrom autoresearch.ledger import store\n"
        "for n in itertools.count():\n"
        "    store.append(sys.argv[1], {'type': 'note', 'n': n, 'pad': 'x' * 5000})\n"
    )
    for _ in range(4):
        writer = child(code, ledger)
        grown = ledger.stat().st_size if ledger.exists() else 0
        deadline = time.monotonic() + 30
        while not ledger.exists() or ledger.stat().st_size < grown + 50_000:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        writer.send_signal(signal.SIGKILL)
        writer.wait(30)
        store.append(ledger, RUN)  # the lock died with its holder
    lines = list(store.read(ledger))
    assert sum(line.record == RUN for line in lines) == 4
    assert sum(line.record is None for line in lines) <= 4


def test_reading_is_tolerant(tmp_path: Path) -> None:
    ledger = tmp_path / "log.jsonl"
    ledger.write_bytes(
        b"\xef\xbb\xbf" + b'{"run":1}\r\n'  # 1 byte-order mark, CR LF
        b"\n  \n"  # 2, 3 blank
        b'{"run":2,"d":"bad \xff byte"}\n'  # 4
        b'{"run":3}{"run":4} {"run":5}\n'  # 5 several on a line
        b'{"run":6,"d":"a \xe2\x80\xa8 b"}\n'  # 6 U+2028 in a string
        b'{"run":7,"metric":NaN}\n'  # 7
        b"null\n[1]\n3\n"  # 8, 9, 10
        b'{"run":8,"metric":$(cat x)}\n'  # 11
        b"\x00\x00\x00" + b'{"run":9}\n' + b"[" * 100_000 + b"\n"  # 12, 13
        b'{"run":10,"d":"\\ud800"}'  # 14 lone surrogate, no final newline
    )
    lines = list(store.read(ledger))
    assert [line.record["run"] for line in lines if line.record] == [1, 2, 3, 4, 5, 6, 7, 9, 10]
    assert [line.number for line in lines if line.problem] == [8, 9, 10, 11, 13]
    by_run = {line.record["run"]: line.record for line in lines if line.record}
    assert by_run[2]["d"] == "bad \ufffd byte"
    assert by_run[6]["d"] == "a \u2028 b"


def test_a_line_of_any_length_takes_bounded_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = tmp_path / "log.jsonl"
    ledger.write_bytes(b'{"run":1}\n' + b'"' + b"x" * 300 + b"\n" + b'{"run":2}\n' + b"y" * 300)
    with ledger.open("rb", buffering=0) as handle:
        blocks = list(store.blocks(handle, size=16, limit=64))
    lines = b"".join(blocks).split(b"\n")
    assert [lines[0], lines[2]] == [b'{"run":1}', b'{"run":2}']
    assert max(map(len, lines)) <= 64 + 16
    monkeypatch.setattr(store, "LINE_LIMIT", 64)
    assert [line.problem for line in store.read_odd(2, lines[1])] == ["longer than 0 MiB"]


@given(st.binary(max_size=300), st.integers(1, 40))
@settings(max_examples=150, deadline=None)
def test_blocks_are_the_file_again(tmp_path_factory: pytest.TempPathFactory, data: bytes, size: int) -> None:
    path = tmp_path_factory.mktemp("blocks") / "x"
    path.write_bytes(data)
    with path.open("rb", buffering=0) as handle:
        blocks = list(store.blocks(handle, size=size))
    assert b"".join(blocks) == data
    assert all(block.endswith(b"\n") for block in blocks[:-1])


@given(st.binary(max_size=200) | st.text(alphabet='{}[]",:\\runtype12 \n', max_size=120).map(str.encode))
@settings(max_examples=200, deadline=None)
def test_reading_never_raises(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "x"
    path.write_bytes(data)
    for line in store.read(path):
        assert (line.record is None) != (line.problem is None)


def test_unreadable_files_are_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such file"):
        list(store.read(tmp_path / "none"))
    with pytest.raises(BadInput, match="directory"):
        list(store.read(tmp_path))
