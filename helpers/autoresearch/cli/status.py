"""`autoresearch status`: where the session stands; a fresh agent resumes from this alone."""

from __future__ import annotations

import click

from autoresearch.cli._fit import fit
from autoresearch.cli._output import emit, json_option, who_option, with_said
from autoresearch.errors import Exit
from autoresearch.safetext import one_line


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
    from autoresearch.session.integrity import broken
    from autoresearch.session.scripts import collect

    with open_session() as session:
        view = overview(session, who)
        fault = broken(session) if session.baseline is not None else None
    said = collect(session.project)
    data, text, code = view.data, view.text, view.code
    if fault is not None:  # before all else: nothing is measured until it is mended
        follow = fault.next or "autoresearch doctor"
        data = {"broken": one_line(fault.sentence(), 300), **data, "next": follow}
        lines = text.split("\n")[:-1]
        text = "\n".join([f"BROKEN    {one_line(fault.sentence(), 400)}", *lines, f"next: {follow}"])
        code = Exit.INTEGRITY
    text = "\n".join(filter(None, [text, said]))
    emit(fit(with_said(data, said), "recent", "undecided"), text, as_json=as_json)
    ctx.exit(int(code))
