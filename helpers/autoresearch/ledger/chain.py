"""Each ledger line ends with a hash of itself and of the line before: what was edited afterwards is seen.

It is no signature: who writes a whole chain anew is not seen. A hand edit, a merge and a lost line are.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from hashlib import sha256
from typing import Any

# The last field of a line. Lines of older versions, and of other loops, have none.
FIELD = "chained"
_TAIL = re.compile(rb',"chained":"([0-9a-f]{16})"\}\r?(?=\n|\Z)')
_NAME = b',"chained":"'
_LENGTH = len(_NAME) + 16 + len('"}')
_STEP = 1 << 16


def link(before: bytes, body: bytes) -> bytes:
    """The hash of a line without its hash and its last brace, after one whose hash is `before` (b"" for the first)."""
    return sha256(before + body).hexdigest()[:16].encode()


def chained(line: bytes, before: bytes) -> bytes:
    """A line `{…}` with its hash."""
    body = line.removesuffix(b"\n").removesuffix(b"}")
    return b'%s,"%s":"%s"}\n' % (body, FIELD.encode(), link(before, body))


def last_of(handle: int, size: int) -> bytes:
    """The hash of an open ledger's last line that has one, from its end backwards; b"" where none has."""
    held, end = b"", size
    while end:
        begin = max(0, end - _STEP)
        # With what a hash may have in common with the block after.
        held = os.pread(handle, end - begin, begin) + held[: _LENGTH + 2]
        found: list[bytes] = _TAIL.findall(held)
        if found:
            return found[-1]
        end = begin
    return b""


class Chain:
    """The lines of a ledger in order, and which of them do not follow from the ones before."""

    def __init__(self) -> None:
        self.last = b""
        self.loose: list[tuple[int, dict[str, Any], str]] = []
        self._wrong: dict[int, str] = {}
        self._known: dict[int, str] = {}

    def take(self, number: int, line: bytes, record: dict[str, Any]) -> None:
        """The next line that holds a record. Its hash is taken out of the record."""
        if line[-1:] == b"\r":
            line = line[:-1]
        stated = line[-18:-2]
        if record.pop(FIELD, None) is None or line[-_LENGTH:-18] != _NAME:
            if self.last:
                self.loose.append((number, record, digest(line)))
            return
        # As `link` has it; written out here, where each line of a ledger comes by.
        if sha256(self.last + line[:-_LENGTH]).hexdigest()[:16].encode() != stated:
            self._wrong[number] = digest(line)
        elif "lines" in record and record.get("type") == "chain" and isinstance(record["lines"], dict):
            self._known |= {int(n): str(d) for n, d in record["lines"].items() if n.isdecimal()}
        self.last = stated

    def broken(self, loose: Iterable[int]) -> dict[int, str]:
        """Lines that no command wrote there as they stand, and their digests; `loose` are those without a hash that
        ought to have one. What `doctor --repair` has put on record, and is as it was then, is not among them."""
        ours = set(loose)
        found = self._wrong | {number: said for number, _, said in self.loose if number in ours}
        return {number: said for number, said in sorted(found.items()) if self._known.get(number) != said}


def digest(line: bytes) -> str:
    """What a line on record is known again by."""
    return sha256(line).hexdigest()[:16]
