"""The kinds of `init --template`: ready benchmarks with their checks, one directory each under templates/."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from autoresearch.errors import BadInput
from autoresearch.resources import shipped

_ABOUT = "kind.yaml"
# Modules of templates/ that a kind's benchmark imports: they stand beside it.
_SHARED = ("signed_metric.py", "paired.py", "stopwatch.py", "worker.py", "alike.py", "loud.py")


@dataclass(frozen=True)
class Kind:
    """One kind: `values` fill the template of autoresearch.yaml, `settings` change it by path, `files` are copied.

    `paired`: it measures beside a reference, a copy of the project, `with_tests` or without.
    """

    name: str
    what: str
    playbook: str
    values: dict[str, Any]
    settings: dict[str, Any]
    files: dict[str, str]
    paired: bool = False
    with_tests: bool = False


def kinds() -> list[str]:
    """Names of all kinds that are shipped."""
    return sorted(path.parent.name for path in shipped("templates").glob(f"*/{_ABOUT}"))


def shared_modules() -> dict[str, str]:
    """What benchmarks stand on, by file name: signed results, own time, pairs, calls."""
    return {name: shipped(f"templates/{name}").read_text(encoding="utf-8") for name in _SHARED}


def load_kind(name: str) -> Kind:
    """Read a kind; `BadInput` for a name that is none."""
    if name not in kinds():
        raise BadInput(f"no template is called {name}", fix=f"Choose one of {', '.join(kinds())}")
    top = shipped("templates") / name
    about = yaml.safe_load((top / _ABOUT).read_text(encoding="utf-8"))
    values = {key: about[key] for key in ("metric", "unit", "direction", "scope", "evaluator")}
    files = {
        path.relative_to(top).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(top.rglob("*"))
        if path.is_file() and path.name != _ABOUT and _belongs(path.relative_to(top))
    }
    for module, said in shared_modules().items():
        stem = module.removesuffix(".py")
        if any(re.search(rf"^(?:import|from) {stem}\b", text, re.MULTILINE) for text in files.values()):
            files[f"evaluator/{module}"] = said
    return Kind(
        name, about["what"], about["playbook"], values | {"build": about.get("build", "")},
        about.get("settings", {}), files, about.get("paired", False), about.get("with_tests", False),
    )  # fmt: skip


def _belongs(path: Path) -> bool:
    return "__pycache__" not in path.parts and path.suffix != ".pyc"
