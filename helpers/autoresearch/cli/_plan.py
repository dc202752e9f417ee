"""The wizard of `init --plan`: look, propose, try, show, ask, and only then write."""

from __future__ import annotations

import re
import shlex
import sys
import time
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import click

from autoresearch.cli._fit import fit
from autoresearch.cli._output import emit, is_terminal, say
from autoresearch.errors import BadInput, Exit
from autoresearch.project import EVALUATOR_FILES, SESSION_FILES, Project
from autoresearch.resources import shipped
from autoresearch.safetext import one_line
from autoresearch.session.dryrun import Copy, DryRun
from autoresearch.session.lint import Mistake, lint
from autoresearch.session.planning import Option, Plan, Wishes, draft, options
from autoresearch.session.survey import Survey, survey
from autoresearch.session.toolchain import READ_AT_MOST
from autoresearch.workspace.git import git, resolve, toplevel


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
    own = _own_scripts(root)
    scripts = {name: text.decode("utf-8", "replace") for name, text in own.items()}
    tracked = _tracked(root)
    drivers, missing = _drivers(root, wishes, set(tracked))
    wishes = replace(wishes, scripts=scripts, signing=_signing(), drivers=drivers)
    found = survey(root, tracked)
    choices = options(found, wishes)
    if pick:
        choices = [option for option in choices if option.id == pick] or _no_such(pick, choices)
    frozen = own | _given_files(root, wishes.evaluator)
    plan, done, failed = _first_that_runs(Project(root), commit, found, choices, wishes, frozen, limit)
    if done.state == "failed" and done.stage == "setup" and wishes.benchmark and wishes.checks:
        # What the user gave may need none of the dependencies; what it does need, the next try will say.
        without = replace(wishes, setup=False)
        again = _first_that_runs(Project(root), commit, found, choices, without, frozen, limit)
        if again[1].state == "ok":
            plan, done, failed = again
    if not plan.scope:
        raise BadInput("no source files were found that may change", fix="Name them: --scope 'GLOB'")
    mistakes = _mistakes(plan, wishes, found, root) + done.mistakes + _length(done)
    asked = sys.stdin.isatty() and not (go or as_json) and done.state == "ok"
    if asked:
        click.echo(_human(found, plan, done, failed, mistakes, choices))
        go = click.confirm("Write this session?", default=False)
    written: list[str] = []
    if go and done.state in ("ok", "not run"):
        from autoresearch.cli.init import render, write_session

        written, _ = write_session(
            root, settings | _settings(plan, wishes), plan.files, most=most, force=force
        )
        written += render(root)
    if done.state == "failed":
        done.fix = _remedy(done, missing)
    follow = _follow(done, written, failed, plan, wishes, settings, most, force)
    data = _data(found, plan, done, failed, mistakes, choices, written, follow)
    lines = [] if asked else [_human(found, plan, done, failed, mistakes, choices)]
    lines.append(f"wrote {', '.join(written)}" if written else "nothing was written")
    emit(data, "\n".join([*lines, f"next: {follow}"]), as_json=as_json)
    if done.state in ("failed", "late"):
        click.get_current_context().exit(int(Exit.ENVIRONMENT))


def _signing() -> str:
    """The part of the shipped benchmark template that signs results."""
    text = shipped("templates/autoresearch.sh").read_text(encoding="utf-8")
    return text[text.index("# Signing") : text.index("# Example")]


def _tracked(root: Path) -> list[str]:
    """The project's own files: not the session's, nor what tools keep in hidden directories."""
    names = git(root, "ls-files", "-z").split("\0")
    return [
        name for name in names
        if name and name not in (*SESSION_FILES, *EVALUATOR_FILES) and not name.startswith(".")
    ]  # fmt: skip


def _own_scripts(root: Path) -> dict[str, bytes]:
    """Evaluator scripts that were written already; an untouched template is none."""
    found = {}
    for name in EVALUATOR_FILES:
        path = root / name
        if path.is_file() and b"is still the template" not in path.read_bytes():
            found[name] = path.read_bytes()
    return found


def _given_files(root: Path, patterns: tuple[str, ...]) -> dict[str, bytes]:
    """Files of --evaluator, which may not be committed yet."""
    found = {}
    for pattern in patterns:
        pattern = f"{pattern.strip('/')}/**" if (root / pattern).is_dir() else pattern.strip("/")
        for path in root.glob(pattern + "/*" if pattern.endswith("**") else pattern):
            if path.is_file() and not path.is_symlink() and root in path.resolve().parents:
                found[path.relative_to(root).as_posix()] = path.read_bytes()
    return found


