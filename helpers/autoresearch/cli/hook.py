"""`autoresearch hook`: the guard behind Claude Code's, Codex's and Pi's hooks.

One event as JSON on stdin, at most one JSON answer on stdout, exit 0 always: a hook must never break its agent.
The protocol is Claude Code's; Codex speaks the same and refuses unknown keys, so an answer holds nothing extra.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from autoresearch.cli._guard import Guarded, Loop
    from autoresearch.project import Project

HookEvent = Mapping[str, Any]
HookAnswer = dict[str, Any]

_NOTE = 1900  # bytes
_HOW = "The skill autoresearch explains the loop; `autoresearch status --json` says the next legal command."


@click.command(
    epilog="Exit codes: 0 always. AUTORESEARCH_HOOKS=off turns it off, AUTORESEARCH_LOOP=off only the sending back."
)
def command() -> None:
    """Answer one hook event of an agent's client: JSON on stdin, JSON or nothing on stdout.

    Denies edits of the frozen evaluator and the ledger, gives the session's state to an agent that starts, sends one
    that stops early back to work, within bounds, and shortens long outputs. Silent where there is no session.

    \b
    Example:
      echo '{"hook_event_name":"SessionStart","cwd":"."}' | autoresearch hook
    """
    if _off("AUTORESEARCH_HOOKS"):
        return
    try:
        answer = _answer(sys.stdin.buffer.read())
        if answer is not None:
            sys.stdout.write(json.dumps(answer, separators=(",", ":")) + "\n")
    except Exception as exc:
        # Whatever went wrong, the agent's tool call or turn goes on; the client shows stderr to people.
        from autoresearch.safetext import one_line

        click.echo(f"autoresearch hook: {one_line(f'{type(exc).__name__}: {exc}', 300)}", err=True)


def _off(setting: str) -> bool:
    return os.environ.get(setting, "").lower() in ("off", "0", "false", "no")


def _answer(raw: bytes) -> HookAnswer | None:
    text = raw.decode(json.detect_encoding(raw), "replace").lstrip("\ufeff")
    try:
        event = json.loads(text, strict=False)  # a control character may stand in a command as it is
        if not isinstance(event, dict):
            raise ValueError("the event is not a JSON object")
        project = _project(event)
        handler = _HANDLERS.get(str(event.get("hook_event_name")))
        return handler(event, project) if handler is not None and project is not None else None
    except Exception:
        # Never open: what cannot be read may not name what is guarded.
        denied = _unread(text)
        if denied is None:
            raise
        return denied


def _unread(text: str) -> HookAnswer | None:
    """The refusal of a tool call that could not be read, where its text names a guarded file."""
    from autoresearch.cli._guard import refusal

    event = {"hook_event_name": "PreToolUse", "cwd": "."}
    project = _project(event) if "PreToolUse" in text else None
    if project is None or not _ledger_size(project):
        return None
    named = next((name for name in sorted(_guarded(project).files) if name.rpartition("/")[2] in text), None)
    reason = "" if named is None else f"{refusal(named)} (The call could not be read.)"
    return None if named is None else _specific(event, permissionDecision="deny", permissionDecisionReason=reason)


def _project(event: HookEvent) -> Project | None:
    """The project with a session, from the event's cwd or else the client's project directory upwards."""
    from autoresearch.project import Project, session_root

    starts = (event.get("cwd"), os.environ.get("CLAUDE_PROJECT_DIR"))
    found = (session_root(Path(s), ("autoresearch.yaml",)) for s in starts if isinstance(s, str) and s)
    return next((Project(root) for root in found if root is not None), None)


def _before_tool(event: HookEvent, project: Project) -> HookAnswer | None:
    from autoresearch.cli._guard import calls_us, refusal, written

    arguments = event.get("tool_input")
    tool = str(event.get("tool_name"))
    if not isinstance(arguments, dict):
        return None
    if tool == "Bash" and calls_us(arguments.get("command")):
        _engage(project, str(event.get("session_id") or ""))
    paths = written(tool, arguments)
    if not paths or not _ledger_size(project):
        return None
    guarded, root = _guarded(project), project.root
    cwd = os.path.realpath(str(event.get("cwd") or root))
    for path in paths:
        for name in _names(path, cwd, root):
            found = guarded.hit(name)
            if found is not None:
                return _specific(event, permissionDecision="deny", permissionDecisionReason=refusal(found))
    return None


def _names(path: str, cwd: str, root: Path) -> set[str]:
    """A path as names from the project's top, with links followed and as written; empty when it leads elsewhere."""
    path = path.replace("\0", "").encode("utf-8", "replace").decode()  # no file has such a name
    if "$" in path or "`" in path:  # only the shell knows; the file's own name has to do
        return {path.rsplit("/", 1)[-1]}
    full = os.path.normpath(os.path.join(cwd, os.path.expanduser(path)))  # noqa: PTH111, PTH118
    return {os.path.relpath(p, root) for p in (full, os.path.realpath(full)) if p != str(root)}


