"""Reads a task in SkyPilot's form: the same file runs on this machine and through `sky launch`."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from autoresearch.errors import BadInput

# Top-level keys of SkyPilot 0.14's task schema.
KNOWN = (
    "name", "workdir", "num_nodes", "resources", "file_mounts", "service", "pool", "setup", "run", "envs",
    "secrets", "managed_secrets", "inputs", "outputs", "config", "volumes", "volume_mounts", "event_callback",
    "file_mounts_mapping", "api_server_access", "_metadata",
)  # fmt: skip
# What changes a task's meaning and this machine cannot give.
NOT_LOCAL = ("file_mounts", "service", "pool", "volumes", "volume_mounts", "managed_secrets")


@dataclass(frozen=True)
class Task:
    """A task as it stands in the file; `envs` and `secrets` may hold None: a value that must be given."""

    name: str = "autoresearch"
    setup: str = ""
    run: str = ""
    workdir: str | None = None
    envs: dict[str, str | None] = field(default_factory=dict)
    secrets: dict[str, str | None] = field(default_factory=dict)
    other: dict[str, Any] = field(default_factory=dict)
    where: str = "experiment.yaml"

    def resolve(self, given: Mapping[str, str]) -> dict[str, str]:
        """The environment of a job: defaults of the file, overridden by `given`. `BadInput` if one is missing."""
        values = {**self.envs, **self.secrets, **given}
        missing = sorted(name for name, value in values.items() if value is None)
        if missing:
            raise BadInput(
                f"{self.where}: {', '.join(missing)} must be given",
                fix=f"Set {missing[0]} in the environment of the command (sky: --env, --secret), or give it a default",
            )
        return {name: value for name, value in values.items() if value is not None}

    def asked_for(self, environment: Mapping[str, str]) -> dict[str, str]:
        """What the task leaves open (null) and the environment has: `DATA_TOKEN=... autoresearch run e1`."""
        wanted = (name for name, value in {**self.envs, **self.secrets}.items() if value is None)
        return {name: environment[name] for name in wanted if name in environment}

    def local_problems(self) -> list[str]:
        """Sentences on what this machine cannot do for the task; `resources` are simply what is here."""
        problems = [f"{key} needs SkyPilot" for key in NOT_LOCAL if self.other.get(key)]
        nodes = self.other.get("num_nodes") or 1
        return [*problems, "num_nodes above 1 needs SkyPilot"] if nodes != 1 else problems


def parse_task(text: str, where: str = "experiment.yaml") -> Task:
    """Read YAML text; unknown keys and wrong types are refused with a sentence."""
    try:
        data = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        raise BadInput(f"{where}{line} is not YAML: {getattr(exc, 'problem', exc)}") from None
    if not isinstance(data, dict):
        raise BadInput(f"{where} is empty or not a mapping")
    for key in data:
        if key not in KNOWN:
            near = difflib.get_close_matches(str(key), KNOWN, 1)
            fix = f"Did you mean {near[0]}?" if near else f"Known keys: {', '.join(KNOWN[:10])}"
            raise BadInput(f"{where}: unknown key {key}", fix=fix)
    run = _text(data, "run", where)
    if not run.strip():
        raise BadInput(f"{where}: run is missing", fix="Give it the commands that build and measure")
    workdir = data.get("workdir")
    return Task(
        name=_text(data, "name", where) or "autoresearch",
        setup=_text(data, "setup", where),
        run=run,
        workdir=workdir if isinstance(workdir, str) else None,
        envs=_variables(data, "envs", where),
        secrets=_variables(data, "secrets", where),
        other={k: v for k, v in data.items() if k not in ("name", "setup", "run", "envs", "secrets", "workdir")},
        where=where,
    )


def load_task(path: Path) -> Task:
    """Read a task file."""
    try:
        return parse_task(path.read_text(encoding="utf-8"), path.name)
    except FileNotFoundError:
        raise BadInput(f"no {path.name} in {path.parent}", fix="Run autoresearch init") from None
    except UnicodeDecodeError:
        raise BadInput(f"{path.name} is not UTF-8 text") from None


def _text(data: Mapping[str, Any], key: str, where: str) -> str:
    value = data.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadInput(f"{where}: {key} must be text", fix=f"Write {key}: | and the commands below it")
    return value


def _variables(data: Mapping[str, Any], key: str, where: str) -> dict[str, str | None]:
    values = data.get(key) or {}
    if not isinstance(values, dict):
        raise BadInput(f"{where}: {key} must be a mapping of names to values")
    # str() of every value, as SkyPilot does: 4 is "4", true is "True".
    found = {str(name): None if value is None else str(value) for name, value in values.items()}
    for name in found:
        if not name.isidentifier() or not name.isascii():
            raise BadInput(f"{where}: {key} has {name!r}, which is no name of an environment variable")
    return found