def _drivers(root: Path, wishes: Wishes, tracked: set[str]) -> tuple[str, list[str]]:
    """The text of the files that the given benchmark names, and files of the commands that are not committed."""
    texts, missing = [], []
    for number, command in enumerate((wishes.benchmark, wishes.checks, wishes.build or "")):
        for word in dict.fromkeys(re.findall(r"[^\s'\"=;&|()<>]+", command)):
            name = PurePosixPath(word).as_posix()
            path = root / name
            if PurePosixPath(name).is_absolute() or ".." in name.split("/") or not path.is_file():
                continue
            if name in tracked and number == 0 and path.stat().st_size < READ_AT_MOST:
                texts.append(path.read_text("utf-8", "replace"))
            elif name not in tracked and name not in EVALUATOR_FILES:
                missing.append(name)
    return "\n".join(texts), missing


def _remedy(done: DryRun, missing: list[str]) -> str:
    """What a failure of the usual kinds needs, for who does not know that a copy of the last commit was tried."""
    if missing:
        return f"Commit {one_line(', '.join(missing[:3]), 100)} first: the last commit is what is tried"
    found = re.search(r"No module named '?([\w.]+)", done.said)
    if found:
        return f"Activate the environment that has {found[1]}, or install it in setup_deps.sh, and repeat"
    return ""


def _no_such(pick: str, choices: list[Option]) -> list[Option]:
    raise BadInput(f"no proposal is called {pick}", fix=f"Choose one of {', '.join(o.id for o in choices)}")


def _first_that_runs(
    project: Project,
    commit: str,
    found: Survey,
    choices: list[Option],
    wishes: Wishes,
    own: dict[str, bytes],
    limit: float,
) -> tuple[Plan, DryRun, dict[str, str]]:
    """Try the proposals in their order until one works; the first one's failure stands when none does."""
    failed: dict[str, str] = {}
    first: tuple[Plan, DryRun] | None = None
    if limit <= 0:
        return draft(found, choices[0], wishes), DryRun(), {}
    show = is_terminal()
    end = time.monotonic() + limit
    with Copy(project, commit, own, lambda step: say(f"… {step}") if show else None) as copy:
        for number, option in enumerate(choices[:4], 1):

            def redraft(rounds: int, option: Option = option) -> Plan:
                return draft(found, option, wishes, rounds)

            # Something is left for the next one, in case this one takes for ever.
            left = max(1.0, end - time.monotonic())
            last = number == min(len(choices), 4)
            plan, done = copy.attempt(redraft(1), redraft, left if last else 0.6 * left)
            if done.state == "ok":
                return plan, done, failed
            failed[option.id] = f"{done.stage}: {done.said}"
            first = first or (plan, done)
            if done.stage in ("setup", "build"):
                break  # the others would fail in the same way
    assert first is not None
    failed.pop(first[0].option.id)
    return *first, failed


def _settings(plan: Plan, wishes: Wishes) -> dict[str, object]:
    option = plan.option
    return {
        "metric": option.metric, "unit": wishes.unit or option.unit, "direction": wishes.direction or option.direction,
        "scope": list(plan.scope), "off_limits": list(plan.off_limits), "evaluator": list(plan.evaluator),
        "build": plan.build,
    }  # fmt: skip


def _mistakes(plan: Plan, wishes: Wishes, found: Survey, root: Path) -> list[Mistake]:
    metric = plan.option.metric
    texts = {**wishes.scripts, **plan.files}
    bench, checks = texts.get("autoresearch.sh", ""), texts.get("autoresearch.checks.sh")
    made = lint(bench, metric=metric, scripts=found.scripts, root=str(root))
    if checks is not None:
        made += lint(checks, "checks", metric=metric, scripts=found.scripts, root=str(root))
    return made


def _length(done: DryRun) -> list[Mistake]:
    if done.seconds > 10:
        found = f"a run takes {done.seconds:.0f} s, and one A/B needs up to 60 of them"
        return [Mistake("long", 0, found, "Measure a smaller part or input: aim at 0.2 to 5 s a run")]
    return []


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
    from autoresearch.verdict.stats import median

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
