"""Real A/B truth: published version pairs with a stated better, same or worse, judged by `autoresearch ab`.

    python benchmarks/real_pairs.py [--quick] [--only NAME] [--repeat N] [--seed N] [--layout fixed] [--list]

Every pair is data in benchmarks/pairs/*.yaml: what the change log says, and a snippet that exercises it. A pair
with `reverse: true` runs a second time from new to old. The packages come from their own registries through
`pip download` (wheels only), `npm pack` (no scripts run) and the Debian archive that apt is set up for (sources, built
here with cc and make), are kept in ~/.cache/autoresearch/pairs, and are run
as they are. Exit 1: a change that is no gain was kept. Exit 3: a pair could not be run. A gain that was not found
is a miss; it is listed, and no fault.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any, Literal

from pair_sources import Pair, Unavailable, cache_dir, load_pairs, stage

HELPERS = Path(__file__).resolve().parent.parent / "helpers"


def judge(options: dict[str, str], seed: int | None, layout: str) -> dict[str, Any]:
    """What the real command says of two staged sides."""
    command = [sys.executable, "-m", "autoresearch", "ab", "--json", "--run-timeout", "60", "--layout", layout]
    for name, value in options.items():
        command += [f"--{name}", value]
    if seed is not None:
        command += ["--seed", str(seed)]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(HELPERS)}, capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, 1):
        raise Unavailable((done.stderr.strip() or "no message")[:300])
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def outcome(truth: str, verdict: str) -> Literal["ok", "miss", "FALSE KEEP"]:
    """A keep must be a gain; a gain that was not kept is a miss."""
    if verdict == "keep":
        return "ok" if truth == "better" else "FALSE KEEP"
    return "miss" if truth == "better" else "ok"


def row(pair: Pair, data: dict[str, Any], seconds: float) -> str:
    def number(key: str) -> str:
        return "?" if data.get(key) is None else f"{data[key]:+.1f}"

    interval = f"[{number('ci_low_pct')}, {number('ci_high_pct')}]"
    said = f"{data['verdict']} ({data['reason']})"
    versions = "" if pair.registry == "c" else f"{pair.old} -> {pair.new}"
    return (
        f"{pair.name:<28} {versions:<28} {pair.truth:<7} {said:<20} {number('effect_pct'):>7} {interval:>17}"
        f" {data['runs_used']:>5} {seconds:>5.0f}  {outcome(pair.truth, data['verdict'])}"
    )


def summary(pair: Pair, answers: list[dict[str, Any]]) -> str:
    """One line for a pair judged several times."""
    kept = sum(answer["verdict"] == "keep" for answer in answers)
    gains = [answer["effect_pct"] for answer in answers if answer.get("effect_pct") is not None]
    spread = f"{median(gains):+9.1f} [{min(gains):+.1f}, {max(gains):+.1f}]" if gains else ""
    runs = sum(answer["runs_used"] for answer in answers) / len(answers)
    return f"{pair.name:<28} {pair.truth:<7} {kept:>3} of {len(answers):<4} {runs:>5.1f} {spread}"


def run(pairs: list[Pair], seed: int | None, layout: str, repeat: int) -> int:
    """Judge every pair `repeat` times and print the table; the exit code."""
    if repeat == 1:
        print(
            f"{'pair':<28} {'versions':<28} {'truth':<7} {'verdict (reason)':<20} {'gain %':>7} {'interval':>17}"
            f" {'runs':>5} {'sec':>5}  right?"
        )
    else:
        print(f"{'pair':<28} {'truth':<7} {'kept':<11} {'runs':>5} {'gain %: median [least, most]'}")
    counts = {"ok": 0, "miss": 0, "FALSE KEEP": 0, "not run": 0}
    gains, runs, begun = 0, 0, time.monotonic()
    for pair in pairs:
        started = time.monotonic()
        try:
            options = stage(pair, cache_dir())
            seeds = [None if seed is None else seed + i for i in range(repeat)]
            answers = [judge(options, one, layout) for one in seeds]
        except Unavailable as exc:
            counts["not run"] += repeat
            print(f"{pair.name:<28} not run: {exc}", flush=True)
            continue
        for answer in answers:
            counts[outcome(pair.truth, answer["verdict"])] += 1
            runs += answer["runs_used"]
        gains += repeat * (pair.truth == "better")
        took = time.monotonic() - started
        print(row(pair, answers[0], took) if repeat == 1 else summary(pair, answers), flush=True)
    judged = sum(counts.values()) - counts["not run"]
    print(
        f"\n{judged} verdicts, {runs} counted runs, {time.monotonic() - begun:.0f} s. Gains kept: "
        f"{gains - counts['miss']} of {gains}. False keeps: {counts['FALSE KEEP']} of {judged - gains}. "
        f"Not run: {counts['not run']}."
    )
    if counts["FALSE KEEP"]:
        return 1
    return 3 if counts["not run"] else 0


def sources(pairs: list[Pair]) -> None:
    print("\nWhere the truth is stated:")
    for pair in pairs:
        if not pair.name.endswith("-reverse"):
            print(f"- {pair.name}: {' '.join(pair.why.split())}")


def load() -> str:
    """The one-minute load average, as text."""
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", metavar="NAME", help="this pair; may be given again")
    parser.add_argument("--quick", action="store_true", help="the few pairs marked quick")
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help="judge every pair N times")
    parser.add_argument("--seed", type=int, help="seed of the run orders (default: drawn for each pair)")
    parser.add_argument(
        "--layout", choices=("auto", "fixed"), default="auto", help="fixed: link the C pair once (what luck does)"
    )
    parser.add_argument("--list", action="store_true", help="names and truths, nothing is run")
    args = parser.parse_args()
    pairs = load_pairs()
    unknown = set(args.only or ()) - {pair.name for pair in pairs}
    if unknown:
        parser.error(f"no pair named {', '.join(sorted(unknown))}; see --list")
    if args.only:
        pairs = [pair for pair in pairs if pair.name in args.only]
    if args.quick:
        pairs = [pair for pair in pairs if pair.quick]
    if args.list:
        for pair in pairs:
            print(f"{pair.name:<28} {pair.truth}")
        return 0
    words = shlex.join(sys.argv[1:])
    print(f"$ python benchmarks/real_pairs.py {words}".rstrip())
    print(f"{datetime.date.today()}, {os.cpu_count()} CPUs, load at the start {load()}\n")
    code = run(pairs, args.seed, args.layout, args.repeat)
    print(f"Load at the end {load()}; above the number of CPUs, expect misses.")
    sources(pairs)
    return code


if __name__ == "__main__":
    sys.exit(main())
