"""`autoresearch noise`: how noisy samples, a log or this machine are, and what an A/B could see."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autoresearch.cli._output import emit, json_option, say, table
from autoresearch.cli._results import from_option, one_run, pick, read_text, understand, understand_file, value_of
from autoresearch.errors import BadInput, Exit
from autoresearch.safetext import one_line, tail

if TYPE_CHECKING:
    from autoresearch.judging.noise import NoiseReport

DEFAULT_COMMAND = "bash autoresearch.sh"
# Progress is told only when someone has begun to wonder.
PATIENCE = 2.0
FEWEST = 2


@dataclass(frozen=True)
class Source:
    """Values to judge, in time order, and what their origin says about them."""

    values: list[float]
    direction: str | None = None
    min_effect_pct: float | None = None
    max_runs: int | None = None
    warnings: tuple[str, ...] = ()
    same_code: bool = True


@click.command(
    "noise",
    epilog="Exit codes: 0 good enough, 1 not good enough for the smallest effect worth keeping, 2 wrong use "
    "or a run without a number.",
)
@click.argument("file", metavar="[FILE]...", nargs=-1)
@click.option("--samples", metavar="1,2,3", help="The values themselves.")
@click.option("--ledger", metavar="PATH", help="An experiment log, or the directory that holds one.")
@click.option("--run", "shell_line", metavar="CMD", help=f"Run CMD on this machine. Default: {DEFAULT_COMMAND}.")
@click.option("--runs", type=click.IntRange(4, 1000), default=20, show_default=True, help="With --run.")
@click.option("--metric", metavar="NAME", help="Which metric, when there are several.")
@from_option("What a file or a run of CMD holds:")
@click.option("--run-timeout", type=click.FloatRange(min=0.01), default=300.0, show_default=True, help="Seconds a run.")
@click.option("--budget", type=click.FloatRange(min=0.01), default=900.0, show_default=True, help="Seconds in all.")
@click.option("--direction", type=click.Choice(["lower", "higher"]), help="Which way is better.")
@click.option("--min-effect", type=click.FloatRange(0, 99), help="Smallest gain worth keeping, percent. Default: 1.")
@click.option("--max-runs", type=click.IntRange(4, 2000), help="Runs that a test may take. Default: 72.")
@json_option
@click.pass_context
def command(ctx: click.Context, /, as_json: bool, **options: Any) -> None:
    """Say how noisy samples, a log or this machine are.

    FILE holds one number a line, a JSON list, or a benchmark's output with METRIC lines; - is stdin. Several are one
    run each, in the order of time, of METRIC lines or a harness's results. Without any input the project's benchmark
    is run, after one warm-up.

    \b
    Example:
      autoresearch noise --samples 1.02,1.01,1.03,1.01,1.02,1.02
      autoresearch noise --run 'python bench.py' --metric time_s --runs 20
      autoresearch noise run-01.json run-02.json run-03.json run-04.json
    """
    from autoresearch.judging.noise import assess
    from autoresearch.verdict.rule import Rule

    source = _source(options)
    try:
        report = assess(
            source.values,
            direction=options["direction"] or source.direction or "lower",
            min_effect_pct=_first(options["min_effect"], source.min_effect_pct, 1.0),
            max_runs=_first(options["max_runs"], source.max_runs, Rule().max_runs),
            warm_up=source.same_code,
        )
    except ValueError as exc:
        raise BadInput(str(exc), fix="Give the values of at least two runs, 20 are better") from None
    # Between runs of different code, trend and spread are the work itself.
    report = replace(report, warnings=(*source.warnings, *(report.warnings if source.same_code else ())))
    emit(report.to_json(), _human(report), as_json=as_json)
    ctx.exit(int(Exit.DONE) if report.good_enough else int(Exit.NO))


def _first(*choices: Any) -> Any:
    return next(choice for choice in choices if choice is not None)


def _source(options: dict[str, Any]) -> Source:
    given = [name for name in ("file", "samples", "ledger", "shell_line") if options[name] not in (None, ())]
    if len(given) > 1:
        raise BadInput("give one of: FILE, --samples, --ledger, --run", next="autoresearch noise --help")
    if options["samples"] is not None:
        return Source(numbers(options["samples"].replace(",", "\n"), "--samples"))
    if options["ledger"] is not None:
        return from_ledger(options["ledger"], options["direction"])
    files = options["file"]
    if len(files) > 1:
        return from_files(files, options["metric"], options["wanted"])
    if files:
        return Source(from_text(read_text(files[0]), files[0], options["metric"], options["wanted"]))
    return _measure(options)


def from_files(files: Sequence[str], metric: str | None, wanted: str) -> Source:
    """One value of each file, which is one run."""
    if len({os.path.realpath(file) for file in files}) < len(files):
        raise BadInput("a file is named twice", fix="One file is one run")
    values, direction = [], ""
    for file in files:
        value, metric, direction = value_of(understand_file(file, wanted), file, metric)
        values.append(value)
    return Source(values, direction or None)


def from_text(text: str, where: str, metric: str | None, wanted: str = "auto") -> list[float]:
    """Values of a JSON list, of METRIC lines, or of one number a line. `BadInput` for a harness's results."""
    told = understand(text, wanted, where)
    if told.results:
        raise BadInput(
            one_run(told.results, where), fix="Give one file a run, or the command that makes it with --run",
            next="autoresearch noise RUN1 RUN2 RUN3 RUN4",
        )  # fmt: skip
    if text.lstrip().startswith("["):
        try:
            raw = json.loads(text)
        except (ValueError, RecursionError) as exc:
            raise BadInput(f"{where} is not JSON: {exc}") from None
        return numbers("\n".join(json.dumps(v) for v in raw), where)
    if told.parsed.samples or metric is not None:
        return told.parsed.samples[pick(list(told.parsed.samples), metric, where)]
    return numbers(text, where)


