"""What jobs of this machine have left behind: processes and trees of jobs that are over or gone."""

from __future__ import annotations

import os
import time
from pathlib import Path

from autoresearch.engines.jobdir import is_free, read_json
from autoresearch.engines.supervisor import JOB
from autoresearch.trial import places, processes

PATIENCE = 10.0  # seconds; a process that waits for a dead disk ends when it can


def leftover_processes(state: Path) -> set[int]:
    """Live processes of jobs below `state` whose runner has ended, or whose directory was deleted.

    A process says in its environment which job it is of: the marker, and a home below the job's directory.
    """
    jobs = state.resolve() / "jobs"
    found = set()
    for pid, env in processes.environments(JOB):
        home = env.get("AUTORESEARCH_HOME", "")
        if not home.startswith(f"{jobs}{os.sep}"):
            continue
        if is_free(jobs / Path(home).relative_to(jobs).parts[0] / "lock"):
            found.add(pid)
    return found


def leftover_trees(state: Path) -> list[Path]:
    """Trees and scratch files of jobs that nothing runs any more: they can be made again."""
    places_left = [Path(place.path) for place in places.left(str(state))]
    return places_left + [
        jobdir / name
        for jobdir in sorted((state / "jobs").glob("*"))
        for name in ("trial", "scratch", "workdir")
        if (jobdir / name).exists() and is_free(jobdir / "lock") and _drops(jobdir, name)
    ]


def _drops(jobdir: Path, name: str) -> bool:
    """Whether the job's own end would have removed this tree: not the workdir of a user's own task."""
    job = read_json(jobdir / "job.json") or {}
    # Only this machine's jobs have a marker, and a lock that tells whether they live.
    return "marker" in job and (name != "workdir" or bool(job.get("drop_workdir")))


def clear(state: Path) -> int:
    """End those processes and remove those trees, where there are any; returns how many trees there were."""
    found = leftover_trees(state)
    if found:
        kill_leftovers(state)
        for path in found:
            places.remove(str(path))
    return len(found)


def kill_leftovers(state: Path) -> None:
    """End processes of jobs that are over, until a look finds none."""
    deadline = time.monotonic() + PATIENCE
    while (alive := leftover_processes(state)) and time.monotonic() < deadline:
        for pid in alive:
            processes.kill(pid)
        time.sleep(0.02)
