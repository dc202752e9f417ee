"""arXiv over its API, politely: one request in three seconds across processes, retries, a day's cache.

The `arxiv` package (extra `papers`) builds queries and reads feeds. Its requests pass through a wrapper for
what it lacks: the pause shared between processes, a timeout, and a check that the feed is whole.
Terms of use: https://info.arxiv.org/help/api/tou.html
"""

from __future__ import annotations

import hashlib
import http.client
import importlib
import json
import math
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autoresearch.errors import AutoresearchError, BadInput, EnvironmentMissing
from autoresearch.files import ensure_directory, locked, write_atomic
from autoresearch.safetext import one_line
from autoresearch.search.papers import BASE_VARIABLE
from autoresearch.search.papers.paper import Paper, PaperId, parse_id

BASE = "https://export.arxiv.org"  # the host arXiv sets aside for programs
DELAY = 3.0
TIMEOUT = 30.0
CACHE_SECONDS = 24 * 3600.0
MAX_PDF = 50_000_000
_ATOM = "http://www.w3.org/2005/Atom"
_PIECE = 1 << 16
_AGENT = "autoresearch-skill (arXiv API client)"


class _Late(Exception):
    """The time for all of it is over."""


class _NotAFeed(Exception):
    """The answer is no whole Atom feed; the message says what it is."""


def base_url() -> str:
    """Where arXiv is: export.arxiv.org, or `AUTORESEARCH_ARXIV_URL` (for mirrors and tests)."""
    base = os.environ.get(BASE_VARIABLE, "").strip().rstrip("/") or BASE
    parts = urllib.parse.urlsplit(base)
    if parts.scheme not in ("http", "https") or not parts.hostname or "{" in base:
        raise BadInput(f"{BASE_VARIABLE} is {one_line(base, 80)!r}, which is no http or https address")
    return base


@dataclass
class Arxiv:
    """A client that keeps its stamp and cache in `state` (the project's `.autoresearch/papers`).

    `delay` is the pause between requests and before a retry, in seconds; `clock` and `sleep` are for tests. At `until`
    (a time of the monotonic clock) it gives up with `EnvironmentMissing`.
    """

    state: Path
    base: str = field(default_factory=base_url)
    delay: float = DELAY
    retries: int = 3
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    max_pdf: int = MAX_PDF
    until: float = math.inf

    def search(self, query: str, limit: int = 10, *, refresh: bool = False) -> list[Paper]:
        """Papers for a query in arXiv's syntax, best match first; those of a day ago from the cache."""
        return self._cached(f"search {limit} {query}", refresh, query=query, limit=limit)

    def get(self, wanted: PaperId, *, refresh: bool = False) -> Paper:
        """What arXiv says of one paper; `BadInput` when it has none of that identifier."""
        for paper in self._cached(f"id {wanted}", refresh, ids=[str(wanted)], limit=1):
            found = parse_id(paper.id)
            if found.base == wanted.base and wanted.version in ("", found.version):
                return paper
        raise BadInput(f"arXiv has no paper {wanted}", next='autoresearch papers search "WORDS"')

    def download(self, paper: PaperId, target: Path) -> int:
        """Fetch a PDF to `target`, whole or not at all; its size in bytes."""
        url = f"{self.base}/pdf/{paper}"
        request = urllib.request.Request(url, headers={"User-Agent": _AGENT})
        for left in range(self.retries, -1, -1):
            try:
                self._pause()
                with urllib.request.urlopen(request, timeout=self._limit()) as answer:
                    data = self._read(answer)
                    declared = answer.headers.get("Content-Length") or ""
                if declared.isdecimal() and len(data) < min(int(declared), self.max_pdf):
                    raise OSError(f"the PDF ended after {len(data)} of {int(declared)} bytes")
                break
            except _Late:
                raise self._late(f"the PDF of {paper}", "take only the note: --no-pdf") from None
            except urllib.error.HTTPError as exc:
                exc.close()
                if exc.code < 500 and exc.code != 429:
                    raise BadInput(f"arXiv has no PDF of {paper} (HTTP {exc.code})") from None
                if not left:
                    raise self._unreachable(f"HTTP {exc.code}") from None
            except (OSError, http.client.HTTPException) as exc:
                if not left:
                    raise self._unreachable(str(getattr(exc, "reason", exc))) from None
        if len(data) > self.max_pdf:
            raise EnvironmentMissing(
                f"the PDF of {paper} is larger than {self.max_pdf / 1e6:g} MB: refused",
                fix="Take only the note: --no-pdf",
            )
        if not data.startswith(b"%PDF"):
            raise EnvironmentMissing(
                f"what arXiv sent for {paper} is not a PDF: refused",
                fix="Try again later, or take only the note: --no-pdf",
            )
        ensure_directory(target.parent)
        write_atomic(target, data)
        return len(data)

    def _read(self, answer: http.client.HTTPResponse) -> bytes:
        data = bytearray()
        while len(data) <= self.max_pdf and (piece := answer.read1(_PIECE)):
            data += piece
            self._limit()
        return bytes(data)

    def _limit(self) -> float:
        """Seconds that a request may wait for its answer."""
        left = self.until - time.monotonic()
        if left <= 0:
            raise _Late
        return min(TIMEOUT, left)

    def _cached(self, key: str, refresh: bool, **wanted: Any) -> list[Paper]:
        name = hashlib.sha256(f"{self.base} {key}".encode("utf-8", "surrogatepass")).hexdigest()[:24]
        path = self.state / "cache" / f"{name}.json"
        papers = None if refresh else self._from_cache(path)
        if papers is None:
            papers = self._ask(**wanted)
            ensure_directory(path.parent)
            body = {"at": self.clock(), "key": key, "papers": [paper.to_json() for paper in papers]}
            write_atomic(path, json.dumps(body).encode())
        return papers

    def _from_cache(self, path: Path) -> list[Paper] | None:
        try:
            body = json.loads(path.read_bytes())
            if not 0 <= self.clock() - float(body["at"]) < CACHE_SECONDS:
                return None
            return [Paper.from_json(paper) for paper in body["papers"]]
        except (OSError, ValueError, KeyError, TypeError, AttributeError, BadInput):
            return None  # absent or damaged: ask again

    def _ask(self, *, query: str = "", ids: list[str] | None = None, limit: int) -> list[Paper]:
        arxiv, requests = _package("arxiv"), _package("requests")
        client = arxiv.Client(page_size=limit, delay_seconds=self.delay, num_retries=self.retries)
        client.query_url_format = self.base + "/api/query?{}"
        client._session.get = self._polite(client._session.get)
        search = arxiv.Search(query=query, id_list=ids or [], max_results=limit)
        try:
            return [_paper(result) for result in client.results(search)]
        except _Late:
            raise self._late("arXiv's answer", "go on without the literature") from None
        except _NotAFeed as exc:
            raise EnvironmentMissing(
                f"arXiv's answer is damaged: {exc}", fix="Try again in a minute; behind a proxy, look at its answer"
            ) from None
        except arxiv.HTTPError as exc:
            if exc.status == 400:
                raise BadInput("arXiv does not understand that query or identifier (HTTP 400)") from None
            raise self._unreachable(f"HTTP {exc.status}") from None
        except arxiv.ArxivError as exc:
            raise EnvironmentMissing(f"arXiv's answer cannot be used: {one_line(exc.message)}") from None
        except requests.RequestException as exc:
            raise self._unreachable(type(exc).__name__) from None

    def _polite(self, get: Callable[..., Any]) -> Callable[..., Any]:
        def polite_get(url: str, **options: Any) -> Any:
            self._pause()
            answer = get(url, **{"timeout": self._limit(), **options})
            if answer.status_code == 200:
                _check_feed(answer.content)
            return answer

        return polite_get

    def _pause(self) -> None:
        """Wait for our turn: requests of all processes of this project are `delay` seconds apart."""
        with locked(self.state / "last-request", patience=600) as stamp:
            stamp.seek(0)
            text = stamp.read(64)
            try:
                last = float(text)
            except ValueError:
                last = 0.0  # the first request, or a damaged stamp
            # A stamp from the future (the clock was set back) must not hold us up for longer than one pause.
            wait = min(self.delay, last + self.delay - self.clock())
            if wait > 0:
                if time.monotonic() + wait > self.until:
                    raise _Late
                self.sleep(wait)
            stamp.seek(0)
            stamp.truncate()
            stamp.write(f"{self.clock():.3f}")
            stamp.flush()

    def _late(self, what: str, instead: str) -> AutoresearchError:
        return EnvironmentMissing(
            f"{what} is not here when --timeout is over", fix=f"Give it longer: --timeout 300; or {instead}"
        )

    def _unreachable(self, why: str) -> AutoresearchError:
        host = urllib.parse.urlsplit(self.base).hostname
        return EnvironmentMissing(
            f"arXiv could not be reached at {host}: {one_line(why, 120)}",
            fix="Check the network, or go on without the literature",
        )


