"""Start-up of the light commands against `python -c "import click"`, interleaved in one run.

    python benchmarks/startup.py

Prints each command's minimum and median wall time and its ratio to the import of click (target: at most 3).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

HELPERS = str(Path(__file__).resolve().parents[1] / "helpers")
LIMIT = 3.0


def small_session(root: Path) -> None:
    """A project with a baseline and ten decided experiments, written as a ledger."""
    git = ["git", "-c", "user.name=b", "-c", "user.email=b@example.org"]
    subprocess.run([*git, "init", "-q", str(root)], check=True)
    (root / "a.py").write_text("x = 1\n")
    subprocess.run([*git, "-C", str(root), "add", "-A"], check=True)
    subprocess.run([*git, "-C", str(root), "commit", "-q", "-m", "start"], check=True)
    head = subprocess.run(
        ["git", "-C", str(root), "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    ).stdout.strip()
    subprocess.run(["git", "-C", str(root), "branch", "autoresearch/b", head], check=True)
    (root / "autoresearch.yaml").write_text("{name: b, objective: {metric: time_s}, scope: ['**']}\n")
    header = {"type": "config", "name": "b", "metricName": "time_s", "metricUnit": "s", "bestDirection": "lower"}
    lines: list[dict[str, object]] = [
        {**header, "base_commit": head, "branch": "autoresearch/b", "evaluator": {}, "settings": {}, "timestamp": 1}
    ]
    for run in range(1, 12):
        name = "baseline" if run == 1 else f"e{run}"
        if run > 1:
            lines.append({"type": "experiment", "experiment": name, "parent": head, "hypothesis": "h"})
        lines.append(
            {
                "run": run, "commit": head[:7], "metric": 1.0, "metrics": {},
                "status": "keep" if run == 1 else "discard",
                "description": "d" * 60, "timestamp": 1, "segment": 0, "confidence": None, "asi": {},
                "experiment": name, "kind": "baseline" if run == 1 else "experiment",
                "samples": [["A", 1.0], ["B", 1.0]] * 20, "verdict": {"effect_pct": 0.1, "runs_used": 40},
            }
        )  # fmt: skip
    (root / "autoresearch.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def hook_line() -> str:
    """The one command of all our hooks."""
    hooks = json.loads((Path(HELPERS).parent / "hooks" / "hooks.json").read_text(encoding="utf-8"))["hooks"]
    line: str = hooks["Stop"][0]["hooks"][0]["command"]
    return line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    python = [sys.executable]
    tool = [sys.executable, "-m", "autoresearch"]
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "session"
        small_session(root)
        out = root / "out.txt"
        out.write_text("METRIC time_s=0.5\n" * 5)
        commands = {
            "import click": [*python, "-c", "import click"],
            "--help": [*tool, "--help"],
            "parse": [*tool, "parse", str(out)],
            **{f"{name} --help": [*tool, name, "--help"] for name in ("parse", "decide", "new")},
            "status": [*tool, "status", "--json"],
            "hook": [*tool, "hook"],
            "hook, no session": [*tool, "hook"],
            # What a client runs where nothing of ours is: the line of hooks.json, which looks before it starts us.
            "hooks.json, no session": ["sh", "-c", hook_line()],
        }
        edit = {"hook_event_name": "PreToolUse", "tool_name": "Write", "tool_input": {"file_path": "a.py"}}
        places = {"hooks.json, no session": scratch}
        events = {"hook": edit | {"cwd": str(root)}, "hook, no session": edit | {"cwd": scratch}}
        times: dict[str, list[float]] = {name: [] for name in commands}
        env = {**os.environ, "PYTHONPATH": HELPERS}
        for number in range(rounds + 1):
            for name in random.sample(list(commands), len(commands)):
                begun = time.perf_counter()
                subprocess.run(
                    commands[name], cwd=places.get(name, root), env=env, check=True, stdout=subprocess.DEVNULL,
                    input=json.dumps(events.get(name)).encode(),
                )  # fmt: skip
                if number:  # the first round writes byte code
                    times[name].append(time.perf_counter() - begun)
    base = median(times["import click"])
    print(f"{'command':<24} {'min ms':>8} {'median ms':>10} {'ratio':>6}   (medians of {rounds}; target <= {LIMIT:g})")
    for name, values in times.items():
        print(f"{name:<24} {1e3 * min(values):8.1f} {1e3 * median(values):10.1f} {median(values) / base:6.2f}")


if __name__ == "__main__":
    main()
