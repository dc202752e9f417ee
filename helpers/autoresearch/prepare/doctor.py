"""Looks at machine, project and benchmark before the first measurement, and names what is missing."""

from __future__ import annotations

import importlib.util
import math
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from autoresearch.config import Config
from autoresearch.engines import containment
from autoresearch.engines.cpus import plan_cpus
from autoresearch.errors import POLL, POLL_BASELINE, AutoresearchError, EnvironmentMissing, IntegrityFault
from autoresearch.prepare import conditions
from autoresearch.prepare.diagnosis import Diagnosis
from autoresearch.prepare.lint import is_driver, lint
from autoresearch.prepare.lint_rules import ScriptKind
from autoresearch.prepare.toolchain import npm_scripts
from autoresearch.project import Project
from autoresearch.safetext import one_line
from autoresearch.session.access import load
from autoresearch.session.integrity import frozen_manifest
from autoresearch.session.repair import look
from autoresearch.session.scripts import switched_off
from autoresearch.task import load_task
from autoresearch.workspace import copies, evaluator
from autoresearch.workspace.customs import is_check, off_limits_line
from autoresearch.workspace.git import GitError, git, identity, places, resolve, version
from autoresearch.workspace.scope import inside, objection

# Bytes of a frozen file that is still looked through for mistakes.
_LINTED = 200_000
# What the finding of an evaluator that is not the frozen one is about.
FROZEN = "frozen"


def examine(
    project: Project,
    config: Config,
    *,
    dry_run: bool = True,
    seconds: float = math.inf,
    progress: Callable[[str], None] = lambda _: None,
) -> Iterator[Diagnosis]:
    """All findings, cheapest first; the benchmark is run twice only when nothing before has failed.

    `seconds` is for all of it, clearing up included; what does not fit is ended and named.
    """
    failed = False
    end = time.monotonic() + 0.85 * seconds
    checks: tuple[Callable[[Project, Config], Iterator[Diagnosis]], ...] = (
        _machine, _repository, _evaluator, _task, _scripts, _left, _contained,
        # A client that was given up takes a second or two to end.
        lambda project, config: _engine(project, config, end - 2.0 - time.monotonic()),
    )  # fmt: skip
    names = "machine", "repository", "evaluator", "task", "hooks", "left", "contained", "engine"
    for name, check in zip(names, checks, strict=True):
        progress(name)
        for finding in check(project, config):
            failed = failed or finding.level == "fail"
            yield finding
    if dry_run and not failed:
        progress("benchmark, twice")
        # Not at the top: the whole trial comes with it, which --no-run does without.
        from autoresearch.prepare.rehearsal import rehearse

        yield from rehearse(project, config, end)


def _machine(project: Project, config: Config) -> Iterator[Diagnosis]:
    python = ".".join(map(str, sys.version_info[:3]))
    yield Diagnosis("ok", "machine", f"{conditions.cores()} cores, {conditions.load()}, Python {python}")
    have = version()
    if have < (2, 32):
        yield Diagnosis("fail", "git", f"git {have[0]}.{have[1]} is too old", "Install git 2.32 or newer")
    free = shutil.disk_usage(project.root).free / 2**30
    if free < 1:
        yield Diagnosis("fail", "disk", f"{free:.1f} GiB free", "Free some space: worktrees and logs need it")
    if importlib.util.find_spec("matplotlib") is None:
        yield Diagnosis(
            "warn", "chart", "matplotlib is missing: no chart", "Install the extra: autoresearch-skill[chart]"
        )
    if importlib.util.find_spec("arxiv") is None:
        yield Diagnosis(
            "warn", "papers", "arxiv is missing: no papers", "Install the extra: autoresearch-skill[papers]"
        )
    if config.engine != "local":
        return
    for sentence in plan_cpus(config.slots, config.cores_per_slot).warnings:
        yield Diagnosis("warn", "slots", sentence, "Lower slots in autoresearch.yaml, or leave it at auto")


def _engine(project: Project, config: Config, seconds: float) -> Iterator[Diagnosis]:
    if config.engine == "skypilot":
        # Only where this engine is used: its client is asked, and the machines' parts come with it.
        from autoresearch.engines.skypilot.diagnose import diagnose

        found = diagnose(project.state, config.infra, seconds)
        yield Diagnosis(found.level, "engine", one_line(found.text, 300), found.fix)


def _repository(project: Project, config: Config) -> Iterator[Diagnosis]:
    try:
        places(project.root)
    except AutoresearchError as exc:
        yield Diagnosis("fail", "repository", exc.message, exc.fix)
        return
    head = resolve(project.root, "HEAD")
    if head is None:
        yield Diagnosis("fail", "repository", "there is no commit yet", "git add -A && git commit -m start")
        return
    yield Diagnosis("ok", "repository", f"at {head[:12]}")
    dirty = copies.dirty_files(project)
    if dirty:
        shown = ", ".join(one_line(p, 60) for p in dirty[:3])
        yield Diagnosis(
            "warn", "uncommitted", f"{len(dirty)} changed files are not measured ({shown})",
            "The session starts from the last commit; commit them if they belong to it. They are never touched",
        )  # fmt: skip
    if identity(project.root):
        yield Diagnosis(
            "warn", "identity", "git has no user.name and user.email", "Winners are committed as 'autoresearch'",
        )  # fmt: skip
    yield from _scope(project, config)


