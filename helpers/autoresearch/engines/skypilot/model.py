"""The words between the scheduler and whoever carries its decisions out: policy, events, actions, VMs, jobs. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal, NamedTuple

# A VM's states. `fresh` is up, but has not shown that it measures well; a VM that is `retired` or `lost` never returns:
# its successor has another name, so that no job number or log of the one can be taken for the other's.
VmState = Literal["launching", "fresh", "qualifying", "idle", "busy", "leaving", "retired", "lost"]
LAUNCHING: Final = "launching"
FRESH: Final = "fresh"
QUALIFYING: Final = "qualifying"
IDLE: Final = "idle"
BUSY: Final = "busy"
LEAVING: Final = "leaving"
RETIRED: Final = "retired"
LOST: Final = "lost"
ALIVE: frozenset[VmState] = frozenset({LAUNCHING, FRESH, QUALIFYING, IDLE, BUSY})
OVER: frozenset[VmState] = frozenset({RETIRED, LOST})

# The stages of a trial on its way over a VM.
FlightStage = Literal["sending", "running", "unsure", "stopping"]
SENDING: Final = "sending"
RUNNING: Final = "running"
UNSURE: Final = "unsure"
STOPPING: Final = "stopping"

JobEnd = Literal["done", "failed", "cancelled"]
NoteKind = Literal["qualified", "unfit", "replaced", "drift", "requalify", "lost", "refused", "stuck", "halt"]


class Attempt(NamedTuple):
    """One submission of a job to a VM; `number` counts the job's from 1. `job` "": the VM's own noise trial."""

    vm: str
    job: str
    number: int


@dataclass(frozen=True)
class Policy:
    """Limits of a fleet; times in seconds.

    `attempts` submissions of one job in all; `launches` setbacks in a row (a launch refused, a VM lost, no job finished
    in between) after which nothing is tried any more when no VM is left; `replacements` VMs given back because they
    measure badly. A VM is qualified anew after `requalify_after` trials.
    """

    vms: int = 1
    qualify: bool = True
    attempts: int = 3
    launches: int = 3
    replacements: int = 2
    requalify_after: int = 50
    qualify_tries: int = 2
    strikes: int = 3
    launch_timeout: float = 3600.0
    send_timeout: float = 600.0
    look_every: float = 20.0
    unreachable_after: float = 600.0
    stop_timeout: float = 300.0
    teardown_every: float = 120.0
    teardowns: int = 10
    backoff: float = 15.0
    backoff_most: float = 600.0
    qualify_timeout: float = 7200.0


# --- events: what has happened


@dataclass(frozen=True)
class Submit:
    """A new job. `timeout` seconds for all of it once it runs; `qualifies`: it is a noise trial of the base itself."""

    job: str
    timeout: float
    qualifies: bool = False
    attempts: int = 0


@dataclass(frozen=True)
class CancelJob:
    job: str


@dataclass(frozen=True)
class Up:
    """A launch has succeeded."""

    vm: str


@dataclass(frozen=True)
class LaunchRefused:
    """A launch has failed; `hopeless`: trying again cannot help."""

    vm: str
    reason: str
    hopeless: bool = False


@dataclass(frozen=True)
class Accepted:
    """The trial is on the VM: its submission has come through, or a look has found it there."""

    attempt: Attempt


@dataclass(frozen=True)
class Refused:
    """The trial is surely not on the VM: never submitted, or a look has not found it."""

    attempt: Attempt
    reason: str


@dataclass(frozen=True)
class Unclear:
    """Nobody knows whether the trial is (still) on the VM: a connection broke, a server restarted.

    `patient`: it is not the VM that does not answer, so the time until it counts as beyond reach starts anew.
    """

    attempt: Attempt
    reason: str
    patient: bool = False


@dataclass(frozen=True)
class Noise:
    """What a noise trial says of its VM: whether it is `fit` to show the smallest gain worth keeping, and its noise."""

    fit: bool
    sigma_pct: float | None = None
    mde_pct: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class Result:
    """The trial has ended on the VM.

    `usable`: its output is complete and carries the right hash, so it is the experiment's result, good or bad (`state`
    done or failed); otherwise the VM or the way to it is at fault and it runs again elsewhere. `noise` of a noise trial
    that was measured; `drifted`: this trial's readings were much noisier than the VM's qualification.
    """

    attempt: Attempt
    usable: bool
    state: JobEnd = "done"
    detail: str = ""
    noise: Noise | None = None
    drifted: str = ""


@dataclass(frozen=True)
class TrialStopped:
    """The trial runs no more, as was asked."""

    attempt: Attempt


@dataclass(frozen=True)
class VmLost:
    """The VM is gone or beyond reach. `idle_end`: it ended by its own autostop, with nothing on it."""

    vm: str
    reason: str
    idle_end: bool = False


@dataclass(frozen=True)
class Gone:
    """The teardown of a VM is verified."""

    vm: str


@dataclass(frozen=True)
class Outdated:
    """A VM is not what the next jobs need (another setup, other resources): it is given back when nothing is on it."""

    vm: str
    reason: str


@dataclass(frozen=True)
class Halt:
    """A budget says stop: nothing more is launched or sent; what waits fails with `reason`. "" lifts it."""

    reason: str


OfAttempt = Accepted | Refused | Unclear | Result | TrialStopped
OfVm = Up | LaunchRefused | VmLost | Gone | Outdated
Event = Submit | CancelJob | OfAttempt | OfVm | Halt


# --- actions: what to do. Each is answered by an event, or by silence until its time is up.


@dataclass(frozen=True)
class Launch:
    """Answer: Up, LaunchRefused."""

    vm: str


@dataclass(frozen=True)
class Send:
    """Submit the trial. Answer: Accepted, Refused, Unclear, VmLost."""

    attempt: Attempt


@dataclass(frozen=True)
class Locate:
    """See whether the trial is on the VM, and how it stands. Answer: Accepted, Refused, Unclear, Result, VmLost."""

    attempt: Attempt


@dataclass(frozen=True)
class Stop:
    """End the trial on the VM. Answer: TrialStopped, Result, VmLost."""

    attempt: Attempt


@dataclass(frozen=True)
class TearDown:
    """Give the VM back and verify it. Answer: Gone."""

    vm: str


@dataclass(frozen=True)
class Finish:
    """The job is over. `attempt` says whose output is its result, if any is."""

    job: str
    state: JobEnd
    detail: str = ""
    attempt: Attempt | None = None


@dataclass(frozen=True)
class Note:
    """Something for the record."""

    kind: NoteKind
    vm: str
    reason: str
    data: dict[str, Any] = field(default_factory=dict)


Action = Launch | Send | Locate | Stop | TearDown | Finish | Note


# --- what the scheduler keeps


@dataclass
class Flight:
    """A trial on a VM. `since`: when its stage began; `begun`: its acceptance."""

    attempt: Attempt
    stage: FlightStage
    since: float
    begun: float | None = None
    looked: float = 0.0
    qualifying: bool = False
    reason: str = ""


@dataclass
class Vm:
    """One VM. `unfit` says why it measures badly though it is in use (no replacement is left)."""

    name: str
    state: VmState
    since: float
    flight: Flight | None = None
    qualified: bool = False
    unfit: str = ""
    sigma_pct: float | None = None
    mde_pct: float | None = None
    trials: int = 0
    trials_since: int = 0
    qualify_tries: int = 0
    noise_trials: int = 0
    strikes: int = 0
    teardowns: int = 0
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """All but the flight, which the job's own file tells."""
        return {key: value for key, value in asdict(self).items() if key != "flight"}


@dataclass
class Job:
    """One job that has not ended."""

    name: str
    timeout: float
    qualifies: bool = False
    attempts: int = 0
    vm: str = ""
    cancelled: bool = False
    avoid: str = ""
    reasons: list[str] = field(default_factory=list)
