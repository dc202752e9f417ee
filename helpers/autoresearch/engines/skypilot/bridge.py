"""All that we know about SkyPilot: a script run by SkyPilot's own interpreter, JSON lines on stdin and stdout.

One process for a whole dispatch, so the import (2 s) is paid once. Needs the standard library and SkyPilot
(>= 0.14, < 0.16) only. A request is `{"id": 1, "op": "exec", ...}`; each runs in a thread of its own and is answered
once by `{"id": 1, "ok": true, "result": ...}` or `{"id": 1, "ok": false, "kind": ..., "error": ...}`; a submission
says `{"id": 1, "request": "<id>"}` before, as soon as SkyPilot's server has it. What the ops take and give is said at
each function; `ERRORS` translates SkyPilot's exceptions into the words of our own.

SkyPilot starts a local API server by itself when none runs and none is configured; it stays when we end.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

OLDEST, TOO_NEW = (0, 14), (0, 16)

# The parameters that we pass, by function: checked at every start, as SkyPilot promises no stable interface.
SIGNATURES = {
    "launch": ("task", "cluster_name"),
    "exec": ("task", "cluster_name"),
    "get": ("request_id",),
    "api_status": ("request_ids", "cluster_name"),
    "status": ("cluster_names", "refresh"),
    "queue": ("cluster_name",),
    "tail_logs": ("cluster_name", "job_id", "follow", "tail", "output_stream"),
    "cancel": ("cluster_name", "job_ids"),
    "down": ("cluster_name",),
    "cost_report": ("days",),
    "check": ("infra_list", "verbose"),
    "enabled_clouds": (),
}

# Our word for an exception's class name, looked up along its base classes.
#   gone: no such cluster      not_up: there, but not usable     no_vm: no machine to be had now
#   no_cloud: nothing enabled  bad_task: wrong in itself         server: API server away or busy, ask again
#   version: wrong SkyPilot    auth: API server refuses us       interrupted: the server gave the request up
ErrorKind = Literal[
    "gone", "not_up", "no_vm", "no_cloud", "bad_task", "server", "version", "auth", "interrupted", "missing", "other"
]  # fmt: skip
ERRORS: dict[str, ErrorKind] = {
    "ClusterDoesNotExist": "gone",
    "ClusterNotUpError": "not_up",
    "ClusterSetUpError": "no_vm",
    "ResourcesUnavailableError": "no_vm",
    "ProvisionPrechecksError": "no_vm",
    "ManagedJobReachedMaxRetriesError": "no_vm",
    "NoCloudAccessError": "no_cloud",
    "ResourcesMismatchError": "bad_task",
    "NotSupportedError": "bad_task",
    "InvalidClusterNameError": "bad_task",
    "InvalidSkyPilotConfigError": "bad_task",
    "UserRequestRejectedByPolicy": "bad_task",
    "ClusterOwnerIdentityMismatchError": "auth",
    "CloudUserIdentityError": "auth",
    "PermissionDeniedError": "auth",
    "ApiServerAuthenticationError": "auth",
    "APIVersionMismatchError": "version",
    "APINotSupportedError": "version",
    "ApiServerConnectionError": "server",
    "ServerTemporarilyUnavailableError": "server",
    "ConcurrentWorkerExhaustedError": "server",
    "ExecutionPoolFullError": "server",
    "ConnectionError": "server",
    "ChunkedEncodingError": "server",
    "Timeout": "server",
    "RequestInterruptedError": "interrupted",
    "RequestCancelled": "interrupted",
}
_COLOURS = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
# SkyPilot's client draws spinners and uploads files while it submits: one thread at a time.
_SUBMITTING = threading.Lock()


class OpError(Exception):
    """A failure that is ours to name."""

    def __init__(self, kind: ErrorKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def sky() -> Any:
    """SkyPilot's client functions, imported at their first use and checked for version and signatures."""
    try:
        import sky as package
        from sky.client import sdk
    except ImportError as exc:
        raise OpError("missing", f"SkyPilot cannot be imported here: {exc}") from exc
    wrong = mismatches(str(package.__version__), sdk)
    if wrong:
        raise OpError("version", "; ".join(wrong[:3]))
    return sdk


