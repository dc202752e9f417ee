"""Exit codes, the errors that carry them, and the commands that come next.

Every message is a sentence: what, where, how to mend it.
"""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """The exit-code contract of every command (documented in README.md and instructions.md)."""

    DONE = 0
    NO = 1  # a measured "no", or "not yet"
    USAGE = 2
    ENVIRONMENT = 3
    STOPPED = 4
    INTEGRITY = 5


# Agents' shells return after 10 to 120 seconds: a command that waits comes back before, and is repeated.
POLL = "--timeout 25"
POLL_BASELINE = f"autoresearch baseline {POLL}"
POLL_WAIT = f"autoresearch wait {POLL}"
# The audit that a session ends with: runs, and how many keeps it measures one by one.
AUDIT_RUNS, AUDIT_ABLATE = 40, 3


def poll_ab(*experiments: str, again: int = 0) -> str:
    """The command that runs, or goes on with, their A/Bs; those that were disturbed for the `again`-th time more."""
    return f"autoresearch ab {' '.join(experiments)}{f' --again {again}' if again else ''} {POLL}"


def poll_audit(runs: int = AUDIT_RUNS, ablate: int = AUDIT_ABLATE) -> str:
    """The command that runs, or goes on with, such an audit."""
    asked = f" --runs {runs}" if runs != AUDIT_RUNS else ""
    asked += f" --ablate {ablate}" if ablate != AUDIT_ABLATE else ""
    return f"autoresearch finalize --audit {POLL}{asked}"


class AutoresearchError(Exception):
    """Base of all expected failures.

    `message` says what and where, `fix` how to mend it, `next` the command to type (without a shell prompt).
    """

    code: Exit = Exit.USAGE

    def __init__(self, message: str, *, fix: str = "", next: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix
        self.next = next

    def sentence(self) -> str:
        """One line for stderr."""
        return f"{self.message}. {self.fix}".rstrip(". ") + "." if self.fix else self.message.rstrip(".") + "."


class NotYet(AutoresearchError):
    """Not possible now, through no fault of the caller; `next` says what comes first."""

    code = Exit.NO


class BadInput(AutoresearchError):
    """Wrong use, a bad file or a bad value."""

    code = Exit.USAGE


class EnvironmentMissing(AutoresearchError):
    """A tool, a package or a machine is not there."""

    code = Exit.ENVIRONMENT


class Stopped(AutoresearchError):
    """A budget or a stop rule says no more."""

    code = Exit.STOPPED


class IntegrityFault(AutoresearchError):
    """The evaluator was touched, a diff left its scope, or the ledger is damaged."""

    code = Exit.INTEGRITY
