"""How much time the local engine wastes: many short experiments on a few slots, against the ideal.

python benchmarks/local_engine.py [--jobs 60] [--slots 4] [--seconds 2.5]

Every experiment goes the whole way: a bundle, experiment.yaml, a trial with one warm-up-free run and the record.
It sleeps, so slots may share CPUs. Ideal makespan = jobs x seconds / slots, as if starting a job cost nothing.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "helpers"))

from autoresearch.engines.bundle import build_bundle
from autoresearch.engines.local import LocalEngine
from autoresearch.resources import shipped
from autoresearch.task import load_task


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--jobs", type=int, default=60)
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=2.5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="autoresearch-bench-", ignore_cleanup_errors=True) as where:
        makespan, measured = measure(Path(where), options.jobs, options.slots, options.seconds)
    ideal = options.jobs * options.seconds / options.slots
    print(f"{options.jobs} experiments of {options.seconds} s on {options.slots} slots")
    print(f"makespan {makespan:.1f} s   ideal {ideal:.1f} s   measured inside the benchmarks {measured:.1f} s")
    ratio = makespan / ideal
    print(f"makespan / ideal = {ratio:.3f} (target <= 1.10)")
    return 0 if ratio <= 1.10 else 1


def measure(root: Path, jobs: int, slots: int, seconds: float) -> tuple[float, float]:
    """Makespan from the first submission to the last result, and the sum of the measured times."""
    engine = LocalEngine(root / "state", slots=slots)
    task = load_task(shipped("experiment.yaml"))
    spec = {
        "protocol": 1, "experiment": "bench", "mode": "single", "metric": {"name": "time_s"},
        "benchmark": "bash autoresearch.sh",
    }  # fmt: skip
    bundles = []
    for i in range(jobs):
        tree = root / f"tree{i}"
        tree.mkdir()
        (tree / "autoresearch.sh").write_text(f"sleep {seconds}\necho METRIC time_s={seconds}\necho METRIC id={i}\n")
        bundles.append(build_bundle(root / f"outbox{i}", spec, candidate=tree))
    begun = time.monotonic()
    names = [
        engine.submit(
            task, experiment=f"e{i}", mode="single", workdir=bundle.path.parent, timeout=300,
            envs={"EXP_ID": f"e{i}", "EXP_SHA256": bundle.sha256},
        )
        for i, bundle in enumerate(bundles)
    ]  # fmt: skip
    waiting = list(names)
    while waiting:
        time.sleep(0.1)
        waiting = [name for name, state in engine.poll(waiting).items() if not state.final]
    makespan = time.monotonic() - begun
    results = [engine.fetch(name) for name in names]
    wrong = [result.job for i, result in enumerate(results) if result.metrics.get("id") != i]
    if wrong:
        raise SystemExit(f"these jobs measured something else: {', '.join(wrong)}")
    return makespan, sum(result.metrics["time_s"] for result in results)


if __name__ == "__main__":
    sys.exit(main())
