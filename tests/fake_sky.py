#!/usr/bin/env python3
"""Stands in for the Python that SkyPilot runs by: `-c` tells a version, anything else is our bridge with a small cloud.

The cloud is the directory $FAKE_SKY: a cluster is a directory below it, a job a real process that outlives us, as with
the real thing. Output comes with SkyPilot's colours and prefixes, copied from real logs. `knobs.json` makes trouble:
{"fail": {OP: {"kind": ..., "error": ..., "times": n}}, "slow": {OP: seconds}, "cut": n, "version": ...}.
Every op is written to `ops.jsonl`.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Any

CLOUD = Path(os.environ.get("FAKE_SKY", "."))
ENDED = ("SUCCEEDED", "FAILED", "CANCELLED")
LOCK = threading.Lock()


class Trouble(Exception):
    def __init__(self, kind: str, error: str) -> None:
        super().__init__(error)
        self.kind = kind


def knobs() -> dict[str, Any]:
    path = CLOUD / "knobs.json"
    return json.loads(path.read_text()) if path.exists() else {}


def spend(*where: str) -> dict[str, Any] | int | None:
    """Use one of a knob's `times`; None when it is used up."""
    with LOCK:
        have = knobs()
        knob: Any = have
        for key in where:
            knob = knob.get(key) if isinstance(knob, dict) else None
        if isinstance(knob, dict) and knob.get("times", 1) > 0:
            knob["times"] = knob.get("times", 1) - 1
        elif isinstance(knob, int) and knob > 0:
            have[where[0]] = knob - 1
        else:
            return None
        write(CLOUD / "knobs.json", have)
        return knob


def write(path: Path, data: Any) -> None:
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    part.write_text(json.dumps(data))
    part.replace(path)


def cluster(name: str) -> Path:
    path = CLOUD / "clusters" / name
    if not (path / "cluster.json").exists():
        raise Trouble("gone", f"ClusterDoesNotExist: Cluster '{name}' does not exist.")
    return path


def jobs(name: str) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(cluster(name).glob("jobs/*/job.json"))]


def launch(say: Any, cluster: str, task: dict[str, Any]) -> dict[str, Any]:
    path = CLOUD / "clusters" / cluster
    (path / "home").mkdir(parents=True, exist_ok=True)
    (path / "workdir").mkdir(exist_ok=True)
    say({"request": f"launch-{cluster}"})
    time.sleep(float(knobs().get("launch_seconds", 0.1)))
    autostop = task["resources"]["autostop"]
    facts = {"hash": uuid.uuid4().hex, "launched": time.time(), "autostop": autostop}
    write(path / "cluster.json", facts)
    with (CLOUD / "ever.jsonl").open("a") as file:
        file.write(json.dumps({"cluster": cluster, **facts}) + "\n")
    return {"job": None}


