"""`init --plan`: look, propose, try, show, ask, and only then write."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autoresearch.cli import _attack
from autoresearch.cli._fit import fit
from autoresearch.cli._output import fitted, is_terminal, say, tell
from autoresearch.errors import AutoresearchError, Exit
from autoresearch.safetext import one_line

if TYPE_CHECKING:
    from autoresearch.prepare.planning import Plan, Wishes
    from autoresearch.prepare.wizard import Proposal


def wizard(
    root: Path, name: str | None, most: int | None, given: dict[str, Any], *, force: bool, as_json: bool
) -> None:
    """Plan a session for `root` from the options `given`. Exits with the plan's code."""
    from autoresearch.cli._documents import render_document
    from autoresearch.prepare.scaffold import default_name, refuse_a_second
    from autoresearch.prepare.wizard import propose
    from autoresearch.project import Project

    refuse_a_second(root, force=force)
    show = is_terminal()

    def progress(step: str) -> None:
        if show:
            say(f"… {step}")

    limit = 0.0 if given["no_run"] else given["timeout"] or 25.0
    made = propose(root, _wishes(given), given["pick"] or "", limit, progress)
    settings = {"name": name or default_name(root, continued=False), "goal": given["goal"] or ""}
    settings |= {"least": _least(made, given)}
    score, unplayed = None, ""
    if given["attack"] and made.tried.state == "ok":
        try:
            score = _attack.of_plan(root, lambda at: _write(at, made, settings, most, force=False), as_json=as_json)
        except AutoresearchError as exc:  # what was tried stands all the same
            unplayed = f"not attacked: {exc.sentence()}"
    go = given["yes"]
    asked = sys.stdin.isatty() and not (go or as_json) and made.tried.state == "ok" and made.works
    if asked:
        click.echo(fitted("\n".join([_human(made), *(_attack.lines(score) if score else [])]), sys.stdout))
        go = click.confirm("Write this session?", default=False)
    written: list[str] = []
    if go and made.works:
        written = _write(root, made, settings, most, force=force)
        written += render_document(Project(root))
    follow = "autoresearch doctor" if written else _follow(made, given, name, most, force=force)
    lines = [] if asked else [_human(made), *(_attack.lines(score) if score else [])]
    lines.append(f"wrote {', '.join(written)}" if written else "nothing was written")
    data = _data(made, written, follow)
    if given["attack"]:
        data["attack"] = _attack.short(score) if score else {"error": one_line(unplayed or "nothing was tried", 200)}
    tell(fit(data, "others"), [*lines, unplayed], as_json=as_json)
    if not made.works:
        click.get_current_context().exit(int(Exit.ENVIRONMENT))


def _write(root: Path, made: Proposal, settings: dict[str, Any], most: int | None, *, force: bool) -> list[str]:
    """Write the planned session at `root`; returns what was written."""
    from autoresearch.prepare.reference import copy_reference
    from autoresearch.prepare.scaffold import write_session

    plan = made.plan
    # A harness measures as long as it wants: the run of a quicker program need not be shorter, and may be longer.
    more: dict[str, Any] = {"objective.timed_share": 0} if plan.option.harness else {}
    more["objective.min_effect_pct"] = settings["least"]
    values = {key: value for key, value in settings.items() if key != "least"} | made.settings
    written, _ = write_session(root, values, plan.files, settings=more, most=most, force=force)
    if plan.paired and not copy_reference(root, plan.home):
        written.append(f"{plan.home}/reference/")
    return written


def _wishes(given: dict[str, Any]) -> Wishes:
    from autoresearch.prepare.planning import Wishes

    said: dict[str, Any] = {key: given[key] or "" for key in ("metric", "unit", "direction", "benchmark", "checks")}
    said |= {key: tuple(given[key]) for key in ("scope", "off_limits", "evaluator")}
    return Wishes(**said, build=given["build"])


