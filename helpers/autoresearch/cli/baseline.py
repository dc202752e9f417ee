"""`autoresearch baseline`: freeze, measure the noise floor, open the ledger."""

from __future__ import annotations

import click

from autoresearch.cli._documents import render
from autoresearch.cli._output import json_option, say, tell, wait_option
from autoresearch.errors import POLL_BASELINE, Exit
from autoresearch.safetext import one_line


@click.command(
    epilog="Exit codes: 0 measured, 1 still running (repeat the command), 2 wrong use, 3 the base commit fails its "
    "own benchmark or checks, 5 integrity."
)
@wait_option
@click.option(
    "--new-segment", is_flag=True, help="Accept a changed evaluator: numbers start anew from the best commit."
)
@click.option("--max-iterations", type=click.IntRange(1), help="End the session after so many experiments.")
@json_option
@click.pass_context
def command(
    ctx: click.Context, timeout: float | None, new_segment: bool, max_iterations: int | None, as_json: bool
) -> None:
    """Freeze the evaluator, measure the noise floor, open the ledger.

    The base commit is built clean, checked once and measured repeatedly against itself. What is frozen: the
    hashes of autoresearch.sh, autoresearch.checks.sh, setup_deps.sh, the evaluator: files, the build command and
    the objective.

    \b
    Example:
      autoresearch baseline --timeout 25
    """
    from msgspec.structs import asdict

    from autoresearch.cli._waiting import wait_for
    from autoresearch.engines.choose import engine_of
    from autoresearch.judging.met import told
    from autoresearch.ledger.lines import NoiseFields
    from autoresearch.session import open_session
    from autoresearch.session.baseline import finish, start
    from autoresearch.session.safekeeping import for_git
    from autoresearch.workspace import copies

    if max_iterations is not None:
        _bound(max_iterations)
    with open_session() as session:
        dirty = copies.dirty_files(session.project)
        if dirty and not as_json:
            shown = ", ".join(one_line(p, 60) for p in dirty[:3])
            say(f"note: {len(dirty)} files have uncommitted changes, which are not measured: {shown}")
        job = start(session, new_segment=new_segment)
        engine = engine_of(session)
    states = wait_for(engine, {"baseline": job.job}, timeout, quiet=as_json)
    if not states["baseline"].final:
        state = states["baseline"]
        detail = state.phase or state.state
        data: dict[str, object] = {"done": False, "state": state.state, "detail": detail, "dirty": len(dirty)}
        tell({**data, "next": POLL_BASELINE}, [f"baseline: {detail}"], as_json=as_json)
        ctx.exit(int(Exit.NO))
    with open_session() as session:
        line = finish(session, job)
        note = render(session.project)
        objective = session.config.objective
    noise = line.noise or NoiseFields()
    data = {
        "done": True,
        "metric": objective.metric,
        "value": line.metric,
        "runs": line.runs_used,
        "checks": line.checks,
        **({"said": line.said.words} if line.said else {}),
        "noise": {
            "cv_pct": noise.cv_pct, "sigma_short_pct": noise.sigma_short_pct, "mde_pct": noise.mde_pct,
            "class": noise.grade, "advice": noise.advice,
            **({"delay_pct": asdict(noise.delay_pct)} if noise.delay_pct else {}),
            **({"ref_cv_pct": noise.ref_cv_pct} if noise.ref_cv_pct is not None else {}),
        },
        "cores": line.cores,
        "branch": session.branch,
        "dirty": len(dirty),
        "next": "autoresearch ideas next",
    }  # fmt: skip
    unit = f" {objective.unit}" if objective.unit else ""
    met = told(line.met, objective.metric, objective.unit)
    lines = [
        f"baseline: {objective.metric} = {line.metric:.6g}{unit}, median of {line.runs_used}{met and ', '}{met}",
        f"noise: {noise.grade}; {noise.advice}",
        f"checks: {line.checks}{f' ({line.said.words})' if line.said else ''}; branch {session.branch}",
        note,
    ]
    if not as_json and (due := for_git(session)):
        lines += ["to commit what it is measured by, and to exclude what it writes:", *(f"  {line}" for line in due)]
    tell(data, lines, as_json=as_json)


def _bound(most: int) -> None:
    """Write the bound into autoresearch.yaml, where every later command finds it."""
    from autoresearch.config import CONFIG_NAME, edited
    from autoresearch.files import write_atomic
    from autoresearch.session import find_root

    path = find_root() / CONFIG_NAME
    write_atomic(path, edited(path.read_text(encoding="utf-8"), {"stop.max_experiments": most}).encode())
