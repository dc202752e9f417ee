"""Runs the program as a process of its own and judges every answer. Shared by benchmark and checks."""

import bisect
import os
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LIMIT = 3.0  # seconds for one call of the program


def expected(values):
    """Inversions by another way than the program's."""
    seen, pairs = [], 0
    for value in values:
        at = bisect.bisect_right(seen, value)
        pairs += len(seen) - at
        seen.insert(at, value)
    return pairs


def ask(lists):
    """(answers, seconds) of one life of the program, from its start to its end.

    Its output comes through a pipe of ours and is compared, never passed on, so it cannot speak for the benchmark.
    """
    lines = "".join(" ".join(map(str, values)) + "\n" for values in lists)
    program = subprocess.Popen(
        [sys.executable, "-I", "-S", os.path.join(TOP, "src", "rank.py")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env={"PATH": os.defpath}, cwd=TOP, start_new_session=True,
    )
    began = time.perf_counter()
    try:
        out, _ = program.communicate(lines.encode(), timeout=LIMIT)
    except subprocess.TimeoutExpired:
        program.kill()
        raise SystemExit("the program did not end in %.0f s" % LIMIT)
    seconds = time.perf_counter() - began
    if program.returncode != 0:
        raise SystemExit("the program ended with %d" % program.returncode)
    return out, seconds


def judge(lists, out):
    """Exit 1 unless the output is exactly the right answers."""
    want = "".join("%d\n" % expected(values) for values in lists).encode()
    if out != want:
        raise SystemExit("wrong answers: %d bytes, expected %d" % (len(out), len(want)))
