"""The lab of up.sh and down.sh, from Python: for the tests beside this file and for benchmarks/sky_makespan.py."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
AS_ROOT = () if os.geteuid() == 0 else ("sudo", "-n")


class NoLab(Exception):
    """This machine cannot have a lab; the text says why."""


@dataclass(frozen=True)
class Lab:
    """A running lab. `env` is what its client needs: HOME, PATH, SLURM_CONF and SkyPilot's settings."""

    directory: Path
    name: str
    env: Mapping[str, str]

    @property
    def infra(self) -> str:
        return f"slurm/{self.name}/cpu"

    def sky(self, *words: str, cwd: Path | None = None, timeout: float = 300) -> str:
        """Run `sky WORDS`; returns its stdout, and raises with its output when it fails."""
        return self.run("sky", *words, cwd=cwd, timeout=timeout)

    def run(self, *words: str, cwd: Path | None = None, timeout: float = 60, root: bool = False) -> str:
        """Run a command in the lab's environment."""
        keep = [f"{key}={self.env[key]}" for key in ("SLURM_CONF", "PATH")]
        done = subprocess.run(
            [*AS_ROOT, "env", *keep, *words] if root else words,
            env=dict(self.env), cwd=cwd, capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip
        if done.returncode:
            raise AssertionError(f"{' '.join(words)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def vms(self) -> dict[str, str]:
        """{name of the VM's Slurm job: its id}; SkyPilot appends a hash of the user to the name it was given."""
        said = self.run("squeue", "-h", "-t", "RUNNING,PENDING", "-o", "%j %A")
        return dict(line.split() for line in said.splitlines())

    def kill_vm(self, vm: str) -> None:
        """Take a VM away behind SkyPilot's back, as a preemption does: at once, with everything that runs on it."""
        (job,) = (job for name, job in self.vms().items() if name == vm or name.startswith(f"{vm}-"))
        self.run("scancel", "--full", "--signal=KILL", job, root=True)
        self.run("scancel", job, root=True)

    def cut_ssh(self) -> int:
        """End every connection to the login node, as a network does; returns how many there were."""
        login = (self.directory / "run" / "sshd.pid").read_text().strip()
        pids = [pid for task in Path(f"/proc/{login}/task").glob("*/children") for pid in task.read_text().split()]
        if pids:
            self.run("kill", "-9", *pids, root=True)
        return len(pids)


@contextmanager
def running_lab(nodes: int = 3, name: str = "") -> Iterator[Lab]:
    """Bring a lab up, and take it down whatever happens. `NoLab` where there can be none.

    Without a `name` it gets one that no other lab has, so that labs do not get in each other's way.
    """
    name = name or f"lab{secrets.token_hex(3)}"
    place = Path(os.environ.get("SLURM_LAB_DIR") or tempfile.mkdtemp(prefix=f"slurm-{name}."))
    knobs = {"SLURM_LAB_NODES": str(nodes), "SLURM_LAB_NAME": name, "SLURM_LAB_DIR": str(place)}
    kinds = ("SLURM_LAB_", "UV_", "PIP_", "SSL_", "PYENV_")
    passed = {k: v for k, v in os.environ.items() if k.startswith(kinds)} | knobs
    try:
        up = subprocess.run(
            [*AS_ROOT, "env", *(f"{k}={v}" for k, v in passed.items()), f"PATH={os.environ['PATH']}",
             "bash", str(HERE / "up.sh")],
            capture_output=True, text=True, timeout=900, check=False,
        )  # fmt: skip
        if up.returncode == 3:
            raise NoLab(up.stderr.strip().splitlines()[-1])
        if up.returncode:
            raise NoLab(f"no cluster came up here (up.sh: exit {up.returncode})\n{up.stderr[-4000:]}")
        yield Lab(place, name, _environment(place / "env.sh"))
    finally:
        if (place / "pids").exists():
            subprocess.run(
                [*AS_ROOT, "env", f"SLURM_LAB_KEEP={os.environ.get('SLURM_LAB_KEEP', '0')}",
                 "bash", str(HERE / "down.sh"), str(place)],
                timeout=300, check=True,
            )  # fmt: skip
        with contextlib.suppress(OSError):
            place.rmdir()  # if nothing was put into it


def _environment(env_file: Path) -> dict[str, str]:
    """What a shell has after reading the env file; nothing of the caller's home, Slurm or SkyPilot leaks in."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "SKYPILOT_", "GIT_CONFIG"))}
    said = subprocess.run(
        ["bash", "-c", f". '{env_file}' && env -0"], env=kept, capture_output=True, text=True, check=True
    ).stdout
    return dict(line.split("=", 1) for line in said.split("\0") if "=" in line)