def _package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise EnvironmentMissing(
            f"the Python package {name} is not installed",
            fix="Install it with: pip install arxiv, or: uv pip install 'autoresearch-skill[papers]'",
        ) from None


def _check_feed(content: bytes) -> None:
    """Refuse what is no whole Atom feed, and arXiv's error entries.

    The package reads a torn feed as a shorter one and skips an error entry as if nothing had been found.
    """
    from xml.parsers import expat

    path: list[str] = []
    texts: dict[str, str] = {}

    def started(name: str, _: object) -> None:
        if not path and name != f"{_ATOM} feed":
            raise _NotAFeed("it is not an Atom feed")
        path.append(name)
        if path[1:] == [f"{_ATOM} entry"]:
            texts.clear()

    def ended(_: str) -> None:
        path.pop()
        if len(path) == 1 and "/api/errors" in texts.get(f"{_ATOM} id", ""):
            raise BadInput(f"arXiv refuses that: {one_line(texts.get(f'{_ATOM} summary', ''), 120)}")

    def said(text: str) -> None:
        if len(path) == 3:
            texts[path[2]] = texts.get(path[2], "") + text

    def typed(*_: object) -> None:
        raise _NotAFeed("it declares a document type, which no feed of arXiv does")

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartDoctypeDeclHandler = typed  # entities could grow without bound
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = started, ended, said
    try:
        parser.Parse(content, True)
    except expat.ExpatError as exc:
        raise _NotAFeed(f"the feed breaks off or is malformed in line {exc.lineno}") from None


def _paper(result: Any) -> Paper:
    identifier = str(result.entry_id).split("/abs/")[-1]
    try:
        return Paper.of(
            id=identifier, title=str(result.title), authors=[str(author.name) for author in result.authors],
            published=result.published.date().isoformat(), updated=result.updated.date().isoformat(),
            summary=str(result.summary), category=str(result.primary_category),
        )  # fmt: skip
    except BadInput:
        raise _NotAFeed(f"it lists a paper under {one_line(identifier, 60)!r}, which is no identifier") from None
