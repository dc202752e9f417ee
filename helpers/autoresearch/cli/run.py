"""`autoresearch run`: build, benchmark and check experiments, detached."""

from __future__ import annotations

import click

from autoresearch.cli._fit import fit
from autoresearch.cli._output import emit, json_option, say
from autoresearch.errors import POLL_WAIT
from autoresearch.safetext import one_line


@click.command(
    epilog="Exit codes: 0 submitted, 2 wrong use, 4 a stop rule or a budget was reached, 5 a diff leaves its "
    "scope or the evaluator was touched (the other experiments are submitted all the same)."
)
@click.argument("experiments", metavar="EXP...", nargs=-1, required=True)
@json_option
@click.pass_context
def command(ctx: click.Context, experiments: tuple[str, ...], as_json: bool) -> None:
    """Build, benchmark once and check experiments, detached and in parallel.

    This is the cheap screening: it shows crashes and failed checks. It never decides a keep; `ab` does.

    \b
    Example:
      autoresearch run e1 e2 e3
    """
    from autoresearch.budget.purse import Purse
    from autoresearch.budget.rules import refuse_if_stopped
    from autoresearch.cli._submitting import describe, submit_each, worst
    from autoresearch.session import open_session
    from autoresearch.session.dispatch import submit_screening
    from autoresearch.session.integrity import verify_evaluator

    with open_session() as session:
        frozen = verify_evaluator(session)
        refuse_if_stopped(session)
        purse = Purse(session)
        submitted, refused = submit_each(
            experiments,
            lambda name: submit_screening(session, session.undecided(name), frozen, purse.draw),
            quiet=as_json,
        )
        ahead = purse.forecast(len(submitted))
    follow = POLL_WAIT if submitted else next(iter(refused.values())).next or "autoresearch status"
    for name, exc in refused.items():
        say(f"autoresearch: {name}: {one_line(exc.sentence(), 500)}")
    data = {
        "submitted": submitted,
        "refused": describe(refused),
        "forecast": None if ahead is None else ahead.to_json(),
        "next": follow,
    }
    lines = [f"submitted: {', '.join(submitted) or 'nothing'}"]
    lines += [f"forecast: {ahead.sentence()}"] if ahead is not None else []
    emit(fit(data, "submitted", "refused"), "\n".join([*lines, f"next: {follow}"]), as_json=as_json)
    ctx.exit(int(worst(refused)))
