"""The base commit tried in a throw-away copy, as a trial would: build, benchmark twice, checks, generated inputs."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path

from autoresearch.config import Config
from autoresearch.engines import containment
from autoresearch.metrics import parse
from autoresearch.prepare.finding import Finding
from autoresearch.project import Project
from autoresearch.safetext import one_line, tail
from autoresearch.trial import signing
from autoresearch.trial.failed import Failed
from autoresearch.trial.pristine import Pristine
from autoresearch.verdict.units import seconds_in
from autoresearch.workspace import evaluator, objects
from autoresearch.workspace.candidate import export
from autoresearch.workspace.git import GitError, resolve


def rehearse(project: Project, config: Config, end: float) -> Iterator[Finding]:
    """Build, check and benchmark the base commit in a throw-away copy, the benchmark twice, until `end`."""
    manifest = evaluator.survey(project, config)
    head = resolve(project.root, "HEAD") or ""
    metric, limits = config.objective.metric, config.timeouts
    with containment.bench(project, config) as bench:
        tree = Path(bench.stage.work)
        try:
            export(project, head, tree)
        except GitError as exc:
            yield Finding("fail", "checkout", one_line(str(exc), 200))
            return
        prefix = objects.prefix(project)
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
        guard = Pristine(evaluator.overlay_digests(manifest, prefix))
        for stage, text, limit in stages:
            Path(scratch, signing.FILE).unlink(missing_ok=True)
            token = signing.issue(scratch) if stage == "benchmark" else ""
            left = max(0.1, end - time.monotonic())
            before = guard.look(str(tree))
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
            try:
                # As a trial does: it would end with this at the baseline, and at each candidate.
                if stage in ("setup", "build"):
                    guard.unspoilt(str(tree), "A", before, stage)
            except Failed as exc:
                fix = "Take that file out of evaluator: in autoresearch.yaml, or delete it where a build has left it"
                yield Finding("fail", stage, one_line(str(exc), 300), fix)
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
                yield from cores_of(config, done.cpu_seconds, seconds) if len(values) == 2 else ()
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


def cores_of(config: Config, cpu: float | None, seconds: float) -> Iterator[Finding]:
    """A warning when `seconds` of a run took more seconds of cores than a slot has."""
    busy = (cpu or 0.0) / seconds if seconds > 0.05 else 0.0
    if config.cores_per_slot != "all" and busy > 1.3 * config.cores_per_slot:
        yield Finding(
            "warn", "cores", f"the benchmark keeps {busy:.1f} cores busy, but a slot has {config.cores_per_slot}",
            f"Set cores_per_slot: {math.ceil(busy / 1.3)} (or all) in autoresearch.yaml",
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
    from autoresearch.prepare.lint import lint_unit

    mistake = lint_unit(name, unit, second, seconds)
    if mistake is not None:
        yield Finding("warn", mistake.rule, mistake.found, mistake.fix)
    if first == second and seconds_in(name, unit) is not None:
        yield Finding("warn", "timer", "two timings are identical to the last digit", "Is the result cached?")
    if seconds < 0.05:
        yield Finding(
            "warn", "length", f"a run takes {1000 * seconds:.0f} ms", "Repeat the work inside: aim at 0.2-5 s"
        )
