"""`autoresearch finalize`: re-verify the session as a whole, and back out what does not hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from autoresearch.cli._documents import render
from autoresearch.cli._output import json_option, tell, wait_option
from autoresearch.errors import AUDIT_ABLATE, AUDIT_RUNS, BadInput, Exit, poll_audit
from autoresearch.safetext import one_line

MOST = 5  # keeps listed in an answer; the ledger has all


@click.command(
    epilog="Exit codes: 0 verified (at least 70 % of the claims, and a gain is proven, by a held-out benchmark too) or "
    "dropped, 1 not yet (repeat the command) or refuted, 2 wrong use, 3 the original baseline fails or a job was "
    "killed, 5 integrity."
)
@click.option("--audit", "audit", is_flag=True, help="Measure the best commit against the original baseline.")
@click.option("--drop", metavar="EXP", help="Take a kept change back: a revert commit on the session branch.")
@click.option("--reason", default="", help="With --drop: why, in one line. Default: what the audit found.")
@click.option(
    "--runs",
    type=click.IntRange(12, 400),
    default=AUDIT_RUNS,
    show_default=True,
    help="Runs, a multiple of four.",
)
@click.option(
    "--ablate", type=click.IntRange(0, 50), default=AUDIT_ABLATE, show_default=True,
    help="Where the claims do not hold: measure the best commit without each of the N weakest keeps.",
)  # fmt: skip
@wait_option
@json_option
@click.pass_context
def command(
    ctx: click.Context, audit: bool, drop: str | None, reason: str, runs: int, ablate: int,
    timeout: float | None, as_json: bool,
) -> None:  # fmt: skip
    """Re-verify the whole session: the best commit against the original baseline, both built clean.

    The length is fixed beforehand, so the result is an honest estimate of the session's gain, unlike the sum of the
    kept effects. A file autoresearch.heldout.sh, if there is one, is a second benchmark that no experiment has seen: it
    has to show a gain too.

    \b
    Example:
      autoresearch finalize --audit --timeout 25
      autoresearch finalize --drop e7
    """
    if audit == (drop is not None):
        raise BadInput("give one of: --audit, --drop EXP", next="autoresearch finalize --help")
    if runs % 4:
        raise BadInput(f"--runs {runs} is no multiple of four", fix="A block has four runs: two of each side")
    if drop is not None:
        _drop(drop, reason, as_json)
        return
    ctx.exit(_audit(runs, ablate, timeout, as_json))


def _drop(name: str, reason: str, as_json: bool) -> None:
    from autoresearch.report.overview import claimed_gain
    from autoresearch.session import open_session
    from autoresearch.session.reverting import drop

    with open_session() as session:
        record = drop(session, name, reason)
        note = render(session.project)
        data = {
            "dropped": name,
            "commit": record["commit"][:12],
            "reason": record["reason"],
            "keeps": session.keeps,
            "claimed_gain_pct": claimed_gain(session),
            "next": poll_audit() if session.kept else "autoresearch status",
        }
    if note:
        data["note"] = note
    line = (
        f"dropped {name} by revert commit {data['commit']}: {record['reason']}; {data['keeps']} keeps remain"
    )
    tell(data, [line, note], as_json=as_json)


def _audit(runs: int, ablate: int, timeout: float | None, as_json: bool) -> int:
    from autoresearch.budget.rules import stop_view
    from autoresearch.cli._waiting import running, wait_for
    from autoresearch.engines.choose import engine_of
    from autoresearch.session import open_session
    from autoresearch.session.audit import step

    follow_up = poll_audit(runs, ablate)
    while True:
        with open_session() as session:
            now = step(session, runs=runs, ablate=ablate)
            if now.record is not None:
                note = render(session.project)
                stopped = stop_view(session).stop
                break
            engine = engine_of(session)
        states = wait_for(engine, now.jobs, timeout, quiet=as_json)
        shown = dict(list(running(states).items())[:MOST])
        if shown:
            words = ", ".join(f"{name}: {detail}" for name, detail in shown.items())
            tell({"done": False, "running": shown, "next": follow_up}, [words], as_json=as_json)
            return int(Exit.NO)
    record = now.record
    refuted = record["refuted"]
    if refuted:
        follow = f"autoresearch finalize --drop {refuted[0]}"
    else:
        follow = "autoresearch report" if stopped else "autoresearch status"
    data = summary(record) | {"next": follow}
    if note:
        data["note"] = note
    tell(data, [*human(record), note], as_json=as_json)
    return int(Exit.DONE if record["verified"] else Exit.NO)


_FIGURES = ("effect_pct", "ci_low_pct", "ci_high_pct", "runs_used")


def summary(record: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an audit line that an agent needs; always far below 2 kB."""
    heldout = record["heldout"]
    found = record["ablation"]
    return {
        "done": True,
        "verified": record["verified"],
        **{name: record[name] for name in _FIGURES},
        "claimed_pct": record["claimed_pct"],
        "shrunken_pct": record["shrunken_pct"],
        "ratio": record["ratio"],
        "checks": record["checks"],
        "layout": record["layout"],
        "heldout": None if heldout is None else {
            **{name: heldout[name] for name in _FIGURES}, "proven": heldout["proven"],
            "error": one_line(heldout["error"], 100),
        },
        "ablation": [
            {"experiment": f["experiment"], "result": f["result"], "effect_pct": f.get("effect_pct"),
             "claimed_pct": f["claimed_pct"]} for f in found[:MOST]
        ],
        "left_off": max(0, len(found) - MOST),
        "refuted": record["refuted"][:MOST],
        "limits_violated": [one_line(f["metric"], 64) for f in _violated(record)][:MOST],
        "rescued_by": record.get("rescued_by"),
        "base": record["base"][:12],
        "tip": record["tip"][:12],
        "error": one_line(record["error"], 200),
    }  # fmt: skip


