"""`autoresearch ab`: candidate against base, interleaved on one machine."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from autoresearch.cli._fit import fit
from autoresearch.cli._output import emit, is_terminal, json_option, modes_line, say, tell
from autoresearch.cli._results import (
    direction_of,
    from_option,
    one_run,
    reader_of_runs,
    understand,
    understand_file,
    value_of,
)
from autoresearch.errors import BadInput, Exit, poll_ab
from autoresearch.safetext import one_line


@click.command(
    epilog="Exit codes: 0 every one is a keep, 1 a discard or still running, 2 wrong use or no number, 3 the base "
    "failed, 4 a stop rule was reached, 5 integrity."
)
@click.argument("experiments", metavar="[EXP]...", nargs=-1)
@click.option(
    "--timeout", type=click.FloatRange(min=0), help="With EXP: return after this many seconds; repeat to go on."
)
@click.option(
    "--again", type=click.IntRange(0), default=0, metavar="N",
    help="With EXP: the N-th repeat of an A/B that was disturbed, where `next` offers it. It is a new test.",
)  # fmt: skip
@click.option("--a", "cmd_a", metavar="CMD", help="Base command.")
@click.option("--b", "cmd_b", metavar="CMD", help="Candidate command.")
@click.option("--build-a", metavar="CMD", help="Build before each run of --a: a fresh layout per run.")
@click.option("--build-b", metavar="CMD", help="Build before each run of --b.")
@click.option("--samples", "samples_file", type=click.Path(path_type=Path), help="Judge recorded samples (JSON).")
@click.option(
    "--metric",
    help="With --a/--b: the metric that decides. Default: time_s, a harness's geometric mean, else the only one that "
    "A prints; without any, the whole commands are timed: own_s, the time in which they had a core or slept, or wall_s "
    "where that is unknown.",
)
@from_option("With --a/--b, what they print or write:")
@click.option("--output", metavar="FILE", help="With --a/--b: the results are in FILE, which each run writes anew.")
@click.option(
    "--direction", type=click.Choice(["lower", "higher"]), help="Default: higher for a rate by its name, else lower."
)
@click.option("--preset", type=click.Choice(["lean", "default", "thorough"]), default="default", show_default=True)
@click.option(
    "--alpha", type=click.FloatRange(0, 0.5, min_open=True), help="Chance of a false keep. Default: the preset's."
)
@click.option("--max-runs", type=click.IntRange(8, 2000), help="Runs at most. Default: the preset's.")
@click.option(
    "--min-effect", type=click.FloatRange(0, 99), default=1.0, show_default=True,
    help="Smallest gain worth keeping, percent.",
)  # fmt: skip
@click.option(
    "--layout", type=click.Choice(["auto", "fresh", "fixed"]), default="auto", show_default=True,
    help="Rebuild before each run, or build once.",
)  # fmt: skip
@click.option("--seed", type=int, help="Seed of the run order. Default: drawn, and reported.")
@click.option(
    "--run-timeout", type=click.FloatRange(min=0.01), default=300.0, show_default=True,
    help="Seconds one run may take.",
)  # fmt: skip
@json_option
@click.pass_context
def command(
    ctx: click.Context, /, experiments: tuple[str, ...], timeout: float | None, again: int, samples_file: Path | None,
    as_json: bool, **options: Any,
) -> None:  # fmt: skip
    """Compare candidate and base: clean builds, interleaved in random order, stopped as soon as the rule knows.

    With EXP: the experiment against the best commit. With --a and --b: any two commands. With --samples: numbers
    that were recorded elsewhere.

    \b
    Examples:
      autoresearch ab e1 --timeout 25
      autoresearch ab --a 'python old.py' --b 'python new.py' --json
      autoresearch ab --a 'cd old && go test -bench .' --b 'cd new && go test -bench .'
      autoresearch ab --samples runs.json --json
    """
    chosen = [bool(experiments), bool(options["cmd_a"] or options["cmd_b"]), samples_file is not None]
    if sum(chosen) != 1:
        raise BadInput("give one of: EXP, --a with --b, --samples FILE", next="autoresearch ab --help")
    if experiments:
        code = _experiments(experiments, timeout, again, as_json)
    elif samples_file is not None:
        code = _samples(samples_file, as_json)
    else:
        code = _commands(options, as_json)
    ctx.exit(code)


def _samples(path: Path, as_json: bool) -> int:
    from autoresearch.judging.recorded import judge_samples
    from autoresearch.verdict.words import Quantity

    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
        data = json.loads(text)
    except OSError as exc:
        raise BadInput(f"cannot read {path}: {exc.strerror}") from None
    except (ValueError, RecursionError) as exc:
        _refuse_one_run(text, path)
        raise BadInput(f"{path} is not JSON: {exc}") from None
    if not isinstance(data, dict) or not data.keys() & SIDES_OF_SAMPLES:
        _refuse_one_run(text, path)
    else:
        _read_files(data, Path() if str(path) == "-" else path.parent)
    verdict = judge_samples(data)
    metric, way = (data.get(key) if isinstance(data.get(key), str) else "" for key in ("metric", "direction"))
    of = Quantity(one_line(metric or "", 64), "", way or "lower")
    emit({**verdict.to_json(), "seed": None}, verdict.line(of=of), as_json=as_json)
    return 0 if verdict.verdict == "keep" else int(Exit.NO)


# Where the samples of a recorded comparison stand.
SIDES_OF_SAMPLES = {"baseline", "candidate", "pairs", "runs"}


def _refuse_one_run(text: str, path: Path) -> None:
    results = understand(text, "auto", str(path)).results
    if results:
        raise BadInput(
            one_run(results, one_line(str(path))),
            fix="Run A and B in turns, one file a run, and name the files: "
            '{"runs": [{"side": "A", "value": "a1.json"}, {"side": "B", "value": "b1.json"}, …]}',
        )


def _read_files(data: dict[str, Any], folder: Path) -> None:
    """Put, for each name of a file that stands in place of a value, that run's value; a direction that is told, too."""
    seen: set[Path] = set()

    def value(name: Any) -> Any:
        file = folder / name if isinstance(name, str) and name and "\0" not in name else None
        if file is None or not file.exists():
            return name
        if file.resolve() in seen:
            raise BadInput(f"{one_line(name)} is named twice", fix="One file is one run")
        seen.add(file.resolve())
        metric = data.get("metric") if isinstance(data.get("metric"), str) else None
        read, data["metric"], way = value_of(understand_file(str(file), "auto"), one_line(name), metric)
        if way and data.get("direction") is None:
            data["direction"] = way
        return read

    for side in ("baseline", "candidate"):
        if isinstance(data.get(side), list):
            data[side] = [value(each) for each in data[side]]
    if isinstance(data.get("pairs"), list):
        data["pairs"] = [[value(each) for each in pair] if isinstance(pair, list) else pair for pair in data["pairs"]]
    for run in data["runs"] if isinstance(data.get("runs"), list) else []:
        if isinstance(run, dict) and "value" in run:
            run["value"] = value(run["value"])