def _follow(made: Proposal, given: dict[str, Any], name: str | None, most: int | None, *, force: bool) -> str:
    """The command that goes on from a plan that was not written: all that was said, and what mends it or is the go."""
    done = made.tried
    said = given | {"name": name, "max_iterations": most, "force": force, "yes": None}
    pick = not given["benchmark"] and made.plan.option.id != "yours"
    said["pick"] = made.plan.option.picked or (made.plan.option.id if pick else None)
    mend: dict[str, Any] = {}
    if done.state == "late":
        mend = {"timeout": 110}
    elif made.unbuilt:
        mend = {"build": ""}
    elif done.state == "failed" and done.stage == "setup":
        mend = {"benchmark": "COMMAND", "checks": "COMMAND", "build": "", "pick": None}
    elif made.elsewhere:
        mend = {"benchmark": "COMMAND", "pick": None}
    elif done.state == "failed" and not (done.stage == "benchmark" and done.fix):  # else it is mended outside
        mend = {done.stage: "COMMAND"} | ({"pick": None} if done.stage == "benchmark" else {})
    elif made.works:
        said |= {"yes": True, "min_effect": given["min_effect"] if done.noise is None else _least(made, given)}
    said = {key: value for key, value in said.items() if key not in mend}
    return shlex.join(["autoresearch", "init", "--plan", *_flags(mend), *_flags(said)])


def _least(made: Proposal, given: dict[str, Any]) -> float:
    """The least gain to keep, in percent: the user's word, or what the machine can show."""
    return float(made.min_effect_pct if given["min_effect"] is None else given["min_effect"])


def _flags(said: dict[str, Any]) -> list[str]:
    """Options of `init` as words; what was not said is left out."""
    keys = ("name", "goal", "metric", "unit", "direction", "min_effect", "benchmark", "checks", "max_iterations",
            "scope", "off_limits", "evaluator", "build", "pick", "timeout", "force", "yes")  # fmt: skip
    words = []
    for key in (key for key in keys if key in said):
        name, value = f"--{key.replace('_', '-')}", said[key]
        for one in value if isinstance(value, tuple) else [value]:
            text = f"{one:g}" if isinstance(one, float) else str(one)
            empty = one is None or one is False or (one == "" and key != "build")
            words += [] if empty else [name] if one is True else [name, text]
    return words


def _offers(made: Proposal) -> list[dict[str, str]]:
    """What else could be measured: counts that repeat exactly go first where the machine is noisy."""
    done, option = made.tried, made.plan.option
    steady = [
        {"id": f"{option.id}:{name}", "metric": name, "why": f"{value:g} in each run: no noise"}
        for name, value in list(done.steady.items())[:2]
    ]  # fmt: skip
    others = [{"id": o.id, "metric": o.metric, "why": one_line(o.why, 60)} for o in made.others]
    noisy = done.noise is not None and done.noise.grade == "noisy"
    return [*steady, *others] if noisy else [*others, *steady]


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
        tried |= {"min_effect_pct": made.min_effect_pct}
    if done.guard:
        tried |= {"guard": one_line(done.guard, 160)} | ({"fix": done.fix} if made.elsewhere else {})
    mistakes = [{"rule": m.rule, "found": one_line(m.found, 100), "fix": one_line(m.fix, 80)} for m in done.mistakes]
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
        "mistakes": [] if option.own else mistakes,
        **({"weak": mistakes} if option.own and mistakes else {}),
        **({"untracked": [one_line(name, 80) for name in made.unseen[:5]]} if made.unseen else {}),
        "others": _offers(made),
        "written": written,
        "next": follow,
    }  # fmt: skip
    return fit(data, "others", "off_limits", "evaluator", "mistakes", "weak", "untracked", "scope")


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
            lines.append(f"       the least gain to keep: --min-effect {made.min_effect_pct:g} (percent)")
        else:
            lines.append(f"noise: not known from {len(done.values)} runs; give more time: --timeout 110")
        lines += [f"guard: {done.guard}"] if done.guard else []
        lines += [f"       so it measures something else\nmend: {done.fix}."] if made.elsewhere else []
    elif done.state != "not run":
        lines.append(f"tried: {done.stage} {done.state}: {one_line(done.said, 300)}")
        lines += [f"mend: {done.fix}."] if done.fix else []
    lines += [f"{'weak' if option.own else 'mend'}: {m.found}. {m.fix}." for m in done.mistakes]
    if made.unseen:
        names = one_line(", ".join(made.unseen[:5]), 160)
        lines.append(
            f"not seen: {names}: git does not know them, and the last commit is what is tried. Commit what counts"
        )
    lines += [f"also: --pick {other['id']}: {other['metric']}, {other['why']}" for other in _offers(made)]
    return "\n".join(lines)
