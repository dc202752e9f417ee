"""`autoresearch init`: scaffold a session."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autoresearch.cli._output import emit, json_option, tell
from autoresearch.errors import POLL_BASELINE, BadInput

if TYPE_CHECKING:
    from autoresearch.peers.adopt import ForeignSession
    from autoresearch.prepare.kinds import Kind


@click.command(
    epilog="Exit codes: 0 written (or the plan is shown), 2 wrong use or a session is here already, 3 the plan's "
    "build, benchmark or checks do not run."
)
@click.option("--name", help="Session name; the branch is autoresearch/NAME. Default: the directory's name.")
@click.option("--goal", help="The goal in one sentence.")
@click.option("--metric", help="Name of the METRIC that decides. Default: time_s.")
@click.option("--unit", help="Unit of the metric, such as s or bytes.")
@click.option("--direction", type=click.Choice(["lower", "higher"]), help="Which is better. Default: lower.")
@click.option("--min-effect", type=click.FloatRange(0, 99), metavar="PCT", help="The least gain to keep. Default: 1.")
@click.option("--scope", multiple=True, help="Glob of files that may change (repeatable); required.")
@click.option("--off-limits", multiple=True, help="Glob inside scope that must not change (repeatable).")
@click.option("--evaluator", multiple=True, help="Glob of further benchmark files to freeze (repeatable).")
@click.option("--build", help="Clean build command, run in a fresh tree; empty when there is none.")
@click.option("--max-iterations", type=click.IntRange(1), help="End the session after so many experiments.")
@click.option(
    "--continue", "continued", is_flag=True,
    help="Go on from a session that pi-autoresearch or another loop began here; options win over what it says.",
)  # fmt: skip
@click.option("--after", metavar="NAME", help="Follow the finished session NAME: a new branch from its last commit.")
@click.option(
    "--template", "kind", metavar="KIND", help="Begin from a ready benchmark and checks; KIND list shows them.",
)  # fmt: skip
@click.option("--plan", is_flag=True, help="Look at the project, propose and try a benchmark, write after a go.")
@click.option("--yes", is_flag=True, help="With --plan: the go is given; write what was tried and works.")
@click.option("--pick", metavar="ID", help="With --plan: take this one of the proposed metrics.")
@click.option("--benchmark", metavar="COMMAND", help="With --plan: measure this command.")
@click.option("--checks", metavar="COMMAND", help="With --plan: this command says whether the code is right.")
@click.option("--attack", is_flag=True, help="With --plan: play generic cheats on it before the go (doctor --attack).")
@click.option("--no-run", is_flag=True, help="With --plan: try nothing.")
@click.option("--timeout", type=click.FloatRange(min=1), help="With --plan: seconds for trying it all. Default: 25.")
@click.option("--force", is_flag=True, help="Replace autoresearch.yaml; the old one is kept as a backup.")
@json_option
def command(
    name: str | None, max_iterations: int | None, continued: bool, after: str | None, kind: str | None,
    plan: bool, force: bool, as_json: bool, **given: Any,
) -> None:  # fmt: skip
    """Scaffold a session in this directory.

    Writes autoresearch.yaml and, where they are missing, autoresearch.sh, autoresearch.checks.sh and
    experiment.yaml. Your files are never overwritten. With --plan it looks at the project first, proposes what to
    measure, tries that in a copy, shows the noise, and asks; until then nothing is written.

    \b
    Examples:
      autoresearch init --plan
      autoresearch init --template latency --scope 'src/**'
      autoresearch init --goal "Parse faster" --metric time_s --unit s --scope 'src/**'
      autoresearch init --continue
      autoresearch init --after parser
    """
    from autoresearch.cli._documents import render_document
    from autoresearch.prepare.kinds import load_kind
    from autoresearch.prepare.scaffold import default_name, write_session
    from autoresearch.project import Project

    root = Path.cwd()
    if kind is not None and (plan or continued or after):
        raise click.UsageError("--template goes with none of --plan, --continue and --after.")
    if kind == "list":
        _list_kinds(as_json=as_json)
        return
    if after is not None:
        _follow(after, name, given["goal"], max_iterations, as_json=as_json)
        return
    if plan:
        from autoresearch.cli._plan import wizard

        wizard(root, name, max_iterations, given, force=force, as_json=as_json)
        return
    stray = next(
        (key for key in ("yes", "pick", "benchmark", "checks", "attack", "no_run", "timeout") if given[key]), ""
    )
    if stray:
        raise click.UsageError(f"--{stray.replace('_', '-')} goes with --plan.")
    begun = _begun(root) if continued else None
    template = load_kind(kind) if kind is not None else None
    values = _values(begun, given) if template is None else _filled(template, given)
    if not values["scope"]:
        raise BadInput(
            "init needs to know which files may change", fix="Add --scope 'src/**', once for each glob",
            next="autoresearch init --plan",
        )  # fmt: skip
    values["name"] = name or default_name(root, continued=continued)
    most = max_iterations or (begun.max_experiments if begun else None)
    scripts = dict(begun.scripts) if begun else {} if template is None else template.files
    settings = {} if template is None else template.settings
    settings |= {} if given["min_effect"] is None else {"objective.min_effect_pct": given["min_effect"]}
    written, left = write_session(root, values, scripts, settings=settings, most=most, force=force, continued=continued)
    uncopied = ""
    if template is not None and template.paired:
        from autoresearch.prepare.reference import copy_reference

        uncopied = copy_reference(root, with_tests=template.with_tests)
        written += [] if uncopied else ["evaluator/reference/"]
    history = _take_history(begun) if begun else {}
    written += render_document(Project(root))
    lines = [f"wrote {', '.join(written) or 'nothing: all is here'}"]
    if left:
        lines.append(f"left as they are: {', '.join(left)}")
    lines += [f"{key}: {value}" for key, value in history.items()]
    wrapped = [target for target in scripts if target in written]
    mend = [] if "autoresearch.sh" in (*left, *wrapped) else ["autoresearch.sh"]
    mend += [] if "autoresearch.checks.sh" in (*left, *wrapped) else ["autoresearch.checks.sh"]
    first = f"write {' and '.join(mend)}, then " if mend else ""
    if template is not None:
        lines.append(f"read {template.playbook} of the skill, then adapt what says ADAPT:")
        lines += [f"  {name}" for name, text in template.files.items() if "ADAPT" in text and name in written]
    if uncopied:
        lines.append(f"evaluator/reference is missing ({uncopied}): copy the program as it is now there")
    lines.append(f"next: {first}autoresearch doctor")
    told = {} if template is None else {"playbook": template.playbook}
    told |= {"reference": uncopied} if uncopied else {}
    data = {"written": written, "left": left, "root": str(root), **told, **history, "next": "autoresearch doctor"}
    emit(data, "\n".join(lines), as_json=as_json)


def _filled(template: Kind, given: dict[str, Any]) -> dict[str, Any]:
    """The template's values; what the user said wins."""
    said = {key: given[key] for key in template.values if given[key]}
    values = {"goal": given["goal"] or template.what, "off_limits": list(given["off_limits"])}
    return values | template.values | {k: list(v) if isinstance(v, tuple) else v for k, v in said.items()}


