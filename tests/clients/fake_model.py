"""A scripted stand-in for a language-model endpoint, on 127.0.0.1 only.

It speaks just enough of three wire protocols for real coding-agent clients to run a whole tool loop against it:
Anthropic Messages (Claude Code), OpenAI Chat Completions (Pi) and OpenAI Responses (Codex).

A script is a list of turns, one per request of the client's main loop; a turn without `calls` ends the client's turn:

    {"expect": {"result": "<regex>", "not_result": "<regex>"}, "capture": {"NAME": "<regex>"},
     "text": "words the model says", "calls": [{"shell": "ls", "timeout_s": 60}, {"read": "a.py"},
      {"edit": "a.py", "old": "a whole line", "new": "another"}, {"skill": "autoresearch", "path": ".../SKILL.md"}]}

`expect` and `capture` look at the request that asks for the turn, by a field of `View` (regexes, dot matches newline);
`${{NAME}}` stands for what was captured. A turn with `repeat_while` is answered again while its result matches that
regex, as an agent repeats a command that says "not yet".
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from model_answers import RENDER
from model_calls import map_call
from model_view import View

Turn = dict[str, Any]
MOST_REPEATS = 20
NO_MORE = "The script has no further turn."


class FakeModel:
    """Serves `turns`; `log` gets every request with its answer, one JSON line each."""

    def __init__(self, turns: list[Turn], log: Path) -> None:
        self.turns, self.log = turns, log
        self.variables: dict[str, str] = {}
        self.failures: list[str] = []
        self.used = self.overrun = self.repeats = 0
        self._lock = threading.Lock()
        # A client that lost the answer sends the same bytes again, and must get the same answer.
        self._last: tuple[str, tuple[Turn, list[dict[str, Any]]]] | None = None
        handler = type("Handler", (_Handler,), {"fake": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> FakeModel:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def followed(self) -> bool:
        """Whether every turn was used and every expectation met."""
        return self.used == len(self.turns) and not self.overrun and not self.failures

    def answer(self, api: str, raw: bytes) -> tuple[str, str]:
        """Content type and payload for one request."""
        body = json.loads(raw)
        view = View(api, body)
        digest = hashlib.sha256(raw).hexdigest()
        with self._lock:
            # Clients also ask for titles, quota probes and summaries: without tools, or forbidding their use.
            side = not view.tools or "Do NOT call any tools" in view.last
            if side:
                turn, calls = {"text": "ok"}, []
            elif self._last is not None and self._last[0] == digest:
                turn, calls = self._last[1]
            else:
                turn, calls = self._next(view)
                self._last = (digest, (turn, calls))
            text = turn.get("text", "")
            with self.log.open("a", encoding="utf-8") as out:
                said = {"text": text, "calls": calls}
                out.write(json.dumps({"api": api, "main": not side, "body": body, "answer": said}) + "\n")
        return RENDER[api](view, text, calls, digest[:12])

    def _next(self, view: View) -> tuple[Turn, list[dict[str, Any]]]:
        last = self.turns[self.used - 1] if self.used else {}
        again = last.get("repeat_while")
        # Codex gives a command 30 seconds and then goes on without it; on a busy machine that may happen.
        unfinished = f"{again}|Process running with session ID"
        if again and self.repeats < MOST_REPEATS and re.search(unfinished, view.result, re.DOTALL):
            self.repeats += 1
            return self._answer(last, view, self.used - 1)
        self.repeats = 0
        if self.used >= len(self.turns):
            self.overrun += 1
            return {"text": NO_MORE}, []
        index, turn = self.used, self.turns[self.used]
        self.used += 1
        self._check(turn, view, index)
        return self._answer(turn, view, index)

    def _answer(self, turn: Turn, view: View, index: int) -> tuple[Turn, list[dict[str, Any]]]:
        turn = self._fill(turn)
        try:
            return turn, [map_call(call, view.tools) for call in turn.get("calls", [])]
        except (LookupError, ValueError) as exc:
            self.failures.append(f"turn {index}: {exc}")
            return {"text": f"fake model: {exc}"}, []

    def _check(self, turn: Turn, view: View, index: int) -> None:
        for where, patterns in (turn.get("expect") or {}).items():
            negate = where.startswith("not_")
            hay = getattr(view, where.removeprefix("not_"))
            hay = hay if isinstance(hay, str) else json.dumps(hay)
            for pattern in [patterns] if isinstance(patterns, str) else patterns:
                if bool(re.search(pattern, hay, re.DOTALL)) == negate:
                    does = "matches" if negate else "does not match"
                    self.failures.append(f"turn {index}: {where} {does} /{pattern}/ (saw ...{hay[-800:]})")
        for name, pattern in (turn.get("capture") or {}).items():
            found = re.search(pattern, view.result, re.DOTALL)
            if found:
                self.variables[name] = found[1]
            else:
                self.failures.append(f"turn {index}: /{pattern}/ for {name} is not in the tools' results")

    def _fill(self, value: Any) -> Any:
        if isinstance(value, str):
            return re.sub(r"\$\{\{(\w+)\}\}", lambda m: self.variables.get(m[1], m[0]), value)
        if isinstance(value, list):
            return [self._fill(item) for item in value]
        if isinstance(value, dict):
            return {key: self._fill(item) for key, item in value.items()}
        return value


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fake: FakeModel

    def log_message(self, *args: object) -> None:
        """Requests are in the log file."""

    def _send(self, kind: str, payload: str, status: int = 200) -> None:
        data = payload.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def do_HEAD(self) -> None:
        self._send("text/plain", "")

    def do_GET(self) -> None:
        model = {"id": "fake-model", "object": "model", "type": "model", "display_name": "fake-model",
                 "created": 0, "created_at": "2026-01-01T00:00:00Z", "owned_by": "fake"}  # fmt: skip
        listing = {"object": "list", "has_more": False, "models": [], "data": [model]}
        is_list = self.path.split("?")[0].rstrip("/").endswith("/models")
        self._send("application/json", json.dumps(listing if is_list else {"status": "ok"}))

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.split("?")[0].rstrip("/")
        apis = {"/messages": "messages", "/chat/completions": "chat", "/responses": "responses"}
        try:
            if path.endswith("/count_tokens"):
                self._send("application/json", json.dumps({"input_tokens": len(raw) // 4}))
                return
            api = next((name for end, name in apis.items() if path.endswith(end)), None)
            kind, payload = self.fake.answer(api, raw) if api else ("application/json", "{}")
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            self.fake.failures.append(f"server: {path}: {exc!r}")
            error = {"type": "error", "error": {"type": "api_error", "message": repr(exc)}}
            self._send("application/json", json.dumps(error), 400)
            return
        try:
            self._send(kind, payload)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client has gone
