"""Which CPUs measure and which build: measurements never share a core."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


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