def _ledger_size(project: Project) -> int:
    """Bytes. The ledger opens with the baseline; before it the evaluator is still being written."""
    return project.ledger.stat().st_size if project.ledger.is_file() else 0


def _guarded(project: Project) -> Guarded:
    from autoresearch.cli._guard import Guarded
    from autoresearch.project import EVALUATOR_FILES

    # The newest pin has the names of all evaluator files; reading a long ledger for them would take too long.
    root, pin = project.root, project.pin
    pins = [p for p in pin.iterdir() if p.is_dir()] if pin.is_dir() else []
    newest = max(pins, key=lambda p: p.stat().st_mtime, default=pin)
    pinned = [p.relative_to(newest).as_posix() for p in newest.rglob("*") if p.is_file()]
    top = next((p for p in (root, *root.parents) if (p / ".git").exists()), root)
    prefix = "" if top == root else root.relative_to(top).as_posix() + "/"
    ledger = project.ledger.relative_to(root).as_posix()
    return Guarded(frozenset({*EVALUATOR_FILES, *pinned, ledger}), prefix=prefix)


def _start(event: HookEvent, project: Project) -> HookAnswer | None:
    from autoresearch.report.overview import overview
    from autoresearch.session.access import load

    agent = str(event.get("session_id") or "")
    # An agent whose context was compacted goes on with what it did.
    if agent and event.get("source") in (None, "startup", "clear"):
        _save(project, _read(project).began(agent))
    view = overview(load(project.root), os.environ.get("AUTORESEARCH_AGENT", ""))
    head = f"An autoresearch session is open in {project.root.name}/. If your task is to optimise, go on with it.\n"
    end = f"\nnext: {view.data['next']}\n{_HOW}"
    body = view.text.rsplit("\nnext: ", 1)[0].encode()[: _NOTE - len(head.encode()) - len(end.encode())]
    return _specific(event, additionalContext=head + body.decode(errors="ignore") + end)


def _stop(event: HookEvent, project: Project) -> HookAnswer | None:
    from autoresearch.cli._guard import send_back
    from autoresearch.report.overview import overview
    from autoresearch.session.access import load

    if _off("AUTORESEARCH_LOOP") or not _ledger_size(project):
        return None
    session = load(project.root)
    again = event.get("stop_hook_active") is True
    agent = str(event.get("session_id") or "")
    limit, size = session.config.stop.dry + 5, _ledger_size(project)
    back, after = send_back(_read(project), agent, session.last_run, size, again=again, limit=limit)
    if not back:
        return None
    view = overview(session, os.environ.get("AUTORESEARCH_AGENT", ""))
    if session.baseline is None or view.data.get("stop", {}).get("now"):
        return None
    _save(project, after)
    reason = (
        "autoresearch: no stop rule is reached, so the session goes on. "
        f"Next: {view.data['next']}. "
        "If the user told you to stop or asked for something else, stop again and say so."
    )
    return {"decision": "block", "reason": reason}


def _after_tool(event: HookEvent, _: Project) -> HookAnswer | None:
    from autoresearch.cli._guard import shorten

    if event.get("tool_name") != "Bash":
        return None
    response = event.get("tool_response")
    if isinstance(response, dict):
        # Claude Code: stdout and stderr apart, and an answer of the same shape in place of them.
        text = _whole(response)
        short = shorten(text) if text else None
        kept = {key: response[key] for key in ("stderr", "interrupted", "isImage") if key in response}
        return _specific(event, updatedToolOutput={"stdout": short, **kept}) if short else None
    # Codex: the reason stands in for the output.
    short = shorten(response) if isinstance(response, str) else None
    return {"decision": "block", "reason": short} if short else None


def _whole(response: HookEvent) -> str | None:
    """Claude Code's stdout; it cuts a very long one and names the file that holds all of it."""
    try:
        with Path(str(response["persistedOutputPath"])).open("rb") as kept:
            return kept.read(4_000_000).decode("utf-8", "replace")
    except (KeyError, OSError):
        stdout = response.get("stdout")
        return stdout if isinstance(stdout, str) else None


def _specific(event: HookEvent, **fields: Any) -> HookAnswer:
    return {"hookSpecificOutput": {"hookEventName": event["hook_event_name"], **fields}}


def _read(project: Project) -> Loop:
    from autoresearch.cli._guard import Loop

    try:
        return Loop.read(json.loads((project.state / "hook.json").read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError):
        return Loop()


def _save(project: Project, loop: Loop) -> None:
    from dataclasses import asdict

    from autoresearch.files import ensure_directory, write_atomic

    ensure_directory(project.state)
    write_atomic(project.state / "hook.json", json.dumps(asdict(loop)).encode())


def _engage(project: Project, agent: str) -> None:
    loop = _read(project)
    if agent in loop.waiting:
        _save(project, loop.engaged(agent))


_HANDLERS = {"PreToolUse": _before_tool, "SessionStart": _start, "Stop": _stop, "PostToolUse": _after_tool}
