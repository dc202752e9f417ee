"""What a side must satisfy beside being fast: its checks, the generated inputs, and the checks nobody has seen."""

from __future__ import annotations

import os
import time
from typing import Callable, Mapping

from autoresearch import safetext
from autoresearch.trial import differential, hidden
from autoresearch.trial.emit import Recorder
from autoresearch.trial.failed import Failed
from autoresearch.trial.procs import Finished
from autoresearch.trial.spec import Spec
from autoresearch.trial.stage import TrialStage

# (side, command, seconds that it may take)
Run = Callable[[str, str, float], Finished]


class Checks:
    """Runs them on copies of the built `trees`. `status` is the last word on them; a failure is raised as `Failed`."""

    def __init__(self, spec: Spec, stage: TrialStage, trees: Mapping[str, str], run: Run, out: Recorder) -> None:
        self.spec = spec
        self.stage = stage
        self.trees = trees
        self.run = run
        self.out = out
        self.status = "skipped (not reached)" if spec.checks else "skipped (no checks)"
        self.unseen = hidden.take(stage.root) if spec.hidden else None

    def own(self, side: str) -> None:
        """`autoresearch.checks.sh`, with the end of its output where it fails."""
        if not self.spec.checks:
            return
        self._place(side)
        done = self.run(side, self.spec.checks, self.spec.timeouts["checks"])
        status = "passed" if done.ok else "timeout" if done.timed_out else "failed (exit %d)" % done.exit_code
        self._end(side, status, done.seconds, "" if done.ok else safetext.tail(done.output), "checks ")

    def inputs(self) -> None:
        """The generated inputs on both sides: the candidate has to answer as the base does."""
        plan, begun = self.spec.differential, time.monotonic()
        if plan is None:
            return
        bench = differential.SideRunner(self._place, self.run)
        found = differential.compare(bench, plan, differential.seeds(self.spec.seed, plan.inputs))
        status = "%s on seed %d" % found[0][:2] if found else "passed"
        tail = "\n".join("%s on seed %d: %s" % one for one in found[:5])
        self._end("B", status, time.monotonic() - begun, tail)

    def hidden(self, side: str) -> None:
        """After all measuring. What they print is not passed on: it tells what they check."""
        if self.unseen is None:
            return
        self._place(side)
        where = hidden.place(self.unseen, os.path.join(self.stage.work, self.spec.subdir))
        done = self.run(side, "bash %s/checks.sh" % where, self.spec.timeouts["checks"])
        status = "passed" if done.ok else "hidden checks failed (%s)" % done.failure()
        self._end(side, status, done.seconds, "", hidden=True)

    def _place(self, side: str) -> None:
        self.stage.place_copy(self.trees[side])

    def _end(
        self, side: str, status: str, seconds: float, tail: str, prefix: str = "", *, hidden: bool = False
    ) -> None:
        self.status = status
        self.out.record(
            "checks",
            side=side,
            status=status,
            seconds=round(seconds, 3),
            tail=tail,
            **({"hidden": True} if hidden else {}),
        )
        if status != "passed":
            raise Failed(side, prefix + status, status="checks_failed")
