"""When is a keep a keep: the rule, the e-process, the verdict and its words. Pure; travels to the worker whole."""

from __future__ import annotations

from typing import Literal, Tuple

Word = Literal["keep", "discard"]
# Why: of the test itself, of what was measured beside it (`judging.weighing`), and of what made the test needless.
Reason = Literal[
    "proven", "deterministic", "identical", "below_min", "hopeless", "budget", "timeouts", "undecided", "invalid",
    "rescued", "implausible", "same_instructions", "timer", "moved_work", "constant",
    "slow_rounds", "untimed_work", "slow_reference", "constraint", "constraint_unclear", "complexity", "screened",
    "other_output",
]  # fmt: skip
# How a trial ended, and what became of an experiment.
TrialStatus = Literal["done", "crash", "checks_failed"]
ExperimentStatus = Literal["keep", "discard", "crash", "checks_failed"]
STATUSES: Tuple[ExperimentStatus, ...] = ("keep", "discard", "crash", "checks_failed")
