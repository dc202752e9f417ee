"""Turns an experiment into a job: candidate -> trees -> bundle -> engine, and one line in the ledger."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoresearch import evaluator, workspace
from autoresearch.errors import IntegrityFault, NotYet
from autoresearch.files import scratch
from autoresearch.git import git
from autoresearch.project import Project
from autoresearch.resources import shipped
from autoresearch.safetext import one_line
from autoresearch.session import containment
from autoresearch.session.error_budget import alpha_of, keeps_this_epoch
from autoresearch.session.recover import tip_of
from autoresearch.session.rework import admit_rework
from autoresearch.session.state import Experiment, Session, now_ms
from autoresearch.session.tradeoffs import second_metrics, split, trial_settings
from autoresearch.session.units import counted, layout_margin_pct
from autoresearch.verdict.rule import Rule

if TYPE_CHECKING:
    from autoresearch.engines import Engine
    from autoresearch.engines.task import Task

Allow = Callable[[str], None]


def engine_of(session: Session) -> Engine:
    """The engine that `autoresearch.yaml` names."""
    config = session.config
    if config.engine == "skypilot":
        from autoresearch.engines.skypilot.engine import SkyPilotEngine, limits

        return SkyPilotEngine(session.project.state, config.name, **limits(config))
    from autoresearch.engines.local import LocalEngine

    return LocalEngine(session.project.state, slots=config.slots, cores_per_slot=config.cores_per_slot)


def describe_candidate(
    session: Session, experiment: Experiment, frozen: evaluator.Manifest
) -> workspace.Candidate:
    """Read the experiment's worktree as git objects."""
    prefix = workspace.prefix(session.project)
    placed = evaluator.overlay_digests(frozen, prefix)
    return workspace.snapshot(session.project, experiment.id, experiment.parent, placed)


def refusals(session: Session, candidate: workspace.Candidate, frozen: evaluator.Manifest) -> list[str]:
    """Why the candidate may not be measured; empty when it may.

    All that it would add to the best commit is judged, not only what was edited in its worktree: its parent may
    be a commit that nobody has judged.
    """
    root = session.project.root
    base = workspace.common_base(session.project, candidate, tip_of(session))
    changes = workspace.changes_between(root, base, candidate.tree)
    links = {c.path: git(root, "cat-file", "blob", c.blob) for c in changes if c.new_mode == "120000"}
    prefix = workspace.prefix(session.project)
    return evaluator.violations(changes, session.config, frozen, prefix, links)


def submit_screening(
    session: Session, experiment: Experiment, frozen: evaluator.Manifest, allow: Allow = lambda _: None
) -> str:
    """Submit build, one benchmark run and the checks of the candidate; returns the job's id.

    `allow` is called with the experiment's id before anything is submitted anew, and raises where a budget forbids it.
    """
    candidate = admit(session, experiment, frozen)
    running = running_or_done(session, experiment, candidate, "job")
    if running is not None:
        return running
    again = admit_rework(session, experiment, candidate.diff_sha256)
    allow(experiment.id)
    spec = trial_spec(session, frozen, experiment.id, "single") | {"runs": 1}
    job = _submit(session, spec, {"b": candidate.tree}, frozen)
    _record(session, experiment, {"type": "job", "mode": "single", "job": job, **_ids(candidate), **again})
    return job


def submit_ab(
    session: Session, experiment: Experiment, frozen: evaluator.Manifest, allow: Allow = lambda _: None
) -> str:
    """Submit the clean A/B of the candidate against the best commit; books its share of the error budget.

    An A/B of the same files on the same commit, running or done, is not repeated: its job is returned.
    """
    candidate = admit(session, experiment, frozen)
    known = running_or_done(session, experiment, candidate, "test")
    if known is not None:
        return known
    again = admit_rework(session, experiment, candidate.diff_sha256)
    allow(experiment.id)
    tip = tip_of(session)
    try:
        tree = workspace.onto(session.project, candidate, tip)
    except workspace.Conflict as exc:
        raise NotYet(
            f"{experiment.id} does not apply to the best commit {tip[:12]}: {one_line(str(exc), 200)}",
            fix="Open a new experiment from the best commit and redo the edit there, then give this one up",
            next=f"autoresearch decide {experiment.id} --abandon",
        ) from None
    test = session.config.test
    number = session.tests + 1
    keeps, alpha = keeps_this_epoch(session, number), alpha_of(session, number)
    seed = secrets.randbits(32)
    spec = trial_spec(session, frozen, experiment.id, "ab") | {
        "test": {
            "preset": test.preset,
            "max_runs": test.max_runs,
            "seed": seed,
            **trial_settings(session.config, alpha),
        },
        "layout": test.layout,
        "differential": _differential(session, frozen),
        "hidden": "hidden" in frozen.settings,
    }
    job = _submit(session, spec, {"a": tip, "b": tree}, frozen)
    record = {
        "type": "test", "mode": "ab", "job": job, "t": number, "alpha": alpha, "split": split(session.config),
        "keeps": keeps,
        "preset": test.preset, "max_runs": test.max_runs, "seed": seed, "base": tip, **_ids(candidate),
        **again,
    }  # fmt: skip
    _record(session, experiment, record)
    session.tests = number
    return job


