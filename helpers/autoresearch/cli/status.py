"""`autoresearch status`: where the session stands; a fresh agent resumes from this alone."""

from __future__ import annotations

import click

from autoresearch.cli._fit import fit
from autoresearch.cli._output import emit, json_option, who_option, with_said


@click.command(epilog="Exit codes: 0 shown, 2 no session here, 4 a stop rule was reached, 5 integrity.")
@who_option("next then leaves the others' experiments to them.")
@json_option
@click.pass_context
def command(ctx: click.Context, who: str, as_json: bool) -> None:
    """Say where the session stands, what runs, what it has cost, and what comes next.

    \b
    Example:
      autoresearch status --json
    """
    from autoresearch.report.overview import overview
    from autoresearch.session import open_session
    from autoresearch.session.scripts import collect

    with open_session() as session:
        view = overview(session, who)
    said = collect(session.project)
    text = "\n".join(filter(None, [view.text, said]))
    emit(fit(with_said(view.data, said), "recent", "undecided"), text, as_json=as_json)
    ctx.exit(int(view.code))
