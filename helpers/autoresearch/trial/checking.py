"""What a side must satisfy beside being fast: its checks, the generated inputs, and the checks nobody has seen."""

from __future__ import annotations

import os
import shlex
import time
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from autoresearch import safetext
from autoresearch.trial import differential, hidden, reports, said
from autoresearch.trial.emit import Recorder
from autoresearch.trial.failed import Failed
from autoresearch.trial.procs import Finished
from autoresearch.trial.said import Facts
from autoresearch.trial.spec import Spec
from autoresearch.trial.stage import COPY_LIMIT, TrialStage, tree_bytes

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
        self.heard: Optional[Facts] = None  # what the last ones said that passed
        self.unseen = hidden.take(stage.job) if spec.hidden else None

    def own(self, side: str, *, twice: bool = False) -> None:
        """`autoresearch.checks.sh`, with the end of its output where it fails; at a baseline `twice`.

        What fails is run again, on the base too: a check that fails now and then says nothing of the candidate. What
        passes must say what it says for the base: an exit code is no evidence that anything ran.
        """
        if not self.spec.checks:
            return
        done, heard = self._once(side)
        status = "passed" if done.ok else "timeout" if done.timed_out else "failed (exit %d)" % done.exit_code
        tail, seconds, told, why = "" if done.ok else safetext.tail(done.output), done.seconds, _told(heard), ""
        if done.ok and "checks" in self.spec.compare:
            self.heard = heard
            lost, more = self._floor(heard, told, twice=twice) if side == "A" else self._compared(side, heard, told)
            seconds += more
            if lost:
                status, tail = "passed, but say less than at the base", "\n".join(lost[:50])
                why = "%s: %s" % (status, "; ".join(lost[:3]) + ("; and %d more" % (len(lost) - 3)) * (len(lost) > 3))
                told["missing"] = [safetext.one_line(one, 160) for one in lost[:5]]
            self._end(side, status, seconds, tail, "checks ", why=why, heard=told)
            return
        flaky = ""
        if not done.ok and not done.timed_out and self.spec.mode != "noise":
            flaky, more = self._again(side)
            seconds += more
        self._end(side, flaky or status, seconds, tail, "checks ", flaky=flaky)

    def _once(self, side: str) -> Tuple[Finished, Facts]:
        """One run of them, and what it said; that is looked at only where it is compared."""
        self._place(side)
        since = time.time_ns() - 50_000_000  # a file's time may lag behind the clock by a tick
        done = self.run(side, self.spec.checks or "", self.spec.timeouts["checks"])
        if not done.ok or "checks" not in self.spec.compare:
            return done, said.read("")
        return done, said.read(done.output, reports.passed([self.stage.tmp, self.stage.work], since))

    def _floor(self, heard: Facts, told: Dict[str, Any], *, twice: bool) -> Tuple[List[str], float]:
        """Of the base's checks, whether they say the same each time; the seconds that it took to know."""
        if not twice:
            return [], 0.0
        done, again = self._once("A")
        same = done.ok and again.digest() == heard.digest()
        told.update(stable=same, digest=heard.digest() if same else "")
        return [], done.seconds

    def _compared(self, side: str, heard: Facts, told: Dict[str, Any]) -> Tuple[List[str], float]:
        """What the base's checks say and a candidate's do not, and the seconds that it took to know; `told` gets it.

        Where it is not what they said at the baseline, the base's run here, twice where something is missing, and
        then the candidate's again: what a side says now and then is no evidence.
        """
        if heard.digest() == self.spec.said:
            told.update(base=heard.passed, result="same")
            return [], 0.0
        told["result"] = "not compared"
        base, lost, seconds = None, [], 0.0
        for _ in range(3 if "A" in self.trees else 0):
            done, floor = self._once("A")
            seconds += done.seconds
            if not done.ok:
                continue
            base = floor if base is None else base.least(floor)
            lost = said.missing(base, heard)
            told.update(
                base=base.passed, result="less" if lost else "more" if base.digest() != heard.digest() else "same"
            )
            if not lost or base is not floor:
                break
        if lost and base is not None:
            done, again = self._once(side)
            seconds += done.seconds
            lost = said.missing(base, heard.most(again)) if done.ok else lost
            told["result"] = "less" if lost else "unsteady"
        return lost, seconds

    def _again(self, side: str) -> Tuple[str, float]:
        """Repeat checks that have failed, each side twice at most and for no longer than they may take; how flaky they
        are, "" where they always fail here and never at the base, and the seconds that it took."""
        failed, ran, seconds = {side: 1, "A": 0}, {side: 1, "A": 0}, 0.0
        for where in (side, "A") * 2 if side != "A" and "A" in self.trees else side * 2:
            if seconds > self.spec.timeouts["checks"]:
                break
            done, _ = self._once(where)
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
        on = ""

        def place(side: str) -> None:
            """A fresh copy, as each run of the benchmark has one; of large trees one a side."""
            nonlocal on
            if side != on or tree_bytes(self.trees[side]) <= COPY_LIMIT:
                self._place(side)
            on = side

        bench = differential.SideRunner(place, self.run)
        found = differential.compare(bench, plan, differential.seeds(self.spec.seed, plan.inputs))
        status = "%s on seed %d" % found[0][:2] if found else "passed"
        tail = "\n".join("%s on seed %d: %s" % one for one in found[:5])
        self._end("B", status, time.monotonic() - begun, tail)

    def hidden(self, side: str) -> None:
        """After all measuring. What they print is not passed on: it tells what they check."""
        if self.unseen is None:
            return
        self._place(side)
        where = hidden.place(self.unseen, os.path.join(self.stage.work, self.spec.subdir), self.stage.tmp)
        done = self.run(side, "bash %s/checks.sh" % shlex.quote(where), self.spec.timeouts["checks"])
        status = "passed" if done.ok else "hidden checks failed (%s)" % done.failure()
        self._end(side, status, done.seconds, "", hidden=True)

    def _place(self, side: str) -> None:
        self.stage.place_copy(self.trees[side])

    def _end(
        self, side: str, status: str, seconds: float, tail: str, prefix: str = "", *, hidden: bool = False,
        flaky: str = "", why: str = "", heard: Mapping[str, Any] = {},
    ) -> None:  # fmt: skip
        self.status = status
        self.out.record(
            "checks",
            side=side,
            status=status,
            seconds=round(seconds, 3),
            tail=tail,
            **({"hidden": True} if hidden else {}),
            **({"heard": heard} if heard else {}),
        )
        if status != "passed":
            raise Failed(
                side, prefix + (why or status), status="crash" if flaky else "checks_failed", flaky=bool(flaky)
            )


def _told(heard: Facts) -> Dict[str, Any]:
    """What checks said, in numbers."""
    silent = {"silent": True} if heard.silent else {}
    return {"runner": heard.runner, "passed": heard.passed, "facts": len(heard.facts), **silent}