def mismatches(version: str, sdk: Any) -> list[str]:
    """Why this SkyPilot is none that we can speak with; empty when it is."""
    found = re.match(r"(\d+)\.(\d+)", version)
    number = (int(found.group(1)), int(found.group(2))) if found else (0, 0)
    if not OLDEST <= number < TOO_NEW:
        return [f"SkyPilot {version} is not >= {OLDEST[0]}.{OLDEST[1]}, < {TOO_NEW[0]}.{TOO_NEW[1]}"]
    wrong = []
    for name, parameters in SIGNATURES.items():
        function = getattr(sdk, name, None)
        if function is None:
            wrong.append(f"SkyPilot {version} has no {name}")
            continue
        have = inspect.signature(function).parameters
        wrong += [f"SkyPilot {version}: {name} takes no {p}" for p in parameters if p not in have]
    return wrong


def _package() -> Any:
    import sky as package

    return package


def _get(name: str, *arguments: Any, **options: Any) -> Any:
    """Ask SkyPilot's server, and wait for its answer."""
    s = sky()
    return s.get(getattr(s, name)(*arguments, **options))


# --- ops: keyword arguments in, JSON values out


def hello(reply: Reply) -> dict[str, Any]:
    """-> {version, python}. Imports SkyPilot; talks to no server."""
    sky()
    return {"version": str(_package().__version__), "python": sys.executable}


def check(reply: Reply, full: bool = False) -> dict[str, Any]:
    """-> {clouds: enabled ones}. `full` probes the credentials anew (10 s and more)."""
    if full:
        _get("check", None, False)
    return {"clouds": [str(cloud) for cloud in _get("enabled_clouds")]}


def launch(reply: Reply, cluster: str, task: dict[str, Any]) -> dict[str, Any]:
    """Bring a cluster up and run the task's setup. -> {job: number of the job that ran it, or None}"""
    return _submit(reply, "launch", cluster, task)


def exec_(reply: Reply, cluster: str, task: dict[str, Any]) -> dict[str, Any]:
    """Copy the workdir and put the task into the cluster's queue. -> {job}"""
    return _submit(reply, "exec", cluster, task)


def _submit(reply: Reply, op: str, cluster: str, task: dict[str, Any]) -> dict[str, Any]:
    submit = getattr(sky(), op)
    with _SUBMITTING:
        request = submit(_package().Task.from_yaml_config(task), cluster_name=cluster)
    return result(reply, request)


def result(reply: Reply, request: str) -> dict[str, Any]:
    """Wait for a launch or exec that was submitted before. -> {job}"""
    s = sky()
    reply({"request": str(request)})
    job, _ = s.get(request)
    return {"job": job}


def requests(reply: Reply, cluster: str) -> list[dict[str, Any]]:
    """-> unfinished requests about a cluster: [{request, name, status}]"""
    found = [r for r in sky().api_status(cluster_name=cluster) if _field(r, "cluster_name") == cluster]
    return [{"request": r.request_id, "name": r.name, "status": str(r.status)} for r in found]


def queue(reply: Reply, cluster: str) -> list[dict[str, Any]]:
    """-> the cluster's jobs: [{job, name, status, ended}]; status INIT PENDING SETTING_UP RUNNING SUCCEEDED ..."""
    return [
        {
            "job": _field(r, "job_id"),
            "name": str(_field(r, "job_name")),
            "status": _word(_field(r, "status")),
            "ended": _word(_field(r, "status")) not in ("INIT", "PENDING", "SETTING_UP", "RUNNING"),
        }
        for r in _get("queue", cluster)
    ]


def follow(reply: Reply, cluster: str, job: int, to: str, wait: bool = True) -> dict[str, Any]:
    """Write a job's whole output to the file `to`, as it comes when `wait`.

    -> {code}: 0 succeeded, 100 failed, 101 not finished, 102 no such job, 103 cancelled
    """
    with Path(to).open("w", buffering=1, encoding="utf-8", errors="replace") as file:
        code = sky().tail_logs(cluster, job, follow=wait, tail=0, output_stream=file)
    return {"code": int(code)}


def status(reply: Reply, clusters: list[str] | None = None, refresh: bool = False) -> list[dict[str, Any]]:
    """-> clusters that exist: [{cluster, status, hash, launched, price, resources, infra, autostop, down}]

    status INIT UP STOPPED ...; `launched` in seconds since the epoch, `price` in dollars an hour or None;
    `refresh` asks the cloud. Names that do not exist are left out.
    """
    sky()
    modes = _package().StatusRefreshMode
    found = _get("status", clusters, refresh=modes.FORCE if refresh else modes.NONE)
    return [_cluster(r) for r in found]


