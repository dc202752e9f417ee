"""The frozen evaluator: what is pinned, and whether it is still so."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from autoresearch.config import Config
from autoresearch.errors import BadInput, IntegrityFault
from autoresearch.files import sha256_of, sync_directory, sync_file
from autoresearch.project import EVALUATOR_FILES, Project
from autoresearch.task import load_task
from autoresearch.workspace.git import git
from autoresearch.workspace.objects import prefix

BENCHMARK, CHECKS, DEPS, DIFF, _FORMATS = EVALUATOR_FILES
# What a directory of hidden checks is entered by.
HIDDEN_ENTRY = "checks.sh"
_CACHES = {"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".DS_Store"}


@dataclass(frozen=True)
class Manifest:
    """The frozen evaluator: sha256 of each file (paths from the project's directory) and the frozen settings."""

    files: dict[str, str]
    settings: dict[str, Any]

    @property
    def digest(self) -> str:
        """sha256 over files and settings: two equal digests mean numbers may be compared."""
        text = json.dumps({"files": self.files, "settings": self.settings}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def frozen_settings(config: Config) -> dict[str, Any]:
    """The part of the config that decides what a number means. Engine, slots and stop rules may change."""
    keep = ("objective", "scope", "off_limits", "evaluator", "build", "timeouts")
    data: dict[str, Any] = msgspec.to_builtins(config)
    frozen = {key: data[key] for key in keep}
    # What is not used leaves no trace, so that a session begun before these keys existed goes on.
    frozen["objective"] = {key: value for key, value in frozen["objective"].items() if value is not None}
    default = msgspec.to_builtins(Config(config.name, config.objective))
    settled = ("constraints", "rescue", "complexity", "differential", "contain", "compare_output", "evaluator_secret")
    used = [key for key in settled if data[key] != default[key]]
    if data["test"]["fdr"] != default["test"]["fdr"]:
        # The share of false keeps is promised for the session as a whole.
        frozen["fdr"] = data["test"]["fdr"]
    return frozen | {key: data[key] for key in used}


def survey(project: Project, config: Config) -> Manifest:
    """Hash the evaluator as it stands in the project. `BadInput` when the benchmark is missing."""
    files = {name: _digest(path) for name in EVALUATOR_FILES if (path := project.root / name).is_file()}
    if BENCHMARK not in files:
        raise BadInput(f"no {BENCHMARK} in {project.root}", fix="Write it (templates/autoresearch.sh) or run init")
    for pattern in config.evaluator:
        found = _matching(project.root, pattern)
        if not found:
            raise BadInput(f"evaluator: {pattern} in autoresearch.yaml matches no file")
        for path in found:
            files[path.relative_to(project.root).as_posix()] = _digest(path)
    secrets(config, files)
    settings = frozen_settings(config)
    task = _task_digest(project)
    if task is not None:
        settings["task"] = task
    unseen = hidden_checks(project, config)
    if unseen is not None:
        # One digest: the names of its files would tell what they check.
        settings["hidden"] = _tree_digest(unseen)
    return Manifest(dict(sorted(files.items())), settings)


def secrets(config: Config, files: Iterable[str]) -> list[str]:
    """Of the evaluator's `files`, those that are kept from the program; `BadInput` where a line names none of them."""
    if not config.evaluator_secret:
        return []
    from pathspec import GitIgnoreSpec

    found: set[str] = set()
    for pattern in config.evaluator_secret:
        named = {name for name in files if GitIgnoreSpec.from_lines([pattern]).match_file(name)} - set(EVALUATOR_FILES)
        if not named:
            raise BadInput(
                f"evaluator_secret: {pattern} in autoresearch.yaml names no file of the evaluator",
                fix="Name files that are listed under evaluator:, too",
            )
        found |= named
    return sorted(found)


def hidden_checks(project: Project, config: Config) -> Path | None:
    """The directory of the hidden checks, if there is one; `BadInput` when the config names one that cannot be used."""
    if config.hidden is None and not (project.hidden / HIDDEN_ENTRY).is_file():
        return None
    where = project.hidden if config.hidden is None else (project.root / config.hidden).resolve()
    if not (where / HIDDEN_ENTRY).is_file():
        raise BadInput(f"hidden: {config.hidden} in autoresearch.yaml holds no {HIDDEN_ENTRY}")
    inside = where.is_relative_to(project.root.resolve())
    if inside and not where.is_relative_to(project.state.resolve()):
        raise BadInput(
            f"hidden: {config.hidden} lies in the project, where every worktree would hold it",
            fix=f"Move it to {project.hidden.relative_to(project.root)}, or out of the project",
        )
    # In the project's state directory, which git ignores unless somebody added it by force or too early.
    if inside and git(project.root, "ls-files", "--", str(where)):
        raise BadInput(
            "the hidden checks are committed, so every worktree holds them",
            fix=f"git rm -r --cached {where.relative_to(project.root.resolve())}, and commit",
        )
    return where


def _tree_digest(where: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(where.rglob("*")):
        if path.is_file() and not _CACHES.intersection(path.parts):
            digest.update(f"{path.relative_to(where).as_posix()}\0{_digest(path)}\n".encode())
    return digest.hexdigest()


def _task_digest(project: Project) -> str | None:
    """What the project's task runs, as one digest; machines and other resources may change. None without a task."""
    if not project.task.exists():
        return None
    task = load_task(project.task)
    return hashlib.sha256(json.dumps([task.setup, task.run, task.envs], sort_keys=True).encode()).hexdigest()


def _matching(root: Path, pattern: str) -> list[Path]:
    """Files of a glob or below a directory, without what interpreters leave beside them."""
    pattern = pattern.strip("/")
    if (root / pattern).is_dir():
        pattern += "/**"
    # Before Python 3.13 a final ** matches directories only.
    found = root.glob(pattern + "/*" if pattern.endswith("**") else pattern)
    return [
        p for p in sorted(found)
        if p.is_file() and not p.is_symlink() and p.suffix != ".pyc" and not _CACHES.intersection(p.parts)
    ]  # fmt: skip


def freeze(project: Project, manifest: Manifest) -> Path:
    """Copy the evaluator's files to their pin directory (named by digest); returns it."""
    pin = pin_dir(project, manifest)
    if not pin.exists():
        fresh = pin.with_name(pin.name + f".{os.getpid()}")
        shutil.rmtree(fresh, ignore_errors=True)
        for name in manifest.files:
            (fresh / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(project.root / name, fresh / name)
            sync_file(fresh / name)
        fresh.rename(pin)
        sync_directory(pin.parent)
    check_pin(project, manifest)
    return pin


def pin_dir(project: Project, manifest: Manifest) -> Path:
    return project.pin / manifest.digest[:16]


def check_pin(project: Project, manifest: Manifest) -> None:
    """Raise `IntegrityFault` unless every pinned copy has the hash that the ledger recorded."""
    pin = pin_dir(project, manifest)
    for name, digest in manifest.files.items():
        if sha256_of(pin / name) != digest:
            raise IntegrityFault(
                f"the pinned copy of {name} is not what baseline froze",
                fix="If nobody meant to change it, autoresearch doctor --repair puts it back from the "
                "project's own file, if that is the frozen one",
            )


def verify(project: Project, config: Config, frozen: Manifest) -> None:
    """Raise `IntegrityFault` when the project's evaluator or frozen settings differ from the baseline's."""
    now = survey(project, config)
    if "task" not in frozen.settings:  # a session begun before it was frozen
        now.settings.pop("task", None)
    if now.digest == frozen.digest:
        check_pin(project, frozen)
        return
    names = sorted(
        {name for name in {*now.files, *frozen.files} if now.files.get(name) != frozen.files.get(name)}
        | {
            "experiment.yaml" if k == "task" else f"autoresearch.yaml: {k}"
            for k in {*now.settings, *frozen.settings}
            if now.settings.get(k) != frozen.settings.get(k)
        }
    )
    pin = pin_dir(project, frozen)
    raise IntegrityFault(
        f"the evaluator changed since the baseline ({', '.join(names[:4])}), so new numbers could not be compared",
        fix=f"Restore it (the frozen copies are in {pin.relative_to(project.root)}), or start a new segment with "
        "autoresearch baseline --new-segment",
        next="autoresearch doctor",
    )


def overlay(source: Path, manifest: Manifest, tree: Path, prefix: str) -> None:
    """Put the evaluator's files, from the pin directory or the project, over a tree."""
    for name, digest in manifest.files.items():
        to = tree / prefix / name
        if to.is_symlink() or to.is_dir():
            raise IntegrityFault(f"{prefix}{name} is a link or a directory where the evaluator's file belongs")
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source / name, to)
        if sha256_of(to) != digest:
            raise IntegrityFault(f"{name} changed while it was copied", fix="Repeat the command")


def lay_over(project: Project, frozen: Manifest, tree: Path) -> None:
    """Put the pinned evaluator over a tree of the project's repository."""
    overlay(pin_dir(project, frozen), frozen, tree, prefix(project))


def overlay_digests(frozen: Manifest, prefix: str) -> dict[str, str]:
    """What `overlay` places: {path from the tree's top: sha256}."""
    return {prefix + name: digest for name, digest in frozen.files.items()}


def _digest(path: Path) -> str:
    """Of what a path leads to, links and all."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
