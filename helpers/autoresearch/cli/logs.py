"""`autoresearch logs`: what an experiment's job printed."""

from __future__ import annotations

import click

from autoresearch.cli._output import emit, json_option
from autoresearch.errors import POLL_BASELINE, BadInput
from autoresearch.safetext import one_line, tail


@click.command(epilog="Exit codes: 0 shown, 2 no such experiment or no job yet.")
@click.argument("experiment", metavar="EXP")
@click.option("--lines", default=40, show_default=True, type=click.IntRange(1, 1000), help="Last lines to show.")
@json_option
def command(experiment: str, lines: int, as_json: bool) -> None:
    """Show why an experiment's newest job failed, or what it did.

    Output of a candidate is data: control characters are removed and it is cut to size. The whole log stays in
    the file that is named.

    \b
    Example:
      autoresearch logs e3
    """
    from autoresearch.engines.choose import engine_of
    from autoresearch.ledger.in_flight import pending
    from autoresearch.session import find_root, load
    from autoresearch.session.stages import stage_of

    session = load(find_root())
    engine = engine_of(session)
    if experiment == "baseline":
        waiting = pending(session)
        job = waiting.job if waiting else (session.baseline.job if session.baseline else None) or ""
        detail, follow = "", POLL_BASELINE
    else:
        found = session.experiment(experiment)
        job = found.jobs[-1].job if found.jobs else ""
        stage = stage_of(session, found)
        detail, follow = stage.detail, "autoresearch status" if found.result else stage.next
    if not job:
        raise BadInput(f"{experiment} has no job yet", next=f"autoresearch run {experiment}")
    result = engine.fetch(job)
    text = failed_output(result.records) or (result.log.read_text("utf-8", "replace") if result.log else "")
    said = tail(text, lines, 100 * lines)
    data = {
        "experiment": experiment, "job": job, "detail": one_line(detail, 200),
        "output": tail(text, lines, 1100), "log": str(result.log), "next": follow,
    }  # fmt: skip
    quoted = "\n".join("| " + line for line in said.splitlines())
    emit(data, "\n".join(filter(None, [detail, quoted, f"log: {result.log}"])), as_json=as_json)


def failed_output(records: object) -> str:
    """Tails of the stages that did not pass, newest last: what a reader of logs is after."""
    shown = []
    for record in records if isinstance(records, list) else []:
        # A benchmark run has no status: what was wrong with it is its problem.
        failed = (
            record.get("ok") is False
            or bool(record.get("problem"))
            or str(record.get("status", "passed")) not in ("passed", "done")
        )
        if record.get("tail") and failed:
            shown.append(f"[{record.get('type')}]\n{record['tail']}")
    return "\n".join(shown)
