"""`autoresearch log`: show the ledger, read another loop's, write either in the peers' forms."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autoresearch.cli._output import emit, fitted, json_option, say, table, to_json
from autoresearch.errors import BadInput, EnvironmentMissing
from autoresearch.safetext import one_line

if TYPE_CHECKING:
    from autoresearch.peers.summary import Summary
    from autoresearch.report.view import ExperimentView
    from autoresearch.verdict.words import Quantity

SHOWN = 20
JSON_LIMIT = 1990


@click.command("log")
@click.option("--all", "everything", is_flag=True, help=f"Show all runs, not only the last {SHOWN}.")
@click.option("--import", "foreign", metavar="PATH", help="Read another loop's log: a file or a directory.")
@click.option("--export", "form", type=click.Choice(["tsv", "jsonl"]), help="Write it in a peer's form.")
@click.option("--output", metavar="FILE", help="Where --export writes; stdout without it.")
@click.option("--force", is_flag=True, help="Let --output replace a file.")
@click.option("--direction", type=click.Choice(["lower", "higher"]), help="Which way is better, if the log says none.")
@json_option
@click.pass_context
def command(
    ctx: click.Context, everything: bool, foreign: str | None, form: str | None, output: str | None, force: bool,
    direction: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Show, import or export the ledger.

    --import reads pi-autoresearch's logs (.auto/log.jsonl, autoresearch.jsonl), Karpathy's results.tsv and tables
    like it (tabs, commas, markdown), and changes nothing. Together with --export it converts.

    \b
    Example:
      autoresearch log --all
      autoresearch log --import ../other-project --json
      autoresearch log --import results.tsv --direction higher --export jsonl --output autoresearch.jsonl
      autoresearch log --export tsv
    """
    from autoresearch.peers.foreign import locate
    from autoresearch.peers.summary import summarise

    if (output or force) and not form:
        raise BadInput("--output and --force belong to --export", fix="Add --export tsv or --export jsonl")
    path = locate(foreign) if foreign else _own()
    summary = summarise(path, direction)
    if form:
        _export(path, summary, form, output, force, direction, as_json)
    elif as_json:
        click.echo(_json(summary))
    elif foreign:
        click.echo(fitted(_readable(summary), sys.stdout))
    else:
        click.echo(fitted(_runs(path, summary, direction, None if everything else SHOWN), sys.stdout))
    if not summary.recognised:
        ctx.exit(1)


def _own() -> Path:
    from autoresearch.project import Project

    ledger = Project(Path.cwd()).ledger
    if not ledger.exists():
        raise BadInput(
            "there is no ledger here yet (autoresearch.jsonl)",
            fix="Open one with autoresearch baseline, or name another with --import",
            next="autoresearch baseline",
        )
    return ledger


def _data(summary: Summary, skipped: int, width: int) -> dict[str, Any]:
    def brief(run: dict[str, Any] | None) -> dict[str, Any] | None:
        if run is None:
            return None
        name = one_line(run["run"], width) if isinstance(run["run"], str) else run["run"]
        short = {"commit": one_line(run["commit"], min(width, 40)), "description": one_line(run["description"], width)}
        return {"run": name, "metric": run["metric"], **short}

    return {
        "lines": summary.lines, "runs": summary.runs, "configs": summary.configs, "segments": summary.segments,
        "by_status": summary.by_status, "best": brief(summary.best), "baseline": brief(summary.baseline),
        "skipped": summary.skipped[:skipped], "skipped_total": summary.skipped_total,
        "other_records": summary.others, "format": summary.format,
        "metric_name": one_line(summary.metric_name, width), "direction": summary.direction,
        "direction_known": summary.direction_known,
    }  # fmt: skip


def _json(summary: Summary) -> str:
    """As many of the skipped lines as fit (`skipped_total` counts them all), with shorter texts where need be."""
    for width, most in ((120, 30), (40, 5), (10, 0)):
        for skipped in range(min(len(summary.skipped), most), -1, -1):
            text = to_json(_data(summary, skipped, width))
            if len(text) < JSON_LIMIT:
                return text
    return text


def _readable(summary: Summary) -> str:
    statuses = ", ".join(f"{count} {status}" for status, count in summary.by_status.items())
    rise = "; its kept runs rise" if summary.direction == "higher" else ""
    direction = summary.direction + (
        "" if summary.direction_known else f" (the log does not say{rise}; see --direction)"
    )
    rows: list[Sequence[object]] = [
        ("file", summary.path),
        ("lines", f"{summary.lines} ({summary.runs} runs, {summary.configs} headers, {summary.others} other records)"),
        ("segments", summary.segments),
        ("statuses", statuses or "none"),
        ("metric", summary.metric_name or "unnamed"),
        ("better", direction),
        ("baseline", _one(summary.baseline)),
        ("best kept", _one(summary.best)),
    ]
    text = table(rows)
    if summary.segments > 1:
        text += "\nbaseline and best are those of the last segment" + (
            "" if summary.last_segment_runs else ", which has no runs yet"
        )
    problems = [f"line {item['line']}: {one_line(item['reason'], 80)}" for item in summary.skipped[:5]]
    if problems:
        text += f"\nskipped {summary.skipped_total} lines\n  " + "\n  ".join(problems)
    return text if summary.recognised else text + "\nnothing in it looks like an experiment log"


