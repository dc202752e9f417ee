"""What a benchmark printed or wrote: METRIC lines, or the results of a harness, for the commands that read them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from autoresearch.errors import BadInput
from autoresearch.safetext import one_line

if TYPE_CHECKING:
    from autoresearch.metrics import Parsed
    from autoresearch.peers.formats import Metric, Results
    from autoresearch.trial.procs import Finished

F = TypeVar("F", bound=Callable[..., Any])

# Those of formats.py, which is not imported for a --help.
NAMES = (
    "pytest-benchmark", "google-benchmark", "hyperfine", "asv", "vitest", "jmh", "criterion", "tinybench", "perf-stat",
    "go-json", "go", "bencher", "criterion-text", "benchmark.js", "time", "flat",
)  # fmt: skip


class Understood(NamedTuple):
    """METRIC lines, or a harness's results; with neither, `why` it is none of those."""

    parsed: Parsed
    results: Results | None = None
    why: str = ""


def from_option(what: str) -> Callable[[F], F]:
    """`--from FORMAT`."""
    return click.option(
        "--from", "wanted", type=click.Choice(["auto", "metric", *NAMES]), default="auto", metavar="FORMAT",
        help=f"{what} auto (default), metric (METRIC lines), {', '.join(NAMES)}.",
    )  # fmt: skip


def understand(text: str, wanted: str, where: str, *, lenient: bool = False, printed: bool = False) -> Understood:
    """Read `text` as `wanted`, or as what it looks like; `BadInput` if it is not as `wanted`.

    What a command `printed` may be any program's JSON: numbers in that are results only where `wanted` says so.
    """
    from autoresearch.metrics import Parsed, parse
    from autoresearch.peers import formats

    parsed = parse(text, lenient) if wanted in ("auto", "metric") else Parsed()
    if parsed.samples or wanted == "metric":
        return Understood(parsed)
    try:
        results = formats.read(text, wanted)
    except formats.Unreadable as exc:
        if wanted != "auto":
            raise BadInput(f"cannot read {where}: {exc}") from None
        return Understood(parsed, None, str(exc))
    if printed and wanted == "auto" and results.format == "flat":
        return Understood(parsed, None, "it is JSON with numbers, which are read with --from flat")
    return Understood(parsed, results)


def understand_file(path: str, wanted: str, *, lenient: bool = False) -> Understood:
    """`understand` for a file, - for stdin, or criterion's directory; `BadInput` when it cannot be read."""
    from autoresearch.metrics import Parsed
    from autoresearch.peers import formats

    where = one_line(path)
    if Path(path).is_dir():
        try:
            return Understood(Parsed(), formats.load(path, wanted))
        except formats.Unreadable as exc:
            raise BadInput(f"cannot read {where}: {exc}") from None
    return understand(read_text(path), wanted, where, lenient=lenient)


def read_text(path: str) -> str:
    """A file, or - for stdin, whatever bytes it holds; `BadInput` when it cannot be read."""
    try:
        with click.open_file(path, "rb") as handle:
            data: bytes = handle.read()
    except OSError as exc:
        reason = "there is no such file" if isinstance(exc, FileNotFoundError) else exc.strerror or str(exc)
        raise BadInput(f"cannot read {one_line(path)}: {reason}") from None
    return data.decode("utf-8-sig", "replace")


def value_of(told: Understood, where: str, metric: str | None) -> tuple[float, str, str]:
    """One run's value, the metric that it is of, and which way is better; `BadInput` where there is no such value.

    A run that prints the metric several times counts with their median.
    """
    from autoresearch.verdict.stats import median

    if told.results:
        found = chosen(told.results, metric, where)
        return found.value, found.name, direction_of(found.name, found.unit, found.direction)
    name = pick(list(told.parsed.samples), metric, where, told.why)
    return median(told.parsed.samples[name]), name, direction_of(name)


def pick(names: Sequence[str], metric: str | None, where: str, why: str = "") -> str:
    """The METRIC that is asked for, or the only one; `BadInput` where it is not there, or there is a choice."""
    if metric is None and len(names) == 1:
        return names[0]
    if metric in names:
        return str(metric)
    shown = ", ".join(names[:8]) or "none at all"
    what = "has several metrics" if metric is None else f"has no METRIC {one_line(metric, 64)}"
    raise BadInput(f"{where} {what}; it has: {shown}{why and f' ({why})'}", fix="Choose one with --metric NAME")


def chosen(results: Results, metric: str | None, where: str) -> Metric:
    """The metric that is asked for, or that stands for the whole; `BadInput` where there is none or a choice."""
    name = metric or results.primary
    found = next((each for each in results.metrics if each.name == name), None)
    if found is not None:
        return found
    if results.failed and metric is None:
        raise BadInput(
            f"{where}: no number from {', '.join(results.failed[:4])}, so there is no mean of all",
            fix="Mend that, or choose one with --metric NAME",
        )
    shown = ", ".join(each.name for each in results.metrics[:8])
    what = f"has no {one_line(metric, 64)}" if metric else "has several results"
    raise BadInput(f"{where} ({results.format}) {what}; it has: {shown}", fix="Choose one with --metric NAME")


def direction_of(metric: str, unit: str = "", told: str = "") -> str:
    """Which way is better, as the format says or the unit does; empty where nothing says it."""
    from autoresearch.verdict import units

    if told or units.is_rate(metric, unit):
        return told or "higher"
    return "lower" if units.seconds_in(metric, unit) is not None or units.is_count(metric, unit) else ""


def one_run(results: Results, where: str) -> str:
    """Why the readings of one file are no runs."""
    count = sum(metric.readings for metric in results.metrics)
    inner = f"its {count} readings were taken inside it and are no independent runs" if count > 1 else "it is one value"
    return f"{where} is one run by {results.format}: {inner}"


def reader_of_runs(wanted: str, output: str | None, metric: str | None) -> Callable[[Callable[[], Finished]], Finished]:
    """Carries out a run, and gives what a harness printed, or wrote to `output`, as METRIC lines in its output's place.

    `output` is a file, or criterion's directory; `BadInput` where a run leaves it as it was.
    """

    def carry_out(run: Callable[[], Finished]) -> Finished:
        from autoresearch.peers import formats

        before = _state(output)
        done = run()
        if not done.ok:
            return done
        if output is None:
            told = understand(done.output, wanted, "the output", printed=True)
        elif _state(output) == before:
            raise BadInput(f"the command did not write {one_line(output)}", fix="Name a file that each run writes anew")
        else:
            told = understand_file(output, wanted)
        if told.results:
            chosen(told.results, metric, output or "the output")
            return done._replace(output=formats.lines_of(told.results))
        if output is None:
            return done
        if not told.parsed.samples:
            raise BadInput(f"{one_line(output)} holds no result: {told.why or 'no METRIC line'}")
        return done._replace(output=read_text(output))

    return carry_out


def _state(output: str | None) -> object:
    """What changes when a file, or a file of results below a directory, is written."""
    if output is None:
        return None
    top = Path(output)
    files = sorted(top.rglob("new/estimates.json")) if top.is_dir() else [top]
    return [(str(file), file.stat().st_mtime_ns, file.stat().st_ino) for file in files if file.is_file()]