def running_or_done(
    session: Session, experiment: Experiment, candidate: workspace.Candidate, kind: str
) -> str | None:
    """The newest job, if it answers what is asked: the same files, for an A/B also the same best commit.

    A job of other files that still runs is ended: nobody waits for its answer.
    """
    newest = experiment.jobs[-1] if experiment.jobs else None
    if newest is None:
        return None
    job = str(newest["job"])
    engine = engine_of(session)
    state = engine.poll([job])[job]
    same = newest.get("type") == kind and newest.get("diff_sha256") == candidate.diff_sha256
    if kind == "test":
        same = same and newest.get("base") == tip_of(session)
    if not state.final and not same:
        engine.cancel(job)
    # A finished screening may be repeated (a flaky check, say); a finished A/B may not: it is a new test.
    return job if same and (not state.final or (kind == "test" and state.state == "done")) else None


def submit_noise(session: Session, frozen: evaluator.Manifest, commit: str) -> str:
    """Submit the checks and the A/A runs of the base; returns the job's id. Works before there is a ledger."""
    spec = trial_spec(session, frozen, "baseline", "noise", values_per_run=None)
    spec |= {"runs": session.config.noise_runs, "hidden": "hidden" in frozen.settings}
    return _submit(session, spec, {"a": commit}, frozen)


def admit(session: Session, experiment: Experiment, frozen: evaluator.Manifest) -> workspace.Candidate:
    """The candidate, if its diff is in scope; `IntegrityFault` names what is not."""
    candidate = describe_candidate(session, experiment, frozen)
    broken = refusals(session, candidate, frozen)
    if broken:
        shown = "; ".join(one_line(text, 120) for text in broken[:3])
        raise IntegrityFault(
            f"{experiment.id} may not be measured: {shown}"
            + (f" and {len(broken) - 3} more" if broken[3:] else ""),
            fix=f"Undo those edits in {session.project.worktree(experiment.id).relative_to(session.project.root)}",
            next=f"autoresearch run {experiment.id}",
        )
    return candidate


def rule_of(session: Session, test: Mapping[str, Any], records: Sequence[Mapping[str, Any]]) -> Rule:
    """The rule an A/B was submitted with, from its ledger line; the layout comes from the trial's records."""
    objective = session.config.objective
    layout = next((str(r.get("layout")) for r in records if r.get("type") == "decision"), "fixed")
    return Rule.preset(
        str(test.get("preset") or "default"), alpha=float(test["alpha"]) / int(test.get("split") or 1),
        max_runs=test.get("max_runs"),
        min_effect_pct=objective.min_effect_pct, direction=objective.direction,
        margin_pct=layout_margin_pct(objective, layout), layout=layout, counted=counted(objective),
    )  # fmt: skip


def mode_fields(candidate: workspace.Candidate) -> dict[str, list[str]]:
    """The changed file modes for a ledger line; no field where there is none."""
    modes = [one_line(text, 200) for text in workspace.mode_changes(candidate.changes)]
    return {"modes": modes[:20]} if modes else {}


def _ids(candidate: workspace.Candidate) -> dict[str, Any]:
    return {
        "candidate": candidate.commit, "tree": candidate.tree, "diff_sha256": candidate.diff_sha256,
        "lines_added": candidate.lines_added, "lines_removed": candidate.lines_removed,
        **mode_fields(candidate),
    }  # fmt: skip


def _record(session: Session, experiment: Experiment, record: dict[str, Any]) -> None:
    line = {"type": record["type"], "experiment": experiment.id, **record, "timestamp": now_ms()}
    session.append(line)
    session.job_ids.append(str(record["job"]))
    experiment.jobs.append(line)


def trial_spec(
    session: Session,
    frozen: evaluator.Manifest,
    experiment: str,
    mode: str,
    *,
    values_per_run: int | None = 1,
) -> dict[str, Any]:
    """The trial's spec, as `helpers/autoresearch/trial` documents it."""
    config = session.config
    objective, limits = config.objective, config.timeouts
    if session.baseline is not None:
        values_per_run = int(session.baseline.get("values_per_run") or 1)
    have = frozen.files
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
        "subdir": workspace.prefix(session.project),
        "evaluator": evaluator.overlay_digests(frozen, workspace.prefix(session.project)),
    }  # fmt: skip