def exec_(say: Any, cluster: str, task: dict[str, Any]) -> dict[str, Any]:
    path = globals()["cluster"](cluster)
    # As the real one: into the one directory, nothing deleted.
    shutil.copytree(task["workdir"], path / "workdir", dirs_exist_ok=True)
    with LOCK:
        number = len(list(path.glob("jobs/*"))) + 1
        job = path / "jobs" / f"{number:04}"
        job.mkdir(parents=True)
    write(job / "job.json", {"job": number, "name": task["name"], "status": "RUNNING", "ended": False})
    (job / "run.sh").write_text(task["run"])
    env = {"PATH": os.environ["PATH"], "HOME": str(path / "home"), **task.get("envs", {}), **task.get("secrets", {})}
    subprocess.Popen(
        [sys.executable, __file__, "--run", str(job), str(path / "workdir")], env=env, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    say({"request": f"exec-{cluster}-{number}"})
    if spend("vanish"):
        os._exit(1)  # the bridge dies just when the job is on its VM
    return {"job": number}


def run_job(job: Path, workdir: str) -> None:
    (job / "pid").write_text(str(os.getpid()))
    with (job / "run.log").open("wb") as log:
        code = subprocess.call(["bash", str(job / "run.sh")], cwd=workdir, stdout=log, stderr=log, stdin=-3)
    if (job / "job.json").exists():
        end(job, "SUCCEEDED" if code == 0 else "FAILED")


def end(job: Path, status: str) -> None:
    data = json.loads((job / "job.json").read_text())
    if not data["ended"]:
        write(job / "job.json", {**data, "status": status, "ended": True})


def result(say: Any, request: str) -> dict[str, Any]:
    kind, _, rest = request.partition("-")
    if kind == "launch":
        cluster(rest)
        return {"job": None}
    return {"job": int(rest.rpartition("-")[2])}


def follow(say: Any, cluster: str, job: int, to: str, wait: bool = True) -> dict[str, Any]:
    while True:
        found = [j for j in jobs(cluster) if j["job"] == job]
        if not found:
            return {"code": 102}
        path = globals()["cluster"](cluster) / "jobs" / f"{job:04}"
        log = path / "run.log"
        text = log.read_text(errors="replace") if log.exists() else ""
        head = "\x1b[2m└── \x1b[0mJob started. Streaming logs... \x1b[2m(Ctrl-C to exit log streaming)\x1b[0m\n"
        lines = [f"\x1b[36m({found[0]['name']}, pid=2378)\x1b[0m {line}\n" for line in text.splitlines()]
        if found[0]["ended"]:
            break
        Path(to).write_text(head + "".join(lines))
        if not wait:
            return {"code": 101}
        time.sleep(0.05)
    if spend("cut"):
        lines = lines[: len(lines) // 2]
    tail = f"\x1b[32m✓ Job finished (status: {found[0]['status']}).\x1b[0m\n"
    Path(to).write_text(head + "".join(lines) + tail)
    return {"code": {"SUCCEEDED": 0, "FAILED": 100, "CANCELLED": 103}[found[0]["status"]]}


def status(say: Any, clusters: list[str] | None = None, refresh: bool = False) -> list[dict[str, Any]]:
    found = []
    for path in sorted((CLOUD / "clusters").glob("*/cluster.json")):
        if clusters is None or path.parent.name in clusters:
            data = json.loads(path.read_text())
            found.append(
                {
                    "cluster": path.parent.name, "status": "UP", "hash": data["hash"], "launched": data["launched"],
                    "price": 0.2, "resources": "1x(cpus=4, mem=8, ...)", "infra": "Slurm/lab",
                    "autostop": data["autostop"]["idle_minutes"], "down": data["autostop"]["down"],
                }
            )  # fmt: skip
    return found


def known() -> list[dict[str, Any]]:
    """Every cluster that there ever was."""
    path = CLOUD / "ever.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def kill(job: Path) -> None:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError, ValueError):
        os.killpg(int((job / "pid").read_text()), signal.SIGKILL)


def cancel(say: Any, cluster: str, job: int) -> None:
    path = globals()["cluster"](cluster) / "jobs" / f"{job:04}"
    kill(path)
    end(path, "CANCELLED")


def lose(name: str) -> None:
    """The VM is gone, with all that ran on it."""
    path = CLOUD / "clusters" / name
    (path / "cluster.json").unlink(missing_ok=True)
    for job in path.glob("jobs/*"):
        kill(job)
    shutil.rmtree(path, ignore_errors=True)


def down(say: Any, cluster: str) -> None:
    globals()["cluster"](cluster)
    lose(cluster)


OPS: dict[str, Any] = {
    "hello": lambda say: {"version": "0.14.1", "python": "fake"},
    "check": lambda say, full=False: {"clouds": knobs().get("clouds", ["slurm"]), "server": "ok", "server_version": ""},
    "launch": launch, "exec": exec_, "result": result, "requests": lambda say, cluster: [],
    "queue": lambda say, cluster: jobs(cluster), "follow": follow, "status": status, "cancel": cancel, "down": down,
    "cost_report": lambda say, days=30: [
        {"cluster": c["cluster"], "hash": c["hash"], "seconds": 9.0, "cost": 1.5} for c in known()
    ],
}  # fmt: skip


def serve(request: dict[str, Any], out: Any) -> None:
    number, op = request.pop("id"), request.pop("op")

    def say(answer: dict[str, Any]) -> None:
        with LOCK:
            out.write(json.dumps({"id": number, **answer}) + "\n")
            out.flush()

    with (CLOUD / "ops.jsonl").open("a") as log:
        task = request.get("task") or {}
        facts = {"cluster": request.get("cluster"), "name": task.get("name"), "pid": os.getpid()}
        log.write(json.dumps({"op": op, "time": time.time(), **facts}) + "\n")
    try:
        fault = spend("fail", op)
        if isinstance(fault, dict):
            raise Trouble(fault["kind"], fault["error"])
        time.sleep(float(knobs().get("slow", {}).get(op, 0)))
        say({"ok": True, "result": OPS[op](say, **request)})
    except Trouble as exc:
        say({"ok": False, "kind": exc.kind, "error": str(exc)})
    except FileNotFoundError as exc:
        say({"ok": False, "kind": "gone", "error": str(exc)})


def main() -> None:
    if sys.argv[1] == "-c":
        sys.stdout.write(str(knobs().get("version", "0.14.1")) + "\n")
    elif sys.argv[1] == "--run":
        run_job(Path(sys.argv[2]), sys.argv[3])
    else:
        for line in sys.stdin:
            threading.Thread(target=serve, args=(json.loads(line), sys.stdout), daemon=True).start()
        os._exit(0)


if __name__ == "__main__":
    main()
