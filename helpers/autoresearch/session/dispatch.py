"""Turns an experiment into a job: candidate -> trees -> bundle -> engine, and one line in the ledger."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from autoresearch.budget.error_budget import alpha_of, keeps_this_epoch
from autoresearch.engines import containment
from autoresearch.engines.bundle import build_bundle
from autoresearch.engines.choose import engine_of
from autoresearch.errors import NotYet
from autoresearch.files import scratch
from autoresearch.judging.weighing import split, trial_settings
from autoresearch.ledger.history import Experiment, Session
from autoresearch.ledger.lines import now_ms
from autoresearch.project import Project
from autoresearch.resources import shipped
from autoresearch.safetext import one_line
from autoresearch.session.admission import admit, admit_rework, ids, running_or_done
from autoresearch.session.integrity import tip_of
from autoresearch.session.trial_spec import differential, limit, trial_spec
from autoresearch.task import Task, load_task
from autoresearch.workspace import evaluator, objects
from autoresearch.workspace.candidate import Conflict, export, onto

Allow = Callable[[str], None]


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
    _record(session, experiment, {"type": "job", "mode": "single", "job": job, **ids(candidate), **again})
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
        tree = onto(session.project, candidate, tip)
    except Conflict as exc:
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
        "differential": differential(session.config, frozen),
        "hidden": "hidden" in frozen.settings,
    }
    job = _submit(session, spec, {"a": tip, "b": tree}, frozen)
    record = {
        "type": "test", "mode": "ab", "job": job, "t": number, "alpha": alpha, "split": split(session.config),
        "keeps": keeps,
        "preset": test.preset, "max_runs": test.max_runs, "seed": seed, "base": tip, **ids(candidate),
        **again,
    }  # fmt: skip
    _record(session, experiment, record)
    return job


def submit_noise(session: Session, frozen: evaluator.Manifest, commit: str) -> str:
    """Submit the checks and the A/A runs of the base; returns the job's id. Works before there is a ledger."""
    spec = trial_spec(session, frozen, "baseline", "noise", values_per_run=None)
    spec |= {"runs": session.config.noise_runs, "hidden": "hidden" in frozen.settings}
    return _submit(session, spec, {"a": commit}, frozen)


def _record(session: Session, experiment: Experiment, record: dict[str, Any]) -> None:
    session.append({"type": record["type"], "experiment": experiment.id, **record, "timestamp": now_ms()})


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
    pin, prefix = evaluator.pin_dir(project, frozen), objects.prefix(project)
    with scratch(project.state, "bundle-") as where:
        places = {}
        for side, tree in trees.items():
            places[side] = where / side
            export(project, tree, places[side])
            evaluator.overlay(pin, frozen, places[side], prefix)
        yield places


def _place_yardstick(session: Session, frozen: evaluator.Manifest) -> None:
    """Give an engine with machines to be qualified the noise trial of the best commit; nothing else needs it."""
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
        engine.set_yardstick(key, _trial_task(task), workdir=outbox, envs=envs, timeout=limit(spec))


def _trial_task(task: Task) -> Task:
    """The project's task if it runs trials, else ours with the setup and the machines that the project's asks for."""
    if "EXP_SHA256" in task.envs:
        return task
    return replace(load_task(shipped("experiment.yaml")), setup=task.setup, other=task.other)


def hand_over(session: Session, project: Project, spec: dict[str, Any], places: Mapping[str, Path]) -> str:
    """Bundle the trial and submit it as the project's own experiment.yaml."""
    task = load_task(project.task)
    if "EXP_SHA256" not in task.envs:
        if spec["mode"] == "single":
            # A task of the user's own, without our trial: it runs in the candidate's tree, as it would by `sky`.
            return engine_of(session).submit(
                task, experiment=str(spec["experiment"]), mode="single", workdir=places["b"],
                envs={**task.asked_for(os.environ), "EXP_ID": str(spec["experiment"])}, timeout=limit(spec),
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
        timeout=limit(spec),
    )
