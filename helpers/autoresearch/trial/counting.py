"""A second opinion: how many instructions one run of each side executes.

Instructions know no weather and no layout. Two builds that execute the same number of them differ in nothing but where
their code and data lie; with one build a side, a gain between them may be the luck of the linker.
"""

from __future__ import annotations

import glob
import os
import re
import shlex
import shutil
import subprocess
from typing import Optional

# valgrind is 20 to 100 times slower than the program.
SLOWDOWN = 60.0
_CACHEGRIND = re.compile(r"I\s+refs:\s+([0-9,]+)")


def tool() -> Optional[str]:
    """`perf` where it may count, else `valgrind` where it is installed, else None."""
    if shutil.which("perf"):
        try:
            tried = subprocess.run(
                ["perf", "stat", "-x", ",", "-e", "instructions:u", "true"],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=20,
            )  # fmt: skip
            if _perf(tried.stderr.decode("utf-8", "replace")) is not None:
                return "perf"
        except (OSError, subprocess.TimeoutExpired):
            return "valgrind" if shutil.which("valgrind") else None
    return "valgrind" if shutil.which("valgrind") else None


def wrap(name: str, command: str, where: str) -> str:
    """The shell command that runs `command` under the tool, with its counts in files whose names begin with `where`."""
    if name == "perf":
        counter = "perf stat -x , -e instructions:u -o %s --" % shlex.quote(where)
    else:
        counter = (
            "valgrind --tool=cachegrind --cache-sim=no --cachegrind-out-file=/dev/null --trace-children=yes "
            "--log-file=%s.%%p" % shlex.quote(where)
        )
    return "exec env -u AUTORESEARCH_PAD %s bash -c %s" % (counter, shlex.quote(command))


def read(name: str, where: str) -> Optional[int]:
    """The instructions that were counted, over all processes; None when nothing was."""
    total, found = 0, False
    for path in glob.glob(glob.escape(where) + "*"):
        if os.path.islink(path):
            continue
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read(1 << 20)
        count = _perf(text) if name == "perf" else _cachegrind(text)
        if count is not None:
            total, found = total + count, True
    return total if found and total > 0 else None


def _perf(text: str) -> Optional[int]:
    for line in text.splitlines():
        fields = line.split(",")
        if len(fields) > 2 and fields[2].startswith("instructions") and fields[0].isdigit():
            return int(fields[0])
    return None


def _cachegrind(text: str) -> Optional[int]:
    found = _CACHEGRIND.search(text)
    return int(found.group(1).replace(",", "")) if found else None
