"""`autoresearch init`: scaffold a session."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click

from autoresearch.cli._output import emit, json_option
from autoresearch.config import CONFIG_NAME, parse_config
from autoresearch.errors import BadInput
from autoresearch.project import Project
from autoresearch.resources import shipped

# (template, file in the project, executable)
_FILES = (
    ("templates/autoresearch.sh", "autoresearch.sh", True),
    ("templates/autoresearch.checks.sh", "autoresearch.checks.sh", True),
    ("experiment.yaml", "experiment.yaml", False),
)


@click.command(epilog="Exit codes: 0 written, 2 wrong use or a session is here already.")
@click.option("--name", help="Session name; the branch is autoresearch/NAME. Default: the directory's name.")
@click.option("--goal", default="", help="The goal in one sentence.")
@click.option("--metric", default="time_s", show_default=True, help="Name of the METRIC that decides.")
@click.option("--unit", default="", help="Unit of the metric, such as s or bytes.")
@click.option(
    "--direction",
    type=click.Choice(["lower", "higher"]),
    default="lower",
    show_default=True,
    help="Which is better.",
)
@click.option("--scope", multiple=True, required=True, help="Glob of files that may change (repeatable).")
@click.option("--off-limits", multiple=True, help="Glob inside scope that must not change (repeatable).")
@click.option("--evaluator", multiple=True, help="Glob of further benchmark files to freeze (repeatable).")
@click.option(
    "--build", default="", help="Clean build command, run in a fresh tree; empty when there is none."
)
@click.option("--force", is_flag=True, help=f"Replace {CONFIG_NAME}; the old one is kept as a backup.")
@json_option
def command(
    name: str | None,
    goal: str,
    metric: str,
    unit: str,
    direction: str,
    scope: tuple[str, ...],
    off_limits: tuple[str, ...],
    evaluator: tuple[str, ...],
    build: str,
    force: bool,
    as_json: bool,
) -> None:
    """Scaffold a session in this directory.

    Writes autoresearch.yaml and, where they are missing, autoresearch.sh, autoresearch.checks.sh and
    experiment.yaml. Your files are never overwritten.

    \b
    Example:
      autoresearch init --goal "Parse faster" --metric time_s --unit s --scope 'src/**'
    """
    root = Path.cwd()
    filled = _render_config(
        name=name or _default_name(root), goal=goal, metric=metric, unit=unit, direction=direction,
        scope=list(scope), off_limits=list(off_limits), evaluator=list(evaluator), build=build,
    )  # fmt: skip
    parse_config(filled)
    written = [_write_config(root, filled, force)]
    for template, target, executable in _FILES:
        path = root / target
        if not path.exists():
            path.write_bytes(shipped(template).read_bytes())
            path.chmod(0o755 if executable else 0o644)
            written.append(target)
    from autoresearch.report import render_all

    written += [
        path.name for path in render_all(Project(root), chart=False) if path.name == "autoresearch.md"
    ]
    left = [target for _, target, _ in _FILES if target not in written]
    lines = [f"wrote {', '.join(written)}"]
    if left:
        lines.append(f"left as they are: {', '.join(left)}")
    lines.append("next: write autoresearch.sh and autoresearch.checks.sh, then autoresearch doctor")
    data = {"written": written, "left": left, "root": str(root), "next": "autoresearch doctor"}
    emit(data, "\n".join(lines), as_json=as_json)


def _default_name(root: Path) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", root.name).strip("-._")[:60] or "session"


def _render_config(**values: object) -> str:
    """Fill the template's @PLACEHOLDERS@ with JSON values: JSON is YAML, so any text is quoted rightly."""
    text = shipped("templates/autoresearch.yaml").read_text(encoding="utf-8")
    # One pass, so that a value which looks like a placeholder stays a value.
    return re.sub(
        r"@([A-Z_]+)@", lambda found: json.dumps(values[found[1].lower()], ensure_ascii=False), text
    )


def _write_config(root: Path, text: str, force: bool) -> str:
    path = root / CONFIG_NAME
    if Project(root).ledger.exists() and not force:
        raise BadInput("a ledger is here already", fix="Go on with it", next="autoresearch status")
    if path.exists():
        if not force:
            raise BadInput(
                f"{CONFIG_NAME} is here already",
                fix="Edit it, or replace it with --force (the old one is kept)",
                next="autoresearch status",
            )
        number = 1
        while (backup := path.with_name(f"{CONFIG_NAME}.bak-{number}")).exists():
            number += 1
        path.rename(backup)
    path.write_text(text, encoding="utf-8")
    return CONFIG_NAME
