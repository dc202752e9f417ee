"""The user's own scripts before and after each experiment, by pi-autoresearch's contract.

`autoresearch.hooks/before.sh` and `after.sh` (in a session of pi-autoresearch `.auto/hooks/`): executable, run with
bash in the project's directory, one JSON object on stdin, 30 seconds, the first 8 KB of stdout for the agent. They run
on this machine, outside of every measurement. What they print is data: cleaned and cut. One that fails is reported and
changes nothing. A slow one goes on by itself, so that no agent's shell times out on it; what it said is told by the
next command. By that contract users and the ledger call them hooks: each call is a line of type `hook`. They are no
hooks of an agent's client: those are hooks/hooks.json, the command `autoresearch hook` and its guard.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, Literal

from autoresearch.budget.rules import best_value
from autoresearch.errors import AutoresearchError
from autoresearch.files import ensure_directory, write_atomic
from autoresearch.ledger.history import Session
from autoresearch.ledger.lines import Record, RunLine
from autoresearch.ledger.store import append
from autoresearch.project import AUTO, Project
from autoresearch.safetext import clean, one_line

Stage = Literal["before", "after"]

LIMIT = 30.0
PATIENCE = 10.0  # a command's own share of an agent's 25 seconds
STDOUT = 8 * 1024
SHOWN = 500  # bytes of JSON
_PLACES = (f"{AUTO}/hooks", "autoresearch.hooks")
_CUT = "\n…[truncated: hook stdout exceeded 8KB]"


def script_of(project: Project, stage: Stage) -> Path | None:
    """The script of a stage, where there is one with its executable bit set; without it a script is switched off."""
    for place in _PLACES:
        path = project.root / place / f"{stage}.sh"
        if path.is_file() and os.access(path, os.X_OK):
            return path
    return None


def switched_off(project: Project) -> list[Path]:
    """Scripts without their executable bit: by the contract silently ignored, so `doctor` names them."""
    places = (project.root / place / f"{stage}.sh" for place in _PLACES for stage in ("before", "after"))
    return [path for path in places if path.is_file() and not os.access(path, os.X_OK)]


def event_of(session: Session, stage: Stage, entry: RunLine | None = None) -> Record:
    """What the script reads: pi-autoresearch's fields. `entry` is the run line that `after` is told of."""
    objective = session.config.objective
    told = {
        "metric_name": objective.metric, "metric_unit": objective.unit, "direction": objective.direction,
        "baseline_metric": session.baseline.metric if session.baseline else None, "best_metric": best_value(session),
        "run_count": session.last_run, "goal": session.config.goal or session.config.name,
    }  # fmt: skip
    event: Record = {"event": stage, "cwd": str(session.project.root)}
    if stage == "after":
        return event | {"run_entry": entry.raw if entry else None, "session": told}
    runs = [r for r in (session.baseline, *(e.result for e in session.experiments.values())) if r is not None]
    last = max(runs, key=lambda line: line.run, default=None)
    return event | {
        "next_run": session.last_run + 1, "last_run": last.raw if last else None, "session": told,
    }  # fmt: skip


