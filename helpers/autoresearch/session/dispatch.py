"""Turns an experiment into a job: candidate -> trees -> bundle -> engine, and one line in the ledger."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from autoresearch import notices
from autoresearch.budget.error_budget import alpha_of, keeps_this_epoch
from autoresearch.engines import containment
from autoresearch.engines.bundle import build_bundle
from autoresearch.engines.choose import engine_of
from autoresearch.errors import NotYet
from autoresearch.files import scratch
from autoresearch.judging.weighing import split, trial_settings
from autoresearch.ledger.history import Experiment, Session
from autoresearch.ledger.lines import JobLine, now_ms
from autoresearch.project import Project
from autoresearch.resources import shipped
from autoresearch.safetext import one_line
from autoresearch.session.admission import admit, admit_rework, ids, is_repeat, refuse_if_nothing, running_or_done
from autoresearch.session.integrity import tip_of
from autoresearch.session.stages import unseen
from autoresearch.session.trial_spec import differential, limit, trial_spec
from autoresearch.task import Task, load_task
from autoresearch.workspace import evaluator
from autoresearch.workspace.candidate import Candidate, Conflict, export, onto
from autoresearch.workspace.git import git

Allow = Callable[[str], None]


def submit(
    session: Session, experiment: Experiment, frozen: evaluator.Manifest, kind: str, allow: Allow, again: int = 0
) -> str:
    """Submit the candidate; returns the job's id. A job of the same files that runs is not repeated, nor a done A/B.

    A "job" is a screening: build, one benchmark run and the checks. A "test" is the clean A/B against the best commit;
    it books its share of the error budget; so does the `again`-th repeat of one that was disturbed. `allow` is called
    with the experiment's id before anything is submitted anew, and raises where a budget forbids it.
    """
    candidate = admit(session, experiment, frozen)
    repeat = kind == "test" and is_repeat(session, experiment, again)
    known = running_or_done(session, experiment, candidate, kind, repeat)
    if known is not None:
        return known
    refuse_if_nothing(experiment, changed=bool(candidate.added))
    before = admit_rework(session, experiment, candidate.diff_sha256)
    if repeats := experiment.repeats + repeat:
        before["again"] = repeats
    trees = {"b": candidate.tree}
    if kind == "test":
        tip = tip_of(session)
        trees = {"a": tip, "b": _onto_tip(session, candidate, tip)}
        # Where the best commit has moved since, it may hold the same already.
        moved = candidate.base != tip
        refuse_if_nothing(
            experiment, changed=not moved or git(session.project.root, "rev-parse", f"{tip}^{{tree}}") != trees["b"]
        )
        if moved:
            notices.say(f"put the change of {experiment.id} onto the best commit {tip[:12]}, which moved since `new`")
    allow(experiment.id)
    spec = trial_spec(session, frozen, experiment.id, "ab" if kind == "test" else "single")
    if kind == "test":
        booked = _book(session, unseen(session, experiment)) | {"base": trees["a"]}
        spec |= {
            "test": {name: booked[name] for name in ("preset", "max_runs", "seed")}
            | trial_settings(session.config, booked["alpha"]),
            "differential": differential(session.config, frozen),
            "hidden": "hidden" in frozen.settings,
        }
    else:
        booked = {}
        spec["runs"] = 1
    job = _submit(session, spec, trees, frozen)
    session.append(
        {"type": kind, "experiment": experiment.id, "mode": spec["mode"], "job": job, **booked, **ids(candidate),
         **before, "timestamp": now_ms()},
    )  # fmt: skip
    return job


def _onto_tip(session: Session, candidate: Candidate, tip: str) -> str:
    try:
        return onto(session.project, candidate, tip)
    except Conflict as exc:
        name = candidate.experiment
        raise NotYet(
            f"{name} does not apply to the best commit {tip[:12]}: {one_line(str(exc), 200)}",
            fix="Open a new experiment from the best commit and redo the edit there, then give this one up",
            next=f"autoresearch decide {name} --abandon",
        ) from None


def _book(session: Session, same: JobLine | None) -> dict[str, Any]:
    """The session's next A/B for its ledger line: number, share of the error budget, and the seed of its order.

    One that is the `same` as an A/B of which nobody has seen a run has its number and share.
    """
    number, test = session.tests + 1, session.config.test
    alpha, keeps = alpha_of(session, number), keeps_this_epoch(session, number)
    if same is not None and same.t is not None and same.alpha is not None:
        number, alpha, keeps = same.t, same.alpha, keeps_this_epoch(session, same.t)
    return {
        "t": number, "alpha": alpha, "split": split(session.config), "keeps": keeps,
        "preset": test.preset, "max_runs": test.max_runs, "seed": secrets.randbits(32),
    }  # fmt: skip


def submit_noise(session: Session, frozen: evaluator.Manifest, commit: str) -> str:
    """Submit the checks and the A/A runs of the base; returns the job's id. Works before there is a ledger."""
    spec = trial_spec(session, frozen, "baseline", "noise", values_per_run=None)
    spec |= {"runs": session.config.noise_runs, "hidden": "hidden" in frozen.settings}
    return _submit(session, spec, {"a": commit}, frozen)


