"""Submitting several experiments: each on its own, so that one refusal does not hold up the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from autoresearch.cli._output import is_terminal, say
from autoresearch.errors import AutoresearchError, Exit
from autoresearch.safetext import one_line

if TYPE_CHECKING:
    from autoresearch.budget.purse import Purse
    from autoresearch.ledger.history import Session


def submit_all(
    session: Session, experiments: Iterable[str], kind: str, *, quiet: bool, again: int = 0
) -> tuple[dict[str, str], dict[str, AutoresearchError], Purse]:
    """Submit what stop rules, the frozen evaluator and the budgets allow; as `submit_each`, and the purse."""
    from autoresearch.budget.purse import Purse
    from autoresearch.budget.rules import refuse_if_stopped
    from autoresearch.session.dispatch import submit
    from autoresearch.session.integrity import verify_evaluator

    frozen = verify_evaluator(session)
    refuse_if_stopped(session)
    purse = Purse(session)

    def one(name: str) -> str:
        return submit(session, session.undecided(name), frozen, kind, purse.draw, again)

    return *submit_each(experiments, one, quiet=quiet), purse


def submit_each(
    experiments: Iterable[str], submit: Callable[[str], str], *, quiet: bool
) -> tuple[dict[str, str], dict[str, AutoresearchError]]:
    """Call `submit` for each experiment; returns the job ids and the refusals, by experiment.

    Each takes a second or so to pack: a person at a terminal sees which one it is, unless `quiet`.
    """
    submitted: dict[str, str] = {}
    refused: dict[str, AutoresearchError] = {}
    for name in dict.fromkeys(experiments):
        if is_terminal() and not quiet:
            say(f"… {one_line(name, 80)}")
        try:
            submitted[name] = submit(name)
        except AutoresearchError as exc:
            refused[name] = exc
    return submitted, refused


def say_refused(refused: dict[str, AutoresearchError]) -> list[dict[str, Any]]:
    """Say the refusals to a person; what `--json` has of them."""
    for name, exc in refused.items():
        say(f"autoresearch: {name}: {one_line(exc.sentence(), 500)}")
    return [
        {"experiment": name, "error": one_line(exc.message, 200), "fix": one_line(exc.fix, 160), "exit": int(exc.code)}
        for name, exc in refused.items()
    ][:5]


def worst(refused: dict[str, AutoresearchError]) -> Exit:
    """The exit code for a batch: the gravest refusal."""
    return Exit(max((int(exc.code) for exc in refused.values()), default=0))
