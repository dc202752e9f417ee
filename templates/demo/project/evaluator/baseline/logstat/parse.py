"""Turns one line of an access log into a record."""

import re
from datetime import datetime
from typing import NamedTuple
from urllib.parse import unquote

# client - user [time] "METHOD target PROTOCOL" status bytes seconds
LINE = re.compile(
    r'(\S+) \S+ \S+ \[([^\]]+)\] "([A-Z]+) (\S+) [^"]*" (\d{3}) (\d+|-) (\d+\.\d+)$'
)


class Record(NamedTuple):
    client: str
    when: int  # seconds since 1970, UTC
    method: str
    path: str
    status: int
    size: int  # bytes
    seconds: float


def parse_time(text):
    """Seconds since 1970 of a stamp such as 21/Nov/2026:10:12:33 +0200."""
    return int(datetime.strptime(text, "%d/%b/%Y:%H:%M:%S %z").timestamp())


def clean_path(target):
    """The path of a request: no query, escapes decoded, numbers as :id so that pages of a kind count together."""
    path = unquote(target.split("?", 1)[0])
    parts = []
    for part in path.split("/"):
        parts.append(":id" if part.isdigit() else part)
    return "/".join(parts)


def parse_line(line):
    """The record of a line, or None when it is not an access log line."""
    found = LINE.match(line.rstrip("\n"))
    if found is None:
        return None
    client, when, method, target, status, size, seconds = found.groups()
    return Record(
        client,
        parse_time(when),
        method,
        clean_path(target),
        int(status),
        0 if size == "-" else int(size),
        float(seconds),
    )
