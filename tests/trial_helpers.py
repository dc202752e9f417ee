"""Trees, specs and process look-ups shared by the tests of the trial and the engines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

HELPERS = Path(__file__).resolve().parents[1] / "helpers"

# Draws its noise from the layout seed that the trial hands out: real runs, the same numbers every time.
NOISY = """python3 -S - <<'PY'
import os, random
rng = random.Random(int(os.environ["AUTORESEARCH_LAYOUT_SEED"]))
print("METRIC time_s=%.6f" % ({value} * rng.gauss(1, 0.01)))
PY
"""


def noisy(value: float) -> str:
    """A benchmark of about so many seconds, 1 % noisy; the noise is the layout seed's."""
    return NOISY.replace("{value}", str(value))


def spec(mode: str = "ab", **changes: Any) -> dict[str, Any]:
    """A complete spec; `changes` replace top-level keys."""
    base: dict[str, Any] = {
        "protocol": 1,
        "experiment": "e1",
        "mode": mode,
        "metric": {"name": "time_s", "direction": "lower", "min_effect_pct": 1.0, "values_per_run": 1},
        "build": "",
        "benchmark": "bash autoresearch.sh",
        "checks": None,
        "deps": None,
        "timeouts": {"setup": 20, "build": 20, "benchmark": 20, "checks": 20},
        "runs": 1,
        "test": {"alpha": 0.02, "preset": "default", "max_runs": None, "seed": 11},
        "layout": "auto",
    }
    return {**base, **changes}


def make_tree(where: Path, benchmark: str, **files: str) -> Path:
    """A directory with an autoresearch.sh; other files by keyword, with __ for a dot."""
    where.mkdir(parents=True, exist_ok=True)
    (where / "autoresearch.sh").write_text(benchmark)
    for name, text in files.items():
        (where / name.replace("__", ".")).write_text(text)
    return where


class Ran:
    """What a trial printed."""

    def __init__(self, code: int, text: str) -> None:
        self.code = code
        self.lines = text.splitlines()
        self.records: list[dict[str, Any]] = [
            json.loads(line[len("AR_RECORD ") :]) for line in self.lines if line.startswith("AR_RECORD ")
        ]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [record for record in self.records if record["type"] == kind]

    @property
    def counted(self) -> list[dict[str, Any]]:
        return [record for record in self.of("sample") if not record["warmup"]]

    @property
    def end(self) -> dict[str, Any]:
        (end,) = self.of("end")
        return end


def run_trial(
    where: Path, the_spec: dict[str, Any], base: Path | None, candidate: Path | None, env: dict[str, str] | None = None
) -> Ran:
    """Run a trial as the worker does, without site-packages.

    Uncontained where trees report to $PROBE, which stands beside the stage (tests/test_contain.py has the rest).
    """
    if "PROBE" in the_spec.get("env", {}):
        the_spec = {"contain": {"mode": "off"}, **the_spec}
    where.mkdir(parents=True, exist_ok=True)
    (where / "trial.json").write_text(json.dumps(the_spec))
    for name, tree in (("a.tar", base), ("b.tar", candidate)):
        if tree is not None:
            with tarfile.open(where / name, "w") as tar:
                tar.add(tree, ".")
    done = subprocess.run(
        [sys.executable, "-S", "-m", "autoresearch.trial", "trial.json"],
        cwd=where,
        env={**os.environ, "PYTHONPATH": str(HELPERS), **(env or {})},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert not done.stderr, done.stderr
    return Ran(done.returncode, done.stdout)


def alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")


def processes_with(text: str) -> list[int]:
    """Live processes whose command line holds `text`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if text.encode() in line and alive(int(entry.name)):
                found.append(int(entry.name))
    return found


def eventually(condition: Any, seconds: float = 20.0) -> bool:
    """Whether `condition()` becomes true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
