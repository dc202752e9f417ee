"""`autoresearch queue`: what runs and what waits."""

from __future__ import annotations

import click

from autoresearch.cli._fit import fit
from autoresearch.cli._output import emit, json_option, table
from autoresearch.errors import POLL_BASELINE, POLL_WAIT, poll_audit
from autoresearch.safetext import one_line


@click.command(epilog="Exit codes: 0 shown, 2 no session here.")
@click.option("--all", "show_all", is_flag=True, help="Show the jobs that have ended too.")
@json_option
def command(show_all: bool, as_json: bool) -> None:
    """Show the jobs that run or wait, with their phase.

    \b
    Example:
      autoresearch queue
    """
    from autoresearch.engines.choose import engine_of
    from autoresearch.session import find_root, load

    session = load(find_root())
    jobs = [job for job in engine_of(session).poll().values() if show_all or not job.final]
    rows = [
        (job.experiment, job.job, job.state, one_line(job.phase or job.detail, 60), f"{job.seconds:.0f} s")
        for job in jobs
    ]
    follow = _next([job.experiment for job in jobs if not job.final])
    data = {
        "jobs": [dict(zip(("experiment", "job", "state", "detail", "seconds"), row, strict=True)) for row in rows],
        "count": len(rows),
        "next": follow,
    }
    human = table(rows, ("experiment", "job", "state", "phase", "time")) if rows else "nothing runs"
    emit(fit(data, "jobs"), human, as_json=as_json)


def _next(running: list[str]) -> str:
    """What waits for these: the baseline and the audit are followed by the commands that began them."""
    if not running:
        return "autoresearch status"
    if all(name == "baseline" for name in running):
        return POLL_BASELINE
    if all(name.startswith("audit") for name in running):
        return poll_audit()
    return POLL_WAIT
