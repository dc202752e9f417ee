"""`autoresearch report`: render the documents and the chart from the ledger."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from autoresearch.cli._output import emit, json_option, say, table
from autoresearch.errors import BadInput

if TYPE_CHECKING:
    from autoresearch.report.render import Rendered

ROWS = 20


@click.command(epilog="Exit codes: 0 written, 2 wrong use, 3 matplotlib is missing or the disk refuses.")
@click.option("--chart/--no-chart", default=None, help="Demand the chart, or leave it out. Default: if possible.")
@click.option("--png", is_flag=True, help="Also write autoresearch.png (1200 x 600).")
@click.option(
    "--ledger",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Read this ledger, also another tool's, instead of the project's.",
)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write into this directory. Default: the project, or where --ledger stands.",
)
@json_option
def command(chart: bool | None, png: bool, ledger: Path | None, output: Path | None, as_json: bool) -> None:
    """Render autoresearch.md, IMPROVEMENTS.md and the chart from the ledger.

    Your prose in autoresearch.md stays as it is; only what stands between its markers is replaced.

    \b
    Example:
      autoresearch report --png
      autoresearch report --ledger other/autoresearch.jsonl --output /tmp/look
    """
    from autoresearch.report.render import render

    if png and chart is False:
        raise BadInput("--png and --no-chart exclude each other", fix="Leave one of them out")
    source, target = _places(ledger, output)
    done = render(source, target, chart=True if png else chart, png=png)
    for warning in done.warnings:
        say(f"warning: {warning}")
    emit(_data(done), _human(done), as_json=as_json)


def _places(ledger: Path | None, output: Path | None) -> tuple[Path, Path]:
    if ledger is not None:
        beside = ledger.absolute().parent
        return ledger, output or (beside.parent if beside.name == ".auto" else beside)
    from autoresearch.project import Project
    from autoresearch.session import find_root

    root = find_root(Path.cwd())
    return Project(root).ledger, output or root


def _data(done: Rendered) -> dict[str, object]:
    from autoresearch.report.escape import plain
    from autoresearch.report.words import reverified

    view = done.view
    segment = view.current
    return {
        "experiments": view.experiments, "counts": view.counts, "runs": view.runs,
        "seconds": round(view.seconds, 1), "segments": len(view.segments),
        "claimed_pct": round(segment.claimed, 3), "verified_side_by_side": segment.verified,
        "reverified": segment.audit is not None and reverified(segment.audit, segment.later),
        "paths": [plain(path, 160) for path in done.paths], "changed": len(done.changed),
        "warnings": [plain(warning, 100) for warning in done.warnings[:3]], "next": "autoresearch status",
    }  # fmt: skip


def _human(done: Rendered) -> str:
    from autoresearch.report.words import summary

    segment = done.view.current
    shown = segment.experiments[-ROWS:]
    lines = []
    if shown:
        rows = [(e.id[:24], e.status, e.effect_text(), e.runs, _what(e.description or e.hypothesis)) for e in shown]
        lines += [table(rows, ("experiment", "status", "effect", "runs", "what")), ""]
    earlier = done.view.experiments - len(shown)
    if earlier:
        lines.append(f"{earlier} earlier not shown here; autoresearch.md has them.")
    lines.append(f"{summary(segment)}.")
    for path in done.paths:
        lines.append(f"{'wrote' if path in done.changed else 'unchanged'} {_what(str(path), 300)}")
    return "\n".join(lines)


def _what(text: str, limit: int = 60) -> str:
    from autoresearch.report.escape import plain

    return plain(text, limit)
