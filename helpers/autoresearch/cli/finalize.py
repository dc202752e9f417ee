"""`autoresearch finalize`: re-verify the session as a whole, and back out what does not hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from autoresearch.cli._documents import render
from autoresearch.cli._output import json_option, tell, wait_option
from autoresearch.errors import AUDIT_ABLATE, AUDIT_RUNS, BadInput, Exit, poll_audit
from autoresearch.safetext import one_line

if TYPE_CHECKING:
    from autoresearch.ledger.lines import AuditLine, FindingFields, HeldoutFields, LimitFields, OwnTimeFields
    from autoresearch.verdict.words import Quantity

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
    "--runs", type=click.IntRange(12, 400), default=AUDIT_RUNS, show_default=True, help="Runs, a multiple of four."
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
            "keeps": len(session.kept),
            "claimed_gain_pct": claimed_gain(session),
            "next": poll_audit() if session.kept else "autoresearch status",
        }
    if note:
        data["note"] = note
    line = f"dropped {name} by revert commit {data['commit']}: {record['reason']}; {data['keeps']} keeps remain"
    tell(data, [line, note], as_json=as_json)


def _audit(runs: int, ablate: int, timeout: float | None, as_json: bool) -> int:
    from autoresearch.budget.rules import stop_view
    from autoresearch.cli._waiting import running, wait_for
    from autoresearch.engines.choose import engine_of
    from autoresearch.judging.units import quantity
    from autoresearch.session import open_session
    from autoresearch.session.audit import step

    follow_up = poll_audit(runs, ablate)
    while True:
        with open_session() as session:
            now = step(session, runs=runs, ablate=ablate)
            if now.line is not None:
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
    audit = now.line
    refuted = audit.refuted
    if refuted:
        follow = f"autoresearch finalize --drop {refuted[0]}"
    else:
        follow = "autoresearch report" if stopped else "autoresearch status"
    data = summary(audit) | {"next": follow}
    if note:
        data["note"] = note
    tell(data, [*human(audit, quantity(session.config.objective)), note], as_json=as_json)
    return int(Exit.DONE if audit.verified else Exit.NO)


_FIGURES = ("effect_pct", "ci_low_pct", "ci_high_pct", "runs_used")


def summary(audit: AuditLine) -> dict[str, Any]:
    """The fields of an audit line that an agent needs; always far below 2 kB."""
    heldout = audit.heldout
    found = audit.ablation
    return {
        "done": True,
        "verified": audit.verified,
        **{name: getattr(audit, name) for name in _FIGURES},
        "claimed_pct": audit.claimed_pct,
        "shrunken_pct": audit.shrunken_pct,
        "ratio": audit.ratio,
        "checks": audit.checks,
        "layout": audit.layout,
        **_own_time(audit),
        "heldout": None if heldout is None else {
            **{name: getattr(heldout, name) for name in _FIGURES}, "proven": heldout.proven,
            "error": one_line(heldout.error, 100),
        },
        "ablation": [
            {"experiment": f.experiment, "result": f.result, "effect_pct": f.effect_pct,
             "claimed_pct": f.claimed_pct} for f in found[:MOST]
        ],
        "left_off": max(0, len(found) - MOST),
        "refuted": audit.refuted[:MOST],
        "limits_violated": [one_line(f.metric, 64) for f in _violated(audit)][:MOST],
        "rescued_by": audit.rescued_by,
        "base": audit.base[:12],
        "tip": audit.tip[:12],
        "error": one_line(audit.error, 200),
    }  # fmt: skip


def _own_time(audit: AuditLine) -> dict[str, Any]:
    found = audit.own_time
    return {} if found is None else {"own_time": {name: getattr(found, name) for name in _FIGURES[:3]}}


def _violated(audit: AuditLine) -> list[LimitFields]:
    return [f for f in audit.limits if f.status == "violated"]


def human(audit: AuditLine, of: Quantity) -> list[str]:
    """The audit for a person: one line, and one for each part that needs a word."""
    claimed = f"{audit.claimed_pct:+.1f} %" if audit.claimed_pct is not None else "unknown"
    if audit.effect_pct is None:
        lines = [f"REFUTED: the best commit does not measure: {one_line(audit.error, 200)}"]
    else:
        word = "VERIFIED" if audit.verified else "REFUTED"
        share = "" if audit.ratio is None else f"; {100 * audit.ratio:.0f} % of it holds"
        lines = [f"{word} {interval(audit, of)}, {audit.runs_used} runs (sum of claims {claimed}{share})"]
    if audit.shrunken_pct is not None:
        lines.append(f"expected from the claims without their luck: {audit.shrunken_pct:+.1f} %")
    own = audit.own_time
    if own is not None and own.effect_pct is not None:
        loses = own.ci_high_pct is not None and own.ci_high_pct < 0.0
        lines.append(
            f"paired with the reference; by own time alone {interval(own, of)}" + (": a loss" if loses else "")
        )
    heldout = audit.heldout
    if heldout is not None:
        said = one_line(heldout.error, 100) if heldout.effect_pct is None else interval(heldout, of)
        unseen = "" if heldout.proven else ": no gain is proven where no experiment has looked"
        lines.append(f"held-out benchmark: {said}{unseen}")
    for found in _violated(audit):
        gain = found.gain_pct
        changed = "changed from 0" if gain is None else f"{gain:+.1f} % (positive = better)"
        lines.append(f"limit violated by all keeps together: {one_line(found.metric, 64)} {changed}")
    if audit.rescued_by:
        lines.append(f"no worse in the objective, and proven better in {one_line(audit.rescued_by, 64)}")
    for keep in audit.ablation:
        of_claim = "" if keep.claimed_pct is None else f" (claimed {keep.claimed_pct:+.1f} %)"
        said = keep.detail or f"brings {interval(keep, of)}{of_claim}"
        lines.append(f"  {keep.experiment}  {keep.result}: {one_line(said, 200)}")
    return lines


def interval(figures: AuditLine | HeldoutFields | FindingFields | OwnTimeFields, of: Quantity) -> str:
    """Such as `4.9 % faster [1.6, 8.3]`; of a base of 0 there is no percentage."""
    from autoresearch.verdict.words import Effect

    if figures.effect_pct is None:
        return "no percentage"
    return of.said(Effect(figures.effect_pct, figures.ci_low_pct, figures.ci_high_pct), runs=False)
