"""How often program and reference must be launched in a run, and what two commits in one run would buy.

    python benchmarks/inrun.py --quick     # about a minute
    python benchmarks/inrun.py             # the figures in results/inrun.txt, about four minutes

A Python loop, in 50 rounds paired with its reference (templates/paired.py), on a core that seven endless loops share
with it, on all cores together. Two ways of a run, drawn in turn: both processes live for the whole run, or are launched
anew ten times. Program or reference do 0, 2 or 5 % less work; a run's value is divided by the known ratio, and all
runs are one stream of the machine's weather.

Sessions start anywhere in that stream, the effect is added, and sides are drawn anew. `frozen`: as we measure, blocks
of four in drawn orders, each run beside the frozen reference. `two commits`: base and candidate are the two programs of
a run, who is which is drawn, and a run is a pair for the same e-process. Both give up by the same kind of rule.

Nothing else should run: what does is in the load average printed.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from loads import WORK, beside, busy, cores

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "helpers"))

from autoresearch.verdict.eprocess import PAIRS, EProcess, draw_order
from autoresearch.verdict.rule import Rule
from autoresearch.verdict.sequential import SequentialTest

TEMPLATES = Path(__file__).resolve().parents[1] / "templates"
LOOPS = 7
LAUNCHES = (1, 10)
SHARES = ((1.0, 1.0), (0.98, 1.0), (1.0, 0.98), (0.95, 1.0), (1.0, 0.95))  # of the work: program, reference
GAINS = (0.0, 0.5, 1.0, 2.0, 5.0)
MAX_RUNS = 72

PROGRAM = f"""
import sys
sys.path.insert(0, sys.argv[1])
import paired
launches, mine, theirs = int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
{WORK}

def load(share):
    return lambda: lambda n: work(int(n * share))


print(paired.rounds(load(mine), load(theirs), [14000] * 50, 1, launches=launches).ratio)
"""


def run(core: int, launches: int, mine: float, theirs: float) -> float:
    """The log of a run's ratio."""
    done = subprocess.run(
        [sys.executable, "-S", "-c", PROGRAM, TEMPLATES, str(launches), str(mine), str(theirs)],
        stdout=subprocess.PIPE, check=True, start_new_session=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}) if hasattr(os, "sched_setaffinity") else None,
    )  # fmt: skip
    return math.log(float(done.stdout))


Test = Callable[[Sequence[float], float, float, random.Random], "tuple[bool, int]"]


def frozen(stream: Sequence[float], gain: float, alpha: float, rng: random.Random) -> tuple[bool, int]:
    """Whether a candidate that is better by `gain` (of a log) is kept, and the runs that took."""
    test, at, reason = SequentialTest(Rule(alpha=alpha, max_runs=MAX_RUNS)), rng.randrange(len(stream)), "undecided"
    while reason == "undecided":
        order = draw_order(rng)
        values = [stream[(at + i) % len(stream)] - (gain if side == "B" else 0.0) for i, side in enumerate(order)]
        at += len(order)
        reason = test.step(order, [math.exp(value) for value in values])
    return reason == "proven", 4 * test.blocks


def two_commits(stream: Sequence[float], gain: float, alpha: float, rng: random.Random) -> tuple[bool, int]:
    """As `frozen`, with base and candidate in one run."""
    process, at, gains = EProcess(), rng.randrange(len(stream)), []
    needed = math.log(1.0 / alpha)
    for runs in range(1, MAX_RUNS + 1):
        order = rng.choice(PAIRS)
        sign = 1.0 if order == "AB" else -1.0  # AB: the base is in the program's place
        ratio = stream[(at + runs) % len(stream)] + sign * gain
        process.add(order, (ratio, 0.0))
        gains.append(sign * ratio)
        if process.log_up >= needed:
            return True, runs
        middle = statistics.median(gains)
        spread = max(1e-12, 1.4826 * statistics.median([abs(each - middle) for each in gains]))
        best = max(0.0, middle + 0.8 * spread / math.sqrt(runs))
        grows = min(min(best / spread, 9.0) ** 2 / 2.0, 0.8 * math.log(2.0))
        if runs >= 6 and process.log_up + (MAX_RUNS - runs) * grows < needed:
            return False, runs
    return False, MAX_RUNS


def table(name: str, test: Test, stream: Sequence[float], count: int) -> None:
    for alpha in (0.02, 0.002):
        cells = []
        for gain in GAINS:
            rng = random.Random(f"{name}/{alpha}/{gain}")
            got = [test(stream, -math.log1p(-gain / 100.0), alpha, rng) for _ in range(count)]
            kept, used = 100.0 * sum(k for k, _ in got) / count, sum(r for _, r in got) / count
            cells.append(f"{kept:6.1f} %{used:5.1f}")
        print(f"    {name:<12} alpha {alpha:<6g}" + " ".join(cells), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="10 runs of a kind instead of 50: says little")
    parser.add_argument("--sessions", type=int, default=400, help="simulated tests of each cell (default: 400)")
    options = parser.parse_args()
    rng, core, began, before = random.Random(5), cores()[-1], time.monotonic(), os.getloadavg()[0]
    each = 2 if options.quick else 10
    todo = [(launches, shares) for launches in LAUNCHES for shares in SHARES for _ in range(each)]
    rng.shuffle(todo)
    found: dict[int, list[tuple[tuple[float, float], float]]] = {launches: [] for launches in LAUNCHES}
    with beside(busy, [cores()[i % len(cores())] for i in range(LOOPS)]):
        for launches, (mine, theirs) in todo:
            found[launches].append(((mine, theirs), run(core, launches, mine, theirs)))
    print(f"{len(todo)} runs beside {LOOPS} loops on {len(cores())} cores, {time.monotonic() - began:.0f} s; load "
          f"average before {before:.1f}, after {os.getloadavg()[0]:.1f}")  # fmt: skip
    print("kept % and runs a test at a gain of " + ", ".join(f"{gain:g}" for gain in GAINS) + " %:")
    for launches, rows in found.items():
        stream = [value - math.log(mine / theirs) for (mine, theirs), value in rows]
        five = [-value if mine < theirs else value for (mine, theirs), value in rows if 0.95 in (mine, theirs)]
        print(f"  launched {launches} times: sd of a run {100 * statistics.stdev(stream):.2f} %, program against "
              f"reference of the same code {100 * statistics.mean(stream):+.2f}; runs of truly 5.13: "
              f"{100 * statistics.mean(five):.2f} (sd {100 * statistics.stdev(five):.2f})")  # fmt: skip
        table("frozen", frozen, stream, options.sessions)
        table("two commits", two_commits, stream, options.sessions)


if __name__ == "__main__":
    main()
