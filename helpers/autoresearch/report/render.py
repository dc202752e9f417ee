"""Reads a ledger and writes the documents and the chart beside it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from autoresearch.config import load_config
from autoresearch.errors import EnvironmentMissing
from autoresearch.files import write_atomic
from autoresearch.ledger.history import fold
from autoresearch.ledger.lines import Record
from autoresearch.ledger.store import records
from autoresearch.project import Project
from autoresearch.report import documents
from autoresearch.report.view import View, build
from autoresearch.resources import shipped


@dataclass
class Rendered:
    """What was rendered: `paths`, of which those in `changed` got new bytes, and what to tell the user."""

    view: View
    paths: list[Path] = field(default_factory=list)
    changed: list[Path] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def put(self, path: Path, data: bytes) -> None:
        if write_atomic(path, data, follow_links=False):
            self.changed.append(path)
        self.paths.append(path)


def render_all(project: Project, chart: bool = True) -> list[Path]:
    """Render a project's documents, and the chart where matplotlib is installed. Returns all paths.

    Works before the baseline: the document then carries the goal of `autoresearch.yaml`. Warnings are left to
    `autoresearch report`.
    """
    return render(project.ledger, project.root, chart=None if chart else False).paths


def render(ledger: Path, output: Path, *, chart: bool | None = None, png: bool = False) -> Rendered:
    """Render `ledger` into the directory `output`.

    `chart`: True demands it (`EnvironmentMissing` without matplotlib), None draws it where that is possible,
    False leaves it out.
    """
    view = build(fold(records(ledger) if ledger.exists() else _announced(output)))
    project = Project(output)
    done = Rendered(view)
    if chart is not False:
        _chart(done, project, demanded=bool(chart), png=png)
    _documents(done, project)
    return done


def _announced(root: Path) -> list[Record]:
    """The header that the baseline will write, as far as `autoresearch.yaml` knows it."""
    config = load_config(root)
    objective = config.objective
    return [
        {
            "type": "config",
            "name": config.name,
            "goal": config.goal,
            "metricName": objective.metric,
            "metricUnit": objective.unit,
            "bestDirection": objective.direction,
            "schema": 1,
        }
    ]


def _chart(done: Rendered, project: Project, *, demanded: bool, png: bool) -> None:
    # For start-up time: the documents need no chart.
    from autoresearch.report.chart import draw

    try:
        pictures = draw(done.view, ("svg", "png") if png else ("svg",))
    except EnvironmentMissing as exc:
        if demanded:
            raise
        done.warnings.append(f"no chart: {exc.message}")
        return
    for kind, data in pictures.items():
        done.put(project.chart.with_suffix(f".{kind}"), data)


def _documents(done: Rendered, project: Project) -> None:
    existing = _read(project.document)
    template = shipped("templates/autoresearch.md").read_text(encoding="utf-8") if existing is None else ""
    document, found = documents.session_document(existing, template, done.view)
    done.warnings += [f"{project.document.name} {warning}" for warning in found]
    done.put(project.document, document)

    wins = _read(project.improvements)
    if wins is not None and documents.RENDERED.encode() not in wins:
        done.warnings.append(f"{project.improvements.name} is not ours and was left as it is; rename it, then repeat")
        return
    chart = project.chart.name if project.chart.is_file() else None
    done.put(project.improvements, documents.improvements(done.view, chart).encode("utf-8", "replace"))


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise EnvironmentMissing(f"cannot read {path}: {exc.strerror or exc}") from None
