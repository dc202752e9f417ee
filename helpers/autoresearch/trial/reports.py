"""What test runners write down themselves: JUnit XML, by pytest to a place of ours, by others where they put it.

pytest is asked for it through `PYTEST_ADDOPTS`, in every stage alike, and writes it when it ends: a program that ends
it early leaves none. Nothing is added where pytest does not run, and its own options go before ours.
"""

from __future__ import annotations

import os
import random
import stat
from collections import Counter
from typing import Iterator, List
from xml.etree import ElementTree

VARIABLE = "PYTEST_ADDOPTS"
_MOST_BYTES, _MOST_FILES = 32 * 2**20, 20000
_SKIP = {".git", "node_modules", "__pycache__"}
_BAD = {"failure", "error", "skipped", "rerunFailure", "flakyFailure"}


def options(before: str, tmp: str, rng: random.Random) -> str:
    """The value of `VARIABLE`: a report below `tmp`, under a name that is drawn."""
    return ("--junitxml=%s/%016x.xml %s" % (tmp, rng.getrandbits(64), before)).strip()


def passed(places: List[str], since: int) -> "Counter[str]":
    """Tests that reports below `places` name as passed, and how often; only files since `since` (ns) are looked at."""
    found: "Counter[str]" = Counter()
    for path in _files(places, since):
        try:
            found.update(_passed_in(path))
        except (OSError, ElementTree.ParseError, ValueError):
            continue  # no report: whatever else ends in .xml
    return found


def _files(places: List[str], since: int) -> Iterator[str]:
    seen = 0
    for place in places:
        for where, folders, names in os.walk(place):
            folders[:] = sorted(name for name in folders if name not in _SKIP)
            for name in sorted(names):
                seen += 1
                if seen > _MOST_FILES:
                    return
                path = os.path.join(where, name)
                if not name.endswith(".xml"):
                    continue
                try:
                    now = os.lstat(path)
                except OSError:
                    continue
                if stat.S_ISREG(now.st_mode) and now.st_mtime_ns > since and now.st_size <= _MOST_BYTES:
                    yield path


def _passed_in(path: str) -> "Counter[str]":
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        data = file.read(_MOST_BYTES)
    if b"<testsuite" not in data[:2000] or b"<!ENTITY" in data:
        return Counter()
    cases = (case for case in ElementTree.fromstring(data).iter("testcase"))
    return Counter(
        "::".join(filter(None, (case.get("classname"), case.get("name"))))
        for case in cases
        if not _BAD.intersection(child.tag for child in case)
    )