def _scope(project: Project, config: Config) -> Iterator[Diagnosis]:
    tracked = filter(None, git(project.root, "ls-files", "-z").split("\0"))
    within = inside(tracked, config.scope, config.off_limits)
    held = [p for p in within if is_check(p) and objection(p, config.scope)]
    if not within:
        yield Diagnosis("fail", "scope", f"{config.scope} matches no tracked file", "Mend scope in autoresearch.yaml")
        return
    if held:
        shown = one_line(", ".join(held[:3]), 120)
        yield Diagnosis(
            "fail", "scope", f"{len(held)} tests are in it ({shown}): a candidate could empty them",
            f"Write into autoresearch.yaml: {off_limits_line(config.off_limits, held)}",
        )  # fmt: skip
        return
    yield Diagnosis("ok", "scope", f"{len(within)} files may change")


def _evaluator(project: Project, config: Config) -> Iterator[Diagnosis]:
    try:
        manifest = evaluator.survey(project, config)
    except AutoresearchError as exc:
        yield Diagnosis("fail", "evaluator", exc.message, exc.fix)
        return
    yield Diagnosis("ok", "evaluator", ", ".join(list(manifest.files)[:5]))
    yield from _ignored(project, list(manifest.files))
    if fault := _changed(project, config):
        yield Diagnosis("warn", FROZEN, fault.message, fault.fix)
    if evaluator.CHECKS not in manifest.files:
        yield Diagnosis(
            "warn", "checks", f"no {evaluator.CHECKS}: nothing guards correctness", "Write one; exit 0 means correct",
        )  # fmt: skip
    yield from _lint(project, config, list(manifest.files))


def following(project: Project, findings: Iterable[Diagnosis]) -> str:
    """The next command for who is ready: the baseline, a new segment, or what the session was at."""
    if not project.ledger.exists():
        return POLL_BASELINE
    if any(finding.what == FROZEN for finding in findings):
        return f"autoresearch baseline --new-segment {POLL}"
    return "autoresearch status"


def _changed(project: Project, config: Config) -> IntegrityFault | None:
    """Why the evaluator is not the one that the baseline froze; None when it is, or nothing is frozen yet."""
    session = load(project.root)
    if session.header is None:
        return None
    try:
        evaluator.verify(project, config, frozen_manifest(session))
    except IntegrityFault as fault:
        return fault
    return None


def _ignored(project: Project, frozen: list[str]) -> Iterator[Diagnosis]:
    """What git ignores a build has mostly left: an old object file would be measured in place of each candidate's."""
    query = ("ls-files", "--others", "--ignored", "--exclude-standard", "-z", "--")
    try:
        found = [
            name for at in range(0, len(frozen), 500)
            for name in git(project.root, *query, *frozen[at : at + 500]).split("\0") if name
        ]  # fmt: skip
    except GitError:
        return  # no repository: said above
    if found:
        shown = ", ".join(one_line(name, 60) for name in found[:3])
        yield Diagnosis(
            "warn", "evaluator", f"it freezes {len(found)} files that git ignores ({shown}): left by a build?",
            "Delete what a build makes: in a fresh copy it would stand in for the candidate's. Inputs may stay",
        )  # fmt: skip


def _lint(project: Project, config: Config, frozen: list[str]) -> Iterator[Diagnosis]:
    """The usual mistakes of the scripts and of the drivers that are frozen with them."""
    kinds: dict[str, ScriptKind] = {evaluator.BENCHMARK: "benchmark", evaluator.CHECKS: "checks"}
    texts = {
        name: (project.root / name).read_text("utf-8", "replace")
        for name in frozen
        if name != evaluator.DEPS  # it may use the network, and is not timed
        and "/reference/" not in name  # the program's copy
        and is_driver(name)
        and (project.root / name).stat().st_size < _LINTED
    }
    named = "".join(texts.get(name, "") for name in kinds)
    scripts = npm_scripts(project.root)
    for name, text in texts.items():
        if name not in kinds and Path(name).name not in named:
            continue  # a test among many, say
        for found in lint(
            text, kinds.get(name, "driver"), metric=config.objective.metric, scripts=scripts, root=str(project.root)
        ):
            where = f"{name}:{found.line}" if found.line else name
            yield Diagnosis("warn", where, found.found, found.fix)


def _task(project: Project, config: Config) -> Iterator[Diagnosis]:
    try:
        load_task(project.task)
    except AutoresearchError as exc:
        yield Diagnosis("fail", "experiment.yaml", exc.message, exc.fix)
    else:
        yield Diagnosis("ok", "experiment.yaml", "valid")


def _contained(project: Project, config: Config) -> Iterator[Diagnosis]:
    """How far candidates are kept from this machine; a worker's own level is in each trial's record."""
    if config.engine != "local":
        return
    try:
        whole, found = containment.describe(containment.find_box(project, config))
    except EnvironmentMissing as exc:
        yield Diagnosis("fail", "containment", exc.message, exc.fix)
        return
    yield Diagnosis("ok" if whole else "warn", "containment", found, containment.ADVICE)


def _left(project: Project, config: Config) -> Iterator[Diagnosis]:
    """What crashes have left."""
    try:
        places(project.root)
        found = look(project)
    except AutoresearchError as exc:
        yield Diagnosis("warn", "leftovers", exc.message, exc.fix)
        return
    for trouble in found:
        fix = "autoresearch doctor --repair" if trouble.mend is not None else trouble.hint
        yield Diagnosis("warn", trouble.what, trouble.found, fix)


def _scripts(project: Project, config: Config) -> Iterator[Diagnosis]:
    for path in switched_off(project):
        name = path.relative_to(project.root).as_posix()
        yield Diagnosis("warn", "hooks", f"{name} is not executable, so it is switched off", f"chmod +x {name}")
