"""Appends to and reads ledger files: one JSON object a line, never rewritten, never held in memory."""

from __future__ import annotations

import codecs
import contextlib
import errno
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from msgspec import DecodeError
from msgspec.json import Decoder

from autoresearch.errors import BadInput, EnvironmentMissing
from autoresearch.files import sync_directory
from autoresearch.ledger.chain import FIELD, Chain, chained, last_of
from autoresearch.ledger.records import STATUSES, number
from autoresearch.safetext import redact

BLOCK = 1 << 18
# A longer line is no record: it is read cut to this, so that reading needs no more memory than that.
LINE_LIMIT = 16 << 20

_HEADS = ('{"run":', '{"type":"config"', '{"type": "config"')
_SALVAGE_TRIES = 8
_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class ReadLine:
    """A record with the number of its physical line (from 1), or a problem: why that line gave none."""

    number: int
    record: dict[str, Any] | None
    problem: str | None = None


def append(path: Path | str, record: Mapping[str, Any]) -> None:
    """Add one record, all of it or nothing.

    Under a lock on the file, the line is one `write()` and flushed to disk. A missing final newline, which a killed
    writer leaves, is repaired by the same write. Raises BadInput for a record that other readers would choke on,
    EnvironmentMissing when the disk is full or the file cannot be written.
    """
    path = Path(path)
    line = encode(_without_secrets(record))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = _open_locked(path)
        try:
            _append_locked(handle, line)
        finally:
            os.close(handle)
    except OSError as exc:
        raise _cannot_write(path, exc) from None


def end_torn_line(path: Path | str) -> bool:
    """End a last line that a killed writer left without its newline; True when no record can be read from it.

    Nothing of it is removed. A file that cannot be written is left as it is: reading passes over a torn line too.
    """
    path = Path(path)
    try:
        handle = _open_locked(path)
    except OSError:
        return False
    try:
        size = os.fstat(handle).st_size
        if not size or os.pread(handle, 1, size - 1) == b"\n":
            return False
        begin = max(0, size - LINE_LIMIT)
        last = os.pread(handle, size - begin, begin).rpartition(b"\n")[2]
        os.write(handle, b"\n")
        os.fsync(handle)
        return not any(line.record is not None and line.problem is None for line in read_odd(1, last))
    except OSError as exc:
        raise _cannot_write(path, exc) from None
    finally:
        os.close(handle)


