"""`autoresearch doctor`: what is missing before the first measurement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from autoresearch.cli._fit import fit
from autoresearch.cli._output import allowed, emit, is_terminal, json_option, say, tell, timeout_option
from autoresearch.errors import Exit
from autoresearch.safetext import one_line

if TYPE_CHECKING:
    from autoresearch.project import Project

_MARK = {"ok": "ok  ", "warn": "warn", "fail": "FAIL"}
_COLOUR = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command(
    epilog="Exit codes: 0 ready (perhaps with warnings), 1 a cheat got through --attack and was faster, 2 wrong use, "
    "3 something is missing or broken."
)
@click.option("--no-run", is_flag=True, help="Do not build, check and run the benchmark twice.")
@timeout_option("Seconds for all of it.")
@click.option("--repair", is_flag=True, help="Mend what crashes have left, and say what was done; nothing else.")
@click.option("--attack", is_flag=True, help="Play generic cheats on the evaluator, and say what it lets through.")
@click.option(
    "--budget", type=click.FloatRange(min=5),
    help="With --attack: seconds for it. Default: 60; 25 with --json, as agents' shells return then.",
)  # fmt: skip
@click.option("--seed", type=int, default=1, help="With --attack: which functions and statements are drawn.")
@json_option
@click.pass_context
def command(
    ctx: click.Context, no_run: bool, timeout: float | None, repair: bool, attack: bool, budget: float | None,
    seed: int, as_json: bool,
) -> None:  # fmt: skip
    """Check the machine, the project and the benchmark.

    Builds the last commit in a throw-away copy, runs the benchmark twice and the checks once, compares the
    numbers with the clock, and says how to mend what is missing. Changes nothing. With --repair it clears away what
    crashes have left (copies, refs, locks, processes, unfinished files): ours only, never your work. With --attack it
    plays cheats and mutants of the code in scope as candidates (no model, nothing of yours changes): the strength is
    the share that the evaluator refuses, exit 1 says that one got through and was faster.

    \b
    Example:
      autoresearch doctor
      autoresearch doctor --attack --budget 120
      autoresearch doctor --repair
    """
    from autoresearch.config import load_config
    from autoresearch.files import ensure_directory
    from autoresearch.prepare.doctor import examine, following
    from autoresearch.project import Project
    from autoresearch.session import find_root

    recalled = _recall() if repair else []
    root = find_root()
    project = Project(root)
    config = load_config(root)
    if repair:
        ctx.exit(_repair(project, recalled, as_json))
    ensure_directory(project.state)
    if attack:
        from autoresearch.cli._attack import BUDGET, play_attack

        seconds = allowed(budget, as_json, BUDGET)
        ctx.exit(play_attack(project, config, seconds, seed, as_json=as_json))
    show = not as_json and is_terminal()

    def progress(step: str) -> None:
        if show:
            say(f"… {step}")

    findings = list(examine(project, config, dry_run=not no_run, seconds=allowed(timeout, as_json), progress=progress))
    failed = [f for f in findings if f.level == "fail"]
    follow = "autoresearch doctor" if failed else following(project, findings)
    lines = []
    for f in findings:
        fix = f"\n      {f.fix}" if f.fix and f.level != "ok" else ""
        mark = click.style(_MARK[f.level], fg=_COLOUR[f.level])
        lines.append(f"{mark}  {f.what}: {one_line(f.found, 400)}{fix}")
    lines.append(f"next: {'mend the failures, then ' if failed else ''}{follow}")
    data = {
        "ready": not failed,
        "findings": [
            {"level": f.level, "what": f.what, "found": one_line(f.found, 160), "fix": one_line(f.fix, 200)}
            for f in sorted(findings, key=lambda f: ("fail", "warn", "ok").index(f.level))
            if f.level != "ok" or len(findings) < 8
        ],
        "next": follow,
    }
    emit(fit(data, "findings"), "\n".join(lines), as_json=as_json)
    ctx.exit(int(Exit.ENVIRONMENT) if failed else 0)


def _recall() -> list[str]:
    """Names of the session's files that were gone with its config, and that git kept."""
    from pathlib import Path

    from autoresearch.config import CONFIG_NAME
    from autoresearch.project import session_root
    from autoresearch.session.safekeeping import recall

    here = Path.cwd()
    top = session_root(here) or here
    return [] if (top / CONFIG_NAME).exists() else recall(top)


def _repair(project: Project, recalled: list[str], as_json: bool) -> int:
    from autoresearch.session.repair import Trouble, mend_all

    done, left = mend_all(project)
    done = [*(Trouble("session", f"{name} was gone; git kept it") for name in recalled), *done]
    failed = [trouble for trouble in left if trouble.mend is not None]
    lines = [f"mended  {t.what}: {one_line(t.found, 300)}" for t in done]
    for trouble in left:
        lines.append(f"left    {trouble.what}: {one_line(trouble.found, 300)}")
        lines += [f"        {one_line(trouble.hint, 200)}"] if trouble.hint else []
    if not lines:
        lines.append("nothing to mend")
    data = {
        "repaired": [{"what": t.what, "found": one_line(t.found, 160)} for t in done],
        "left": [{"what": t.what, "found": one_line(t.found, 160), "fix": one_line(t.hint, 160)} for t in left],
        "next": "autoresearch status",
    }
    tell(fit(data, "left", "repaired"), lines, as_json=as_json)
    return int(Exit.ENVIRONMENT) if failed else 0
