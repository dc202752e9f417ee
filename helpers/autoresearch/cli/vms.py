"""`autoresearch vms`: the machines that were launched for the session, and the way to give them back."""

from __future__ import annotations

from typing import Any

import click

from autoresearch.cli._fit import fit
from autoresearch.cli._output import allowed, emit, json_option, table, timeout_option
from autoresearch.errors import Exit
from autoresearch.safetext import one_line

GONE = ("retired", "lost")


@click.command(
    epilog="Exit codes: 0 shown, or all are verified to be gone; 1 experiments still need them, or not verified yet "
    "(repeat it); 3 SkyPilot cannot be used, or a VM may still be there."
)
@click.option("--all", "show_all", is_flag=True, help="Show those that are gone too.")
@click.option("--refresh", is_flag=True, help="Ask SkyPilot what they have cost (takes seconds).")
@click.option("--down", is_flag=True, help="End them all, and verify it.")
@timeout_option("With --down, --refresh: return after this many seconds; repeat to go on.")
@json_option
@click.pass_context
def command(
    ctx: click.Context, show_all: bool, refresh: bool, down: bool, timeout: float | None, as_json: bool
) -> None:
    """Show the VMs of the engine skypilot: state, trial, hours, price. They end by themselves when they are idle.

    \b
    Example:
      autoresearch vms --down
    """
    from autoresearch.engines.choose import engine_of
    from autoresearch.session import find_root, load

    engine = engine_of(load(find_root()))
    left: list[str] = []
    # A client that was given up takes a second or two to end.
    seconds = max(1.0, allowed(timeout, as_json) - 3.0)
    if down:
        left = engine.give_back(seconds)
    elif refresh:
        engine.refresh(seconds)
    vms = [vm for vm in engine.vms() if show_all or down or vm["state"] not in GONE]
    rows = [_row(vm) for vm in vms]
    follow = "autoresearch vms --down" if left else "autoresearch status"
    data: dict[str, Any] = {
        "vms": [dict(zip(COLUMNS, row, strict=True)) for row in rows[-20:]],
        "count": len(rows),
        "dollars_per_hour": round(sum(vm["price"] or 0.0 for vm in vms if vm["state"] not in GONE), 4),
        **({"still_there": left[:10]} if down else {}),
        "next": follow,
    }
    human = table(rows, COLUMNS) if rows else "no VM"
    if left:
        human += f"\nmay still be there and cost money: {', '.join(left)}; see sky status"
    emit(fit(data, "vms"), human, as_json=as_json)
    ctx.exit(int(Exit.ENVIRONMENT) if left else 0)


COLUMNS = ("vm", "state", "trial", "trials", "hours", "price", "dollars", "noise", "note")


def _row(vm: dict[str, Any]) -> tuple[str, ...]:
    def shown(value: object, text: str) -> str:
        return "" if value is None else text.format(value)

    dollars = vm["dollars"]
    if dollars is None and vm["price"] is not None:
        dollars = vm["hours"] * vm["price"]
    return (
        vm["vm"], vm["state"], one_line(vm["trial"], 40), str(vm["trials"]), f"{vm['hours']:.2f}",
        shown(vm["price"], "{:.3g}/h"), shown(dollars, "{:.3f}"), shown(vm["sigma_pct"], "{:.2g} %"),
        one_line(vm["reason"], 60),
    )  # fmt: skip
