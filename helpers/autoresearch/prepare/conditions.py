"""What the doctor says of the machine it ran the benchmark on: who else had the core, and at how many speeds it ran.

Advice: a session works there all the same. Only where this machine is the one that measures.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from autoresearch.config import Config
from autoresearch.engines.local import LocalEngine
from autoresearch.judging.met import LOUD_PCT, PAIR, TWO_SPEEDS, is_paired, slow_to_quick, two_speeds, waiting
from autoresearch.judging.units import is_speed, seconds_per_unit
from autoresearch.prepare.diagnosis import Diagnosis
from autoresearch.project import Project
from autoresearch.trial.conditions import lost_share
from autoresearch.trial.procs import Finished
from autoresearch.trial.slots import Slot, take

# The probe: so many looks, so far apart, each at a piece of work of so many seconds.
LOOKS, APART, WORK = 30, 0.1, 0.002
PROBE = LOOKS * APART
# Two runs of one commit that lie further apart (percent) ask for a reason.
FAR_PCT = 10.0
# Seconds that one timed section should take.
SHORT = 0.1


class Measuring(Exception):
    """A measurement of this machine's sessions has the core now."""


@contextlib.contextmanager
def core(project: Project, config: Config) -> Iterator[Slot | None]:
    """The core that a trial would be given, held while the block runs; None where that is not of this machine, or where
    a measurement has it now, which is not to be kept waiting nor to be disturbed.
    """
    with contextlib.ExitStack() as stack:
        slot = None
        if config.engine == "local":
            directory = LocalEngine(project.state, config.slots, config.cores_per_slot).slot_directory()
            with contextlib.suppress(Measuring):
                slot = stack.enter_context(take(str(directory), _busy))
        yield slot


def _busy() -> None:
    raise Measuring


def cores() -> int:
    """How many cores we may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def load() -> str:
    """How many programs wanted a core in the last minute, on average, such as `load 3.1`."""
    return f"load {os.getloadavg()[0]:.1f}"


def apart_pct(values: Sequence[float]) -> float:
    """How far the last two values lie apart, in percent."""
    before, last = values[-2:]
    return 100 * abs(before - last) / abs(before) if before else 0.0


def wants_probe(config: Config, metrics: Mapping[str, float]) -> bool:
    """Whether a second speed of the core would matter: to a time or a rate that is not paired."""
    return is_speed(config.objective) and not is_paired(metrics)


def told(
    config: Config, values: Sequence[float], runs: Sequence[Finished], metrics: Mapping[str, float],
    speeds: float | None,
) -> Iterator[Diagnosis]:  # fmt: skip
    """What `runs` on the measuring core met, whether the last two `values` of one commit agree, and why not.

    `metrics` are those that a run printed, `speeds` what the probe saw (None: not asked).
    """
    paired, timed, seconds = is_paired(metrics), is_speed(config.objective), seconds_per_unit(config.objective)
    waited, exact = max(map(_waited, runs), default=(0.0, True))
    far = apart_pct(values)
    apart = f"two runs of one commit are {far:.0f} % apart" if far > FAR_PCT else ""
    causes = []
    if timed and waited > LOUD_PCT:
        fix = "Its pairs mend most of that" if paired else f"Use {PAIR} (own time)"
        causes.append(Diagnosis("warn", "load", f"{waiting(waited, exact)} ({load()} on {cores()} cores)", fix))
    if timed and not paired and speeds is not None and speeds > TWO_SPEEDS:
        causes.append(Diagnosis("warn", "speed", two_speeds(speeds), f"Pair it with a reference: {PAIR}"))
    if apart and causes:
        causes[0] = replace(causes[0], found=f"{causes[0].found}; {apart}")
    elif apart:
        found = (
            f"{apart}, and no other program or second speed was seen ({load()} on {cores()} cores): it varies by itself"
        )
        causes.append(Diagnosis("warn", "apart", found, "Look for what it draws at random, a cache, or the network"))
    yield from causes
    if seconds is not None and not paired and 0 < values[-1] * seconds < SHORT:
        found = f"one timed section of {_brief(values[-1] * seconds)}"
        yield Diagnosis("warn", "section", found, f"0.2 s or more, in rounds: {PAIR}")


def _waited(run: Finished) -> tuple[float, bool]:
    """Percent of a run in which others had its core, and whether that is exact."""
    waited = run.met.waited
    return 100.0 * (lost_share(run.seconds, waited, run.met.foreign_seconds) or 0.0), waited is not None


def probe(cpus: Sequence[int]) -> float:
    """Slow to quick: what the same work takes in processor time at 30 looks in 3 s, on `cpus`.

    Other programs' turns are not in it. Each look does the work twice and takes the quicker one, as an interrupt or a
    cold cache hits one of the two, and what slows the core lasts for both. The slowest and the quickest tenth are left
    out (`slow_to_quick`), so that four looks of thirty must be slow before it is called a second speed.
    """
    own = os.sched_getaffinity(0) if cpus and hasattr(os, "sched_getaffinity") else None
    try:
        if own is not None:
            os.sched_setaffinity(0, cpus)
        loops = 1000
        while _work(loops) < WORK / 2:
            loops *= 2
        found = []
        for _ in range(LOOKS):
            found.append(min(_work(loops), _work(loops)))
            time.sleep(APART - 2 * WORK)
        return slow_to_quick(found)
    finally:
        if own is not None:
            os.sched_setaffinity(0, own)


def _work(loops: int) -> float:
    """Seconds of the processor that so many steps took."""
    begun, x = time.thread_time(), 1
    for _ in range(loops):
        x = (x * 1103515245 + 12345) & 0x7FFFFFFF
    return time.thread_time() - begun


def _brief(seconds: float) -> str:
    scale, unit = next(((s, u) for s, u in ((1e3, "ms"), (1e6, "µs")) if seconds * s >= 1), (1e9, "ns"))
    return f"{seconds * scale:.3g} {unit}"