def _violated(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [f for f in record.get("limits") or [] if f["status"] == "violated"]


def human(record: Mapping[str, Any]) -> list[str]:
    """The audit for a person: one line, and one for each part that needs a word."""
    claimed = f"{record['claimed_pct']:+.1f} %" if record["claimed_pct"] is not None else "unknown"
    if record["effect_pct"] is None:
        lines = [f"REFUTED: the best commit does not measure: {one_line(record['error'], 200)}"]
    else:
        word = "VERIFIED" if record["verified"] else "REFUTED"
        share = "" if record["ratio"] is None else f"; {100 * record['ratio']:.0f} % of it holds"
        lines = [f"{word} {interval(record)}, {record['runs_used']} runs (sum of claims {claimed}{share})"]
    if record["shrunken_pct"] is not None:
        lines.append(f"expected from the claims without their luck: {record['shrunken_pct']:+.1f} %")
    heldout = record["heldout"]
    if heldout is not None:
        said = one_line(heldout["error"], 100) if heldout["effect_pct"] is None else interval(heldout)
        unseen = "" if heldout["proven"] else ": no gain is proven where no experiment has looked"
        lines.append(f"held-out benchmark: {said}{unseen}")
    for found in _violated(record):
        gain = found["gain_pct"]
        changed = "changed from 0" if gain is None else f"{gain:+.1f} % (positive = better)"
        lines.append(f"limit violated by all keeps together: {one_line(found['metric'], 64)} {changed}")
    if record.get("rescued_by"):
        lines.append(f"no worse in the objective, and proven better in {one_line(record['rescued_by'], 64)}")
    for found in record["ablation"]:
        of_claim = "" if found["claimed_pct"] is None else f" (claimed {found['claimed_pct']:+.1f} %)"
        said = found.get("detail") or f"brings {interval(found)}{of_claim}"
        lines.append(f"  {found['experiment']}  {found['result']}: {one_line(said, 200)}")
    return lines


def interval(figures: Mapping[str, Any]) -> str:
    """Such as `+4.9 % [+1.6, +8.3]`."""
    from autoresearch.verdict.verdict import effect_text

    return effect_text(figures["effect_pct"], figures["ci_low_pct"], figures["ci_high_pct"])
