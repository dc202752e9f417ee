"""`autoresearch papers`: the literature on arXiv."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autoresearch.cli._fit import fit
from autoresearch.cli._output import allowed, emit, json_option, say, table, timeout_option
from autoresearch.errors import AutoresearchError, BadInput, EnvironmentMissing
from autoresearch.safetext import one_line
from autoresearch.search.papers import BASE_VARIABLE

if TYPE_CHECKING:
    from autoresearch.project import Project
    from autoresearch.search.papers.client import Arxiv
    from autoresearch.search.papers.paper import Paper, PaperId

DELAY_VARIABLE = "AUTORESEARCH_ARXIV_DELAY"
_TIMEOUT = timeout_option("Seconds for all of it.", "300")


@click.group(
    epilog=f"{BASE_VARIABLE} names another server (a mirror, recorded answers); with it, {DELAY_VARIABLE} "
    "sets the seconds between requests.  Exit codes: 0 done, 1 nothing found, 2 wrong use or no such paper, "
    "3 arXiv or a package is missing."
)
def command() -> None:
    """Search and fetch papers from arXiv; one request in three seconds, a day's cache.

    \b
    Example:
      autoresearch papers search "cache-oblivious sorting"
      autoresearch papers get 2101.00001 --idea i3
    """


@command.command()
@click.argument("query")
@click.option("--max", "limit", type=click.IntRange(1, 50), default=10, show_default=True, help="How many papers.")
@click.option("--refresh", is_flag=True, help="Ask arXiv again, whatever the cache holds.")
@_TIMEOUT
@json_option
def search(query: str, limit: int, refresh: bool, timeout: float | None, as_json: bool) -> None:
    """Papers for words or a query in arXiv's syntax (ti: au: abs: cat: AND OR ANDNOT).

    \b
    Example:
      autoresearch papers search "abs:simd AND abs:json AND cat:cs.DB" --max 5
    """
    from autoresearch.search.papers.paper import by_line
    from autoresearch.session.access import project_here

    if not query.strip():
        raise BadInput("the query is empty")
    papers = _client(project_here(), timeout, as_json).search(one_line(query, 500), limit, refresh=refresh)
    if not papers:
        todo = "autoresearch papers search --help"
        emit({"query": query[:200], "papers": [], "next": todo}, "nothing found", as_json=as_json)
        raise click.exceptions.Exit(1)
    todo = f"autoresearch papers get {papers[0].id}"
    data = {
        "query": one_line(query), "papers": [_brief(paper) for paper in papers], "next": todo,
    }  # fmt: skip
    rows = [(paper.id, paper.published[:4], by_line(paper, 1), paper.title) for paper in papers]
    emit(fit(data, "papers"), table(rows, ("id", "year", "authors", "title")), as_json=as_json)


@command.command()
@click.argument("paper")
@click.option("--idea", help="Add the paper to the sources of this idea.")
@click.option("--no-pdf", is_flag=True, help="Only the note.")
@click.option("--refresh", is_flag=True, help="Ask arXiv again and fetch the PDF again; the note stays.")
@_TIMEOUT
@json_option
def get(paper: str, idea: str | None, no_pdf: bool, refresh: bool, timeout: float | None, as_json: bool) -> None:
    """Fetch a paper: its PDF and a note with the abstract, under papers/.

    A note that is there is never written over.

    \b
    Example:
      autoresearch papers get 2101.00001v2 --idea i3
    """
    from autoresearch.search.ideas import file
    from autoresearch.search.papers.paper import by_line, parse_id
    from autoresearch.session.access import project_here

    wanted = parse_id(paper)
    project = project_here()
    if idea is not None:
        file.get(project.ideas, idea)
    client = _client(project, timeout, as_json)
    known, note_path, pdf_path, problem = _fetch(client, project, wanted, pdf=not no_pdf, refresh=refresh)
    if idea is not None:
        file.link(project.ideas, idea, wanted.source)
    if problem is not None:
        raise problem
    start = "autoresearch ideas next"
    todo = start if idea else f'autoresearch ideas add "TEXT" --source {wanted.source}'
    files = [str(path.relative_to(project.root)) for path in (note_path, pdf_path) if path is not None]
    data = {
        **_brief(known), "files": files, "source": wanted.source, "idea": idea, "next": todo,
    }  # fmt: skip
    human = f"{known.id}  {known.title}\n  {by_line(known)}, {known.published}\n  {'  '.join(files)}"
    human += f"\n  added to the sources of {idea}" if idea else f"\nnext: {todo}"
    emit(data, human, as_json=as_json)


def _fetch(
    client: Arxiv, project: Project, wanted: PaperId, *, pdf: bool, refresh: bool
) -> tuple[Paper, Path, Path | None, AutoresearchError | None]:
    """The paper, its note, its PDF and what went wrong with that. The note is written in any case."""
    from autoresearch.files import ensure_directory, write_atomic
    from autoresearch.search.papers.paper import note, parse_id

    known = client.get(wanted, refresh=refresh)
    ensure_directory(project.papers)
    note_path = project.papers / f"{wanted.stem}.md"
    pdf_path = project.papers / f"{wanted.stem}.pdf"
    problem: AutoresearchError | None = None
    if pdf and (refresh or not pdf_path.exists()):
        say(f"fetching the PDF of {known.id}")
        try:
            client.download(parse_id(known.id), pdf_path)
        except (BadInput, EnvironmentMissing) as exc:
            problem = exc
    found = pdf_path if pdf_path.exists() else None
    if not note_path.exists():
        write_atomic(note_path, note(known, wanted.source, found.name if found else None).encode())
    return known, note_path, found, problem


def _client(project: Project, timeout: float | None, as_json: bool) -> Arxiv:
    from autoresearch.search.papers.client import DELAY, Arxiv

    client = Arxiv(project.state / "papers")
    client.until = time.monotonic() + allowed(timeout, as_json, 300.0)
    if os.environ.get(BASE_VARIABLE):
        # arXiv's own pause is not negotiable; a mirror's or a test server's is its own affair.
        text = os.environ.get(DELAY_VARIABLE, str(DELAY))
        try:
            client.delay = min(max(float(text), 0.0), 600.0)
        except ValueError:
            raise BadInput(f"{DELAY_VARIABLE} is {one_line(text, 40)!r}, not a number of seconds") from None
    return client


def _brief(paper: Paper) -> dict[str, Any]:
    from autoresearch.search.papers.paper import by_line

    return {
        "id": paper.id, "title": one_line(paper.title, 110), "authors": one_line(by_line(paper, 1), 40),
        "published": paper.published,
    }  # fmt: skip