def _cluster(record: Any) -> dict[str, Any]:
    resources = getattr(_field(record, "handle"), "launched_resources", None)
    price = None
    if resources is not None:
        try:
            price = float(resources.get_cost(3600))
        except Exception:  # no price list for this cloud: unknown is an answer
            traceback.print_exc()
    return {
        "cluster": str(_field(record, "name")),
        "status": _word(_field(record, "status")),
        "hash": str(_field(record, "cluster_hash")),
        "launched": _field(record, "launched_at"),
        "price": price,
        "resources": str(_field(record, "resources_str") or ""),
        "infra": "/".join(str(part) for part in (_field(record, "cloud"), _field(record, "region")) if part),
        "autostop": _field(record, "autostop"),
        "down": bool(_field(record, "to_down")),
    }


def cancel(reply: Reply, cluster: str, job: int) -> None:
    """End a job with its processes."""
    _get("cancel", cluster, job_ids=[job])


def down(reply: Reply, cluster: str) -> None:
    """Give a cluster back."""
    _get("down", cluster)


def cost_report(reply: Reply, days: int = 30) -> list[dict[str, Any]]:
    """-> clusters of the last days, ended ones too: [{cluster, hash, seconds, cost}] (an estimate of SkyPilot's)"""
    return [
        {
            "cluster": str(_field(r, "name")),
            "hash": str(_field(r, "cluster_hash")),
            "seconds": float(_field(r, "duration") or 0),
            "cost": float(_field(r, "total_cost") or 0),
        }
        for r in _get("cost_report", days)
    ]


def _field(record: Any, name: str) -> Any:
    """Records are dicts or objects, depending on the call and the version."""
    return record.get(name) if isinstance(record, dict) else getattr(record, name, None)


def _word(value: Any) -> str:
    return str(getattr(value, "value", value))


OPS: dict[str, Callable[..., Any]] = {
    f.__name__.rstrip("_"): f
    for f in (hello, check, launch, exec_, result, requests, queue, follow, status, cancel, down, cost_report)
}  # fmt: skip


# --- the conversation


class Reply:
    """Answers one request."""

    def __init__(self, out: Any, lock: threading.Lock, number: Any) -> None:
        self._out, self._lock, self._number = out, lock, number

    def __call__(self, answer: dict[str, Any]) -> None:
        line = json.dumps({"id": self._number, **answer})
        with self._lock:
            self._out.write(line + "\n")
            self._out.flush()


def translate(exc: BaseException) -> dict[str, Any]:
    """An exception as an answer."""
    kind: ErrorKind = exc.kind if isinstance(exc, OpError) else "other"
    for base in type(exc).__mro__:
        if kind == "other" and base.__name__ in ERRORS:
            kind = ERRORS[base.__name__]
    text = _COLOURS.sub("", str(exc)).strip()
    if kind == "no_vm" and re.search(r"not enabled|No cloud access|sky check", text):
        kind = "no_cloud"
    refused = re.search(r"API server (process )?(exited|failed|is not)|Failed to start SkyPilot API", text)
    if kind == "other" and refused:
        kind = "server"  # it cannot be started, such as when what a killed one has left still holds its port
    if kind == "other" and isinstance(exc, RuntimeError) and "API server" in text:
        kind = "server"  # it could not be started again, for now
    if kind == "other" and isinstance(exc, (ValueError, TypeError)):
        kind = "bad_task"
    return {"ok": False, "kind": kind, "error": f"{type(exc).__name__}: {text[:2000]}"}


def serve(request: dict[str, Any], reply: Reply) -> None:
    try:
        arguments = {k: v for k, v in request.items() if k not in ("id", "op")}
        answer = {"ok": True, "result": OPS[request["op"]](reply, **arguments)}
    except BaseException as exc:  # also SystemExit, which SkyPilot raises in places
        traceback.print_exc()
        answer = translate(exc)
    reply(answer)


def main() -> None:
    # SkyPilot prints: stdout is kept for the answers, and whatever it says goes to stderr.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    lock = threading.Lock()
    for line in sys.stdin:
        request = json.loads(line)
        reply = Reply(out, lock, request.get("id"))
        threading.Thread(target=serve, args=(request, reply), daemon=True).start()
    # Whoever asked is gone: threads that wait for SkyPilot are of no use to anyone.
    os._exit(0)


if __name__ == "__main__":
    main()
