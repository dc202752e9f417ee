"""Opens an experiment: an isolated worktree at the best commit, and its line in the ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from autoresearch import evaluator, workspace
from autoresearch.errors import BadInput
from autoresearch.git import resolve
from autoresearch.safetext import one_line
from autoresearch.session.limits import refuse_if_full, refuse_if_stopped
from autoresearch.session.naming import check_experiment
from autoresearch.session.recover import tip_of
from autoresearch.session.state import Experiment, Session, now_ms


def frozen_manifest(session: Session) -> evaluator.Manifest:
    """The evaluator as the ledger's header froze it."""
    header = session.started()
    return evaluator.Manifest(dict(header["evaluator"]), dict(header["settings"]))


def verify_evaluator(session: Session) -> evaluator.Manifest:
    """The frozen evaluator, after checking that the project's files are still the same."""
    frozen = frozen_manifest(session)
    evaluator.verify(session.project, session.config, frozen)
    return frozen


def open_experiment(
    session: Session, name: str, *, parent: str | None, idea: str | None, hypothesis: str,
    predicted_pct: float | None, source: str,
) -> tuple[Experiment, Path]:  # fmt: skip
    """Create the worktree with the evaluator's files in it and record the experiment.

    `parent` is a revision or an experiment's id; default: the best commit. Returns the experiment and the
    directory to edit in.
    """
    check_experiment(name)
    refuse_if_stopped(session)
    refuse_if_full(session)
    frozen = verify_evaluator(session)
    if name in session.experiments:
        raise BadInput(f"{name} exists already", fix="Choose another id", next="autoresearch status")
    commit = _parent_commit(session, parent)
    idea_fields = _idea_fields(session, idea)
    where = workspace.open_worktree(session.project, name, commit)
    try:
        prefix = workspace.prefix(session.project)
        pin = evaluator.pin_dir(session.project, frozen)
        evaluator.overlay(pin, frozen, session.project.worktree(name), prefix)
        record: dict[str, Any] = {
            "type": "experiment",
            "experiment": name,
            "parent": commit,
            "idea": idea,
            "hypothesis": one_line(hypothesis or idea_fields.get("text", ""), 500),
            "predicted_pct": predicted_pct if predicted_pct is not None else idea_fields.get("gain"),
            "source": one_line(source or idea_fields.get("source", ""), 300),
            "timestamp": now_ms(),
        }
        session.append(record)
    except BaseException:
        # Without its ledger line the experiment does not exist, so its copy must not either.
        workspace.close_worktree(session.project, name)
        raise
    if idea:
        from autoresearch.search.ideas_file import mark

        mark(session.project.ideas, idea, "running", note=name)
    session.experiments[name] = Experiment(name, record)
    return session.experiments[name], where


def _parent_commit(session: Session, parent: str | None) -> str:
    if parent is None:
        return tip_of(session)
    if parent in session.experiments:
        parent = f"{workspace.EXPERIMENT_REFS}/{parent}"
    commit = resolve(session.project.root, parent)
    if commit is None:
        raise BadInput(
            f"no commit or measured experiment {parent!r}", fix="Leave --parent out for the best commit"
        )
    return commit


def _idea_fields(session: Session, idea: str | None) -> dict[str, Any]:
    if not idea:
        return {}
    from autoresearch.search.ideas_file import get

    found = get(session.project.ideas, idea)
    return {"text": found.text, "gain": found.gain_pct, "source": found.source}
