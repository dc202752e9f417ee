"""The wizard of `init --plan`: look, propose, try, show, ask, and only then write. Imported when it is asked for."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from autoresearch.cli._documents import render_document
from autoresearch.cli._fit import fit
from autoresearch.cli._output import emit, is_terminal, say
from autoresearch.errors import BadInput, Exit
from autoresearch.prepare.dryrun import DryRun
from autoresearch.prepare.lint import Mistake
from autoresearch.prepare.planning import Option, Plan, Wishes, options
from autoresearch.prepare.scaffold import write_session
from autoresearch.prepare.survey import Survey, survey
from autoresearch.prepare.wizard import (
    drivers_of,
    first_that_runs,
    given_files,
    mistakes_of,
    no_such,
    own_scripts,
    remedy,
    settings_of,
    signing,
    too_long,
    tracked_files,
)
from autoresearch.project import Project
from autoresearch.safetext import one_line
from autoresearch.verdict.stats import median
from autoresearch.workspace.git import resolve, toplevel


def wizard(
    root: Path,
    wishes: Wishes,
    settings: dict[str, object],
    *,
    go: bool,
    pick: str,
    limit: float,
    most: int | None,
    force: bool,
    as_json: bool,
) -> None:
    """Plan a session for `root`; `limit` seconds for trying it, 0 = try nothing. Exits with the plan's code."""
    toplevel(root)
    commit = resolve(root, "HEAD")
    if commit is None:
        raise BadInput("this repository has no commit yet", fix="git add -A && git commit -m start")
    own = own_scripts(root)
    scripts = {name: text.decode("utf-8", "replace") for name, text in own.items()}
    tracked = tracked_files(root)
    drivers, missing = drivers_of(root, wishes, set(tracked))
    wishes = replace(wishes, scripts=scripts, signing=signing(), drivers=drivers)
    found = survey(root, tracked)
    choices = options(found, wishes)
    if pick:
        choices = [option for option in choices if option.id == pick] or no_such(pick, choices)
    frozen = own | given_files(root, wishes.evaluator)
    show = is_terminal()

    def progress(step: str) -> None:
        if show:
            say(f"… {step}")

    plan, done, failed = first_that_runs(
        Project(root), commit, found, choices, wishes, frozen, limit, progress
    )
    if done.state == "failed" and done.stage == "setup" and wishes.benchmark and wishes.checks:
        # What the user gave may need none of the dependencies; what it does need, the next try will say.
        without = replace(wishes, setup=False)
        again = first_that_runs(Project(root), commit, found, choices, without, frozen, limit, progress)
        if again[1].state == "ok":
            plan, done, failed = again
    if not plan.scope:
        raise BadInput("no source files were found that may change", fix="Name them: --scope 'GLOB'")
    mistakes = mistakes_of(plan, wishes, found, root) + done.mistakes + too_long(done)
    asked = sys.stdin.isatty() and not (go or as_json) and done.state == "ok"
    if asked:
        click.echo(_human(found, plan, done, failed, mistakes, choices))
        go = click.confirm("Write this session?", default=False)
    written: list[str] = []
    if go and done.state in ("ok", "not run"):
        written, _ = write_session(
            root, settings | settings_of(plan, wishes), plan.files, most=most, force=force
        )
        written += render_document(Project(root))
    if done.state == "failed":
        done.fix = remedy(done, missing)
    follow = _follow(done, written, failed, plan, wishes, settings, most, force)
    data = _data(found, plan, done, failed, mistakes, choices, written, follow)
    lines = [] if asked else [_human(found, plan, done, failed, mistakes, choices)]
    lines.append(f"wrote {', '.join(written)}" if written else "nothing was written")
    emit(data, "\n".join([*lines, f"next: {follow}"]), as_json=as_json)
    if done.state in ("failed", "late"):
        click.get_current_context().exit(int(Exit.ENVIRONMENT))


def _follow(
    done: DryRun,
    written: list[str],
    failed: dict[str, str],
    plan: Plan,
    wishes: Wishes,
    settings: dict[str, object],
    most: int | None,
    force: bool,
) -> str:
    if written:
        return "autoresearch doctor"
    words = ["autoresearch", "init", "--plan"]
    if done.state == "late":
        return shlex.join([*words, "--timeout", "110"])
    if done.state == "failed" and done.stage == "setup":
        return "autoresearch init --plan --benchmark COMMAND --checks COMMAND --build ''"
    if done.state == "failed" and done.stage in ("checks", "build"):
        return shlex.join([*words, f"--{done.stage}", "COMMAND"])
    if done.state == "failed":
        return "autoresearch init --plan --benchmark COMMAND --checks COMMAND"
    for flag, value in (
        ("--goal", settings.get("goal")), ("--metric", wishes.metric), ("--unit", wishes.unit),
        ("--direction", wishes.direction), ("--benchmark", wishes.benchmark), ("--checks", wishes.checks),
        ("--max-iterations", most or ""), *(("--scope", g) for g in wishes.scope),
        *(("--off-limits", g) for g in wishes.off_limits), *(("--evaluator", g) for g in wishes.evaluator),
    ):  # fmt: skip
        if value:
            words += [flag, str(value)]
    if wishes.build is not None:
        words += ["--build", wishes.build]
    if not wishes.benchmark and plan.option.id != "yours":
        words += ["--pick", plan.option.id]
    return shlex.join([*words, *(["--force"] if force else []), "--yes"])