def _differential(session: Session, frozen: evaluator.Manifest) -> dict[str, Any] | None:
    """The generated inputs of an A/B: by the command that is set, or by autoresearch.diff.sh where it is."""
    config = session.config.differential
    command = config.command or (f"bash {evaluator.DIFF}" if evaluator.DIFF in frozen.files else "")
    if not command:
        return None
    return {
        "command": command, "inputs": config.inputs, "timeout": config.timeout, "slowdown": config.slowdown,
    }  # fmt: skip


def _submit(
    session: Session, spec: dict[str, Any], trees: Mapping[str, str], frozen: evaluator.Manifest
) -> str:
    """Export the trees, lay the pinned evaluator over them, and hand the bundle to the engine."""
    containment.demand(session.project, session.config)
    if spec["mode"] != "noise":
        _place_yardstick(session, frozen)
    with _placed(session.project, trees, frozen) as places:
        return hand_over(session, session.project, spec, places)


@contextlib.contextmanager
def _placed(
    project: Project, trees: Mapping[str, str], frozen: evaluator.Manifest
) -> Iterator[dict[str, Path]]:
    """The trees as directories with the pinned evaluator over them, gone afterwards."""
    evaluator.check_pin(project, frozen)
    pin, prefix = evaluator.pin_dir(project, frozen), workspace.prefix(project)
    with scratch(project.state, "bundle-") as where:
        places = {}
        for side, tree in trees.items():
            places[side] = where / side
            workspace.export(project, tree, places[side])
            evaluator.overlay(pin, frozen, places[side], prefix)
        yield places


def _place_yardstick(session: Session, frozen: evaluator.Manifest) -> None:
    """Give an engine with machines to be qualified the noise trial of the best commit; nothing else needs it."""
    from autoresearch.engines.bundle import build_bundle
    from autoresearch.engines.task import load_task

    engine, tip = engine_of(session), tip_of(session)
    key = f"{tip}.{frozen.digest}"
    if not engine.wants_yardstick(key):
        return
    spec = trial_spec(session, frozen, "noise", "noise") | {"runs": session.config.noise_runs}
    task = load_task(session.project.task)
    with _placed(session.project, {"a": tip}, frozen) as places:
        outbox = places["a"].parent / "outbox"
        bundle = build_bundle(outbox, spec, base=places["a"])
        envs = {**task.asked_for(os.environ), "EXP_ID": "noise", "EXP_SHA256": bundle.sha256}
        engine.set_yardstick(key, _trial_task(task), workdir=outbox, envs=envs, timeout=_limit(spec))


def _trial_task(task: Task) -> Task:
    """The project's task if it runs trials, else ours with the setup and the machines that the project's asks for."""
    from autoresearch.engines.task import load_task

    if "EXP_SHA256" in task.envs:
        return task
    return replace(load_task(shipped("experiment.yaml")), setup=task.setup, other=task.other)


def hand_over(session: Session, project: Project, spec: dict[str, Any], places: Mapping[str, Path]) -> str:
    """Bundle the trial and submit it as the project's own experiment.yaml."""
    from autoresearch.engines.bundle import build_bundle
    from autoresearch.engines.task import load_task

    task = load_task(project.task)
    if "EXP_SHA256" not in task.envs:
        if spec["mode"] == "single":
            # A task of the user's own, without our trial: it runs in the candidate's tree, as it would by `sky`.
            return engine_of(session).submit(
                task, experiment=str(spec["experiment"]), mode="single", workdir=places["b"],
                envs={**task.asked_for(os.environ), "EXP_ID": str(spec["experiment"])}, timeout=_limit(spec),
            )  # fmt: skip
        # Only our own task measures two trees side by side; the user's setup is kept.
        task = _trial_task(task)
    outbox = places[next(iter(places))].parent / "outbox"
    unseen = evaluator.hidden_checks(project, session.config) if spec.get("hidden") else None
    bundle = build_bundle(outbox, spec, base=places.get("a"), candidate=places.get("b"), hidden=unseen)
    known = task.asked_for(os.environ)
    envs = {**known, "EXP_ID": str(spec["experiment"]), "EXP_SHA256": bundle.sha256}
    return engine_of(session).submit(
        task,
        experiment=str(spec["experiment"]),
        mode=str(spec["mode"]),
        workdir=outbox,
        envs=envs,
        timeout=_limit(spec),
    )


def _limit(spec: Mapping[str, Any]) -> float:
    """Seconds that a whole job may take once it runs: every stage at its own limit, and an hour to spare."""
    limits = spec["timeouts"]
    runs = int(spec.get("runs") or (spec.get("test") or {}).get("max_runs") or 120) + 4
    inputs = spec.get("differential") or {"inputs": 0, "timeout": 0.0}
    return float(
        2 * (limits["setup"] + limits["build"] + limits["checks"]) + 3 * inputs["inputs"] * inputs["timeout"]
        + runs * (limits["benchmark"] + limits["build"]) + 3600
    )  # fmt: skip
