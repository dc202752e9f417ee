"""What a session does about containment: the doctor's word on it, and a place to try commands as a trial runs them."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autoresearch.config import Config
from autoresearch.errors import EnvironmentMissing
from autoresearch.project import Project

if TYPE_CHECKING:
    from autoresearch.trial.contain import Box
    from autoresearch.trial.limits import Limits
    from autoresearch.trial.procs import Finished
    from autoresearch.trial.stage import Stage


@dataclass
class Bench:
    """A stage and its box; `run` gives a command what a trial would give it."""

    stage: Stage
    box: Box
    limits: Limits

    def run(self, stage: str, text: str, cwd: str, timeout: float) -> Finished:
        """Run a line of a stage ("setup", "build", "benchmark" or "checks") within `timeout` seconds."""
        from autoresearch.trial import environment, procs, signing
        from autoresearch.trial.limits import Guard

        env = environment.allowed(os.environ, credentials=stage == "setup")
        for name, value in self.box.variables(stage).items():
            env.pop(name, None)
            if value is not None:
                env[name] = value
        env[signing.VARIABLE] = os.path.join(self.stage.tmp, signing.FILE)  # noqa: PTH118 - as the trial has it
        places = [*self.stage.parts, self.stage.tmp, self.stage.slash_tmp]
        with self.box.entry(stage, cwd) as entry:
            return procs.run(
                text, env=env, cwd=cwd, timeout=timeout, entry=entry, guard=Guard(self.limits, places),
                output_limit=self.limits.output_mb * 2**20,
            )  # fmt: skip

    def hint(self, stage: str) -> str:
        """What to think of when a command works by hand and not here."""
        if self.box.level == "none":
            return ""
        allowed = stage in self.box.settings.network
        return (
            f" (here it ran contained{'' if allowed else ', without network'}: contain in autoresearch.yaml)"
        )


@contextlib.contextmanager
def bench(project: Project, config: Config) -> Iterator[Bench]:
    """A throw-away stage below the project's state, where a trial's stands too. Raises `EnvironmentMissing`."""
    from autoresearch.trial.contain import Box, Settings, Unavailable
    from autoresearch.trial.limits import Limits
    from autoresearch.trial.stage import Stage, remove

    asked = config.contain
    project.state.mkdir(parents=True, exist_ok=True)
    root = tempfile.mkdtemp(prefix="bench-", dir=project.state)
    try:
        stage = Stage(root)
        settings = Settings(asked.mode, tuple(asked.network), tuple(asked.show))
        try:
            box = Box(settings, stage, os.environ)
        except Unavailable as exc:
            raise EnvironmentMissing(str(exc), fix=ADVICE) from None
        yield Bench(stage, box, Limits(asked.memory_mb, asked.processes, asked.disk_mb, asked.output_mb))
    finally:
        remove(root)


ADVICE = "Install bubblewrap, or allow user namespaces (docs/containment.md); contain: {mode: auto} measures without"


def describe(box: Box) -> tuple[bool, str]:
    """Whether the box is whole, and one sentence: the level, and where it is not full what is missing and holds."""
    if box.level == "full":
        network = ", ".join(box.settings.network) or "no stage"
        return True, f"full, by {box.by}; network for {network}"
    if box.level == "partial":
        return False, f"partial, by {box.by}: {box.missing}. All else holds"
    holds = "a private HOME and TMPDIR, the environment's allow-list, limits, and no process left behind"
    return False, f"none: {box.missing}. What still holds: {holds}"


def demand(project: Project, config: Config) -> None:
    """Where containment is required, raise `EnvironmentMissing` on a machine that cannot give it."""
    if config.contain.mode == "require" and config.engine == "local":
        with bench(project, config):
            return