def _commands(options: dict[str, Any], as_json: bool) -> int:
    import secrets
    from dataclasses import replace

    from autoresearch.cli._compared import told
    from autoresearch.engines.cpus import held
    from autoresearch.trial.compare import CommandFailed, Sample, compare_commands
    from autoresearch.verdict.rule import Rule
    from autoresearch.verdict.words import Quantity

    if not (options["cmd_a"] and options["cmd_b"]):
        raise BadInput("--a and --b go together", next="autoresearch ab --help")
    seed = options["seed"] if options["seed"] is not None else secrets.randbits(32)
    rule = Rule.preset(options["preset"], alpha=options["alpha"], max_runs=options["max_runs"])
    rule = replace(rule, min_effect_pct=options["min_effect"])
    live = is_terminal() and not as_json

    def progress(sample: Sample) -> None:
        if live:
            click.echo(f"\r\x1b[Krun {sample.slot + 1} of at most {rule.max_runs}", nl=False, err=True)

    def wait() -> None:
        say("waiting for a core: another measurement has it")

    try:
        compared = compare_commands(
            options["cmd_a"], options["cmd_b"], options["build_a"], options["build_b"],
            metric=options["metric"], direction=options["direction"], rule=rule, seed=seed,
            timeout=options["run_timeout"], layout=options["layout"], on_sample=progress,
            pin=lambda cores: held(cores, wait),
            through=reader_of_runs(options["wanted"], options["output"], options["metric"]),
        )  # fmt: skip
    except CommandFailed as exc:
        raise BadInput(
            f"no verdict: {one_line(str(exc), 200)}: {one_line(exc.tail, 200) or 'it printed nothing'}",
            fix="Run that command by hand",
        ) from None
    finally:
        if live:
            click.echo("\r\x1b[K", nl=False, err=True)
    verdict = compared.verdict
    way = options["direction"] or direction_of(compared.metric) or "lower"
    of = Quantity(compared.metric, "s" if compared.metric.endswith("_s") else "", way)
    data, lines = told(compared, seed, chosen=options["metric"] is not None)
    if options["direction"] is None and direction_of(compared.metric) == "higher":
        data["direction"] = "higher"
    emit(data, "\n".join([f"{compared.metric}: {verdict.line(of=of)}", *lines]), as_json=as_json)
    return 0 if verdict.verdict == "keep" else int(Exit.NO)