def _submit(session: Session, spec: dict[str, Any], trees: Mapping[str, str], frozen: evaluator.Manifest) -> str:
    """Export the trees, lay the pinned evaluator over them, and hand the bundle to the engine."""
    containment.demand(session.project, session.config)
    if spec["mode"] != "noise":
        _place_yardstick(session, frozen)
    with placed(session.project, trees, frozen) as places:
        return hand_over(session, spec, places)


@contextlib.contextmanager
def placed(project: Project, trees: Mapping[str, str], frozen: evaluator.Manifest) -> Iterator[dict[str, Path]]:
    """The trees as directories with the pinned evaluator over them, gone afterwards."""
    evaluator.check_pin(project, frozen)
    with scratch(project.state, "bundle-") as where:
        places = {}
        for side, tree in trees.items():
            places[side] = where / side
            export(project, tree, places[side])
            evaluator.lay_over(project, frozen, places[side])
        yield places


def _place_yardstick(session: Session, frozen: evaluator.Manifest) -> None:
    """Give an engine with machines to be qualified the noise trial of the best commit; nothing else needs it."""
    engine, tip = engine_of(session), tip_of(session)
    key = f"{tip}.{frozen.digest}"
    if not engine.wants_yardstick(key):
        return
    spec = trial_spec(session, frozen, "noise", "noise") | {"runs": session.config.noise_runs}
    task = load_task(session.project.task)
    with placed(session.project, {"a": tip}, frozen) as places:
        outbox, envs = _packed(session, task, spec, places)
        engine.set_yardstick(key, _trial_task(task), workdir=outbox, envs=envs, timeout=limit(spec))


def _trial_task(task: Task) -> Task:
    """The project's task if it runs trials, else ours with the setup and the machines that the project's asks for."""
    if "EXP_SHA256" in task.envs:
        return task
    return replace(load_task(shipped("experiment.yaml")), setup=task.setup, other=task.other)


def hand_over(session: Session, spec: dict[str, Any], places: Mapping[str, Path]) -> str:
    """Bundle the trial and submit it as the project's own experiment.yaml."""
    name, mode = str(spec["experiment"]), str(spec["mode"])
    task = load_task(session.project.task)
    if "EXP_SHA256" not in task.envs and mode == "single":
        # A task of the user's own, without our trial: it runs in the candidate's tree, as it would by `sky`.
        where, envs = places["b"], {**task.asked_for(os.environ), "EXP_ID": name}
    else:
        # Only our own task measures two trees side by side; the user's setup is kept.
        task = _trial_task(task)
        where, envs = _packed(session, task, spec, places)
    return engine_of(session).submit(task, experiment=name, mode=mode, workdir=where, envs=envs, timeout=limit(spec))


def _packed(
    session: Session, task: Task, spec: dict[str, Any], places: Mapping[str, Path]
) -> tuple[Path, dict[str, str]]:
    """The directory that a trial's bundle is made in, and the environment that it wants."""
    outbox = places[next(iter(places))].parent / "outbox"
    unseen = evaluator.hidden_checks(session.project, session.config) if spec.get("hidden") else None
    bundle = build_bundle(outbox, spec, base=places.get("a"), candidate=places.get("b"), hidden=unseen)
    return outbox, {
        **task.asked_for(os.environ), "EXP_ID": str(spec["experiment"]), "EXP_SHA256": bundle.sha256,
    }  # fmt: skip
