"""Our end of the bridge: finds SkyPilot's interpreter, starts `bridge.py` in it, asks, and names what is wrong."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import math
import os
import queue
import re
import shlex
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, TypedDict

from autoresearch.engines.skypilot import bridge as bridge_module
from autoresearch.errors import EnvironmentMissing
from autoresearch.safetext import one_line

PYTHON = "AUTORESEARCH_SKY_PYTHON"
RANGE = f">={'.'.join(map(str, bridge_module.OLDEST))},<{'.'.join(map(str, bridge_module.TOO_NEW))}"
# setup.sh installs plain skypilot, which can enable no cloud at all.
INSTALL = (
    f'Install it with the extra of your cloud, such as: uv tool install "skypilot[slurm]{RANGE}" (aws, gcp, kubernetes '
    "...), then run: sky check"
)
_BRIDGE = Path(bridge_module.__file__)
SERVER_PAUSE = 5.0  # seconds before the API server is asked the same again

# What to do about a failure that is the environment's, by the bridge's word for it.
FIXES: dict[bridge_module.ErrorKind, str] = {
    "missing": INSTALL,
    "version": INSTALL,
    "no_cloud": "Run: sky check. It says what each cloud needs; skypilot needs the extra of your cloud, such as "
    f'"skypilot[aws]{RANGE}"',
    "server": "Look at: sky api info; restart it with: sky api stop && sky api start. A killed one may have left "
    "Python processes (multiprocessing.spawn) that hold its ports: end those too",
    "auth": "Log in to the SkyPilot API server: sky api login",
}


class ServerTrouble(EnvironmentMissing):
    """The API server fails; it may be there again in a moment."""


class Unanswered(EnvironmentMissing):
    """SkyPilot has not answered when the time of a bridge was over."""


class BridgeAnswer(TypedDict, total=False):
    """To question `id`. One has `ok`, with `result`, or `kind` and `error`; `request` comes before; `dead`: no more."""

    id: int
    ok: bool
    result: Any
    kind: bridge_module.ErrorKind
    error: str
    request: str
    dead: str


def environment_problem(kind: bridge_module.ErrorKind, error: str) -> EnvironmentMissing | None:
    """The error for a failure that no other VM and no second try can mend; None for all others."""
    if kind not in FIXES:
        return None
    error_type = ServerTrouble if kind == "server" else EnvironmentMissing
    return error_type(f"SkyPilot: {one_line(error, 300)}", fix=FIXES[kind])


def find_interpreter() -> str:
    """The Python that SkyPilot runs by: AUTORESEARCH_SKY_PYTHON, else that of the `sky` command, else our own."""
    given = os.environ.get(PYTHON)
    if given:
        if shutil.which(given) is None:
            raise EnvironmentMissing(f"{PYTHON} names {given}, which cannot be run", fix="Mend or unset it")
        return given
    command = shutil.which("sky")
    if command is not None:
        found = interpreter_of(Path(command).resolve())
        if found is not None:
            return found
    if importlib.util.find_spec("sky") is not None:
        return sys.executable
    raise EnvironmentMissing("SkyPilot is not installed", fix=INSTALL)


def interpreter_of(script: Path) -> str | None:
    """The interpreter in a script's first line; also behind `env`, and in pip's form for long paths (`exec` by sh)."""
    try:
        with script.open("rb") as file:
            head = [file.readline(4096).decode("utf-8", "replace").strip() for _ in range(2)]
    except OSError:
        return None
    if not head[0].startswith("#!"):
        return None
    words = shlex.split(head[0][2:])
    if words and Path(words[0]).name == "sh":
        long = re.match(r"'''exec' (\"[^\"]+\"|\S+)", head[1])
        words = shlex.split(long.group(1)) if long else []
    elif words and Path(words[0]).name == "env":
        words = [w for w in words[1:] if not w.startswith("-")]
    return shutil.which(words[0]) if words else None


def check_version(python: str) -> str:
    """SkyPilot's version as its package says (no import: 50 ms); `EnvironmentMissing` when we cannot speak with it."""
    code = "import importlib.metadata as m; print(m.version('skypilot'))"
    done = subprocess.run(
        [python, "-c", code], capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    version = done.stdout.strip()
    if done.returncode != 0 or not version:
        raise EnvironmentMissing(f"{python} has no SkyPilot", fix=INSTALL)
    number = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if not bridge_module.OLDEST <= number < bridge_module.TOO_NEW:
        age = "old" if number < bridge_module.OLDEST else "new"
        raise EnvironmentMissing(f"SkyPilot {one_line(version, 40)} is too {age}: {RANGE} is needed", fix=INSTALL)
    return version


class Bridge:
    """A running bridge. `send` asks and returns a number, `take` hands out the answers as they come.

    `until` (a time of the monotonic clock) ends all waiting for answers, with `Unanswered`.
    """

    def __init__(self, python: str, log: Path, until: float = math.inf) -> None:
        env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        env["PYTHONUNBUFFERED"] = "1"
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                [python, str(_BRIDGE)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                cwd=log.parent, env=env, text=True, encoding="utf-8",
            )  # fmt: skip
        self.until = until
        self._log = log
        self._number = 0
        self._answers: queue.Queue[BridgeAnswer] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def send(self, op: str, **arguments: Any) -> int:
        """Ask; the answers carry the number that is returned. A dead bridge answers {"dead": ...} to everyone."""
        self._number += 1
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # the reader thread tells
            self._process.stdin.write(json.dumps({"id": self._number, "op": op, **arguments}) + "\n")
            self._process.stdin.flush()
        return self._number

    def take(self, patience: float) -> list[BridgeAnswer]:
        """The answers that are there; waits at most `patience` seconds for the first."""
        try:
            found = [self._answers.get(timeout=patience)]
        except queue.Empty:
            return []
        while not self._answers.empty():
            found.append(self._answers.get())
        return found

    def call(self, op: str, timeout: float = 120.0, patience: float = 0.0, **arguments: Any) -> Any:
        """Ask and wait. `EnvironmentMissing` for what no retry mends, else `BridgeError`.

        An API server that fails is asked again for `patience` seconds: one that is busy may look like one that is gone.
        """
        until = min(self.until, time.monotonic() + patience)
        while True:
            try:
                return self._call(op, timeout, arguments)
            except ServerTrouble:
                if time.monotonic() > until:
                    raise
                time.sleep(SERVER_PAUSE)

    def _call(self, op: str, timeout: float, arguments: dict[str, Any]) -> Any:
        number = self.send(op, **arguments)
        timeout = min(timeout, max(1.0, self.until - time.monotonic()))
        while True:
            try:
                answer = self._answers.get(timeout=timeout)
            except queue.Empty:
                error_type = Unanswered if time.monotonic() >= self.until else EnvironmentMissing
                text = f"SkyPilot has not answered {op} in {timeout:.0f} s"
                raise error_type(text, fix=FIXES["server"]) from None
            if "dead" in answer:
                raise EnvironmentMissing(answer["dead"], fix=f"See {self._log}")
            if answer.get("id") != number or "ok" not in answer:
                continue
            if answer["ok"]:
                return answer["result"]
            problem = environment_problem(answer["kind"], answer["error"])
            raise problem or BridgeError(answer["kind"], answer["error"])

    def close(self) -> None:
        """End it: it ends by itself when nobody can ask any more. What it has asked of the API server goes on there."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(10.0 if math.isinf(self.until) else 1.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                answer: BridgeAnswer = json.loads(line)
            except ValueError:
                continue  # not ours: a library that writes past the bridge's guard
            if isinstance(answer, dict):
                self._answers.put(answer)
        self._answers.put({"dead": f"the SkyPilot bridge has ended (exit {self._process.wait()})"})


class BridgeError(Exception):
    """An op failed; `kind` is the bridge's word."""

    def __init__(self, kind: bridge_module.ErrorKind, error: str) -> None:
        super().__init__(error)
        self.kind = kind
