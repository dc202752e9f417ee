"""Which CPUs measure and which build: measurements never share a core."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from autoresearch.trial import slots


@dataclass(frozen=True)
class CpuPlan:
    """CPU lists of the measurement slots, and of builds (empty: anywhere)."""

    slots: list[list[int]]
    build: list[int]
    warnings: tuple[str, ...] = ()


def available_cpus() -> list[int]:
    """CPUs this process may use; where the system does not say, all of them."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def plan_cpus(
    slots: int | Literal["auto"], cores_per_slot: int | Literal["all"], cpus: Sequence[int] | None = None
) -> CpuPlan:
    """Share the CPUs out. "auto" keeps one for builds where there are two or more; more slots than fit share CPUs,
    with a warning."""
    have = list(available_cpus() if cpus is None else cpus)
    per = len(have) if cores_per_slot == "all" else min(cores_per_slot, len(have))
    fits = max(1, (len(have) - 1) // per)
    wanted = fits if slots == "auto" else slots
    if wanted <= fits and per < len(have):
        measuring = have[1:]
        lists = [measuring[i * per : (i + 1) * per] for i in range(wanted)]
        return CpuPlan(lists, [have[0], *measuring[wanted * per :]])
    shared = [sorted({have[(i * per + k) % len(have)] for k in range(per)}) for i in range(wanted)]
    if wanted <= fits:
        return CpuPlan(shared, [])
    warning = (
        f"{wanted} slots of {per} CPU(s) on {len(have)} CPU(s): measurements share cores, which is only right for "
        "benchmarks that mostly wait"
    )
    return CpuPlan(shared, [], (warning,))


def core_locks() -> Path | None:
    """The directory of this user's core locks on this machine; None where it cannot be made."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    # A home may be shared by several machines, whose cores are not the same ones.
    path = base / "autoresearch" / f"cores-{platform.node() or 'here'}"
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return path


@contextlib.contextmanager
def held(cores: int, wait: Callable[[], None]) -> Iterator[list[int]]:
    """CPUs to measure on outside of any session, which no trial of this user on this machine measures on meanwhile.

    `wait` is called once if none are free at first. [] where processes cannot be pinned.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield []
        return
    locks = core_locks()
    plan = {"slots": plan_cpus("auto", cores).slots, "cores": str(locks) if locks else None}
    with tempfile.TemporaryDirectory(prefix="autoresearch-ab-") as directory:
        (Path(directory) / "cpus.json").write_text(json.dumps(plan), encoding="utf-8")
        with slots.take(directory, wait) as slot:
            yield slot.cpus