def run_script(project: Project, event: Record, patience: float = PATIENCE) -> str:
    """Run the script of this stage, if there is one; what the agent is told: of it, and of slow ones before."""
    script = script_of(project, event["event"])
    if script is None:
        return collect(project)
    waiting, name = "", f"{time.time_ns()}-{secrets.token_hex(3)}"
    try:
        ensure_directory(_place(project))
        (_place(project) / f"{name}.call").write_text(json.dumps(event), encoding="utf-8")
        command = [sys.executable, "-m", "autoresearch.session.scripts", str(project.root), str(script), name]
        runner = subprocess.Popen(
            command, cwd=project.root, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        runner.wait(patience)
    except subprocess.TimeoutExpired:
        waiting = f"[{event['event']} hook is still running; its words follow]"
    except (OSError, AutoresearchError) as exc:
        return f"[{event['event']} hook could not be run: {one_line(str(exc), 200)}]"
    return "\n".join(filter(None, [collect(project), waiting]))


def collect(project: Project) -> str:
    """What scripts have said since the last call, oldest first, cut to what an answer can carry."""
    place = _place(project)
    if not place.is_dir():
        return ""
    said = []
    for path in sorted(place.glob("*.said")):
        try:
            taken = path.rename(path.with_suffix(".taken"))  # of two commands only one tells it
            said.append(taken.read_text(encoding="utf-8"))
            taken.unlink()
        except FileNotFoundError:
            continue
    text = "\n".join(filter(None, said))
    if len(json.dumps(text)) <= SHOWN:
        return text
    whole = place / "last.txt"
    write_atomic(whole, text.encode())
    short = text[:SHOWN]
    while len(json.dumps(short)) > SHOWN:
        short = short[: len(short) * 9 // 10]
    return f"{short}… (all of it: {whole.relative_to(project.root)})"


def _place(project: Project) -> Path:
    return project.state / "hooks"


def message(stage: str, code: int | None, stdout: str, stderr: str, *, timed_out: bool) -> str:
    """What the agent reads of a script; empty for one that succeeds in silence."""
    if timed_out:
        return f"[{stage} hook timed out after {LIMIT:.0f}s]"
    if code != 0:
        return "\n".join(filter(None, [f"[{stage} hook exited {code}]", stderr.strip(), stdout.strip()]))
    return stdout.strip()


def to_its_end(root: Path, script: Path, event: bytes, limit: float = LIMIT) -> tuple[int | None, str, str, bool]:
    """Run a script: exit code (None when killed), first 8 KB of stdout, stderr, whether it overran."""
    done = subprocess.Popen(
        ["bash", str(script)], cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    assert done.stdin is not None
    assert done.stdout is not None
    assert done.stderr is not None
    out, err = _Drain(done.stdout), _Drain(done.stderr)
    threading.Thread(target=_feed, args=(done.stdin, event), daemon=True).start()
    timed_out = False
    try:
        done.wait(limit)
    except subprocess.TimeoutExpired:
        timed_out = True
        os.killpg(done.pid, signal.SIGKILL)
        done.wait()
    # What a script leaves in the background may hold the pipes open: it is not waited for.
    return None if timed_out else done.returncode, out.text(), err.text(), timed_out


def _feed(stdin: IO[bytes], event: bytes) -> None:
    try:
        stdin.write(event + b"\n")
        stdin.close()
    except BrokenPipeError:
        return  # a script need not read what it is told


class _Drain:
    """Reads a pipe to its end, so that its writer never blocks, and keeps the first 8 KB."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self.kept, self.more = b"", False
        self.thread = threading.Thread(target=self._read, args=(pipe,), daemon=True)
        self.thread.start()

    def _read(self, pipe: IO[bytes]) -> None:
        while data := os.read(pipe.fileno(), 1 << 16):
            room = STDOUT - len(self.kept)
            self.more = self.more or len(data) > room
            self.kept += data[:room]

    def text(self) -> str:
        self.thread.join(1.0)
        kept, more = self.kept, self.more
        if more and b"\n" in kept:
            kept = kept[: kept.rindex(b"\n") + 1]
        return clean(kept.decode("utf-8", "replace" if not more else "ignore")) + (_CUT if more else "")


def _runner(root: Path, script: Path, name: str) -> None:
    """In a process of its own: run the script, write down what it said, log it."""
    project = Project(root)
    call = _place(project) / f"{name}.call"
    event = call.read_bytes()
    stage = str(json.loads(event)["event"])
    begun = time.monotonic()
    code, stdout, stderr, timed_out = to_its_end(root, script, event)
    text = message(stage, code, stdout, stderr, timed_out=timed_out)
    write_atomic(call.with_suffix(".said"), text.encode("utf-8", "replace"))
    call.unlink()
    if project.ledger.exists():
        append(
            project.ledger,
            {"type": "hook", "stage": stage, "exit_code": code, "duration_ms": round(1e3 * (time.monotonic() - begun)),
             "stdout_bytes": len(stdout.encode()), "timed_out": timed_out},
        )  # fmt: skip


if __name__ == "__main__":
    _runner(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
