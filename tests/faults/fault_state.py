"""What a session amounts to, without what no two sessions share: times, seeds, ids, and the order of samples.

Commits are named by their subject and tree, jobs by their experiment and mode. Two equal descriptions are the same
ledger and the same repository.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from pathlib import Path
from typing import Any

from fault_session import Place, git

from autoresearch.ledger.store import read
from autoresearch.session.safekeeping import _whole

# Of one run: clocks, draws, and what is computed from the drawn order.
VOLATILE = frozenset(
    ("timestamp", "seconds", "seed", "environment", "machine", "samples", "warmups", "noise", "cores", "builds",
     "e_value", "cost_runs", "cost", "spent", "candidate", "met", "cpu_s", "peak_rss_mb")
)  # fmt: skip
COMMIT = re.compile(r"\b[0-9a-f]{40}\b")
JOB = re.compile(r"-(single|ab|noise)-\d+$")
# Locks and caches of the engine: there or not, they say nothing about the session.
UNTOLD = ("active", "slots", "setup", "lock", "ideas.lock", "cores", "hooks")


def describe(place: Place) -> dict[str, Any]:
    """Ledger, repository, worktrees, ideas, stored patches, and what else lies about."""
    names = _Names(place.root)
    return {
        "ledger": _ledger(place, names),
        "refs": _refs(place.root, names),
        "kept": _kept(place),
        "user": users_work(place.root),
        "worktrees": _worktrees(place),
        "ideas": _text(place.project.ideas),
        "patches": {p.name: _digest(p) for p in sorted(place.project.patches.glob("*"))},
        "files": _files(place.root),
        "house": _house(place),
    }


def users_work(root: Path) -> dict[str, Any]:
    """The user's own: HEAD, branches, index (bytes and time), stashes, and every file that is not the session's."""
    found: dict[str, Any] = {"HEAD": (root / ".git" / "HEAD").read_text() if (root / ".git").is_dir() else ""}
    index = Path(git(root, "rev-parse", "--path-format=absolute", "--git-path", "index").removesuffix("\n"))
    if index.exists():
        found["index"] = (_digest(index), index.stat().st_mtime_ns)
    found["refs"] = [
        line for line in git(root, "for-each-ref").splitlines() if "refs/autoresearch/" not in line
        and "refs/heads/autoresearch/" not in line
    ]  # fmt: skip
    for name in ("README.md", "notes.txt", "src", ".gitignore"):
        path = root / name
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                found[str(file.relative_to(root))] = (_digest(file), file.stat().st_mtime_ns, file.stat().st_mode)
    return found


class _Names:
    """Commit ids by what they are."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.known: dict[str, str] = {}

    def __call__(self, commit: str) -> str:
        if commit not in self.known:
            told = subprocess.run(
                ["git", "show", "-s", "--format=%s @ %T", f"{commit}^{{commit}}"],
                cwd=self.root, capture_output=True, text=True, check=False,
            )  # fmt: skip
            self.known[commit] = told.stdout.strip() if told.returncode == 0 else commit
        return self.known[commit]


def _ledger(place: Place, names: _Names) -> list[Any]:
    if not place.project.ledger.exists():
        return []
    told = []
    for line in read(place.project.ledger):
        if line.record is not None:
            told.append(json.dumps(_plain(line.record, names), sort_keys=True))
    return told


def _plain(value: Any, names: _Names, key: str = "") -> Any:
    if isinstance(value, dict):
        return {k: _plain(v, names, k) for k, v in value.items() if k not in VOLATILE}
    if isinstance(value, list):
        return [_plain(v, names) for v in value]
    if isinstance(value, str):
        if key == "commit" and len(value) == 7:
            return "short"
        return JOB.sub(r"-\1", COMMIT.sub(lambda found: names(found[0]), value))
    return value


def _refs(root: Path, names: _Names) -> dict[str, str]:
    return {
        name: names(commit)
        for commit, _, name in (line.split(None, 2) for line in git(root, "for-each-ref").splitlines())
        if "autoresearch" in name and not name.endswith("/next") and "/ledger/" not in name
    }


def _kept(place: Place) -> list[str]:
    """Which ledgers git keeps; each holds the ledger as it stands, byte for byte."""
    told = []
    for ref in git(place.root, "for-each-ref", "--format=%(refname)", "refs/autoresearch").splitlines():
        if "/ledger/" in ref:
            same = _whole(place.project, ref) == place.project.ledger.read_bytes()
            told.append(f"{ref}: {'the ledger' if same else 'NOT the ledger'}")
    return told


def _worktrees(place: Place) -> dict[str, Any]:
    told: dict[str, Any] = {"listed": sorted(
        line.replace(str(place.base), "") for line in git(place.root, "worktree", "list", "--porcelain").splitlines()
        if line.startswith(("worktree ", "locked", "prunable"))
    )}  # fmt: skip
    for where in sorted(place.project.worktrees.glob("*")):
        told[where.name] = {
            str(p.relative_to(where)): _digest(p)
            for p in sorted(where.rglob("*")) if p.is_file() and p.name != ".git"
        }  # fmt: skip
    return told


def _files(root: Path) -> list[str]:
    """Names at the top: leftovers show up here."""
    return sorted(path.name for path in root.iterdir() if path.name != ".git")


def _house(place: Place) -> list[str]:
    state = place.project.state
    if not state.exists():
        return []
    told = []
    for entry in sorted(state.iterdir()):
        if entry.name in UNTOLD:
            continue
        if entry.name == "jobs":
            for job in sorted(entry.iterdir()):
                inside = {p.name for p in job.iterdir()}
                extra = inside - {"exit.json", "job.json", "lock", "log.txt", "pid.json", "run.sh", "setup.sh",
                                  "started.json", "supervisor.log", "swept", "cancel", "vm.lock"}  # fmt: skip
                told.append(f"jobs/{JOB.sub(r'-1', job.name)} {sorted(extra)}" if extra else "")
        elif entry.name == "tmp":
            told += [f"tmp/{p.name}" for p in sorted(entry.iterdir())]
        else:
            told.append(entry.name)
    return [line for line in told if line]


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def differences(expected: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """What differs, for a person."""
    told = []
    for key in expected:
        if expected[key] == found[key]:
            continue
        a, b = expected[key], found[key]
        if isinstance(a, list):
            told += [f"{key}: lacks {x}"[:700] for x in a if x not in b]
            told += [f"{key}: has {x}"[:700] for x in b if x not in a]
            if len(a) != len(b) or sorted(map(str, a)) == sorted(map(str, b)):
                told.append(f"{key}: {len(a)} expected, {len(b)} found, perhaps in another order")
        elif isinstance(a, dict):
            told += [
                f"{key}.{k}: {a.get(k)} expected, {b.get(k)} found"[:700]
                for k in {**a, **b} if a.get(k) != b.get(k)
            ]  # fmt: skip
        else:
            told.append(f"{key}: {a!r} expected, {b!r} found"[:1500])
    return told
