"""`autoresearch new`: an isolated copy for an experiment."""

from __future__ import annotations

import click

from autoresearch.cli._output import json_option, tell, who_option, with_said
from autoresearch.errors import BadInput


@click.command(
    epilog="Exit codes: 0 opened, 1 another agent has the idea, 2 wrong use, 4 a stop rule was reached, "
    "5 evaluator changed."
)
@click.argument("experiment", metavar="[EXP]", required=False)
@click.option("--idea", help="Id of the idea it tries (autoresearch ideas next).")
@click.option("--hypothesis", default="", help="Why it should be better, in one sentence. Default: the idea.")
@click.option("--predict", type=float, help="Predicted gain in percent. Default: the idea's.")
@click.option("--source", default="", help="Where it comes from, such as arxiv:2101.00001. Default: the idea's.")
@click.option("--parent", help="Commit or experiment to start from. Default: the best commit.")
@who_option("whoever claimed the idea (ideas next --claim WHO).")
@json_option
def command(
    experiment: str | None, idea: str | None, hypothesis: str, predict: float | None, source: str,
    parent: str | None, who: str, as_json: bool,
) -> None:  # fmt: skip
    """Open an isolated copy of the best commit, ready to edit. Without EXP it gets the next free id.

    \b
    Example:
      autoresearch new e1 --idea i1 --hypothesis "a dict lookup replaces a scan of the list"
    """
    from autoresearch.session import open_session
    from autoresearch.session.opening import open_experiment
    from autoresearch.session.scripts import event_of, run_script

    if not idea and not hypothesis.strip():
        raise BadInput(
            "an experiment needs a reason", fix="Give --idea ID or --hypothesis TEXT", next="autoresearch ideas next"
        )  # fmt: skip
    with open_session() as session:
        made, where = open_experiment(
            session, experiment, parent=parent, idea=idea, hypothesis=hypothesis,
            predicted_pct=predict, source=source, who=who,
        )  # fmt: skip
        root = session.project.root
        shown = where.relative_to(root) if where.is_relative_to(root) else where
        event = event_of(session, "before")
    # Outside the lock: a script may take its time, and may call us.
    said = run_script(session.project, event)
    data = {"experiment": made.id, "worktree": str(shown), "parent": made.parent[:12]}
    data["next"] = f"autoresearch run {made.id}"
    human = f"{made.id}: edit the files in {shown} (from {made.parent[:12]})"
    tell(with_said(data, said), [human, said], as_json=as_json)
