"""Plans a session: looks at the project, and tries what is proposed first."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from autoresearch.errors import BadInput
from autoresearch.peers import formats
from autoresearch.prepare.aloud import script_of
from autoresearch.prepare.dryrun import Copy, DryRun
from autoresearch.prepare.kinds import shared_modules
from autoresearch.prepare.lint import Mistake, lint
from autoresearch.prepare.lint_rules import ScriptKind
from autoresearch.prepare.planning import Option, Plan, Wishes, better, draft, options, picked, without_checked
from autoresearch.prepare.reference import program_files, tracked_files, unfit
from autoresearch.prepare.rehearsal import machine_faults
from autoresearch.prepare.survey import Survey, survey
from autoresearch.prepare.toolchain import READ_AT_MOST
from autoresearch.project import EVALUATOR_FILES, SESSION_FILES, Project
from autoresearch.resources import shipped
from autoresearch.safetext import one_line
from autoresearch.trial.stage import TrialStage
from autoresearch.verdict.units import is_count
from autoresearch.workspace.git import git, places, resolve

# The least effect to keep: of a count that repeats exactly, and else the first of these that a test can show.
EXACT_PCT, STEPS_PCT = 0.1, (1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0)
# Of a slow-down of the code in scope, this much has to show in the metric.
LEAST_SHARE = 0.25


@dataclass
class Proposal:
    """What was found in a project, what is proposed for it, and what came of trying that.

    `choices` are all ways to measure it. `unseen` are files that git does not know, so that no copy has them.
    `unbuilt`: what failed was the set-up or the build, and without them it runs.
    """

    found: Survey
    wishes: Wishes
    choices: list[Option]
    plan: Plan
    tried: DryRun
    unseen: tuple[str, ...] = ()
    unbuilt: bool = False

    @property
    def works(self) -> bool:
        """It ran and measures what is in scope, or nobody asked."""
        return self.tried.state in ("ok", "not run") and not self.elsewhere

    @property
    def elsewhere(self) -> bool:
        """Whether a slow-down of the code in scope did not show in the metric."""
        return self.tried.share is not None and self.tried.share < LEAST_SHARE

    @property
    def others(self) -> list[Option]:
        return [option for option in self.choices if option.id != self.plan.option.id]

    @property
    def settings(self) -> dict[str, object]:
        """For autoresearch.yaml."""
        option, wishes, plan = self.plan.option, self.wishes, self.plan
        return {
            "metric": option.metric, "unit": wishes.unit or option.unit,
            "direction": wishes.direction or option.direction,
            "scope": list(plan.scope), "off_limits": list(plan.off_limits), "evaluator": list(plan.evaluator),
            "build": plan.build,
        }  # fmt: skip

    @property
    def min_effect_pct(self) -> float:
        """The least effect to keep: what the dry run's noise lets a test show here, in round numbers."""
        noise = self.tried.noise
        if len(self.tried.values) > 1 == len(set(self.tried.values)) and is_count(self.plan.option.metric):
            return EXACT_PCT
        if noise is None or noise.mde_pct is None:
            return 1.0
        return next((step for step in STEPS_PCT if step >= noise.mde_pct), STEPS_PCT[-1])


def propose(root: Path, wishes: Wishes, pick: str, limit: float, progress: Callable[[str], None]) -> Proposal:
    """Look at `root`, and try the first proposal, or the one that `pick` names, within `limit` seconds (0: not at all).

    `progress` is told each step. `BadInput` where nothing can be proposed.
    """
    places(root)
    commit = resolve(root, "HEAD")
    if commit is None:
        raise BadInput("this repository has no commit yet", fix="git add -A && git commit -m start")
    own = _own_scripts(root)
    scripts = {name: text.decode("utf-8", "replace") for name, text in own.items()}
    tracked = tracked_files(root)
    drivers, missing = _drivers_of(root, wishes, set(tracked))
    found = survey(root, tracked)
    home = "autoresearch_evaluator" if (root / "evaluator").exists() else "evaluator"
    program = program_files(tracked, found, home)
    own_setup = "setup_deps.sh would have to build the copy, and is yours" if "setup_deps.sh" in scripts else ""
    wishes = replace(
        wishes, scripts=scripts, signing=_signing(), drivers=drivers, home=home, modules=shared_modules(),
        reader=Path(formats.__file__).read_text(encoding="utf-8"),
        alone=unfit(root, program) or (own_setup if found.build else ""),
    )  # fmt: skip
    unseen = _unseen(root)
    try:
        choices = options(found, wishes)
    except BadInput as exc:
        exc.message += (
            f"; git does not know {one_line(', '.join(unseen[:3]), 100)}, so it was not seen" if unseen else ""
        )
        raise
    own |= _given_files(root, wishes.evaluator)
    wishes = replace(wishes, texts=_texts(root, choices, set(tracked)))
    attempts = _Attempts(root, commit, found, picked(choices, pick), own, program, limit, progress)
    made = replace(attempts.try_with(wishes), choices=choices, unseen=unseen)
    if made.tried.state == "failed" and made.tried.stage == "benchmark":
        # It may be what it says of itself that does not go well.
        again = attempts.try_with(replace(wishes, aloud=False))
        made = replace(made, plan=again.plan, tried=again.tried) if again.tried.state == "ok" else made
    if made.tried.state == "failed" and made.tried.stage == "setup":
        # What is measured may need none of the dependencies; what it does need, the next try will say.
        again = attempts.try_with(replace(wishes, setup=False))
        made = replace(made, plan=again.plan, tried=again.tried) if again.tried.state == "ok" else made
    if made.tried.state == "failed" and made.tried.stage in ("setup", "build") and made.plan.build and not wishes.build:
        again = attempts.try_with(replace(wishes, build="", setup=made.tried.stage != "setup"))
        made.unbuilt = again.tried.state == "ok"
    if made.tried.checks == "passed":
        known = [*found.test_files, *found.bench_files]
        made.plan = without_checked(made.plan, made.tried.checked, tracked, known)
    if not made.plan.scope:
        raise BadInput("no source files were found that may change", fix="Name them: --scope 'GLOB'")
    if made.elsewhere:
        made.tried.fix = "Measure the code in scope with a command of its own, or scope what this one measures: --scope"
    if made.tried.state == "failed":
        needless = "Without its build it runs, and is measured as it is: --build ''" if made.unbuilt else ""
        made.tried.fix = needless or _remedy(made.tried, missing)
    long = [] if made.plan.paired else _too_long(made.tried)  # else its length was chosen, and load shows in it
    made.tried.mistakes = [*_mistakes(made, root), *made.tried.mistakes, *long]
    return made


