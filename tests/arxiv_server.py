"""A loopback arXiv that answers with recorded feeds."""

from __future__ import annotations

import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

DATA = Path(__file__).parent / "data" / "arxiv"
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"


class FakeArxiv:
    """A loopback server with recorded feeds; `faults` are answers (status, body) given first, in order.

    `hang` holds up each answer, `trickle` each byte of one, by so many seconds.
    """

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.feeds = {
            "": (DATA / "search.atom").read_bytes(),
            "quant-ph/0201082": (DATA / "old_style.atom").read_bytes(),
            "2202.12139": (DATA / "search.atom").read_bytes(),
        }
        self.faults: list[tuple[int, bytes]] = []
        self.pdf = PDF
        self.claimed_length: int | None = None
        self.hang = self.trickle = 0.0
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                fake.requests.append(self.path)
                time.sleep(fake.hang)
                status, body = fake.answer(self.path)
                self.send_response(status)
                length = fake.claimed_length if self.path.startswith("/pdf/") else None
                self.send_header("Content-Length", str(length or len(body)))
                self.end_headers()
                for byte in body if fake.trickle else ():
                    self.wfile.write(bytes([byte]))
                    time.sleep(fake.trickle)
                self.wfile.write(b"" if fake.trickle else body)

            def log_message(self, *_: Any) -> None:
                """Silent."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def answer(self, path: str) -> tuple[int, bytes]:
        if self.faults:
            return self.faults.pop(0)
        parts = urlsplit(path)
        if parts.path.startswith("/pdf/"):
            return 200, self.pdf
        if parts.path != "/api/query":
            return 404, b"no such page"
        wanted = parse_qs(parts.query).get("id_list", [""])[0]
        return 200, self.feeds.get(re.sub(r"v\d+$", "", wanted), (DATA / "empty.atom").read_bytes())

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
