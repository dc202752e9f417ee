"""`init --plan`: look, propose, try, show, ask, and only then write."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autoresearch.cli._fit import fit
from autoresearch.cli._output import is_terminal, say, tell
from autoresearch.errors import Exit
from autoresearch.safetext import one_line

if TYPE_CHECKING:
    from autoresearch.prepare.planning import Plan, Wishes
    from autoresearch.prepare.wizard import Proposal


def wizard(
    root: Path, name: str | None, most: int | None, given: dict[str, Any], *, force: bool, as_json: bool
) -> None:
    """Plan a session for `root` from the options `given`. Exits with the plan's code."""
    from autoresearch.cli._documents import render_document
    from autoresearch.prepare.reference import copy_reference
    from autoresearch.prepare.scaffold import default_name, refuse_a_second, write_session
    from autoresearch.prepare.wizard import propose
    from autoresearch.project import Project

    refuse_a_second(root, force=force)
    show = is_terminal()

    def progress(step: str) -> None:
        if show:
            say(f"… {step}")

    limit = 0.0 if given["no_run"] else given["timeout"] or 25.0
    made = propose(root, _wishes(given), given["pick"] or "", limit, progress)
    go = given["yes"]
    asked = sys.stdin.isatty() and not (go or as_json) and made.tried.state == "ok"
    if asked:
        click.echo(_human(made))
        go = click.confirm("Write this session?", default=False)
    written: list[str] = []
    if go and made.works:
        settings = {"name": name or default_name(root, continued=False), "goal": given["goal"] or ""}
        plan = made.plan
        # A harness measures as long as it wants: the run of a quicker program need not be shorter, and may be longer.
        more: dict[str, Any] = {"objective.timed_share": 0} if plan.option.harness else {}
        values = settings | made.settings
        written, _ = write_session(root, values, plan.files, settings=more, most=most, force=force)
        if plan.paired and not copy_reference(root, plan.home):
            written.append(f"{plan.home}/reference/")
        written += render_document(Project(root))
    follow = "autoresearch doctor" if written else _follow(made, given, most, force=force)
    lines = [] if asked else [_human(made)]
    lines.append(f"wrote {', '.join(written)}" if written else "nothing was written")
    tell(_data(made, written, follow), lines, as_json=as_json)
    if not made.works:
        click.get_current_context().exit(int(Exit.ENVIRONMENT))


def _wishes(given: dict[str, Any]) -> Wishes:
    from autoresearch.prepare.planning import Wishes

    said: dict[str, Any] = {key: given[key] or "" for key in ("metric", "unit", "direction", "benchmark", "checks")}
    said |= {key: tuple(given[key]) for key in ("scope", "off_limits", "evaluator")}
    return Wishes(**said, build=given["build"])


def _follow(made: Proposal, given: dict[str, Any], most: int | None, *, force: bool) -> str:
    """The command that goes on from a plan that was not written."""
    words = ["autoresearch", "init", "--plan"]
    done = made.tried
    if done.state == "late":
        return shlex.join([*words, "--timeout", "110"])
    if done.state == "failed" and done.stage == "setup":
        return "autoresearch init --plan --benchmark COMMAND --checks COMMAND --build ''"
    if done.state == "failed" and done.stage in ("checks", "build"):
        return shlex.join([*words, f"--{done.stage}", "COMMAND"])
    if done.state == "failed":
        return "autoresearch init --plan --benchmark COMMAND --checks COMMAND"
    said = given | {"max_iterations": most}
    keys = "goal", "metric", "unit", "direction", "benchmark", "checks", "max_iterations"
    for key in (*keys, "scope", "off_limits", "evaluator"):
        values = said[key] if isinstance(said[key], tuple) else [said[key]]
        for value in values:
            words += [f"--{key.replace('_', '-')}", str(value)] if value else []
    if given["build"] is not None:
        words += ["--build", given["build"]]
    if not given["benchmark"] and made.plan.option.id != "yours":
        words += ["--pick", made.plan.option.id]
    return shlex.join([*words, *(["--force"] if force else []), "--yes"])


def _data(made: Proposal, written: list[str], follow: str) -> dict[str, Any]:
    found, plan, done = made.found, made.plan, made.tried
    option, noise = plan.option, done.noise
    tried: dict[str, Any] = {"state": done.state}
    if done.said:
        tried |= {"stage": done.stage, "said": one_line(done.said, 240)} | ({"fix": done.fix} if done.fix else {})
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
            "checks": _checks_line(plan), "build": plan.build, "paired": plan.paired,
            "setup": found.setup if "setup_deps.sh" in plan.files else "",
        },
        "scope": list(plan.scope), "off_limits": list(plan.off_limits), "evaluator": list(plan.evaluator),
        "dry_run": tried,
        "mistakes": [
            {"rule": m.rule, "found": one_line(m.found, 100), "fix": one_line(m.fix, 80)} for m in done.mistakes
        ],
        "others": [
            {"id": o.id, "metric": o.metric, "why": one_line(o.why, 60)}
            | ({"failed": one_line(made.failed[o.id], 100)} if o.id in made.failed else {})
            for o in made.others
        ],
        "written": written,
        "next": follow,
    }  # fmt: skip
    return fit(data, "others", "off_limits", "evaluator", "mistakes", "scope")


def _checks_line(plan: Plan) -> str:
    return one_line(next(r for r in plan.reasons if r.startswith("checks")).removeprefix("checks: "), 160)


def _median(values: list[float]) -> float:
    from autoresearch.verdict.stats import median

    return float(f"{median(values):.6g}")


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.2g}")


def _human(made: Proposal) -> str:
    found, plan, done = made.found, made.plan, made.tried
    option = plan.option
    languages = ", ".join(f"{name} ({count})" for name, count in list(found.languages.items())[:4]) or "no code"
    lines = [f"found: {languages}; {', '.join(found.builds) or 'no build file'}; {len(found.test_files)} test files"]
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
    lines += [f"mend: {m.found}. {m.fix}." for m in done.mistakes]
    for other in made.others:
        why = f" (failed: {one_line(made.failed[other.id], 120)})" if other.id in made.failed else ""
        lines.append(f"also: --pick {other.id}: {other.metric}, {one_line(other.why, 100)}{why}")
    return "\n".join(lines)
