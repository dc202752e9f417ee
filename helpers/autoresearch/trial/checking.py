"""What a side must satisfy beside being fast: its checks, the generated inputs, and the checks nobody has seen."""

from __future__ import annotations

import os
import time
from typing import Callable, Mapping, Tuple

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
        """`autoresearch.checks.sh`, with the end of its output where it fails.

        What fails is run again, on the base too: a check that fails now and then says nothing of the candidate.
        """
        if not self.spec.checks:
            return
        done = self._once(side)
        status = "passed" if done.ok else "timeout" if done.timed_out else "failed (exit %d)" % done.exit_code
        seconds, flaky = done.seconds, ""
        if not done.ok and not done.timed_out and self.spec.mode != "noise":
            flaky, more = self._again(side)
            seconds += more
        self._end(side, flaky or status, seconds, "" if done.ok else safetext.tail(done.output), "checks ", flaky=flaky)

    def _once(self, side: str) -> Finished:
        self._place(side)
        return self.run(side, self.spec.checks or "", self.spec.timeouts["checks"])

    def _again(self, side: str) -> Tuple[str, float]:
        """Repeat checks that have failed, each side twice at most and for no longer than they may take; how flaky they
        are, "" where they always fail here and never at the base, and the seconds that it took."""
        failed, ran, seconds = {side: 1, "A": 0}, {side: 1, "A": 0}, 0.0
        for where in (side, "A") * 2 if side != "A" and "A" in self.trees else side * 2:
            if seconds > self.spec.timeouts["checks"]:
                break
            done = self._once(where)
            seconds += done.seconds
            ran[where] += 1
            failed[where] += not done.ok
            if done.ok == (where == side):
                at_base = ", and in %d of %d at the base" % (failed["A"], ran["A"]) if side != "A" and ran["A"] else ""
                return "flaky: failed in %d of %d runs%s" % (failed[side], ran[side], at_base), seconds
        return "", seconds

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
        self, side: str, status: str, seconds: float, tail: str, prefix: str = "", *, hidden: bool = False,
        flaky: str = "",
    ) -> None:  # fmt: skip
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
            raise Failed(side, prefix + status, status="crash" if flaky else "checks_failed", flaky=bool(flaky))
