"""Opens an experiment: an isolated worktree at the best commit, and its line in the ledger."""

from __future__ import annotations

import contextlib
import shlex
from pathlib import Path

from autoresearch.budget.rules import refuse_if_full, refuse_if_stopped
from autoresearch.errors import BadInput
from autoresearch.ledger.history import Experiment, Session
from autoresearch.ledger.lines import now_ms
from autoresearch.safetext import one_line
from autoresearch.search.ideas.file import mark, take
from autoresearch.search.ideas.holders import agent
from autoresearch.search.ideas.idea import Idea
from autoresearch.session import idea_marks
from autoresearch.session.integrity import last_candidate, tip_of, verify_evaluator
from autoresearch.session.naming import check_experiment, free_number
from autoresearch.workspace import copies, evaluator
from autoresearch.workspace.git import resolve


def open_experiment(
    session: Session, name: str | None, *, parent: str | None, idea: str | None, hypothesis: str,
    predicted_pct: float | None, source: str, who: str = "",
) -> tuple[Experiment, Path]:  # fmt: skip
    """Create the worktree with the evaluator's files in it and record the experiment.

    `name` is the next free one if None. `parent` is a revision or an experiment's id; default: the best commit. `who`
    is the agent that opens it; an idea that another one holds is refused. Returns the experiment and the directory to
    edit in.
    """
    name = f"e{free_number(session.project)}" if name is None else check_experiment(name)
    refuse_if_stopped(session)
    refuse_if_full(session)
    frozen = verify_evaluator(session)
    if name in session.experiments:
        words = ["new", *(["--idea", idea] if idea else []), *(["--hypothesis", hypothesis] if hypothesis else [])]
        words += ["--parent", parent] if parent else []
        raise BadInput(
            f"{name} exists already", fix="Choose another id, or leave it out",
            next=f"autoresearch {shlex.join(words)}",
        )  # fmt: skip
    twin = next((known for known in session.experiments if known.casefold() == name.casefold()), None)
    if twin is not None:
        raise BadInput(
            f"{name} and {twin} differ in upper and lower case only, which some disks cannot hold",
            fix="Choose another id",
        )
    commit = _parent_commit(session, parent)
    taken = _take(session, idea, name, who)
    with contextlib.ExitStack() as undo:
        undo.callback(_give_back, session, taken)
        where = copies.open_worktree(session.project, name, commit)
        # Without its ledger line the experiment does not exist, so its copy must not either.
        undo.callback(copies.close_worktree, session.project, name)
        evaluator.lay_over(session.project, frozen, session.project.worktree(name))
        session.append({
            "type": "experiment",
            "experiment": name,
            "parent": commit,
            "idea": idea,
            "hypothesis": one_line(hypothesis or (taken.text if taken else ""), 500),
            "predicted_pct": taken.gain_pct if taken and predicted_pct is None else predicted_pct,
            "source": one_line(source or (taken.source if taken else ""), 300),
            "agent": agent(who) or None,
            "timestamp": now_ms(),
        })  # fmt: skip
        undo.pop_all()
    idea_marks.opened(session)
    return session.experiments[name], where


def _parent_commit(session: Session, parent: str | None) -> str:
    if parent is None:
        return tip_of(session)
    if parent in session.experiments:
        commit = last_candidate(session, session.experiments[parent])
    else:
        commit = resolve(session.project.root, parent)
    if commit is None:
        raise BadInput(f"no commit or measured experiment {parent!r}", fix="Leave --parent out for the best commit")
    return commit


def _take(session: Session, idea: str | None, name: str, who: str) -> Idea | None:
    """Mark the idea as running in `name`; the idea as it was, or None without one."""
    if not idea:
        return None
    running = {e.id for e in session.experiments.values() if e.result is None}
    idea_marks.opening(session, idea, name)
    return take(session.project.ideas, idea, name, who=who, running=running)


def _give_back(session: Session, taken: Idea | None) -> None:
    if taken is not None:
        mark(session.project.ideas, taken.id, taken.status, note=taken.note)
        idea_marks.opened(session)
