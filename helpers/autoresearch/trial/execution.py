"""Runs the spec's commands on the stage: the environment, the container, the CPUs and the time limit of each."""

from __future__ import annotations

import contextlib
import os
import random
from typing import Iterator, List, Mapping, Optional

from autoresearch.trial import environment, priority, procs, reports, signing, slots
from autoresearch.trial.conditions import Meter
from autoresearch.trial.contain import Box
from autoresearch.trial.limits import Guard
from autoresearch.trial.spec import Spec
from autoresearch.trial.stage import TrialStage
from autoresearch.trial.withheld import Withheld

# On the cores that measure: a program must not know from its own whether its time counts or its answer.
_MEASURED = ("benchmark", "checks")


class Execution:
    """One trial's way to run things. `slot` is set while one is held.

    Raises `contain.Unavailable` when the spec requires a container that this machine cannot give.
    """

    def __init__(self, spec: Spec, stage: TrialStage) -> None:
        self._spec = spec
        self._stage = stage
        self._layout_rng = random.Random("layout/%s" % spec.seed)
        self._build_cpus = slots.build_cpus()
        self.slot: slots.Slot | None = None
        self._limits = spec.limits.settled(stage.root)
        self.raised = spec.priority and priority.may_raise()
        # The engine's marker is passed on, so that a killed engine's guardian finds what we have started.
        self._job = os.environ.get("AUTORESEARCH_JOB") or os.urandom(16).hex()
        self.box = Box(spec.contain, stage, os.environ)
        self.withheld = Withheld(spec.secret, spec.subdir)

    @contextlib.contextmanager
    def drawn_again(self) -> Iterator[None]:
        """What is drawn for a run in here will be drawn once more behind it."""
        state = self._layout_rng.getstate()
        yield
        self._layout_rng.setstate(state)

    def run(self, stage: str, command: str, timeout: Optional[float] = None) -> procs.Finished:
        """Run a line of a stage (`contain.STAGES`) in the tree; NotADirectoryError when it lacks `subdir`.

        `timeout` in seconds; None: the stage's own limit. What runs sees the same in each of them (docs/attacks.md says
        what cannot be the same): kinds of descriptors, variables, cgroup, priority and, but for set-up and build, CPUs.
        """
        cpus = self._cpus(stage)
        cwd = os.path.join(self._stage.work, self._spec.subdir)
        if not os.path.isdir(cwd):
            raise NotADirectoryError("the tree has no directory %s" % self._spec.subdir)
        secrets = self.withheld.lay(self._stage.tmp) if stage in _MEASURED else {}
        with self.box.entry(stage, cwd) as entry:
            done = procs.run(
                command, env={**self._environment(stage), **secrets}, cwd=cwd, cpus=cpus,
                timeout=self._spec.timeouts[stage] if timeout is None else timeout, entry=entry,
                guard=Guard(self._limits, [*self._stage.parts, self._stage.tmp, self._stage.slash_tmp]),
                output_limit=self._limits.output_mb * 2**20, streams=True, meter=Meter(cpus),
                on_start=priority.raise_tree if stage in _MEASURED and self.raised else None,
            )  # fmt: skip
        self.withheld.gone()
        return done

    def _environment(self, stage: str) -> Mapping[str, str]:
        env = environment.allowed(os.environ, self._spec.env_pass, credentials=stage == "setup")
        for name, value in self.box.variables(stage).items():
            env.pop(name, None)
            if value is not None:
                env[name] = value
        env.update(environment.layout(self._layout_rng))
        env[signing.VARIABLE] = os.path.join(self._stage.tmp, signing.FILE)
        env.update(self._spec.env)
        env[reports.VARIABLE] = reports.options(env.get(reports.VARIABLE, ""), self._stage.tmp, self._layout_rng)
        return {**env, "AUTORESEARCH_JOB": self._job}

    def _cpus(self, stage: str) -> List[int]:
        measuring = self.slot.cpus if self.slot is not None else []
        if stage in _MEASURED:
            return measuring
        # A rebuild between runs may use this trial's CPUs too: it measures nothing meanwhile.
        return sorted(set(measuring) | set(self._build_cpus)) if self._build_cpus else []
