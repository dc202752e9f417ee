"""`autoresearch wait`: wait for jobs in short steps."""

from __future__ import annotations

import click

from autoresearch.cli._fit import fit
from autoresearch.cli._output import json_option, table, tell
from autoresearch.errors import POLL_WAIT, Exit
from autoresearch.safetext import one_line


@click.command(epilog="Exit codes: 0 nothing runs any more, 1 something still runs (repeat the command).")
@click.argument("experiments", metavar="[EXP]...", nargs=-1)
@click.option("--timeout", type=click.FloatRange(min=0), help="Return after this many seconds at the latest.")
@click.option("--any", "any_one", is_flag=True, help="Return as soon as one of them has ended.")
@json_option
@click.pass_context
def command(
    ctx: click.Context, experiments: tuple[str, ...], timeout: float | None, any_one: bool, as_json: bool
) -> None:
    """Wait until the running jobs (of EXP, or all) have ended.

    Agents' shells return after 10 to 120 seconds: use --timeout 25 and repeat while the exit code is 1.

    \b
    Example:
      autoresearch wait --timeout 25
    """
    from autoresearch.cli._waiting import wait_for
    from autoresearch.engines.choose import engine_of
    from autoresearch.session import find_root, load
    from autoresearch.session.stages import next_step, undecided

    session = load(find_root())
    names = experiments or tuple(e.id for e in session.experiments.values() if e.result is None)
    jobs = {name: found.jobs[-1].job for name in names if (found := session.experiment(name)).jobs}
    states = wait_for(engine_of(session), jobs, timeout, quiet=as_json, any_one=any_one) if jobs else {}
    running = [name for name, state in states.items() if not state.final]
    stages = undecided(load(session.project.root))
    follow = POLL_WAIT if running and not any_one else next_step(stages) or "autoresearch status"
    shown = {name: stages[name] for name in names if name in stages}
    data = {
        "done": not running,
        "running": {name: one_line(states[name].phase, 60) for name in running},
        "stages": {name: one_line(f"{s.name}: {s.detail}", 110) for name, s in shown.items()},
        "next": follow,
    }
    rows = [(name, s.name, one_line(s.detail, 90)) for name, s in shown.items()]
    tell(fit(data, "stages", "running"), [table(rows)], as_json=as_json)
    ctx.exit(int(Exit.NO) if running else 0)
