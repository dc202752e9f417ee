"""The self-review that a keep needs before it is committed: four short sentences, in the ledger for ever."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from autoresearch.errors import BadInput
from autoresearch.files import ensure_directory, write_atomic
from autoresearch.project import Project
from autoresearch.safetext import one_line

# Field -> the question that it answers.
FIELDS = {
    "what": "what was changed",
    "why": "why that makes it better",
    "risk": "what could break",
    "checked": "how you made sure that it does not",
}
LIMIT = 600
# Shorter than any answer; "none", "n/a" and "TODO" are none.
LEAST = 10


def read_review(path: str) -> dict[str, str]:
    """The fields of a JSON object in a file, or on stdin for "-"; `BadInput` names what is wrong."""
    fix = f"Write {json.dumps(dict.fromkeys(FIELDS, '...'))}"
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
        data = json.loads(text)
    except OSError as exc:
        raise BadInput(f"cannot read the review {path}: {exc.strerror}") from None
    except ValueError as exc:
        raise BadInput(f"the review {path} is not JSON: {exc}", fix=fix) from None
    if not isinstance(data, dict) or not all(isinstance(data.get(name, ""), str) for name in FIELDS):
        raise BadInput(f"the review {path} is no object of texts", fix=fix)
    unknown = sorted(set(data) - set(FIELDS))
    if unknown:
        raise BadInput(f"the review {path} has an unknown field {one_line(unknown[0], 40)}", fix=fix)
    return {name: data[name] for name in FIELDS if name in data}


def compose(given: Mapping[str, str], description: str, hypothesis: str) -> dict[str, str]:
    """What was given, with the description for `what`, for which the hypothesis stands, and the hypothesis for `why`;
    cleaned, without empty ones."""
    whole = {
        "what": description.strip() or hypothesis,
        "why": hypothesis,
        **{name: text for name, text in given.items() if text.strip()},
    }
    cleaned = {name: one_line(whole.get(name, ""), LIMIT) for name in FIELDS}
    return {name: text for name, text in cleaned.items() if text}


@dataclass(frozen=True)
class Said:
    """What `decide` was told beside the review."""

    description: str = ""
    source: str = ""
    tokens: int | None = None


def _memory(project: Project, experiment: str) -> Path:
    return project.state / "said" / f"{experiment}.json"


def remember(project: Project, experiment: str, said: Mapping[str, str | int]) -> None:
    """Keep what a refused `decide` was told, for the next one."""
    if said:
        ensure_directory(_memory(project, experiment).parent)
        write_atomic(_memory(project, experiment), json.dumps(said).encode())


def remembered(project: Project, experiment: str) -> dict[str, Any]:
    """What refused calls of `decide` were told of this experiment."""
    try:
        said = json.loads(_memory(project, experiment).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    known = {*FIELDS, *(field.name for field in fields(Said))}
    return {name: text for name, text in said.items() if name in known} if isinstance(said, dict) else {}


def forget(project: Project, experiment: str) -> None:
    """It is decided: nobody asks again."""
    _memory(project, experiment).unlink(missing_ok=True)


def require(experiment: str, review: Mapping[str, str], said: Mapping[str, str | int] | None = None) -> None:
    """Raise `BadInput` that lists what is missing or says nothing; its next command repeats what was `said`."""
    missing = [name for name in FIELDS if len(review.get(name, "")) < LEAST]
    if not missing:
        return
    words = "; ".join(f"--{name}: {FIELDS[name]}" for name in missing)
    flags = " ".join(f'--{name} "..."' for name in missing)
    given = " ".join(f"--{name} {shlex.quote(str(text))}" for name, text in (said or {}).items() if name not in missing)
    whole = f"{given} {flags}".strip()
    # Longer than a line it is not shown: it is remembered all the same.
    flags = whole if len(whole) <= 150 else flags
    raise BadInput(
        f"{experiment} has earned a keep, and its review is missing or says too little: {words}",
        fix="Answer each in a sentence, after a look at the diff; nothing is measured again",
        next=f"autoresearch decide {experiment} {flags}",
    )
