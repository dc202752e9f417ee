"""The command `autoresearch`: words and flags only. A command's module is imported when it is called."""

from __future__ import annotations

import importlib
import os
import shlex
import sys
import time
from pathlib import Path
from typing import NoReturn

import click

from autoresearch import __version__
from autoresearch.errors import AutoresearchError, BadInput, EnvironmentMissing

# name -> one-line help. The module is `autoresearch.cli.<name>`, its click command the attribute `command`.
COMMANDS: dict[str, str] = {
    "init": "Scaffold a session in this project.",
    "doctor": "Check the machine, the project and the benchmark; name what is missing.",
    "baseline": "Freeze the evaluator, measure the noise floor, open the ledger.",
    "ideas": "The queue of ideas: add, rank, next, done.",
    "papers": "Search and fetch papers from arXiv.",
    "new": "Open an isolated copy for an experiment.",
    "run": "Build, benchmark and check experiments, detached and in parallel.",
    "wait": "Wait for running jobs, at most --timeout seconds.",
    "queue": "Show what runs and what waits.",
    "logs": "Show the output of an experiment's job.",
    "cancel": "Stop an experiment's job.",
    "vms": "Show the machines of the engine skypilot; give them back.",
    "parse": "Read METRIC lines from a file or stdin.",
    "noise": "Say how noisy samples, a log or this machine are.",
    "ab": "Compare candidate and base, interleaved on one machine.",
    "log": "Show, import or export the ledger.",
    "decide": "Keep or discard an experiment: the only way to a keep.",
    "status": "Where the session stands and what comes next.",
    "report": "Render the documents and the chart from the ledger.",
    "hook": "The guard behind an agent client's hooks: an event on stdin, an answer on stdout.",
    "finalize": "Re-verify the whole session against its baseline; back out a keep.",
}


class _Formatter(click.HelpFormatter):
    """Breaks the lines of examples, too, where the terminal is narrow."""

    def getvalue(self) -> str:
        from autoresearch.cli._output import fitted

        return fitted(super().getvalue(), sys.stdout)


class _Context(click.Context):
    formatter_class = _Formatter


class LazyGroup(click.Group):
    """A click group that lists its commands without importing them."""

    context_class = _Context

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"autoresearch.cli.{name}").command
        command.context_class = _Context
        for below in getattr(command, "commands", {}).values():
            below.context_class = _Context
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # Overridden so that --help does not import all commands for their short help.
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, 1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise click.UsageError(f"No such command '{args[0]}'.{hint}", ctx) from None


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 a measured no or not yet, 2 wrong use, 3 environment, "
    "4 budget or stop rule, 5 integrity.  Example: autoresearch status --json",
)
@click.version_option(__version__, prog_name="autoresearch")
@click.option("-C", "--directory", metavar="DIR", default=None, help="Work as if started in DIR (like git -C).")
def group(directory: str | None) -> None:
    """Let a coding agent optimise code, and keep only what is really better."""
    if directory is not None:
        import os

        try:
            os.chdir(directory)
        except OSError as exc:
            raise click.UsageError(f"Cannot enter {directory}: {exc.strerror}.") from None


_began: list[float] = []


def started() -> float:
    """When this command began, on the monotonic clock; now, where it was not called as a command."""
    return _began[-1] if _began else time.monotonic()


def main(argv: list[str] | None = None) -> None:
    """Entry point: runs a command and turns expected failures into one sentence and an exit code."""
    if argv is None:
        _isolate()
    args = sys.argv[1:] if argv is None else argv
    _began[:] = [time.monotonic()]
    try:
        _stand_on_ground(args)
        code = group.main(args=args, prog_name="autoresearch", standalone_mode=False)
    except AutoresearchError as exc:
        _fail(exc, args)
    except click.exceptions.Abort:
        _interrupted(args)
        sys.exit(130)
    except click.ClickException as exc:
        exc.show()
        sys.exit(2)
    except BrokenPipeError:
        # The reader of a pipe has gone (`| head`): nothing more to say, and no traceback.
        sys.stderr.close()
        sys.exit(0)
    except OSError as exc:
        where = f" {exc.filename}" if exc.filename else ""
        _fail(EnvironmentMissing(f"the system refused{where}: {exc.strerror or exc}"), args)
    sys.exit(code if isinstance(code, int) else 0)


def _interrupted(args: list[str]) -> None:
    """Say what goes on after Ctrl-C, and how to stop that; whatever it is, nothing is lost."""
    said = "autoresearch: interrupted"
    try:
        from autoresearch.engines.choose import engine_of
        from autoresearch.session import find_root, load

        states = engine_of(load(find_root())).poll().values()
        jobs = dict.fromkeys(state.experiment for state in states if not state.final)
    except (AutoresearchError, OSError):
        jobs = {}
    if jobs:
        named = [name for name in jobs if name not in ("baseline", "noise") and not name.startswith("audit")]
        stop = " ".join(named) if len(named) == len(jobs) else "--all"
        said += f"; the measurement of {', '.join(jobs)} goes on"
        click.echo(f"{said}.\nto follow it: {shlex.join(['autoresearch', *args])}", err=True)
        click.echo(f"to stop it: autoresearch cancel {stop}", err=True)
    else:
        click.echo(f"{said}; nothing runs on.", err=True)


# With these, an interpreter ends otherwise than its program does, or stops at a warning or a letter.
_CHANGES_US = ("PYTHONINSPECT", "PYTHONWARNINGS", "PYTHONIOENCODING", "PYTHONUTF8")


def _isolate() -> None:
    """Begin again where the caller has set up his interpreter, in one that does not look; programs that are run for
    him still see it."""
    if sys.flags.ignore_environment or not any(os.environ.get(name) for name in _CHANGES_US):
        return
    ours = str(Path(__file__).resolve().parents[2])
    start = f"import sys; sys.path.insert(0, {ours!r}); from autoresearch.cli import main; main()"
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-I", "-c", start, *sys.argv[1:]])


def _stand_on_ground(args: list[str]) -> None:
    """Raise `BadInput` where the directory that the caller stands in was removed, as `decide` does with a copy."""
    try:
        os.getcwd()  # noqa: PTH109
    except OSError:
        if args[:1] == ["hook"]:  # its events say where they are
            return
        from autoresearch.project import session_root

        stood = Path(os.environ.get("PWD") or "/")
        there = next(place for place in (stood, *stood.parents) if place.is_dir())
        again = ["autoresearch", *(args or ["status"])]
        raise BadInput(
            f"the directory that you stand in ({stood}) is gone",
            fix="An experiment's copy is closed when it is decided",
            next=f"cd {shlex.quote(str(session_root(there) or there))} && {shlex.join(again)}",
        ) from None


def _fail(exc: AutoresearchError, args: list[str]) -> NoReturn:
    from autoresearch.cli._output import report_error

    sys.exit(report_error(exc, as_json="--json" in args))
