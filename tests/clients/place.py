"""A project with the skill installed by the real setup.sh, and the command on PATH: what a client meets."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from driver import WORK, commit_all, write_project

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = (
    "SKILL.md", "instructions.md", "experiment.yaml", "setup.sh", "pyproject.toml", "README.md", "LICENSE",
    "CHANGELOG.md", "helpers", "references", "templates", ".claude-plugin", "hooks", "package.json", "pi",
)  # fmt: skip


def sh(command: str, seconds: int = 60) -> dict[str, Any]:
    """A scripted shell call."""
    return {"shell": command, "timeout_s": seconds}


def tree(root: Path) -> dict[str, str]:
    """Every file's hash and every link's target, by path; without what interpreters cache."""
    found = {}
    for path in sorted(root.rglob("*")):
        if path.is_symlink():
            found[str(path.relative_to(root))] = f"-> {path.readlink()}"
        elif path.is_file() and path.suffix != ".pyc":
            found[str(path.relative_to(root))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def git(root: Path, *args: str) -> str:
    done = subprocess.run(["git", *args], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@dataclass(frozen=True)
class Account:
    """An account with the command installed: its HOME, and a checkout's copy that it was installed from."""

    home: Path
    source: Path

    @property
    def bin(self) -> Path:
        return self.home / ".local/bin"

    def setup(self, cwd: Path, *args: str) -> subprocess.CompletedProcess[str]:
        """Run the real setup.sh in `cwd`. The registry's settings pass, and nothing else of this account."""
        passed = {k: v for k, v in os.environ.items() if k.startswith(("PIP_", "UV_", "SSL_", "REQUESTS_"))}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        command = ["bash", str(self.source / "setup.sh"), *args]
        return subprocess.run(
            command, cwd=cwd, env=passed | {"HOME": str(self.home), "PATH": path, "LANG": "C.UTF-8"},
            capture_output=True, text=True, timeout=280, check=False,
        )  # fmt: skip


def copy_source(to: Path) -> Path:
    """What a release holds, so that no other test's edit changes what is installed meanwhile."""
    to.mkdir(parents=True)
    for name in SHIPPED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, to / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        else:
            shutil.copy2(ROOT / name, to / name)
    return to


def make_project(root: Path) -> Path:
    """A committed project whose metric is a count: deterministic and instant. Stops after one dry experiment."""
    root.mkdir(parents=True)
    git(root, "init", "-q", "-b", "main")
    write_project(root)
    config = root / "autoresearch.yaml"
    config.write_text(config.read_text() + "stop: {dry: 1}\n")
    (root / "src" / "calm.py").write_text("CALM = 1\n")
    commit_all(root)
    return root


def make_bare_project(root: Path) -> Path:
    """Committed sources and nothing of ours: the session is the agent's to set up."""
    root.mkdir(parents=True)
    git(root, "init", "-q", "-b", "main")
    (root / "src").mkdir()
    (root / "src" / "work.py").write_text(WORK)
    (root / "src" / "calm.py").write_text("CALM = 1\n")
    (root / ".gitignore").write_text("__pycache__/\n")
    commit_all(root)
    return root


def ledger(root: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (root / "autoresearch.jsonl").read_text().splitlines()]


def autoresearch(account: Account, root: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """The installed command, by hand."""
    return subprocess.run(
        [str(account.bin / "autoresearch"), *args], cwd=root, capture_output=True, text=True, timeout=120, check=False
    )