def numbers(text: str, where: str) -> list[float]:
    """One finite number a line; blank lines and lines that begin with # are passed over."""
    from autoresearch.metrics import to_number

    values = []
    for position, line in enumerate(text.split("\n"), 1):
        word = line.strip()
        if not word or word.startswith("#"):
            continue
        value = to_number(word)
        if value is None:
            raise BadInput(f"{where}: value {position} is not a finite number: {one_line(word, 60)}")
        values.append(value)
    return values


def from_ledger(path: str, direction: str | None) -> Source:
    """The base readings of a log's last segment; of foreign logs, which have none, the metrics of its runs."""
    from autoresearch.ledger.records import Header, Run, number
    from autoresearch.peers.foreign import entries, locate

    told: str | None = direction
    runs: list[Run] = []
    for entry in entries(locate(Path(path)), direction):
        if isinstance(entry, Header):
            told = direction or entry.direction
        elif isinstance(entry, Run):
            runs.append(entry)
    runs = [run for run in runs if run.segment == runs[-1].segment] if runs else []
    for run in runs:
        samples = run.raw.get("samples")
        pairs = [s for s in samples if isinstance(s, list) and len(s) == 2] if isinstance(samples, list) else []
        base = [number(value) for side, value in pairs if side == "A"]
        values = [value for value in base if value is not None]
        if len(values) >= 4 and (run.raw.get("kind") == "baseline" or run is runs[-1]):
            return Source(values, told)
    metrics = [run.measured for run in runs]
    found = [value for value in metrics if value is not None]
    if len(found) < FEWEST:
        raise BadInput(f"{path} has {len(found)} measured runs: nothing to judge noise by")
    note = "the runs of this log are of different code, so its noise is at most this"
    return Source(found, told, warnings=(note,), same_code=False)


def _measure(options: dict[str, Any]) -> Source:
    line, metric = options["shell_line"], options["metric"]
    source = Source([])
    if line is None:
        if not Path("autoresearch.sh").is_file():
            raise BadInput(
                "nothing to judge: no autoresearch.sh here",
                fix="Give FILE, --samples, --ledger or --run CMD",
                next="autoresearch noise --help",
            )
        line = DEFAULT_COMMAND
    if Path("autoresearch.yaml").is_file() and options["shell_line"] is None:
        from autoresearch.config import load_config
        from autoresearch.verdict.rule import Rule

        config = load_config(Path.cwd())
        metric = metric or config.objective.metric
        most = Rule.preset(config.test.preset, max_runs=config.test.max_runs).max_runs
        source = Source([], config.objective.direction, config.objective.min_effect_pct, most)
    values, note = run_repeatedly(
        line, metric, options["runs"], options["run_timeout"], options["budget"], time.monotonic, say, options["wanted"]
    )
    return replace(source, values=values, warnings=(note,) if note else ())


def run_repeatedly(
    line: str, metric: str | None, runs: int, timeout: float, budget: float,
    clock: Callable[[], float], tell: Callable[[str], None], wanted: str = "auto",
) -> tuple[list[float], str]:  # fmt: skip
    """Values of `runs` runs of a shell line after one warm-up, and a note when the time ended them early.

    A run that prints the metric several times counts with their median. `BadInput` when a run gives no number.
    """
    from autoresearch.trial import procs

    begun = told = clock()
    values: list[float] = []

    def ended() -> tuple[list[float], str]:
        return values, f"the budget of {budget:g} s ended the measurement after {len(values)} of {runs} runs"

    for position in range(runs + 1):
        left = budget - (clock() - begun)
        if left <= 0.0 and len(values) >= FEWEST:
            return ended()
        done = procs.run(line, env=os.environ, cwd=str(Path.cwd()), timeout=min(timeout, max(left, 0.01)))
        if not done.ok and done.timed_out and left < timeout and len(values) >= FEWEST:
            return ended()
        if not done.ok:
            last = one_line(tail(done.output, 3, 300), 200) or "it printed nothing"
            raise BadInput(f"run {position} of the command failed: {done.failure()}: {last}")
        where = f"run {position} of the command"
        value, metric, _ = value_of(understand(done.output, wanted, where, printed=True), where, metric)
        if position:  # the first is the warm-up
            values.append(value)
        if clock() - told > PATIENCE:
            told = clock()
            tell(f"{position} of {runs} runs, {told - begun:.0f} s")
    return values, ""


def _human(report: NoiseReport) -> str:
    rows: list[Sequence[object]] = [("runs", report.n), ("median", f"{report.median:.6g}"), ("class", report.grade)]
    for label, value, unit in (
        ("spread (cv)", report.cv_pct, " %"),
        ("short-term noise", report.sigma_short_pct, " %"),
        ("weather / short-term", report.weather_ratio, ""),
        ("outliers", report.outlier_pct, " %"),
        ("smallest effect seen", report.mde_pct, f" % in {report.max_runs} runs"),
    ):
        if value is not None:
            rows.append((label, f"{value:.2g}{unit}"))
    return "\n".join([table(rows), *(f"warning: {text}" for text in report.warnings), report.advice])
