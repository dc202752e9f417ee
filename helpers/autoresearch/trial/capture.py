"""Where a command's output goes while it runs: one file, or streams that nobody but us can read.

What stands in a file can be opened by its number (/proc/PID/fd/1) and changed after it was printed. A benchmark's
output is its word, so it goes away as it is printed: stdout into a socket, which cannot be opened by its number at
all, stderr into a pipe, which can (so that `> /dev/stderr` works), and is only ever added to.
"""

from __future__ import annotations

import os
import socket
import subprocess
from typing import IO, Dict, List, Tuple, Union

_CHUNK = 1 << 16
Target = Union[int, IO[bytes]]


class File:
    """stdout and stderr in the order they are written, at the end of `file`."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._start = os.fstat(file.fileno()).st_size
        self.stdout: Target = file
        self.stderr: Target = subprocess.STDOUT
        self.readers: List[int] = []

    def size(self) -> int:
        """Bytes that were printed so far."""
        return os.fstat(self._file.fileno()).st_size - self._start

    def started(self) -> None:
        pass

    def pump(self, fd: int) -> None:
        pass

    def text(self, limit: int) -> str:
        """The first `limit` bytes that were printed."""
        self._file.seek(self._start)
        return self._file.read(limit).decode("utf-8", "replace")

    def apart(self, limit: int) -> str:
        """The same: they cannot be told apart."""
        return self.text(limit)

    def close(self) -> None:
        pass


class Streams:
    """stdout and stderr apart, joined line by line as they arrive. Who writes stands still unless `pump` is called."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        ours.shutdown(socket.SHUT_WR)  # who reads from its stdout finds the end
        read, write = os.pipe()
        self._theirs = [theirs.detach(), write]
        self.stdout, self.stderr = self._theirs
        self.readers = [ours.detach(), read]
        for fd in self.readers:
            os.set_blocking(fd, False)
        self._lines: List[Tuple[int, bytes]] = []  # as they arrived; 0: stdout, 1: stderr
        self._size = 0
        self._place = {fd: place for place, fd in enumerate(self.readers)}
        self._begun: Dict[int, bytearray] = {fd: bytearray() for fd in self.readers}

    def size(self) -> int:
        return self._size + sum(map(len, self._begun.values()))

    def started(self) -> None:
        """The command has its ends: ours of them are closed, so that its end is seen."""
        while self._theirs:
            os.close(self._theirs.pop())

    def pump(self, fd: int) -> None:
        """Take what waits at `fd`, one of `readers`; at its end it is none any more."""
        try:
            data = os.read(fd, _CHUNK)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data = b""
        begun = self._begun[fd]
        if not data:
            self.readers.remove(fd)
            os.close(fd)
            return
        cut = data.rfind(b"\n") + 1
        if cut:
            self._take(fd, begun + data[:cut])
            begun.clear()
        begun += data[cut:]

    def text(self, limit: int) -> str:
        """The first `limit` bytes of what was printed, also what still waits; call it when every writer is gone."""
        for fd in list(self.readers):
            before = -1
            while fd in self.readers and before != self.size() <= limit:
                before = self.size()
                self.pump(fd)
        for fd, begun in self._begun.items():
            self._take(fd, begun)
            begun.clear()
        return _decoded(self._lines, limit)

    def apart(self, limit: int) -> str:
        """After `text`: what was printed to stdout, then what to stderr. Their order as they arrive is luck."""
        return _decoded(sorted(self._lines, key=lambda line: line[0]), limit)

    def _take(self, fd: int, data: Union[bytes, bytearray]) -> None:
        self._lines.append((self._place[fd], bytes(data)))
        self._size += len(data)

    def close(self) -> None:
        self.started()
        while self.readers:
            os.close(self.readers.pop())


def _decoded(lines: List[Tuple[int, bytes]], limit: int) -> str:
    return b"".join(data for _, data in lines)[:limit].decode("utf-8", "replace")


Capture = Union[File, Streams]
