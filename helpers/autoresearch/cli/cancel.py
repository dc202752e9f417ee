"""`autoresearch cancel`: stop an experiment's job."""

from __future__ import annotations

import click

from autoresearch.cli._output import emit, json_option
from autoresearch.errors import BadInput


@click.command(epilog="Exit codes: 0 stopped, or nothing was running; 2 no such experiment.")
@click.argument("experiments", metavar="[EXP]...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Stop whatever runs, a baseline too.")
@json_option
def command(experiments: tuple[str, ...], every: bool, as_json: bool) -> None:
    """Stop the running job of an experiment, with all its processes. The experiment itself stays open.

    \b
    Example:
      autoresearch cancel e2
    """
    from autoresearch.engines.choose import engine_of
    from autoresearch.session import open_session

    if bool(experiments) == every:
        raise BadInput("give either EXP or --all", next="autoresearch queue")
    with open_session() as session:
        engine = engine_of(session)
        if every:
            jobs = {state.job: state.experiment for state in engine.poll().values()}
        else:
            jobs = {j.job: name for name in experiments for j in session.experiment(name).jobs[-1:]}
        stopped = []
        for job, name in jobs.items():
            if not engine.poll([job])[job].final:
                engine.cancel(job)
                stopped.append(name)
    human = f"stopped: {', '.join(stopped)}" if stopped else "nothing was running"
    emit({"stopped": stopped[:20], "next": "autoresearch status"}, human, as_json=as_json)
