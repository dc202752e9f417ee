"""`autoresearch parse`: METRIC lines of a file or stdin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from autoresearch.cli._output import emit, json_option, table
from autoresearch.errors import BadInput

if TYPE_CHECKING:
    from autoresearch.metrics import Parsed


@click.command("parse")
@click.argument("file", metavar="[FILE]", default="-")
@click.option("--lenient", is_flag=True, help="Also take values with a unit glued on, such as 12ms.")
@json_option
@click.pass_context
def command(ctx: click.Context, file: str, lenient: bool, as_json: bool) -> None:
    """Read METRIC lines from FILE or stdin, and name what nearly was one.

    Exit code 1 when there is none.

    \b
    Example:
      bash autoresearch.sh 2>&1 | autoresearch parse
      autoresearch parse run.log --json
    """
    from autoresearch.metrics import parse

    parsed = parse(_read(file).decode("utf-8", "replace"), lenient)
    data = {"metrics": parsed.metrics, "samples": parsed.samples, "warnings": parsed.warnings}
    emit(data, _human(parsed), as_json=as_json)
    if not parsed.metrics:
        ctx.exit(1)


def _read(file: str) -> bytes:
    try:
        with click.open_file(file, "rb") as handle:
            data: bytes = handle.read()
            return data
    except OSError as exc:
        reason = "there is no such file" if isinstance(exc, FileNotFoundError) else exc.strerror or str(exc)
        raise BadInput(f"cannot read {file}: {reason}") from None


def _human(parsed: Parsed) -> str:
    if not parsed.metrics:
        return "\n".join(["no METRIC line; print one a line, like: METRIC total_ms=12.5", *parsed.warnings])
    counts = {name: len(values) for name, values in parsed.samples.items()}
    rows = [
        (name, f"{value:.12g}", "" if counts[name] == 1 else f"last of {counts[name]}")
        for name, value in parsed.metrics.items()
    ]
    return "\n".join([table(rows), *parsed.warnings])
