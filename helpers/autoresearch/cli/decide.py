"""`autoresearch decide`: keep or discard."""

from __future__ import annotations

from typing import Any

import click

from autoresearch.cli._documents import render
from autoresearch.cli._fit import fit
from autoresearch.cli._output import emit, json_option, modes_line, with_said
from autoresearch.errors import Exit
from autoresearch.safetext import one_line


@click.command(
    epilog="Exit codes: 0 keep, 1 discard, crash, checks_failed or not yet, 2 wrong use, 3 the base failed, "
    "5 the evaluator or files outside scope were touched."
)
@click.argument("experiment", metavar="EXP")
@click.option(
    "--description", "-m", default="", help="What was changed, in one line. Default: the hypothesis."
)
@click.option("--source", default="", help="Literature source, such as arxiv:2101.00001.")
@click.option("--what", default="", help="Review: what was changed. Default: the description.")
@click.option("--why", default="", help="Review: why that makes it better. Default: the hypothesis.")
@click.option("--risk", default="", help="Review: what could break. A keep needs it.")
@click.option("--checked", default="", help="Review: how you made sure that it does not. A keep needs it.")
@click.option("--review", "review_file", metavar="FILE", help="The four as a JSON object, '-' for stdin.")
@click.option("--abandon", is_flag=True, help="Give the experiment up: a discard without a measurement.")
@click.option("--tokens", type=click.IntRange(min=0), help="Tokens that you used for this experiment.")
@json_option
@click.pass_context
def command(
    ctx: click.Context, experiment: str, description: str, source: str, what: str, why: str, risk: str,
    checked: str, review_file: str | None, abandon: bool, tokens: int | None, as_json: bool,
) -> None:  # fmt: skip
    """Decide an experiment by its measured A/B: commit the winner, or store the patch.

    One line is written to the ledger either way, and the documents are rendered anew. A keep is committed only with
    its review (exit 2 says what is missing, and nothing is lost); a discard needs none.

    \b
    Example:
      autoresearch decide e1 --description "index the rules by their first byte" \\
        --risk "rules with an empty pattern" --checked "the unit tests, and 10,000 random lines against the base"
    """
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
            session,
            experiment,
            description=description,
            literature=source,
            abandon=abandon,
            reviewed=reviewed,
            tokens=tokens,
        )
        note = render(session.project)
        ten = last_ten(session) if session.decided % 10 == 0 else None
        event = event_of(session, "after", decision.record)
        view = overview(session)
    said = run_script(session.project, event)
    record = decision.record
    # Straight to the next idea, unless there is something to read first: an advice, an audit, the end.
    quiet = view.code == Exit.DONE and not view.data["advice"]
    follow = str(view.data["next"]) if quiet else decision.next
    data = summary(record) | {"next": follow}
    if note:
        data["note"] = note
    if ten:
        data["summary"] = f"{ten}. Say in autoresearch.md what these ten taught, then go on"
    lines = [human(record), modes_line(record), note, data.get("summary", ""), said, f"next: {follow}"]
    emit(fit(with_said(data, said), "modes"), "\n".join(filter(None, lines)), as_json=as_json)
    ctx.exit(int(decision.code))


def summary(record: dict[str, Any]) -> dict[str, Any]:
    """The fields of a run line that an agent needs."""
    verdict = record.get("verdict") or {}
    keep = (
        "effect_pct",
        "ci_low_pct",
        "ci_high_pct",
        "e_value",
        "e_needed",
        "runs_used",
        "reason",
        "reason_text",
    )
    short = {k: verdict[k] for k in keep if verdict.get(k) is not None}
    return {
        "experiment": record["experiment"],
        "status": record["status"],
        "run": record["run"],
        "commit": record["commit"],
        **short,
        **({"modes": record["modes"]} if record.get("modes") else {}),
        "checks": record.get("checks"),
        "error": one_line(str(record.get("error") or ""), 400),
    }


def human(record: dict[str, Any]) -> str:
    """One line for a person: status first."""
    from autoresearch.verdict.verdict import effect_text

    verdict = record.get("verdict") or {}
    words = [record["status"].upper(), record["experiment"]]
    if verdict.get("effect_pct") is not None:
        ends = verdict.get("ci_low_pct"), verdict.get("ci_high_pct")
        words.append(effect_text(verdict["effect_pct"], *ends))
        words.append(f"{verdict.get('runs_used')} runs")
    reason = record.get("error") or verdict.get("reason_text") or record.get("checks") or ""
    tail = f" — {one_line(str(reason), 300)}" if reason else ""
    commit = f" (commit {record['commit']})" if record["status"] == "keep" else ""
    return " ".join(words) + commit + tail
