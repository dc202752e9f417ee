"""What a session does about containment: what this machine can give, and the doctor's word on it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from autoresearch.config import Config
from autoresearch.errors import EnvironmentMissing
from autoresearch.files import scratch
from autoresearch.project import Project
from autoresearch.safetext import one_line

# For start-up time, as in the functions below: most commands need no container.
if TYPE_CHECKING:
    from autoresearch.trial.contain import Box

ADVICE = "Install bubblewrap, or allow user namespaces (docs/containment.md); contain: {mode: auto} measures without"


@contextlib.contextmanager
def required() -> Iterator[None]:
    """A container that is required and not possible here is `EnvironmentMissing`, and so is no place to try it in."""
    from autoresearch.trial.contain import Unavailable

    try:
        yield
    except Unavailable as exc:
        raise EnvironmentMissing(str(exc), fix=ADVICE) from None
    except OSError as exc:
        raise EnvironmentMissing(f"machine: {one_line(str(exc))}") from None


def find_box(project: Project, config: Config) -> Box:
    """The container that a trial of this project gets here, found on a throw-away stage."""
    from autoresearch.trial.contain import Box, Settings
    from autoresearch.trial.stage import TrialStage

    asked = config.contain
    with scratch(project.state, "box-") as where, required(), TrialStage(str(where)) as stage:
        return Box(Settings(asked.mode, tuple(asked.network), tuple(asked.show)), stage, os.environ)


def describe(box: Box) -> tuple[bool, str]:
    """Whether the box is whole, and one sentence: the level, and where it is not full what is missing and holds."""
    if box.level == "full":
        network = ", ".join(box.settings.network) or "no stage"
        return True, f"full, by {box.by}; network for {network}"
    if box.level == "partial":
        return False, f"partial, by {box.by}: {box.missing}. All else holds"
    holds = "a private HOME and TMPDIR, the environment's allow-list, limits, and no process left behind"
    return False, f"none: {box.missing}. What still holds: {holds}"


def hint(box: Box, stage: str) -> str:
    """What to think of when a command of a stage works by hand and not in the box."""
    if box.level == "none":
        return ""
    allowed = stage in box.settings.network
    return f" (here it ran contained{'' if allowed else ', without network'}: contain in autoresearch.yaml)"


def demand(project: Project, config: Config) -> None:
    """Where containment is required, raise `EnvironmentMissing` on a machine that cannot give it."""
    if config.contain.mode == "require" and config.engine == "local":
        find_box(project, config)