def _list_kinds(*, as_json: bool) -> None:
    from autoresearch.prepare.kinds import kinds, load_kind

    found = [load_kind(name) for name in kinds()]
    rows = {kind.name: f"{kind.what} ({kind.playbook})" for kind in found}
    human = "\n".join(f"{name:<12}{what}" for name, what in rows.items())
    emit({"kinds": rows, "next": "autoresearch init --template KIND"}, human, as_json=as_json)


def _follow(after: str, name: str | None, goal: str | None, most: int | None, *, as_json: bool) -> None:
    """Turn autoresearch.yaml into that of the session's successor; the old one is kept as a backup."""
    from autoresearch.config import CONFIG_NAME, edited, parse_config
    from autoresearch.files import write_atomic
    from autoresearch.prepare.scaffold import make_way
    from autoresearch.prepare.successor import follow
    from autoresearch.session import open_session

    with open_session() as session:
        text = follow(session, after, name, goal)
        if most is not None:
            text = edited(text, {"stop.max_experiments": most})
        make_way(session.project.root, text, force=True, continued=False)
        write_atomic(session.project.root / CONFIG_NAME, text.encode())
        unproven = bool(session.kept) and session.unaudited > 0
    made = parse_config(text).name
    data = {"session": made, "after": after, "branch": f"autoresearch/{made}", "next": POLL_BASELINE}
    lines = [f"{made} follows {after}; its ideas and lessons are kept"]
    if unproven:
        note = f"what {after} claims was not verified by finalize --audit"
        data["note"] = note
        lines.append(note)
    tell(data, lines, as_json=as_json)


def _begun(root: Path) -> ForeignSession:
    from autoresearch.peers.adopt import find

    found = find(root)
    if found is None:
        raise BadInput(
            "no session of another loop is here (.auto/, autoresearch.jsonl or results.tsv)",
            fix="Leave --continue out, or run it in the directory that holds the log",
            next="autoresearch status",
        )
    return found


def _values(begun: ForeignSession | None, given: dict[str, Any]) -> dict[str, Any]:
    """What the config is filled with: options first, then what another loop's session says, then defaults."""
    known: dict[str, Any] = {"metric": "time_s", "direction": "lower", "goal": "", "unit": "", "build": ""}
    lists: dict[str, tuple[str, ...]] = {"scope": (), "off_limits": (), "evaluator": ()}
    if begun is not None:
        says = {"metric": begun.metric, "direction": begun.direction, "goal": begun.goal, "unit": begun.unit}
        known |= {"metric": "metric"} | {key: value for key, value in says.items() if value}
        lists = {"scope": begun.scope, "off_limits": begun.off_limits, "evaluator": begun.evaluator}
    known |= {key: given[key] for key in known if given[key] is not None}
    scope = given["scope"] or lists["scope"]
    more = {key: list(dict.fromkeys([*lists[key], *given[key]])) for key in ("off_limits", "evaluator")}
    return known | more | {"scope": list(dict.fromkeys(scope))}


def _take_history(begun: ForeignSession) -> dict[str, Any]:
    """Make the other loop's log our history; what to tell about it."""
    from autoresearch.peers.adopt import take_history

    copied = take_history(begun)
    told = f"{begun.runs} runs of {begun.kind}" + (f", copied from {begun.log.name}" if copied and begun.log else "")
    warning = {} if begun.direction else {"note": "its log does not say which way is better: check direction"}
    return {"history": told, **warning}
