"""`autoresearch decide`: keep or discard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from autoresearch.cli._documents import render
from autoresearch.cli._fit import fit
from autoresearch.cli._output import json_option, modes_line, tell, with_said
from autoresearch.errors import Exit
from autoresearch.safetext import one_line

if TYPE_CHECKING:
    from autoresearch.ledger.lines import RunLine
    from autoresearch.verdict.words import Quantity


@click.command(
    epilog="Exit codes: 0 keep, 1 discard, crash, checks_failed or not yet, 2 wrong use, 3 the base failed, "
    "5 the evaluator or files outside scope were touched."
)
@click.argument("experiment", metavar="EXP")
@click.option("--description", "-m", default="", help="What was changed, in one line. Default: the hypothesis.")
@click.option("--source", default="", help="Literature source, such as arxiv:2101.00001.")
@click.option("--what", default="", help="Review: what was changed. Default: the description.")
@click.option("--why", default="", help="Review: why that makes it better. Default: the hypothesis.")
@click.option("--risk", default="", help="Review: what could break. A keep needs it.")
@click.option("--checked", default="", help="Review: how you made sure that it does not. A keep needs it.")
@click.option("--review", "review_file", metavar="FILE", help="The four as a JSON object, '-' for stdin.")
@click.option("--abandon", is_flag=True, help="Give the experiment up: a discard without a measurement.")
@click.option("--final", is_flag=True, help="Take a discard as it is, where a disturbed A/B could be repeated.")
@click.option("--tokens", type=click.IntRange(min=0), help="Tokens that you used for this experiment.")
@json_option
@click.pass_context
def command(
    ctx: click.Context, experiment: str, description: str, source: str, what: str, why: str, risk: str,
    checked: str, review_file: str | None, abandon: bool, final: bool, tokens: int | None, as_json: bool,
) -> None:  # fmt: skip
    """Decide an experiment by its measured A/B: commit the winner, or store the patch.

    One line is written to the ledger either way, and the documents are rendered anew. A keep is committed only with
    its review (exit 2 says what is missing, and nothing is lost); a discard needs none.

    \b
    Example:
      autoresearch decide e1 --description "index the rules by their first byte" \\
        --risk "rules with an empty pattern" --checked "the unit tests, and 10,000 random lines against the base"
    """
    from autoresearch.judging.met import told
    from autoresearch.judging.units import quantity
    from autoresearch.report.overview import last_ten, overview
    from autoresearch.session import open_session
    from autoresearch.session.decision import decide
    from autoresearch.session.review import read_review
    from autoresearch.session.scripts import event_of, run_script

    given = {"what": what, "why": why, "risk": risk, "checked": checked}
    reviewed = {name: text for name, text in given.items() if text.strip()}
    if review_file:
        reviewed = read_review(review_file) | reviewed

    with open_session() as session:
        decision = decide(
            session, experiment, description=description, literature=source, abandon=abandon, reviewed=reviewed,
            tokens=tokens, final=final,
        )  # fmt: skip
        note = render(session.project)
        ten = last_ten(session) if session.decided % 10 == 0 else None
        event = event_of(session, "after", decision.line)
        view = overview(session)
    said = run_script(session.project, event)
    line, objective = decision.line, session.config.objective
    met = told(line.met, objective.metric, objective.unit, disturbed=line.judged.disturbed)
    # Straight to the next idea, unless there is something to read first: an advice, an audit, the end.
    quiet = view.code == Exit.DONE and not view.data["advice"]
    follow = str(view.data["next"]) if quiet else decision.next
    data = summary(line) | {"next": follow}
    if note:
        data["note"] = note
    if ten:
        data["summary"] = f"{ten}. Say in autoresearch.md what these ten taught, then go on"
    lines = [human(line, met, quantity(objective)), modes_line(line.modes), note, data.get("summary", ""), said]
    tell(fit(with_said(data, said), "modes"), lines, as_json=as_json)
    ctx.exit(int(decision.code))


_FIGURES = (
    "effect_pct", "ci_low_pct", "ci_high_pct", "e_value", "e_needed", "runs_used", "reason", "reason_text",
)  # fmt: skip


def summary(line: RunLine) -> dict[str, Any]:
    """The fields of a run line that an agent needs."""
    from msgspec.structs import asdict

    figures = {name: getattr(line.verdict, name, None) for name in _FIGURES}
    return {
        "experiment": line.experiment,
        "status": line.status,
        "run": line.run,
        "commit": line.commit,
        **{name: value for name, value in figures.items() if value is not None},
        **({"met": asdict(line.met)} if line.met else {}),
        **({"modes": line.modes} if line.modes else {}),
        **({"evaluator_strength_pct": strength} if (strength := line.evaluator_strength_pct) is not None else {}),
        "checks": line.checks,
        "error": one_line(line.error, 400),
    }


def human(line: RunLine, met: str, of: Quantity) -> str:
    """One line for a person: the status, what was measured, why; `met` is what to say of the runs."""
    from autoresearch.report.words import change_of

    change = change_of(line)
    screened = line.judged.reason == "screened"
    measured = [] if screened or change.effect_pct is None else [of.values(change), of.said(change), met]
    strength = (
        "" if line.evaluator_strength_pct is None else f", evaluator strength {line.evaluator_strength_pct:.0f} %"
    )
    commit = f" (commit {line.commit}{strength})" if line.status == "keep" else ""
    said = ", ".join(filter(None, [f"{line.experiment}: {line.status.upper()}{commit}", *measured]))
    reason = line.error or line.judged.reason_text or line.checks or ""
    return said + (f" — {one_line(reason, 300)}" if reason else "")
