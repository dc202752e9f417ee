"""Starts a dispatcher: at most one per project, detached, with a lock that dies with it."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from autoresearch.engines.skypilot.memory import Store
from autoresearch.files import try_lock

_PACKAGE_PARENT = Path(__file__).resolve().parents[3]


def start(store: Store, lock: int) -> subprocess.Popen[bytes]:
    """Start the dispatcher with the lock that the caller holds; it outlives the caller."""
    env = {**os.environ, "PYTHONPATH": str(_PACKAGE_PARENT)}
    with (store.sky / "dispatcher.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "autoresearch.engines.skypilot.dispatcher", str(store.state), str(lock)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=store.sky, env=env,
            pass_fds=(lock,), start_new_session=True,
        )  # fmt: skip


@contextlib.contextmanager
def dispatcher_lock(path: Path) -> Iterator[int | None]:
    """The dispatcher's lock: its descriptor, or None when somebody holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield fd if try_lock(fd) else None
    finally:
        # A dispatcher that was started meanwhile has inherited the lock, and keeps it.
        os.close(fd)


def vm_prefix(name: str) -> str:
    """A name that every cloud takes (letters, digits, dashes, short), and that no other project's VMs have."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:20].strip("-") or "session"
    plain = plain if plain[0].isalpha() else f"s-{plain}"
    return f"{plain}-{secrets.token_hex(2)}-vm"
