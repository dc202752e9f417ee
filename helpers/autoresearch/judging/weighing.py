"""From the rule's word on the objective to the decision: limits, rescue, size and plausibility. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from autoresearch.config import Config, Objective, Rescue
from autoresearch.judging.constraints import Finding, Limit, gain_pct, hold, prove, required_pct
from autoresearch.judging.honesty import doubt
from autoresearch.judging.outcome import Outcome
from autoresearch.judging.units import is_speed
from autoresearch.verdict.rule import Rule
from autoresearch.verdict.units import is_count
from autoresearch.verdict.verdict import Verdict

# Blocks of four that a second metric is judged by at least: E grows at most sixfold in one, and 20 are needed.
KEEP_BLOCKS = 5
# Counts closer than this are the same work: the environment's size and the loader make up for less.
SAME_INSTRUCTIONS = 5e-4


def second_metrics(config: Config) -> list[str]:
    """Metrics beside the objective that decide something, each once."""
    return list(dict.fromkeys([c.metric for c in config.constraints] + [r.metric for r in config.rescue]))


def split(config: Config) -> int:
    """Tests that share an experiment's alpha: the objective's and one for each rescue metric (Bonferroni)."""
    return 1 + len(config.rescue)


def trial_settings(config: Config, alpha: float) -> dict[str, Any]:
    """What the trial's `test` needs beyond its preset: this test's part of `alpha`, and blocks to go on to."""
    relative = config.rescue or any(c.limit_pct is not None for c in config.constraints)
    blocks = config.test.keep_blocks or (KEEP_BLOCKS if relative else 1)
    settings: dict[str, Any] = {"alpha": alpha / split(config)}
    if blocks > 1:
        settings["min_blocks"] = blocks
    if config.rescue:
        # Two more than the fewest that can prove anything at this alpha.
        fewest = math.ceil(math.log(split(config) / alpha) / math.log(6.0)) + 2
        settings["min_blocks_discard"] = max(blocks, fewest)
    return settings


def weigh(config: Config, outcome: Outcome, rule: Rule, lines: int) -> Outcome:
    """The outcome of an A/B with the verdict that the whole of `autoresearch.yaml` asks for.

    `rule` is the objective's, with its part of alpha; `lines` = added - removed. Gains of all metrics (percent of the
    base, positive = better) and what was found about each limit are added to the outcome.
    """
    verdict = outcome.verdict
    if verdict is None:
        return outcome
    names = second_metrics(config)
    series = {name: outcome.series(name) for name in (config.objective.metric, *names)}
    missing = [name for name in names if series[name] is None]
    if missing:
        text = f"a run printed no METRIC {missing[0]}, which autoresearch.yaml names as a constraint or rescue metric"
        return replace(
            outcome, verdict=replace(verdict, verdict="discard", reason="invalid", reason_text=text)
        )
    if not outcome.blocks:
        return outcome
    findings = judge_limits(config, outcome)
    effect, least = verdict.effect_pct, config.objective.min_effect_pct
    if verdict.verdict != "keep":
        verdict, effect, least = _rescue(config, outcome, verdict, rule)
    if verdict.verdict == "keep":
        verdict = _implausible(config, outcome, verdict)
    if verdict.verdict == "keep":
        verdict = _same_work(config.objective, outcome, verdict)
    if verdict.verdict == "keep":
        found = doubt(config.objective, outcome, verdict.effect_pct)
        if found is not None:
            verdict = replace(verdict, verdict="discard", reason=found.word, reason_text=found.text)
    if verdict.verdict == "keep":
        verdict = _limits(config, verdict, findings)
    if verdict.verdict == "keep":
        verdict = _size(config, verdict, effect, least, lines)
    return replace(outcome, verdict=verdict, gains=_gains(config, outcome), findings=tuple(told(findings)))


def judge_limits(config: Config, outcome: Outcome) -> list[Finding]:
    """What whole blocks say about each constraint; [] without blocks that have all of their metrics."""
    found = []
    for c in config.constraints:
        series = outcome.series(c.metric)
        if series:
            found.append(hold(Limit(c.metric, c.direction, c.limit_pct, c.max, c.min), series))
    return found


def told(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """Findings as they stand in the ledger."""
    return [
        {"metric": f.metric, "status": f.status, "gain_pct": _short(f.gain_pct), "e_value": _short(f.e_value)}
        for f in findings
    ]


def saved_by(config: Config, outcome: Outcome, rule: Rule) -> str | None:
    """The first rescue metric that is proven better while the objective is shown to be no worse; None without one."""
    objective = config.objective
    neutral = Limit(objective.metric, objective.direction, objective.min_effect_pct)
    series = outcome.series(objective.metric)
    if not config.rescue or not series or hold(neutral, series).status != "met":
        return None
    for metric in config.rescue:
        if prove(_own(rule, metric), outcome.series(metric.metric) or []).verdict == "keep":
            return metric.metric
    return None


def _own(rule: Rule, metric: Rescue) -> Rule:
    return replace(
        rule,
        direction=metric.direction,
        min_effect_pct=metric.min_effect_pct,
        counted=is_count(metric.metric),
    )


def _rescue(
    config: Config, outcome: Outcome, verdict: Verdict, rule: Rule
) -> tuple[Verdict, float | None, float]:
    """The verdict, and the effect and least effect that its size is paid by."""
    objective = config.objective
    plain = verdict, verdict.effect_pct, objective.min_effect_pct
    if not config.rescue:
        return plain
    for metric in config.rescue:
        found = prove(_own(rule, metric), outcome.series(metric.metric) or [])
        if found.verdict != "keep":
            continue
        neutral = hold(
            Limit(objective.metric, objective.direction, objective.min_effect_pct),
            outcome.series(objective.metric) or [],
        )
        gain = "" if found.effect_pct is None else f" {found.effect_pct:+.2g} %"
        if neutral.status != "met":
            text = f"{verdict.reason_text}; {metric.metric} is better{gain}, but {neutral.text}"
            return replace(verdict, reason_text=text), *plain[1:]
        text = f"{metric.metric} is better{gain}: {found.reason_text}; {neutral.text}"
        exact = found.reason == "deterministic"
        saved = replace(
            verdict, verdict="keep", reason="rescued", reason_text=text,
            e_value=None if exact else found.e_value,
        )  # fmt: skip
        return saved, found.effect_pct, metric.min_effect_pct
    return plain


def _implausible(config: Config, outcome: Outcome, verdict: Verdict) -> Verdict:
    objective, effect, value = config.objective, verdict.effect_pct, outcome.metric
    beyond = ""
    if objective.ceiling_pct is not None and effect is not None and effect > objective.ceiling_pct:
        beyond = f"{effect:+.1f} % is beyond objective.ceiling_pct ({objective.ceiling_pct:g})"
    elif objective.bound is not None and value is not None:
        lower = objective.direction == "lower"
        if value < objective.bound if lower else value > objective.bound:
            beyond = f"{objective.metric}={value:.6g} is beyond objective.bound ({objective.bound:g})"
    if not beyond:
        return verdict
    text = (
        f"{beyond}, so it is not believed: look for skipped work, a cached answer or a fooled clock. If it is real, "
        "raise that in autoresearch.yaml and open a new segment: autoresearch baseline --new-segment"
    )
    return replace(verdict, verdict="discard", reason="implausible", reason_text=text)


def _same_work(objective: Objective, outcome: Outcome, verdict: Verdict) -> Verdict:
    """With one build a side, more speed without a change in what is executed may be where the linker put it."""
    counts = outcome.instructions
    # A count or a size has no layout; a time has, and a rate.
    if not is_speed(objective) or verdict.layout != "fixed" or not counts:
        return verdict
    if abs(counts["B"] / counts["A"] - 1.0) >= SAME_INSTRUCTIONS:
        return verdict
    text = (
        f"both sides execute the same instructions ({counts['A']:,} and {counts['B']:,} by {counts['tool']}), so "
        "with one build a side this may be the luck of the linker: give the build a fresh layout (templates/layout.md)"
    )
    return replace(verdict, verdict="discard", reason="same_instructions", reason_text=text)


def _limits(config: Config, verdict: Verdict, findings: list[Finding]) -> Verdict:
    for status, reason in (("violated", "constraint"), ("unclear", "constraint_unclear")):
        broken = [f for f in findings if f.status == status]
        if broken:
            text = "; ".join(f.text for f in broken)
            if verdict.effect_pct is not None:
                text += f". {config.objective.metric} itself was {verdict.effect_pct:+.1f} % better"
            return replace(verdict, verdict="discard", reason=reason, reason_text=text)
    return verdict


def _size(config: Config, verdict: Verdict, effect: float | None, least: float, lines: int) -> Verdict:
    cost = config.complexity
    needed = required_pct(least, cost.pct_per_100_lines, cost.free_lines, lines)
    # Arithmetic, not noise: an estimate of 2.0 reaches 2.
    if effect is None or needed <= least or effect >= needed - 1e-9:
        return verdict
    text = (
        f"{lines} more lines have to bring {needed:.3g} % (complexity in autoresearch.yaml), and the estimate is "
        f"{effect:+.3g} %: find a smaller change with the same effect"
    )
    return replace(verdict, verdict="discard", reason="complexity", reason_text=text)


def _gains(config: Config, outcome: Outcome) -> dict[str, float]:
    """Percent better than the base, of the objective and of every metric beside it."""
    directions = {c.metric: c.direction for c in config.constraints}
    directions |= {r.metric: r.direction for r in config.rescue}
    if not directions:
        return {}
    found = {}
    for name, direction in {config.objective.metric: config.objective.direction, **directions}.items():
        gain = gain_pct(direction, outcome.series(name) or [])
        if gain is not None:
            found[name] = float(f"{gain:.6g}")
    return found


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")
