"""The words between the scheduler and whoever carries its decisions out: policy, events, actions, VMs, jobs. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

# A VM's states. `fresh` is up, but has not shown that it measures well; a VM that is `retired` or `lost` never returns:
# its successor has another name, so that no job number or log of the one can be taken for the other's.
LAUNCHING, FRESH, QUALIFYING, IDLE, BUSY = "launching", "fresh", "qualifying", "idle", "busy"
LEAVING, RETIRED, LOST = "leaving", "retired", "lost"
ALIVE = frozenset({LAUNCHING, FRESH, QUALIFYING, IDLE, BUSY})

# The stages of a trial on its way over a VM.
SENDING, RUNNING, UNSURE, STOPPING = "sending", "running", "unsure", "stopping"


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

    vm: str
    job: str
    attempt: int


@dataclass(frozen=True)
class Refused:
    """The trial is surely not on the VM: never submitted, or a look has not found it."""

    vm: str
    job: str
    attempt: int
    reason: str


@dataclass(frozen=True)
class Unclear:
    """Nobody knows whether the trial is (still) on the VM: a connection broke, a server restarted.

    `patient`: it is not the VM that does not answer, so the time until it counts as beyond reach starts anew.
    """

    vm: str
    job: str
    attempt: int
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

    vm: str
    job: str
    attempt: int
    usable: bool
    state: str = "done"
    detail: str = ""
    noise: Noise | None = None
    drifted: str = ""


@dataclass(frozen=True)
class Stopped:
    """The trial runs no more, as was asked."""

    vm: str
    job: str
    attempt: int


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


About = Accepted | Refused | Unclear | Result | Stopped  # what speaks of a flight
Event = Submit | CancelJob | Up | LaunchRefused | About | VmLost | Gone | Outdated | Halt


# --- actions: what to do. Each is answered by an event, or by silence until its time is up.


@dataclass(frozen=True)
class Launch:
    """Answer: Up, LaunchRefused."""

    vm: str


@dataclass(frozen=True)
class Send:
    """Submit the trial; `job` is "" for the VM's own noise trial. Answer: Accepted, Refused, Unclear, VmLost."""

    vm: str
    job: str
    attempt: int


@dataclass(frozen=True)
class Look:
    """See whether the trial is on the VM, and how it stands. Answer: Accepted, Refused, Unclear, Result, VmLost."""

    vm: str
    job: str
    attempt: int


@dataclass(frozen=True)
class Stop:
    """End the trial on the VM. Answer: Stopped, Result, VmLost."""

    vm: str
    job: str
    attempt: int


@dataclass(frozen=True)
class TearDown:
    """Give the VM back and verify it. Answer: Gone."""

    vm: str


@dataclass(frozen=True)
class Finish:
    """The job is over: state done|failed|cancelled. `vm` and `attempt` say whose output is its result, if any is."""

    job: str
    state: str
    detail: str = ""
    vm: str = ""
    attempt: int = 0


@dataclass(frozen=True)
class Note:
    """Something for the record: `kind` is qualified|unfit|replaced|drift|requalify|lost|refused|stuck|halt."""

    kind: str
    vm: str
    reason: str
    data: dict[str, Any] = field(default_factory=dict)


Action = Launch | Send | Look | Stop | TearDown | Finish | Note


# --- what the scheduler keeps


@dataclass
class Flight:
    """A trial on a VM; `job` "" is the VM's own noise trial. `since`: when its stage began; `begun`: its acceptance."""

    job: str
    attempt: int
    stage: str
    since: float
    begun: float | None = None
    looked: float = 0.0
    qualifying: bool = False
    reason: str = ""


@dataclass
class Vm:
    """One VM. `unfit` says why it measures badly though it is in use (no replacement is left)."""

    name: str
    state: str
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
