"""`autoresearch parse`: the numbers of a file or stdin, METRIC lines or a harness's results."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autoresearch.cli._output import emit, json_option, table, to_json
from autoresearch.cli._results import direction_of, from_option, understand_file
from autoresearch.errors import BadInput
from autoresearch.safetext import one_line

if TYPE_CHECKING:
    from autoresearch.metrics import Parsed
    from autoresearch.peers.formats import Results


@click.command("parse")
@click.argument("file", metavar="[FILE]", default="-")
@from_option("What FILE holds:")
@click.option("--lenient", is_flag=True, help="Also take METRIC values with a unit glued on, such as 12ms.")
@click.option(
    "--reader", is_flag=True, help="Write autoresearch.formats.py, by which `metric --from` in autoresearch.sh reads."
)
@json_option
@click.pass_context
def command(ctx: click.Context, file: str, wanted: str, lenient: bool, reader: bool, as_json: bool) -> None:
    """Read METRIC lines, or a benchmark harness's results, from FILE or stdin, and name what nearly was one.

    Of a harness each benchmark is a metric, and their geometric mean comes first. FILE may be criterion's directory.
    Exit code 1 when there is no number.

    \b
    Example:
      bash autoresearch.sh 2>&1 | autoresearch parse
      go test -run '^$' -bench . | autoresearch parse --from go --json
      autoresearch parse target/criterion
    """
    if reader:
        _write_reader(as_json)
        return
    told = understand_file(file, wanted, lenient=lenient)
    if told.results:
        _tell_results(told.results, as_json)
        return
    parsed, why = told.parsed, told.why
    data = {"format": "metric" if parsed.metrics else None, "metrics": parsed.metrics, "samples": parsed.samples}
    emit(data | {"warnings": parsed.warnings, **({"why": why} if why else {})}, _human(parsed, why), as_json=as_json)
    if not parsed.metrics:
        ctx.exit(1)


def _human(parsed: Parsed, why: str) -> str:
    if not parsed.metrics:
        lines = ["no METRIC line; print one a line, like: METRIC total_ms=12.5", *parsed.warnings]
        return "\n".join(
            lines if why.startswith("it is empty") or not why else [*lines, f"no harness's results: {why}"]
        )
    counts = {name: len(values) for name, values in parsed.samples.items()}
    rows = [
        (name, f"{value:.12g}", "" if counts[name] == 1 else f"last of {counts[name]}")
        for name, value in parsed.metrics.items()
    ]
    return "\n".join([table(rows), *parsed.warnings])


def _tell_results(results: Results, as_json: bool) -> None:
    """All of it for a person; for an agent as many metrics as fit, the mean first."""
    warnings = [f"no number from {name}" for name in results.failed[:5]]
    data: dict[str, Any] = {
        "format": results.format, "benchmarks": results.benchmarks, "runs": 1, "primary": results.primary,
        "warnings": warnings,
    }  # fmt: skip
    told: dict[str, dict[str, Any]] = {
        metric.name: {
            "unit": one_line(metric.unit, 40), "direction": direction_of(metric.name, metric.unit, metric.direction),
            "readings": metric.readings,
        }
        for metric in results.metrics
    }  # fmt: skip
    values = {metric.name: metric.value for metric in results.metrics}

    def first(count: int) -> dict[str, dict[str, Any]]:
        return {"metrics": dict(islice(values.items(), count)), "about": dict(islice(told.items(), count))}

    shown = min(len(told), 64)  # more never fit
    while shown > 1 and len(to_json({**data, **first(shown), "left_off": 0})) >= 1990:
        shown -= 1
    if shown < len(told):
        data["left_off"] = len(told) - shown
    ways = {"lower": "lower is better", "higher": "higher is better", "": ""}
    rows = [
        (metric.name, f"{metric.value:.12g}", metric.unit, ways[about["direction"]],
         f"of {metric.readings} readings" if metric.readings > 1 else "")
        for metric, about in zip(results.metrics, told.values(), strict=True)
    ]  # fmt: skip
    count = "1 benchmark" if results.benchmarks == 1 else f"{results.benchmarks} benchmarks"
    head = f"{results.format}: {count}, one run (its readings are no independent runs)"
    emit({**data, **first(shown)}, "\n".join([head, table(rows), *warnings]), as_json=as_json)


def _write_reader(as_json: bool) -> None:
    from autoresearch.files import write_atomic
    from autoresearch.peers import formats
    from autoresearch.project import READER

    path, text = Path(READER), Path(formats.__file__).read_bytes()
    if path.exists() and path.read_bytes() != text:
        raise BadInput(
            f"another {READER} is here already", fix="A session's numbers hang on it: remove it first if none runs"
        )
    write_atomic(path, text)
    example = "metric --from auto FILE"
    emit({"written": READER, "use": example}, f"wrote {READER}; in autoresearch.sh: {example}", as_json=as_json)