def _signing() -> str:
    """The part of the shipped benchmark template that signs results."""
    text = shipped("templates/autoresearch.sh").read_text(encoding="utf-8")
    return text[text.index("# Signing") : text.index("# Example")]


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


def _texts(root: Path, choices: list[Option], tracked: set[str]) -> dict[str, str]:
    """The scripts of the project that the options start, by name."""
    started = (script_of(option.command) for option in choices)
    names = {script[0] for script in started if script is not None} & tracked
    return {name: (root / name).read_text("utf-8", "replace") for name in names if (root / name).is_file()}


def _drivers_of(root: Path, wishes: Wishes, tracked: set[str]) -> tuple[str, list[str]]:
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
    if re.search(r"resolve host|name resolution|[Nn]etwork is unreachable|ENOTFOUND|EAI_AGAIN|getaddrinfo", done.said):
        return "As in a trial it ran without network: commit what it needs, or fetch it in setup_deps.sh"
    found = re.search(r"No module named '?([\w.]+)", done.said)
    if found:
        return f"Activate the environment that has {found[1]}, or install it in setup_deps.sh, and repeat"
    return ""


class _Attempts:
    """Tries one option, with one or another set of wishes, in `limit` seconds for all of it (0: not at all).

    It stays the plan when it fails: to measure something else is another goal, and the user's to choose.
    """

    def __init__(
        self, root: Path, commit: str, found: Survey, option: Option, own: dict[str, bytes], program: list[str],
        limit: float, progress: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._project, self._commit, self._found, self._option = Project(root), commit, found, option
        self._own, self._program, self._progress = own, program, progress
        self._end = time.monotonic() + limit if limit > 0 else 0.0

    def try_with(self, wishes: Wishes) -> Proposal:
        """Draft the option and try it, while there is time."""
        found, option = self._found, self._option
        first = draft(found, option, wishes, count=True)
        left = self._end - time.monotonic()
        if left <= 0:
            return Proposal(found, wishes, [option], draft(found, option, wishes), DryRun())
        with (
            machine_faults(),
            tempfile.TemporaryDirectory(prefix="autoresearch-plan-") as job,
            TrialStage(job) as stage,
        ):
            copy = Copy(stage, self._project, self._commit, self._own, self._program, self._progress)

            def redraft(value: float, took: float, benchmarks: int, said: tuple[bytes, ...]) -> Iterator[Plan]:
                return better(found, option, wishes, value, took=took, benchmarks=benchmarks, said=said)

            plan, tried = copy.attempt(first, redraft, left)
        return Proposal(found, wishes, [option], plan, tried)


def _unseen(root: Path) -> tuple[str, ...]:
    """Files that git neither knows nor ignores, and that are not the session's."""
    names = git(root, "ls-files", "--others", "--exclude-standard", "-z").split("\0")
    own = (*SESSION_FILES, *EVALUATOR_FILES)
    return tuple(name for name in names if name and name not in own and not name.startswith("."))


def _mistakes(made: Proposal, root: Path) -> list[Mistake]:
    """What the scripts, written or drafted, do that the lint knows."""
    texts = {**made.wishes.scripts, **made.plan.files}
    kinds: tuple[tuple[str, ScriptKind], ...] = (("autoresearch.sh", "benchmark"), ("autoresearch.checks.sh", "checks"))
    return [
        mistake for name, kind in kinds if name in texts
        for mistake in lint(
            texts[name], kind, metric=made.plan.option.metric, scripts=made.found.scripts, root=str(root)
        )
    ]  # fmt: skip


def _too_long(done: DryRun) -> list[Mistake]:
    if done.seconds > 10:
        found = f"a run takes {done.seconds:.0f} s, and one A/B needs up to 60 of them"
        return [Mistake("long", 0, found, "Measure a smaller part or input: aim at 0.2 to 5 s a run")]
    return []
