"""What containment costs a benchmark of one second, and whether both sides pay the same.

python benchmarks/containment.py [--runs 15] [--seconds 1.0] [--quick]

Runs the same command contained and not, in drawn order, and compares whole runs as a trial measures them (from the
start of the process to the end of its tree). The benchmark's own number is taken inside and hardly sees any of it.
The two sides are two trees at the one path of the stage, as in an A/B.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "helpers"))

from autoresearch.trial import procs
from autoresearch.trial.contain import Box, Settings
from autoresearch.trial.limits import Guard, Limits
from autoresearch.trial.stage import TrialStage

# A fixed amount of work, so that a busy machine shows in both: the processor's time is what is compared.
WORK = """
import sys, time
count, begun = int(sys.argv[1]), time.perf_counter()
for i in range(count):
    i * i
print(time.perf_counter() - begun)
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--quick", action="store_true", help="five runs each")
    options = parser.parse_args()
    runs = 5 if options.quick else options.runs
    with tempfile.TemporaryDirectory(prefix="autoresearch-bench-") as where:
        return compare(where, runs, options.seconds)


def compare(where: str, runs: int, seconds: float) -> int:
    with TrialStage(where) as stage:
        return _compare(stage, runs, seconds)


def _compare(stage: TrialStage, runs: int, seconds: float) -> int:
    boxes = {mode: Box(Settings(mode=mode), stage, os.environ) for mode in ("auto", "off")}
    print(f"containment here: {boxes['auto'].describe()}")
    if boxes["auto"].level == "none":
        print("nothing to compare on this machine")
        return 0
    trees = {}
    for side in "AB":
        Path(stage.work).mkdir()
        Path(stage.work, "work.py").write_text(WORK)
        trees[side] = stage.put_away()
        stage.clear()
    count = _calibrate(seconds)
    found: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
    rng = random.Random(1)
    todo = [(mode, side) for mode in boxes for side in "AB"] * runs
    rng.shuffle(todo)
    for mode, side in todo:
        stage.place_copy(trees[side])
        env = {"PATH": os.environ["PATH"], **{k: v for k, v in boxes[mode].variables("benchmark").items() if v}}
        guard = Guard(Limits(), [*stage.parts, stage.tmp, stage.slash_tmp])
        with boxes[mode].entry("benchmark", stage.work) as entry:
            done = procs.run(
                [os.path.realpath(sys.executable), "-S", "work.py", str(count)], env=env, cwd=stage.work, timeout=120,
                entry=entry, guard=guard,
            )  # fmt: skip
        if not done.ok:
            raise SystemExit(f"{mode}: {done.failure()} {done.output}")
        inside = float(done.output)
        found.setdefault((mode, side), []).append((done.seconds - inside, done.cpu_seconds, inside))
    return report(found, boxes["auto"].by)


def report(found: dict[tuple[str, str], list[tuple[float, float, float]]], by: str) -> int:
    def least(mode: str, sides: str, column: int) -> float:
        """The mean of the best third: what else runs on the machine only ever adds."""
        values = sorted(row[column] for side in sides for row in found[mode, side])
        return statistics.mean(values[: max(1, len(values) // 3)])

    inside = {mode: least(mode, "AB", 2) for mode in ("auto", "off")}
    around = {mode: least(mode, "AB", 0) for mode in ("auto", "off")}
    extra = around["auto"] - around["off"]
    print(f"by {by}: a run of {inside['off']:.2f} s takes {1000 * extra:+.1f} ms more around the benchmark")
    print(f"  processor time {1000 * (least('auto', 'AB', 1) - least('off', 'AB', 1)):+.1f} ms")
    ratio = 1 + extra / inside["off"]
    sides = (inside["auto"] + least("auto", "B", 0)) / (inside["auto"] + least("auto", "A", 0))
    print(f"contained / uncontained = {ratio:.4f} (target < 1.03)")
    print(f"the benchmark's own clock, contained / uncontained = {inside['auto'] / inside['off']:.4f}")
    print(f"side B / side A, contained = {sides:.4f} (target 1 within 0.01)")
    return 0 if ratio < 1.03 and abs(sides - 1) < 0.01 else 1


def _calibrate(seconds: float) -> int:
    import time

    count, begun = 2_000_000, time.perf_counter()
    for i in range(count):
        i * i
    return max(1, int(count * seconds / (time.perf_counter() - begun)))


if __name__ == "__main__":
    sys.exit(main())
