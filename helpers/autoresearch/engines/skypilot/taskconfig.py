"""From the project's task to what SkyPilot is given: one form to launch a VM with, one to run a trial on it."""

from __future__ import annotations

import copy
import hashlib
import json
from typing import Any

from autoresearch.task import Task

# For a task of the user's own, which knows nothing of bundles: its tree travels as one tarball named by its hash and is
# unpacked into a new directory, one job at a time. Read straight from ~/sky_workdir it could be another job's.
PRELUDE = r"""
case "$EXP_ID" in ''|.*|-*|*[!A-Za-z0-9._-]*) echo "EXP_ID is not a plain name" >&2; exit 2 ;; esac
if command -v flock >/dev/null; then exec 9>"$HOME/.autoresearch.lock"; flock 9; fi
ar_bundle=$PWD/$EXP_SHA256.tar.gz
ar_sum=$( { sha256sum "$ar_bundle" 2>/dev/null || shasum -a 256 "$ar_bundle"; } | cut -d' ' -f1)
[ "$ar_sum" = "$EXP_SHA256" ] || { echo "stale_source: $ar_bundle is missing or holds something else" >&2; exit 90; }
echo "EXPERIMENT_BUNDLE: $EXP_ID $EXP_SHA256"
mkdir -p "$HOME/autoresearch" && ar_dir=$(mktemp -d "$HOME/autoresearch/$EXP_ID.XXXXXX") || exit 1
tar -xzf "$ar_bundle" -C "$ar_dir" && cd "$ar_dir" || exit 1
( exec 9>&-
"""
CODA = r"""
)
ar_code=$?
cd / && chmod -R u+rwX "$ar_dir" && rm -rf "$ar_dir"
echo "EXPERIMENT_EXIT: $ar_code"
exit $ar_code
"""


def launch_config(task: Task, infra: str | None, idle_minutes: int | None) -> dict[str, Any]:
    """The task to launch a VM with: its resources, setup and file mounts, nothing to run. Autostop is always set.

    `idle_minutes` overrides what the task says; without either it is 30. The VM ends itself: it costs no more.
    """
    # SkyPilot's parser changes what it is given.
    config: dict[str, Any] = copy.deepcopy({k: v for k, v in task.other.items() if k not in ("num_nodes", "inputs")})
    config["name"] = "setup"
    resources: dict[str, Any] = dict(config.get("resources") or {})
    if infra:
        for old in ("cloud", "region", "zone"):
            resources.pop(old, None)
        resources["infra"] = infra
        for key in ("any_of", "ordered"):
            if resources.get(key):
                resources[key] = [place for entry in resources[key] if (place := _within(entry, infra))]
            if not resources.get(key):
                resources.pop(key, None)
    resources["autostop"] = {"idle_minutes": idle_minutes or _idle_minutes(resources), "down": True}
    config["resources"] = resources
    if task.setup.strip():
        config["setup"] = task.setup
    return config


def _within(entry: Any, infra: str) -> dict[str, Any] | None:
    """An entry of any_of as it may stay beside `infra`, which SkyPilot would let it overrule; None when it may not."""
    if not isinstance(entry, dict):
        return None
    place = {k: v for k, v in entry.items() if k not in ("cloud", "region", "zone", "infra")}
    own = str(entry.get("infra") or entry.get("cloud") or infra)
    pairs = zip(own.lower().split("/"), infra.lower().split("/"), strict=False)
    if any(a != b and "*" not in (a, b) for a, b in pairs):
        return None
    return {**place, "infra": max(own, infra, key=lambda text: text.count("/"))}


def _idle_minutes(resources: dict[str, Any]) -> int:
    """What the task itself says: a number, `30m`, or a mapping with idle_minutes."""
    asked = resources.get("autostop")
    if isinstance(asked, dict):
        asked = asked.get("idle_minutes")
    if isinstance(asked, str):
        factor = {"h": 60, "d": 1440}.get(asked[-1:], 1)
        digits = asked.rstrip("mhd")
        asked = int(digits) * factor if digits.isdigit() else None
    return asked if isinstance(asked, int) and not isinstance(asked, bool) and asked > 0 else 30


def spec_hash(launch: dict[str, Any]) -> str:
    """What a VM was launched as: jobs of another spec need another VM."""
    return hashlib.sha256(json.dumps(launch, sort_keys=True, default=str).encode()).hexdigest()[:16]


def is_ours(task: Task) -> bool:
    """Whether the task takes a bundle by its hash, as the shipped experiment.yaml does."""
    return "EXP_SHA256" in task.envs


def run_config(task: Task, values: dict[str, str]) -> dict[str, Any]:
    """The task to run a trial with; `values` are all its variables. Name and workdir are the caller's to add."""
    run = task.run if is_ours(task) else PRELUDE + task.run + CODA
    secrets = {name: values[name] for name in task.secrets if name in values}
    config: dict[str, Any] = {
        "run": run,
        "envs": {name: value for name, value in values.items() if name not in secrets},
    }
    if secrets:
        config["secrets"] = secrets
    accelerators = (task.other.get("resources") or {}).get("accelerators")
    if accelerators:
        # The queue hands GPUs to those that ask; CPUs need no asking, as we run one trial at a time.
        config["resources"] = {"accelerators": accelerators}
    if task.other.get("config"):
        config["config"] = copy.deepcopy(task.other["config"])
    return config