def _without_secrets(value: Any) -> Any:
    """A copy of a record, with what looks like a credential taken out of its texts, however deep."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {key: _without_secrets(inner) for key, inner in value.items()}
    return [_without_secrets(inner) for inner in value] if isinstance(value, list | tuple) else value


def encode(record: Mapping[str, Any]) -> bytes:
    """The line of a record, final newline included; BadInput names what cannot be written."""
    if not isinstance(record, Mapping) or not record:
        raise BadInput("a ledger record must be a JSON object with at least one field")
    if number(record.get("run")) is not None and record.get("type") is None and record.get("status") not in STATUSES:
        raise BadInput(
            f"a run's status must be one of {', '.join(STATUSES)}, not {str(record.get('status'))[:40]!r}",
            fix="Put anything richer into another field",
        )
    return to_text(record).encode() + b"\n"


def to_text(record: Mapping[str, Any]) -> str:
    """One line of strict JSON that has a UTF-8 form and no character that some reader ends a line at."""
    try:
        text = json.dumps(dict(record), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        if not text.isascii():
            text = text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029").replace("\x85", "\\u0085")
            text.encode()
        return text
    except UnicodeEncodeError:
        # A lone surrogate has no UTF-8 form, but an escape.
        return json.dumps(dict(record), allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as exc:
        raise BadInput(f"a ledger record cannot be written: {exc}") from None


def read(path: Path | str, chain: Chain | None = None) -> Iterator[ReadLine]:
    """All records of a JSON-lines file in order, and a problem for every line that holds something else.

    `chain` looks at each line's hash, which is in no record.
    Tolerant: byte-order marks, bad UTF-8, CR LF, blank lines, several objects on a line, NaN, a torn line.
    """
    decode = Decoder(dict[str, Any]).decode
    chain = chain or _Unseen()
    for line_number, line in enumerate(physical_lines(path), 1):
        try:
            record = decode(line)
        except (DecodeError, UnicodeDecodeError, RecursionError):
            for part in read_odd(line_number, line):
                if part.record is not None:
                    chain.take(line_number, line, part.record)
                yield part
        else:
            chain.take(line_number, line, record)
            yield ReadLine(line_number, record)


def read_odd(line_number: int, line: bytes) -> Iterator[ReadLine]:
    """The slow and tolerant reading of one physical line."""
    text = line.decode("utf-8", "replace").strip(" \t\r\n\x00\ufeff")
    if not text:
        return
    if len(line) >= LINE_LIMIT:
        yield ReadLine(line_number, None, f"longer than {LINE_LIMIT >> 20} MiB")
        return
    position = 0
    while position < len(text):
        try:
            value, end = _DECODER.raw_decode(text, position)
        except (ValueError, RecursionError):
            yield ReadLine(line_number, None, "not JSON" if position == 0 else "not JSON after the first object")
            salvaged = _salvage(text, position + 1)
            if salvaged is not None:
                yield ReadLine(line_number, salvaged)
            return
        if isinstance(value, dict):
            yield ReadLine(line_number, value)
        else:
            yield ReadLine(line_number, None, f"not an object but {_kind(value)}")
        position = end
        while position < len(text) and text[position] in " \t\r,\ufeff\x00":
            position += 1


class _Unseen(Chain):
    """For readers that ask for no more than the records."""

    def take(self, number: int, line: bytes, record: dict[str, Any]) -> None:
        record.pop(FIELD, None)


def records(path: Path | str, chain: Chain | None = None) -> Iterator[dict[str, Any]]:
    """The records alone, in order; lines that hold none are passed over."""
    return (line.record for line in read(path, chain) if line.record is not None)


def physical_lines(path: Path | str) -> Iterator[bytes]:
    """Lines ended by LF and by nothing else, without their LF; none is longer than `LINE_LIMIT`."""
    with open_ledger(path) as handle:
        for block in blocks(handle):
            yield from block.removesuffix(b"\n").split(b"\n")


@contextlib.contextmanager
def open_ledger(path: Path | str) -> Iterator[BinaryIO]:
    """The file for reading bytes, as UTF-8; BadInput says in a sentence why it cannot be read."""
    path = Path(path)
    try:
        handle = path.open("rb", buffering=0)
    except OSError as exc:
        reason = "there is no such file" if isinstance(exc, FileNotFoundError) else exc.strerror or str(exc)
        raise BadInput(f"cannot read {path}: {reason}") from None
    with handle:
        try:
            # Windows PowerShell writes UTF-16 wherever a shell's > goes.
            wide = False
            if handle.seekable():
                wide = handle.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
                handle.seek(0)
            recoded = codecs.EncodedFile(handle, "utf-8", "utf-16", "replace") if wide else handle
            yield cast(BinaryIO, recoded)
        except OSError as exc:
            raise BadInput(f"cannot read {path}: {exc.strerror or exc}") from None


def blocks(handle: BinaryIO, size: int = BLOCK, limit: int = LINE_LIMIT) -> Iterator[bytes]:
    """Whole lines, as many as fit a block; only the last one of the file may lack its LF.

    A line longer than `limit` comes cut to it, and its rest is read and dropped.
    """
    rest: list[bytes] = []
    held = 0
    while data := handle.read(size):
        cut = data.rfind(b"\n") + 1
        if cut:
            head, data = data[:cut], data[cut:]
            if held >= limit:
                first = head.index(b"\n")
                yield b"".join(rest)[:limit] + b"\n"
                head = head[first + 1 :]
                rest = []
            if rest or head:
                yield b"".join([*rest, head])
            rest, held = [], 0
        if held < limit and data:
            rest.append(data)
            held += len(data)
    if rest:
        yield b"".join(rest)[:limit]


def _salvage(text: str, start: int) -> dict[str, Any] | None:
    """The last whole record on a line that a torn one begins: what a writer without repair appends to it.

    Only a run or a header that reaches the line's end counts, so no inner object is taken for a record.
    """
    position = len(text)
    for _ in range(_SALVAGE_TRIES):
        position = max(text.rfind(head, start, position) for head in _HEADS)
        if position < 0:
            return None
        try:
            value, end = _DECODER.raw_decode(text, position)
        except (ValueError, RecursionError):
            continue
        if end == len(text) and isinstance(value, dict):
            return value
    return None


def _kind(value: object) -> str:
    names = {list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def _open_locked(path: Path) -> int:
    """An exclusive lock on the file that the path names now (git may replace it while we wait)."""
    while True:
        existed = path.exists()
        handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if not existed:
                sync_directory(path.parent)
            if os.path.samestat(os.fstat(handle), path.stat()):
                return handle
        except FileNotFoundError:
            pass  # replaced or removed while we waited for the lock: open what is there now
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _append_locked(handle: int, line: bytes) -> None:
    size = os.fstat(handle).st_size
    line = chained(line, last_of(handle, size))
    if size and os.pread(handle, 1, size - 1) != b"\n":
        line = b"\n" + line
    try:
        written = os.write(handle, line)
        if written != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(handle)
    except OSError:
        os.ftruncate(handle, size)
        raise


def _cannot_write(path: Path, exc: OSError) -> EnvironmentMissing:
    if exc.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return EnvironmentMissing(
            f"no room to write {path}: {exc.strerror}; nothing was added to it",
            fix="Free some disk space and try again",
        )
    return EnvironmentMissing(f"cannot write {path}: {exc.strerror or exc}; nothing was added to it")
