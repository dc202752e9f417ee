"""Looks at machine, project and benchmark before the first measurement, and names what is missing."""

from __future__ import annotations

import importlib.util
import math
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from autoresearch import evaluator, workspace
from autoresearch.config import Config
from autoresearch.errors import AutoresearchError, EnvironmentMissing
from autoresearch.git import GitError, git, identity, resolve, toplevel, version
from autoresearch.metrics import parse
from autoresearch.project import Project
from autoresearch.safetext import one_line, tail
from autoresearch.session import containment

# Bytes of a frozen file that is still looked through for mistakes.
_LINTED = 200_000
Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """One line of the doctor: what was looked at, what was found, and how to mend it."""

    level: Level
    what: str
    found: str
    fix: str = ""


def examine(
    project: Project,
    config: Config,
    *,
    dry_run: bool = True,
    seconds: float | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Iterator[Finding]:
    """All findings, cheapest first; the benchmark is run twice only when nothing before has failed.

    `seconds` is for all of it, clearing up included; what does not fit is ended and named. None: as long as it takes.
    """
    failed = False
    end = math.inf if seconds is None else time.monotonic() + 0.85 * seconds
    checks: tuple[Callable[[Project, Config], Iterator[Finding]], ...] = (
        _machine, _repository, _evaluator, _task, _hooks, _left, _contained,
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
        yield from _benchmark(project, config, end)


def _machine(project: Project, config: Config) -> Iterator[Finding]:
    python = ".".join(map(str, sys.version_info[:3]))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    yield Finding("ok", "machine", f"{cores} cores, Python {python}")
    have = version()
    if have < (2, 32):
        yield Finding("fail", "git", f"git {have[0]}.{have[1]} is too old", "Install git 2.32 or newer")
    free = shutil.disk_usage(project.root).free / 2**30
    if free < 1:
        yield Finding("fail", "disk", f"{free:.1f} GiB free", "Free some space: worktrees and logs need it")
    if importlib.util.find_spec("matplotlib") is None:
        yield Finding(
            "warn", "chart", "matplotlib is missing: no chart", "Install the extra: autoresearch-skill[chart]"
        )
    if importlib.util.find_spec("arxiv") is None:
        yield Finding(
            "warn", "papers", "arxiv is missing: no papers", "Install the extra: autoresearch-skill[papers]"
        )
    if config.engine != "local":
        return
    from autoresearch.engines.plan import plan_cpus

    for sentence in plan_cpus(config.slots, config.cores_per_slot).warnings:
        yield Finding("warn", "slots", sentence, "Lower slots in autoresearch.yaml, or leave it at auto")


def _engine(project: Project, config: Config, seconds: float) -> Iterator[Finding]:
    if config.engine == "skypilot":
        from autoresearch.engines.skypilot.diagnose import diagnose

        found = diagnose(project.state, config.infra, seconds)
        yield Finding(found.level, "engine", one_line(found.text, 300), found.fix)


def _repository(project: Project, config: Config) -> Iterator[Finding]:
    try:
        toplevel(project.root)
    except AutoresearchError as exc:
        yield Finding("fail", "repository", exc.message, exc.fix)
        return
    head = resolve(project.root, "HEAD")
    if head is None:
        yield Finding("fail", "repository", "there is no commit yet", "git add -A && git commit -m start")
        return
    yield Finding("ok", "repository", f"at {head[:12]}")
    dirty = workspace.dirty_files(project)
    if dirty:
        shown = ", ".join(one_line(p, 60) for p in dirty[:3])
        yield Finding(
            "warn", "uncommitted", f"{len(dirty)} changed files are not measured ({shown})",
            "The session starts from the last commit; commit them if they belong to it. They are never touched",
        )  # fmt: skip
    if identity(project.root):
        yield Finding(
            "warn",
            "identity",
            "git has no user.name and user.email",
            "Winners are committed as 'autoresearch'",
        )
    yield from _scope(project, config)


def _scope(project: Project, config: Config) -> Iterator[Finding]:
    from pathspec import GitIgnoreSpec

    tracked = git(project.root, "ls-files", "-z").split("\0")
    scope, off = GitIgnoreSpec.from_lines(config.scope), GitIgnoreSpec.from_lines(config.off_limits)
    inside = [p for p in tracked if p and scope.match_file(p) and not off.match_file(p)]
    if not inside:
        yield Finding(
            "fail", "scope", f"{config.scope} matches no tracked file", "Mend scope in autoresearch.yaml"
        )
    else:
        yield Finding("ok", "scope", f"{len(inside)} files may change")


def _evaluator(project: Project, config: Config) -> Iterator[Finding]:
    try:
        manifest = evaluator.survey(project, config)
    except AutoresearchError as exc:
        yield Finding("fail", "evaluator", exc.message, exc.fix)
        return
    yield Finding("ok", "evaluator", ", ".join(list(manifest.files)[:5]))
    if evaluator.CHECKS not in manifest.files:
        yield Finding(
            "warn",
            "checks",
            f"no {evaluator.CHECKS}: nothing guards correctness",
            "Write one; exit 0 means correct",
        )
    yield from _lint(project, config, list(manifest.files))


def _lint(project: Project, config: Config, frozen: list[str]) -> Iterator[Finding]:
    """The usual mistakes of the scripts and of the drivers that are frozen with them."""
    from autoresearch.session.lint import is_driver, lint
    from autoresearch.session.lint_rules import Kind
    from autoresearch.session.toolchain import npm_scripts

    kinds: dict[str, Kind] = {evaluator.BENCHMARK: "benchmark", evaluator.CHECKS: "checks"}
    texts = {
        name: (project.root / name).read_text("utf-8", "replace")
        for name in frozen
        if name != evaluator.DEPS  # it may use the network, and is not timed
        and is_driver(name)
        and (project.root / name).stat().st_size < _LINTED
    }
    named = "".join(texts.get(name, "") for name in kinds)
    scripts = npm_scripts(project.root)
    for name, text in texts.items():
        if name not in kinds and Path(name).name not in named:
            continue  # a test among many, say
        for found in lint(
            text,
            kinds.get(name, "driver"),
            metric=config.objective.metric,
            scripts=scripts,
            root=str(project.root),
        ):
            where = f"{name}:{found.line}" if found.line else name
            yield Finding("warn", where, found.found, found.fix)


def _task(project: Project, config: Config) -> Iterator[Finding]:
    from autoresearch.engines.task import load_task

    try:
        load_task(project.task)
    except AutoresearchError as exc:
        yield Finding("fail", "experiment.yaml", exc.message, exc.fix)
    else:
        yield Finding("ok", "experiment.yaml", "valid")


def _contained(project: Project, config: Config) -> Iterator[Finding]:
    """How far candidates are kept from this machine; a worker's own level is in each trial's record."""
    if config.engine != "local":
        return
    try:
        with containment.bench(project, config) as bench:
            whole, found = containment.describe(bench.box)
    except EnvironmentMissing as exc:
        yield Finding("fail", "containment", exc.message, exc.fix)
        return
    yield Finding("ok" if whole else "warn", "containment", found, containment.ADVICE)


def _left(project: Project, config: Config) -> Iterator[Finding]:
    """What crashes have left."""
    from autoresearch.session.repair import look

    try:
        toplevel(project.root)
        found = look(project)
    except AutoresearchError as exc:
        yield Finding("warn", "leftovers", exc.message, exc.fix)
        return
    for trouble in found:
        fix = "autoresearch doctor --repair" if trouble.mend is not None else trouble.hint
        yield Finding("warn", trouble.what, trouble.found, fix)


def _hooks(project: Project, config: Config) -> Iterator[Finding]:
    from autoresearch.session.userhooks import switched_off

    for path in switched_off(project):
        name = path.relative_to(project.root).as_posix()
        yield Finding("warn", "hooks", f"{name} is not executable, so it is switched off", f"chmod +x {name}")


def _benchmark(project: Project, config: Config, end: float) -> Iterator[Finding]:
    """Build, check and benchmark the base commit in a throw-away copy, the benchmark twice, until `end`."""
    from autoresearch.trial import signing

    manifest = evaluator.survey(project, config)
    head = resolve(project.root, "HEAD") or ""
    metric, limits = config.objective.metric, config.timeouts
    with containment.bench(project, config) as bench:
        tree = Path(bench.stage.work)
        try:
            workspace.export(project, head, tree)
        except GitError as exc:
            yield Finding("fail", "checkout", one_line(str(exc), 200))
            return
        prefix = workspace.prefix(project)
        evaluator.overlay(project.root, manifest, tree, prefix)
        stages = (
            [("setup", f"bash {evaluator.DEPS}", limits.setup)] if evaluator.DEPS in manifest.files else []
        )
        stages += [("build", config.build, limits.build)] if config.build else []
        stages += [("benchmark", f"bash {evaluator.BENCHMARK}", limits.benchmark)] * 2
        stages += (
            [("checks", f"bash {evaluator.CHECKS}", limits.checks)]
            if evaluator.CHECKS in manifest.files
            else []
        )
        values, seconds, signed = [], 0.0, True
        cwd, scratch = str(tree / prefix), bench.stage.tmp
        for stage, text, limit in stages:
            Path(scratch, signing.FILE).unlink(missing_ok=True)
            token = signing.issue(scratch) if stage == "benchmark" else ""
            left = max(0.1, end - time.monotonic())
            done = bench.run(stage, text, cwd, min(limit, left))
            if done.timed_out and left < limit:
                yield Finding(
                    "warn", stage, f"ended after {done.seconds:.0f} s, when --timeout was over: not tried to its end",
                    "Give doctor more time in a shell that lasts; the baseline runs detached, however long it takes",
                )  # fmt: skip
                return
            if not done.ok:
                said = one_line(tail(done.output, 5, 300), 300)
                fix = f"Run it by hand: {text}{bench.hint(stage)}"
                yield Finding("fail", stage, f"{done.failure()}: {said}", fix)
                return
            if stage == "benchmark":
                seconds = done.seconds
                parsed = parse(done.output)
                if metric not in parsed.metrics:
                    hint = (
                        one_line("; ".join(parsed.warnings[:2]), 200)
                        or f"it printed {sorted(parsed.metrics)[:5]}"
                    )
                    yield Finding(
                        "fail", stage, f"no line 'METRIC {metric}=…': {hint}", "Print it, at a line's start"
                    )
                    return
                values.append(parsed.metrics[metric])
                signed = signed and metric in signing.signed(done.output, token)
                yield from _cores(config, done.cpu_seconds, seconds) if len(values) == 2 else ()
            else:
                yield Finding("ok", stage, f"passed in {done.seconds:.1f} s")
        if command := config.differential.command or (
            f"bash {evaluator.DIFF}" if evaluator.DIFF in manifest.files else ""
        ):
            # Twice the same seed, and another one: a generator that ignores its seed tests one input twenty times.
            asked = [
                bench.run("checks", f"{command} {seed}", cwd, config.differential.timeout)
                for seed in (1, 1, 2)
            ]
            yield _inputs(command, [(done.failure(), done.output) for done in asked])
        yield from _cross_check(config, values, seconds)
        if not signed:
            yield Finding(
                "warn", "signature", f"{metric} is not signed: the measured program could print it instead",
                "Print it with metric from templates/autoresearch.sh, or templates/signed_metric.py in Python",
            )  # fmt: skip


def _inputs(command: str, answers: list[tuple[str, str]]) -> Finding:
    first, again, other = answers
    if first[0]:
        return Finding("fail", "inputs", f"{command} 1: {first[0]}", f"Run it by hand: {command} 1")
    if first != again:
        return Finding(
            "fail", "inputs", "one seed twice gives two outputs", "Print no times, paths or addresses"
        )
    if first == other:
        return Finding(
            "warn", "inputs", "seeds 1 and 2 give the same output", "Use the seed, and print the result"
        )
    return Finding("ok", "inputs", f"{command} answers seeds alike each time")


def _cores(config: Config, cpu: float | None, seconds: float) -> Iterator[Finding]:
    busy = (cpu or 0.0) / seconds if seconds > 0.05 else 0.0
    if config.cores_per_slot != "all" and busy > 1.3 * config.cores_per_slot:
        yield Finding(
            "warn", "cores", f"the benchmark keeps {busy:.1f} cores busy, but a slot has {config.cores_per_slot}",
            f"Set cores_per_slot: {round(busy)} (or all) in autoresearch.yaml",
        )  # fmt: skip


def _cross_check(config: Config, values: list[float], seconds: float) -> Iterator[Finding]:
    """Compare the printed number with the clock on the wall."""
    first, second = values
    unit, name = config.objective.unit, config.objective.metric
    gap = 100 * abs(first - second) / abs(first) if first else 0.0
    yield Finding(
        "ok",
        "benchmark",
        f"{name} = {first:.6g}, {second:.6g} {unit} ({gap:.1f} % apart), {seconds:.1f} s a run",
    )
    from autoresearch.session.lint import SECONDS_PER, lint_unit

    mistake = lint_unit(name, unit, second, seconds)
    if mistake is not None:
        yield Finding("warn", mistake.rule, mistake.found, mistake.fix)
    if first == second and unit in SECONDS_PER:
        yield Finding("warn", "timer", "two timings are identical to the last digit", "Is the result cached?")
    if seconds < 0.05:
        yield Finding(
            "warn", "length", f"a run takes {1000 * seconds:.0f} ms", "Repeat the work inside: aim at 0.2-5 s"
        )
