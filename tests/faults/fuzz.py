"""Fuzzes the parsers: python tests/faults/fuzz.py --inputs 10000000 [--jobs 2] [--seed 1] [--target NAME]

No crash, no hang (two seconds of processor time an input), bounded memory (an address space of 1.5 GiB). Inputs are
seeds of a target's grammar, mutated; an input whose answer has a new shape joins the corpus. With --atheris the same
targets run under libFuzzer's coverage feedback, where the package atheris is installed. What fails is written to
--out and makes the exit code 1.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from multiprocessing import Pool
from pathlib import Path

from fuzz_targets import TARGETS, Target

CPU_CAP = 2.0
LONGEST = 640
CORPUS = 400
ADDRESS_SPACE = 3 << 29


class Hang(BaseException):
    """An input has taken all its time. Not an Exception, so that no parser takes it for one."""


def mutants(target: Target, rng: random.Random) -> Iterator[tuple[bytes, list[bytes]]]:
    """Inputs for ever, with the corpus that an interesting one is added to."""
    corpus = list(target.seeds)
    choice, below = rng.choice, rng.randrange
    yield from ((seed, corpus) for seed in target.seeds)
    while True:
        data = bytearray(choice(corpus))
        for _ in range(1 + below(4)):
            kind = below(8)
            at = below(len(data) + 1)
            if kind <= 2:
                data[at:at] = choice(target.words)
            elif kind == 3:
                data[at : at + 1 + below(12)] = b""
            elif kind == 4 and data:
                data[at % len(data)] = below(256)
            elif kind == 5:
                end = at + below(24)
                data[at:at] = bytes(data[at:end]) * (1 if below(20) else below(60))
            elif kind == 6:
                other = choice(corpus)
                data[at:] = other[below(len(other) + 1) :]
            else:
                data[at:at] = bytes((below(256), below(256)))
        yield bytes(data[:LONGEST]), corpus


def run(name: str, inputs: int, seed: int) -> tuple[str, int, float, list[tuple[bytes, str]], int]:
    """Fuzz one target: (name, inputs, processor seconds, failures as (input, why), corpus size)."""
    target = next(t for t in TARGETS if t.name == name)
    rng = random.Random(f"{name}/{seed}")
    failures: list[tuple[bytes, str]] = []
    seen: set[object] = set()
    watch = [0, -1]

    def stuck(signum: int, frame: object) -> None:
        if watch[0] == watch[1]:
            raise Hang(f"an input took over {CPU_CAP} s of processor time")
        watch[1] = watch[0]

    signal.signal(signal.SIGVTALRM, stuck)
    signal.setitimer(signal.ITIMER_VIRTUAL, CPU_CAP, CPU_CAP)
    begin = time.process_time()
    count = 0
    corpus: list[bytes] = []
    for count, (data, corpus) in enumerate(mutants(target, rng), 1):
        watch[0] = count
        try:
            feature = target.call(data)
        except target.refuses as exc:
            feature = str(exc)[:24]
        except (Exception, Hang) as exc:
            failures.append((data, "".join(traceback.format_exception_only(exc)).strip()[:300]))
            feature = type(exc).__name__
            if len(failures) >= 10:
                break
        if feature not in seen and len(seen) < 20000:
            seen.add(feature)
            if len(corpus) < CORPUS:
                corpus.append(data)
            else:
                corpus[rng.randrange(len(target.seeds), CORPUS)] = data
        if count >= inputs:
            break
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    return name, count, time.process_time() - begin, failures, len(corpus)


def fuzz(inputs: int, seed: int, jobs: int, only: str | None = None, out: Path | None = None) -> int:
    """Fuzz all targets by their shares; returns the number of failures. Prints a line a target."""
    chosen = [t for t in TARGETS if only in (None, t.name)]
    whole = sum(t.share for t in chosen)
    parts = []
    for target in chosen:
        count = max(1, round(inputs * target.share / whole))
        pieces = max(1, min(jobs * 4, count // 20000))
        parts += [(target.name, count // pieces + 1, seed * 1000 + piece) for piece in range(pieces)]
    begin = time.monotonic()
    totals: dict[str, list[float]] = {}
    failures = []
    with Pool(jobs, _limit) as pool:
        for name, count, seconds, found, size in pool.imap_unordered(_call, parts):
            row = totals.setdefault(name, [0, 0.0, 0, 0])
            row[:] = [row[0] + count, row[1] + seconds, row[2] + len(found), max(row[3], size)]
            failures += [(name, data, why) for data, why in found]
    say = sys.stdout.write
    for name, (count, seconds, bad, size) in sorted(totals.items()):
        rate = count / max(seconds, 1e-9)
        say(f"{name:9} {count:>10.0f} inputs {rate:>9.0f}/s of processor time, corpus {size:.0f}, {bad:.0f} failures\n")
    inputs = int(sum(row[0] for row in totals.values()))
    cpu, wall = sum(row[1] for row in totals.values()), time.monotonic() - begin
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    say(
        f"{'all':9} {inputs:>10} inputs {inputs / max(cpu, 1e-9):>9.0f}/s of processor time, {inputs / wall:.0f}/s of "
        f"the clock ({jobs} jobs), seed {seed}, peak {peak:.0f} MiB, {len(failures)} failures\n"
    )
    for number, (name, data, why) in enumerate(failures):
        say(f"FAILED {name}: {why}\n  {data[:200]!r}\n")
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            (out / f"{name}-{number}.bin").write_bytes(data)
    return len(failures)


def _call(part: tuple[str, int, int]) -> tuple[str, int, float, list[tuple[bytes, str]], int]:
    return run(*part)


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))


def under_atheris(name: str, inputs: int, seed: int) -> int:
    """Coverage-guided, in this process: libFuzzer ends it with exit code 77 at the first failure."""
    try:
        import atheris
    except ImportError:
        sys.stderr.write("atheris is not installed (pip install atheris): nothing was fuzzed\n")
        return 3
    target = next(t for t in TARGETS if t.name == name)
    atheris.instrument_all()

    def one(data: bytes) -> None:
        try:
            target.call(data)
        except target.refuses:
            return

    atheris.Setup([sys.argv[0], f"-runs={inputs}", f"-seed={seed}", "-timeout=2", "-rss_limit_mb=1500"], one)
    atheris.Fuzz()
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--target", choices=[t.name for t in TARGETS])
    parser.add_argument("--out", type=Path, help="directory for inputs that failed")
    parser.add_argument("--atheris", action="store_true", help="coverage-guided; needs --target")
    given = parser.parse_args()
    if given.atheris:
        return under_atheris(given.target or TARGETS[0].name, given.inputs, given.seed)
    return 1 if fuzz(given.inputs, given.seed, given.jobs, given.target, given.out) else 0


if __name__ == "__main__":
    sys.exit(main())
