"""`autoresearch run`: build, benchmark and check experiments, detached."""

from __future__ import annotations

import click

from autoresearch.cli._fit import fit
from autoresearch.cli._output import json_option, tell
from autoresearch.errors import POLL_WAIT


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
    from autoresearch.cli._submitting import say_refused, submit_all, worst
    from autoresearch.session import open_session
    from autoresearch.session.admission import left_out

    with open_session() as session:
        submitted, refused, purse = submit_all(session, experiments, "job", quiet=as_json)
        ahead = purse.forecast(len(submitted))
        unseen = {name: files for name in submitted if (files := left_out(session, name))}
    follow = POLL_WAIT if submitted else next(iter(refused.values())).next or "autoresearch status"
    data = {
        "submitted": submitted,
        "refused": say_refused(refused),
        "forecast": None if ahead is None else ahead.to_json(),
        "next": follow,
    }
    lines = [f"submitted: {', '.join(submitted) or 'nothing'}"]
    lines += [f"{name}: not measured, as .gitignore covers them: {', '.join(unseen[name])}" for name in unseen]
    lines += [f"forecast: {ahead.sentence()}"] if ahead is not None else []
    if unseen:
        data["not_measured"] = unseen
        data["note"] = "new files that .gitignore covers are no part of a candidate: git add -f them in its copy"
    tell(fit(data, "submitted", "refused", "not_measured"), lines, as_json=as_json)
    ctx.exit(int(worst(refused)))
