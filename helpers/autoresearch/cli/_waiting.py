"""Waiting for jobs in short steps, with a live line for a person and silence for an agent."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Protocol

import click

from autoresearch.cli import started
from autoresearch.cli._output import is_terminal, width_of
from autoresearch.errors import EnvironmentMissing
from autoresearch.safetext import one_line

if TYPE_CHECKING:
    from autoresearch.engines import JobState


def running(states: Mapping[str, JobState]) -> dict[str, str]:
    """Those that have not ended, with what they do now."""
    return {name: one_line(s.phase or s.state, 60) for name, s in states.items() if not s.final}


class Pollable(Protocol):
    """What waiting needs of an engine."""

    def poll(self, jobs: Iterable[str] | None = None) -> Mapping[str, JobState]: ...

    def blocked(self) -> EnvironmentMissing | None: ...


def wait_for(
    engine: Pollable, jobs: Mapping[str, str], timeout: float | None, *, quiet: bool, any_one: bool = False,
    clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep,
) -> dict[str, JobState]:  # fmt: skip
    """Poll `jobs` ({name: job id}) until all (or any one) have ended or `timeout` seconds are over.

    They count from the command's start, with a tenth left for what comes after: an agent's shell counts so, too.
    `EnvironmentMissing` when the engine cannot go on with them.
    """
    begun = started() if clock is time.monotonic else clock()
    deadline = None if timeout is None else begun + (0.9 * timeout if timeout > 5 else timeout)
    live = is_terminal() and not quiet
    at_first: int | None = None
    while True:
        states = engine.poll(list(jobs.values()))
        by_name = {name: states[job] for name, job in jobs.items()}
        left_over = running(by_name)
        problem = engine.blocked() if left_over else None
        if problem is not None:
            raise problem
        at_first = len(left_over) if at_first is None else at_first
        left = None if deadline is None else deadline - clock()
        over = left is not None and left <= 0
        if not left_over or over or (any_one and len(left_over) < at_first):
            if live:
                click.echo("\r\x1b[K", nl=False, err=True)
            return by_name
        if live:
            line = f"waiting: {', '.join(map(' '.join, left_over.items()))}"
            click.echo(f"\r\x1b[K{line[: (width_of(sys.stderr) or 100) - 1]}", nl=False, err=True)
        sleep(0.25 if left is None else max(0.01, min(0.25, left)))
