"""Plans a session: looks at the project, and tries the proposals in their order until one runs."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from autoresearch.errors import BadInput
from autoresearch.prepare.dryrun import Copy, DryRun
from autoresearch.prepare.lint import Mistake, lint
from autoresearch.prepare.planning import Option, Plan, Wishes, draft
from autoresearch.prepare.survey import Survey
from autoresearch.prepare.toolchain import READ_AT_MOST
from autoresearch.project import EVALUATOR_FILES, SESSION_FILES, Project
from autoresearch.resources import shipped
from autoresearch.safetext import one_line
from autoresearch.workspace.git import git


def signing() -> str:
    """The part of the shipped benchmark template that signs results."""
    text = shipped("templates/autoresearch.sh").read_text(encoding="utf-8")
    return text[text.index("# Signing") : text.index("# Example")]


def tracked_files(root: Path) -> list[str]:
    """The project's own files: not the session's, nor what tools keep in hidden directories."""
    names = git(root, "ls-files", "-z").split("\0")
    return [
        name for name in names
        if name and name not in (*SESSION_FILES, *EVALUATOR_FILES) and not name.startswith(".")
    ]  # fmt: skip


def own_scripts(root: Path) -> dict[str, bytes]:
    """Evaluator scripts that were written already; an untouched template is none."""
    found = {}
    for name in EVALUATOR_FILES:
        path = root / name
        if path.is_file() and b"is still the template" not in path.read_bytes():
            found[name] = path.read_bytes()
    return found


def given_files(root: Path, patterns: tuple[str, ...]) -> dict[str, bytes]:
    """Files of --evaluator, which may not be committed yet."""
    found = {}
    for pattern in patterns:
        pattern = f"{pattern.strip('/')}/**" if (root / pattern).is_dir() else pattern.strip("/")
        for path in root.glob(pattern + "/*" if pattern.endswith("**") else pattern):
            if path.is_file() and not path.is_symlink() and root in path.resolve().parents:
                found[path.relative_to(root).as_posix()] = path.read_bytes()
    return found


def drivers_of(root: Path, wishes: Wishes, tracked: set[str]) -> tuple[str, list[str]]:
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


def remedy(done: DryRun, missing: list[str]) -> str:
    """What a failure of the usual kinds needs, for who does not know that a copy of the last commit was tried."""
    if missing:
        return f"Commit {one_line(', '.join(missing[:3]), 100)} first: the last commit is what is tried"
    found = re.search(r"No module named '?([\w.]+)", done.said)
    if found:
        return f"Activate the environment that has {found[1]}, or install it in setup_deps.sh, and repeat"
    return ""


def no_such(pick: str, choices: list[Option]) -> list[Option]:
    raise BadInput(f"no proposal is called {pick}", fix=f"Choose one of {', '.join(o.id for o in choices)}")


def first_that_runs(
    project: Project,
    commit: str,
    found: Survey,
    choices: list[Option],
    wishes: Wishes,
    own: dict[str, bytes],
    limit: float,
    progress: Callable[[str], None],
) -> tuple[Plan, DryRun, dict[str, str]]:
    """Try the proposals in their order until one works; the first one's failure stands when none does.

    `progress` is told each step.
    """
    failed: dict[str, str] = {}
    first: tuple[Plan, DryRun] | None = None
    if limit <= 0:
        return draft(found, choices[0], wishes), DryRun(), {}
    end = time.monotonic() + limit
    with Copy(project, commit, own, progress) as copy:
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


def settings_of(plan: Plan, wishes: Wishes) -> dict[str, object]:
    option = plan.option
    return {
        "metric": option.metric, "unit": wishes.unit or option.unit, "direction": wishes.direction or option.direction,
        "scope": list(plan.scope), "off_limits": list(plan.off_limits), "evaluator": list(plan.evaluator),
        "build": plan.build,
    }  # fmt: skip


def mistakes_of(plan: Plan, wishes: Wishes, found: Survey, root: Path) -> list[Mistake]:
    metric = plan.option.metric
    texts = {**wishes.scripts, **plan.files}
    bench, checks = texts.get("autoresearch.sh", ""), texts.get("autoresearch.checks.sh")
    made = lint(bench, metric=metric, scripts=found.scripts, root=str(root))
    if checks is not None:
        made += lint(checks, "checks", metric=metric, scripts=found.scripts, root=str(root))
    return made


def too_long(done: DryRun) -> list[Mistake]:
    if done.seconds > 10:
        found = f"a run takes {done.seconds:.0f} s, and one A/B needs up to 60 of them"
        return [Mistake("long", 0, found, "Measure a smaller part or input: aim at 0.2 to 5 s a run")]
    return []