def _experiments(experiments: tuple[str, ...], timeout: float | None, again: int, as_json: bool) -> int:
    """Submit what is not submitted yet for the present files, wait, and tell."""
    from autoresearch.cli._submitting import say_refused, submit_all, worst
    from autoresearch.cli._waiting import running, wait_for
    from autoresearch.engines.choose import engine_of
    from autoresearch.session import open_session
    from autoresearch.session.decision import preview

    with open_session() as session:
        jobs, refused, _ = submit_all(session, experiments, "test", quiet=as_json, again=again)
        engine = engine_of(session)
    told = say_refused(refused)
    states = wait_for(engine, jobs, timeout, quiet=as_json) if jobs else {}
    now = running(states)
    with open_session() as session:
        verdicts = {name: preview(session, session.experiment(name)) for name in jobs if name not in now}
    if now:
        follow = poll_ab(*experiments, again=again)
    elif verdicts:
        # What was disturbed last: a while later the machine may be quieter.
        settled = (f"autoresearch decide {name}" for name, v in verdicts.items() if "repeat" not in v)
        follow = next(settled, None) or next(v["next"] for v in verdicts.values())
    else:
        follow = next((exc.next for exc in refused.values() if exc.next), "autoresearch status")
    lines = []
    for name, v in verdicts.items():
        lines += [f"{name}: {v['line']}", v.get("repeat", ""), modes_line(v.get("modes") or ())]
    lines += [f"{name}: running, {detail}" for name, detail in now.items()]
    data: dict[str, Any] = {"running": now, "refused": told, "next": follow}
    short = {name: {k: x for k, x in v.items() if k not in ("line", "next")} for name, v in verdicts.items()}
    if len(experiments) == 1 and short:
        data = {**next(iter(short.values())), **data, "experiment": experiments[0]}
    else:
        data["verdicts"] = {
            name: {k: v.get(k) for k in ("verdict", "effect_pct", "runs_used", "reason")}
            | ({"repeat": v["repeat"]} if "repeat" in v else {})
            for name, v in short.items()
        }
    tell(fit(data, "verdicts", "running", "refused", "modes"), lines, as_json=as_json)
    if refused:
        return int(worst(refused))
    kept = verdicts and not now and all(v["verdict"] == "keep" for v in verdicts.values())
    return int(Exit.DONE if kept else Exit.NO)