def _one(run: dict[str, Any] | None) -> str:
    if run is None:
        return "none"
    return f"{_value(run['metric'])}  run {run['run']}  {run['commit']}  {run['description']}"


def _value(value: float | None) -> str:
    return "-" if value is None else f"{value:.10g}"


def _runs(path: Path, summary: Summary, direction: str | None, limit: int | None) -> str:
    """The runs of each segment under a line of its own: numbers of two segments are never compared."""
    from autoresearch.ledger.history import fold
    from autoresearch.ledger.store import records
    from autoresearch.report.view import build
    from autoresearch.verdict.words import Quantity

    segments = [segment for segment in build(fold(records(path))).segments if segment.folded.runs]
    if not segments:
        return "no runs yet"
    best = None if summary.best is None else summary.best["run"]
    lines, hidden = [], 0 if limit is None else max(0, summary.runs - limit)
    for number, segment in enumerate(segments, 1):
        header = segment.folded.header
        of = Quantity(header.metric_name, header.metric_unit, header.direction or direction or summary.direction)
        views = [*([segment.baseline] if segment.baseline else []), *segment.experiments]
        marked = best if number == len(segments) else None
        rows = [_row(view, of, "*" if view.run.run == marked else "") for view in views]
        shown, hidden = rows[hidden:], max(0, hidden - len(rows))
        if not shown:
            continue
        counted = "run" if len(rows) == 1 else "runs"
        head = f"{len(rows)} {counted}, {of.metric or 'metric'} {of.unit}".rstrip() + f", {of.direction} is better"
        named = f"segment {number}: " if len(segments) > 1 else ""
        lines += [one_line(named + head, 120), table(shown, ("run", "commit", "value", "effect", "status", "what"))]
    if limit is not None and summary.runs > limit:
        lines.append(f"{summary.runs - limit} earlier runs: autoresearch log --all")
    if best is not None:
        lines.append("* best kept run of the last segment")
    if summary.skipped_total:
        lines.append(
            f"{summary.skipped_total} lines are no records: autoresearch log --import {one_line(path.name, 80)}"
        )
    return "\n".join(lines)


def _row(view: ExperimentView, of: Quantity, mark: str) -> tuple[str, ...]:
    """What was measured, and the effect against its own base; - for what never ran."""
    from autoresearch.report.words import change_of

    line, change = view.line, change_of(view.line)
    ran = view.run.measured is not None
    value = of.values(change) or (f"{_value(view.run.metric)} {of.unit}".rstrip() if ran else "-")
    effect = "-"
    if view.number == 0:
        effect = "baseline"
    elif change.effect_pct is not None:
        effect = of.said(change)
    elif line.verdict is None and ran and view.position is not None:
        word = of.words[0] if view.position > 0 else of.words[1]
        effect = f"{abs(view.position):.1f} % {word}, as claimed" if view.position else "the same, as claimed"
    return f"{view.run.run}{mark}", view.run.commit[:7], value, effect, view.status, one_line(view.description, 70)


def _export(
    path: Path, summary: Summary, form: str, output: str | None, force: bool, direction: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    import tempfile

    from autoresearch.ledger.records import Run
    from autoresearch.peers.export import valueless, write_jsonl, write_tsv
    from autoresearch.peers.foreign import entries

    target = Path(output) if output else None
    if target and target.exists() and not force:
        raise BadInput(f"{target} exists already", fix="Name another file, or add --force to replace it")
    try:
        directory = str(target.parent) if target else None
        with tempfile.NamedTemporaryFile(dir=directory, prefix=".autoresearch-", delete=False) as scratch:
            temporary = Path(scratch.name)
            try:
                source = entries(path, direction)
                if form == "tsv":
                    written = write_tsv(source, scratch)
                else:
                    written = write_jsonl(source, scratch, summary.metric_name or "metric", summary.direction)
                if target:
                    scratch.flush()
                    temporary.chmod(0o644)
                    temporary.replace(target)
                else:
                    scratch.seek(0)
                    for chunk in iter(lambda: scratch.read(1 << 16), b""):
                        click.echo(chunk, nl=False)
            finally:
                temporary.unlink(missing_ok=True)
    except OSError as exc:
        if isinstance(exc, BrokenPipeError):
            raise
        raise EnvironmentMissing(f"cannot write {target or 'the export'}: {exc.strerror or exc}") from None
    left_out = summary.runs - written
    empty = sum(isinstance(entry, Run) and valueless(entry) for entry in entries(path, direction)) if left_out else 0
    earlier = left_out - empty if form == "tsv" else 0
    note = f"; {empty} runs without a value left out, since readers of this form would take them for 0" if empty else ""
    note += f"; {earlier} runs of earlier segments left out, since this form has no segments" if earlier > 0 else ""
    if target:
        data = {"written": str(target), "runs": written, "left_out": left_out, "without_value": empty}
        emit(data, f"{written} runs to {target}{note}", as_json=as_json)
    elif note:
        say(f"{written} runs{note}")
