"""Plans a session: looks at the project, and tries the proposals in their order until one runs."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from autoresearch.errors import BadInput
from autoresearch.peers import formats
from autoresearch.prepare.dryrun import Copy, DryRun
from autoresearch.prepare.kinds import shared_modules
from autoresearch.prepare.lint import Mistake, lint
from autoresearch.prepare.lint_rules import ScriptKind
from autoresearch.prepare.planning import Option, Plan, Wishes, better, draft, options
from autoresearch.prepare.reference import program_files, tracked_files, unfit
from autoresearch.prepare.survey import Survey, survey
from autoresearch.prepare.toolchain import READ_AT_MOST
from autoresearch.project import EVALUATOR_FILES, Project
from autoresearch.resources import shipped
from autoresearch.safetext import one_line
from autoresearch.workspace.git import places, resolve


@dataclass
class Proposal:
    """What was found in a project, what is proposed for it, and what came of trying that.

    `choices` are all ways to measure it, `failed` says why those that were tried before did not run.
    """

    found: Survey
    wishes: Wishes
    choices: list[Option]
    plan: Plan
    tried: DryRun
    failed: dict[str, str]

    @property
    def works(self) -> bool:
        """It ran, or nobody asked."""
        return self.tried.state in ("ok", "not run")

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


def propose(root: Path, wishes: Wishes, pick: str, limit: float, progress: Callable[[str], None]) -> Proposal:
    """Look at `root`, and try what is proposed, or the option `pick`, within `limit` seconds (0: not at all).

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
    choices = options(found, wishes)
    if pick:
        named = ", ".join(option.id for option in choices)
        choices = [option for option in choices if option.id == pick]
        if not choices:
            raise BadInput(f"no proposal is called {pick}", fix=f"Choose one of {named}")
    own |= _given_files(root, wishes.evaluator)
    made = _first_that_runs(root, commit, found, choices, wishes, own, program, limit, progress)
    if made.tried.state == "failed" and made.tried.stage == "setup" and wishes.benchmark and wishes.checks:
        # What the user gave may need none of the dependencies; what it does need, the next try will say.
        without = replace(wishes, setup=False)
        again = _first_that_runs(root, commit, found, choices, without, own, program, limit, progress)
        made = again if again.tried.state == "ok" else made
    if not made.plan.scope:
        raise BadInput("no source files were found that may change", fix="Name them: --scope 'GLOB'")
    if made.tried.state == "failed":
        made.tried.fix = _remedy(made.tried, missing)
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


def _first_that_runs(
    root: Path, commit: str, found: Survey, choices: list[Option], wishes: Wishes, own: dict[str, bytes],
    program: list[str], limit: float, progress: Callable[[str], None],
) -> Proposal:  # fmt: skip
    """Try the proposals in their order until one works; the first one's failure stands when none does."""
    made = Proposal(found, wishes, choices, draft(found, choices[0], wishes), DryRun(), {})
    if limit <= 0:
        return made
    end = time.monotonic() + limit
    failed: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="autoresearch-plan-") as place:
        copy = Copy(Path(place), Project(root), commit, own, program, progress)
        for number, option in enumerate(choices[:4], 1):

            def redraft(seconds: float, option: Option = option) -> Iterator[Plan]:
                return better(found, option, wishes, seconds)

            # Something is left for the next one, in case this one takes for ever.
            left = max(1.0, end - time.monotonic())
            last = number == min(len(choices), 4)
            plan, tried = copy.attempt(draft(found, option, wishes), redraft, left if last else 0.6 * left)
            if number == 1 or tried.state == "ok":
                made = replace(made, plan=plan, tried=tried)
            if tried.state == "ok":
                break
            failed[option.id] = f"{tried.stage}: {tried.said}"
            if tried.stage in ("setup", "build"):
                break  # the others would fail in the same way
    failed.pop(made.plan.option.id, None)
    return replace(made, failed=failed)


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
