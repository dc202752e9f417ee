"""Plays the demo beside load and counts how often all of its candidates end as expected.

    python benchmarks/demo_loaded.py [--times N] [CONDITION ...]

Conditions: quiet (nothing beside it), busy (one endless loop per core), bursts (on each core 5 to 200 ms of work at a
duty of 20 %), two-speed (what a machine may do by itself, played: the program and its reference take 1.7 times as long
in stretches of 0.03 to 2 s, see loads.py). The load is this script's own and ends with it. What else runs on the
machine is printed as its load average before each play. Exit 0: every play was right.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from loads import LOADS, TWO_SPEED, beside, cores

DEMO = Path(__file__).resolve().parents[1] / "templates" / "demo"
HELPERS = str(DEMO.parents[1] / "helpers")
LIMIT = 1800  # seconds for one play


def prepare(where: Path, condition: str) -> Path:
    """The demo's play.py, of a copy with two speeds where they are to be played."""
    if condition != "two-speed":
        return DEMO / "play.py"
    copy = where / "templates" / "demo"
    shutil.copytree(DEMO, copy)
    bench = copy / "project" / "evaluator" / "bench.py"
    text = bench.read_text(encoding="utf-8")
    slow = text.replace("import sys\n", f"import sys\n{TWO_SPEED}\n", 1)
    slow = slow.replace("return analyse\n", "return two_speeds(analyse)\n", 1)
    if slow.count("two_speeds(") != 2:  # program and reference load it by one function
        raise SystemExit("bench.py is no longer what this script slows down")
    bench.write_text(slow, encoding="utf-8")
    return copy / "play.py"


def play(condition: str) -> tuple[bool, float, str]:
    """Whether a play was right, its seconds, and what it said of the machine or of what went wrong."""
    with tempfile.TemporaryDirectory(prefix="demo-loaded-") as scratch, beside(LOADS[condition], cores()):
        script = prepare(Path(scratch), condition)
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, str(script), "--dir", str(Path(scratch) / "session")],
            text=True, capture_output=True, timeout=LIMIT, env={**os.environ, "PYTHONPATH": HELPERS},
        )  # fmt: skip
        seconds = time.monotonic() - began
        said = re.findall(r"(?:the machine meanwhile:|NOT AS EXPECTED:) .*", done.stdout)
    return done.returncode == 0, seconds, "; ".join(said) or done.stderr.strip()[-500:]


def main() -> int:
    parser = argparse.ArgumentParser(description="Play the demo beside load.")
    parser.add_argument("conditions", nargs="*", metavar="CONDITION", help=f"of {', '.join(LOADS)} (default: all)")
    parser.add_argument("--times", type=int, default=10, help="plays of each condition (default: 10)")
    options = parser.parse_args()
    chosen = options.conditions or list(LOADS)
    if unknown := sorted(set(chosen) - set(LOADS)):
        parser.error(f"no such condition: {', '.join(unknown)}")
    results: dict[str, list[tuple[bool, float]]] = {condition: [] for condition in chosen}
    for number in range(1, options.times + 1):  # a round of all: what the machine does by itself is shared out
        for condition in chosen:
            before = os.getloadavg()[0]
            right, seconds, said = play(condition)
            results[condition].append((right, seconds))
            verdict = "right" if right else "WRONG"
            print(f"{number} {condition}: {verdict}, {seconds:.0f} s, load before {before:.1f}; {said}", flush=True)
    print("\n| beside the demo | right / plays | seconds, median (most) |\n|---|---|---|")
    for condition, plays in results.items():
        times = sorted(seconds for _, seconds in plays)
        won = sum(right for right, _ in plays)
        print(f"| {condition} | {won} / {len(plays)} | {times[len(times) // 2]:.0f} ({times[-1]:.0f}) |")
    return 0 if all(right for plays in results.values() for right, _ in plays) else 1


if __name__ == "__main__":
    sys.exit(main())
