"""What a trial is asked to do, and the rule its samples are judged by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autoresearch.config import Config
from autoresearch.judging.units import counted, is_rate, layout_margin_pct
from autoresearch.judging.weighing import second_metrics
from autoresearch.ledger.history import Session
from autoresearch.ledger.lines import JobLine
from autoresearch.project import Project
from autoresearch.verdict.rule import Rule
from autoresearch.workspace import evaluator, objects


def rule_of(session: Session, test: JobLine, records: Sequence[Mapping[str, Any]]) -> Rule:
    """The rule an A/B was submitted with, from its ledger line; the layout comes from the trial's records."""
    layout = next((str(r.get("layout")) for r in records if r.get("type") == "decision"), "fixed")
    return rule_for(session.config, test.preset, (test.alpha or 0.0) / test.split, test.max_runs, layout)


def rule_for(config: Config, preset: str, alpha: float, max_runs: int | None, layout: str) -> Rule:
    """A preset with this chance of a false keep, for the config's objective as it was laid out."""
    objective = config.objective
    return Rule.preset(
        preset, alpha=alpha, max_runs=max_runs, min_effect_pct=objective.min_effect_pct,
        direction=objective.direction, margin_pct=layout_margin_pct(objective, layout), layout=layout,
        counted=counted(objective),
    )  # fmt: skip


def trial_spec(
    session: Session, frozen: evaluator.Manifest, experiment: str, mode: str, *, values_per_run: int | None = 1
) -> dict[str, Any]:
    """A trial of this session; once there is a baseline, it knows how many values a run prints."""
    if session.baseline is not None:
        values_per_run = session.baseline.values_per_run or 1
    spec = spec_of(session.project, session.config, frozen, experiment, mode, values_per_run)
    told = session.baseline.said if session.baseline is not None else None
    found = session.baseline.fixed if session.baseline is not None else ""
    return spec | ({"said": told.digest} if told is not None else {}) | ({"fixed": found} if found else {})


def spec_of(
    project: Project, config: Config, frozen: evaluator.Manifest, experiment: str, mode: str,
    values_per_run: int | None,
) -> dict[str, Any]:  # fmt: skip
    """The trial's spec, as `helpers/autoresearch/trial` documents it."""
    objective, limits, have = config.objective, config.timeouts, frozen.files
    return {
        "protocol": 1,
        "experiment": experiment,
        "mode": mode,
        "metric": {
            "name": objective.metric,
            "direction": objective.direction,
            "min_effect_pct": objective.min_effect_pct,
            "values_per_run": values_per_run,
            "guarded": second_metrics(config),
            "layout_margin_pct": layout_margin_pct(objective, "fixed"),
            "counted": counted(objective),
            "paced": objective.timed_share is None and is_rate(objective),
        },
        "deps": f"bash {evaluator.DEPS}" if evaluator.DEPS in have else None,
        "build": config.build,
        "benchmark": f"bash {evaluator.BENCHMARK}",
        "checks": f"bash {evaluator.CHECKS}" if evaluator.CHECKS in have else None,
        "timeouts": {
            "setup": limits.setup, "build": limits.build, "benchmark": limits.benchmark, "checks": limits.checks,
        },
        "layout": config.test.layout,
        "contain": {name: getattr(config.contain, name) for name in config.contain.__struct_fields__},
        "priority": config.measure.priority == "auto" and config.engine == "skypilot",
        "compare": config.compare_output,
        "subdir": objects.prefix(project),
        "evaluator": evaluator.overlay_digests(frozen, objects.prefix(project)),
        "secret": [objects.prefix(project) + name for name in evaluator.secrets(config, frozen.files)],
    }  # fmt: skip


def differential(config: Config, frozen: evaluator.Manifest) -> dict[str, Any] | None:
    """The generated inputs of an A/B: by the command that is set, or by autoresearch.diff.sh where it is."""
    asked = config.differential
    command = asked.command or (f"bash {evaluator.DIFF}" if evaluator.DIFF in frozen.files else "")
    if not command:
        return None
    return {"command": command, "inputs": asked.inputs, "timeout": asked.timeout, "slowdown": asked.slowdown}


def limit(spec: Mapping[str, Any]) -> float:
    """Seconds that a whole job may take once it runs: every stage at its own limit, and an hour to spare."""
    limits = spec["timeouts"]
    runs = int(spec.get("runs") or (spec.get("test") or {}).get("max_runs") or 120) + 4
    inputs = spec.get("differential") or {"inputs": 0, "timeout": 0.0}
    return float(
        2 * (limits["setup"] + limits["build"]) + 6 * limits["checks"] + 3 * inputs["inputs"] * inputs["timeout"]
        + runs * (limits["benchmark"] + limits["build"]) + 3600
    )  # fmt: skip
