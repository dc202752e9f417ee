"""How fast a ledger is read: `summarise` against a bare decode loop over the same file, and its peak memory.

    python benchmarks/ledger_speed.py [--lines 1000000] [--small 10000] [--rounds 3]

Prints ratios measured in one run: the two readings alternate, and the fastest of each counts. The bare loop is what
anyone would write: iterate the file, decode every line with the same decoder (msgspec) into a dict. Peak memory is
the maximum resident set of a fresh process, for the small and the large log.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HELPERS = Path(__file__).resolve().parents[1] / "helpers"
sys.path.insert(0, str(HELPERS))


def write_log(path: Path, lines: int, seed: int = 1) -> None:
    """A realistic log: a header, then runs with secondary metrics, notes and the peers' fields."""
    rng = random.Random(seed)
    with path.open("w", encoding="utf-8") as handle:
        header = {"type": "config", "name": "bench", "metricName": "total_µs", "metricUnit": "µs"}
        handle.write(json.dumps({**header, "bestDirection": "lower"}) + "\n")
        for run in range(1, lines):
            status = rng.choices(("keep", "discard", "crash", "checks_failed"), (20, 65, 10, 5))[0]
            value = 0 if status == "crash" else round(rng.gauss(15000 - run / 1000, 120), 3)
            record = {
                "run": run,
                "commit": f"{rng.getrandbits(28):07x}",
                "metric": value,
                "metrics": {"parse_µs": round(value * 0.4, 1), "render_µs": round(value * 0.6, 1)},
                "status": status,
                "description": f"Experiment {run}: hoist the bounds check out of the inner loop and inline the hash",
                "timestamp": 1770000000000 + run * 61000,
                "segment": 0,
                "confidence": round(rng.random() * 4, 2),
                "asi": {"hypothesis": "fewer branches in the hot path", "next_action_hint": "try the other loop"},
            }
            handle.write(json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n")


def bare(path: Path) -> None:
    from msgspec.json import Decoder

    decode = Decoder(dict).decode
    with path.open("rb") as handle:
        for line in handle:
            decode(line)


def timed(what: object, path: Path) -> float:
    began = time.perf_counter()
    what(path)  # type: ignore[operator]
    return time.perf_counter() - began


def peak_kib(path: Path) -> int:
    """Peak resident memory of a process that only summarises the log."""
    code = (
        "import resource, sys; from autoresearch.peers.summary import summarise; summarise(sys.argv[1]);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        env={"PYTHONPATH": str(HELPERS), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout) // (1024 if sys.platform == "darwin" else 1)


def main() -> None:
    from autoresearch.peers.summary import summarise

    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--lines", type=int, default=1_000_000)
    options.add_argument("--small", type=int, default=10_000)
    options.add_argument("--rounds", type=int, default=3)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        big, small = Path(scratch, "big.jsonl"), Path(scratch, "small.jsonl")
        write_log(big, chosen.lines)
        write_log(small, chosen.small)
        pairs = [(timed(bare, big), timed(summarise, big)) for _ in range(chosen.rounds)]
        loop, ours = min(pair[0] for pair in pairs), min(pair[1] for pair in pairs)
        print(f"log                 {chosen.lines} lines, {big.stat().st_size / 1e6:.0f} MB")
        print(f"bare decode loop    {loop:.3f} s")
        print(f"summarise           {ours:.3f} s")
        print(f"summarise / loop    {ours / loop:.2f}  (target at most 1.5)")
        memory = peak_kib(small), peak_kib(big)
        print(f"peak memory         {memory[0] / 1024:.1f} MiB for {chosen.small} lines")
        print(f"                    {memory[1] / 1024:.1f} MiB for {chosen.lines} lines")
        print(f"large / small       {memory[1] / memory[0]:.2f}  (constant memory: about 1)")


if __name__ == "__main__":
    main()