def _data(
    found: Survey,
    plan: Plan,
    done: DryRun,
    failed: dict[str, str],
    mistakes: list[Mistake],
    choices: list[Option],
    written: list[str],
    follow: str,
) -> dict[str, Any]:
    option, noise = plan.option, done.noise
    tried: dict[str, Any] = {"state": done.state}
    if done.said:
        tried |= {"stage": done.stage, "said": one_line(done.said, 240)} | (
            {"fix": done.fix} if done.fix else {}
        )
    if done.values:
        tried |= {
            "runs": len(done.values), "value": _median(done.values), "seconds_a_run": round(done.seconds, 3),
            "rounds": done.rounds, "checks": one_line(done.checks, 120),
        }  # fmt: skip
    if noise is not None:
        tried |= {"cv_pct": _short(noise.cv_pct), "mde_pct": _short(noise.mde_pct)}
    data: dict[str, Any] = {
        "found": {"languages": found.languages, "build_files": list(found.builds), "tests": len(found.test_files)},
        "plan": {
            "id": option.id, "metric": option.metric, "unit": option.unit, "direction": option.direction,
            "command": one_line(option.command, 160), "why": one_line(option.why, 120),
            "checks": _checks_line(plan), "build": plan.build,
            "setup": found.setup if "setup_deps.sh" in plan.files else "",
        },
        "scope": list(plan.scope), "off_limits": list(plan.off_limits), "evaluator": list(plan.evaluator),
        "dry_run": tried,
        "mistakes": [{"rule": m.rule, "found": one_line(m.found, 100), "fix": one_line(m.fix, 80)} for m in mistakes],
        "others": [
            {"id": o.id, "metric": o.metric, "why": one_line(o.why, 60)}
            | ({"failed": one_line(failed[o.id], 100)} if o.id in failed else {})
            for o in choices if o.id != option.id
        ],
        "written": written,
        "next": follow,
    }  # fmt: skip
    return fit(data, "others", "off_limits", "evaluator", "mistakes", "scope")


def _checks_line(plan: Plan) -> str:
    return one_line(next(r for r in plan.reasons if r.startswith("checks")).removeprefix("checks: "), 160)


def _median(values: list[float]) -> float:
    return float(f"{median(values):.6g}")


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.2g}")


def _human(
    found: Survey,
    plan: Plan,
    done: DryRun,
    failed: dict[str, str],
    mistakes: list[Mistake],
    choices: list[Option],
) -> str:
    option = plan.option
    languages = (
        ", ".join(f"{name} ({count})" for name, count in list(found.languages.items())[:4]) or "no code"
    )
    lines = [
        f"found: {languages}; {', '.join(found.builds) or 'no build file'}; {len(found.test_files)} test files"
    ]
    lines += [f"plan: {option.metric}, {option.direction} is better, from  {one_line(option.command, 120)}"]
    lines += [f"      {one_line(reason, 160)}" for reason in plan.reasons]
    lines += [f"      scope {' '.join(plan.scope)}"]
    if plan.off_limits:
        lines += [f"      off limits {one_line(' '.join(plan.off_limits), 160)}"]
    if done.state == "ok":
        lines.append(
            f"tried: {option.metric} = {_median(done.values):.6g} {option.unit}, median of {len(done.values)}, "
            f"{done.seconds:.2f} s a run; checks {one_line(done.checks, 160)}"
        )
        if done.noise is not None:
            lines.append(f"noise: {done.noise.grade}; {done.noise.advice}")
        else:
            lines.append(f"noise: not known from {len(done.values)} runs; give more time: --timeout 110")
    elif done.state != "not run":
        lines.append(f"tried: {done.stage} {done.state}: {one_line(done.said, 300)}")
        lines += [f"mend: {done.fix}."] if done.fix else []
    lines += [f"mend: {m.found}. {m.fix}." for m in mistakes]
    for other in choices:
        if other.id != option.id:
            why = f" (failed: {one_line(failed[other.id], 120)})" if other.id in failed else ""
            lines.append(f"also: --pick {other.id}: {other.metric}, {one_line(other.why, 100)}{why}")
    return "\n".join(lines)
