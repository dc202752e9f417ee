"""Runs one command to its end, and ends everything that it started."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import tempfile
import time
from typing import IO, Callable, Dict, Iterator, Mapping, NamedTuple, Optional, Sequence, Set, Union

from autoresearch.trial import processes
from autoresearch.trial.capture import Capture, File, Streams
from autoresearch.trial.conditions import Met, Meter, Used, used, waited_here
from autoresearch.trial.limits import Guard

MARKER = "AUTORESEARCH_RUN"
OUTPUT_LIMIT = 64 * 1024 * 1024
_LOOK_EVERY = 0.1  # seconds between looks at the size of the output

Command = Union[str, Sequence[str]]


class BoxEntry(NamedTuple):
    """How a command is started inside a container (`contain.Box.entry`); `OUTSIDE` starts it as it is.

    `prefix` comes before its arguments; `enter` is called in the forked child with what must still be done last
    and returns in the process that becomes the command; `report` says afterwards what went wrong inside.
    """

    prefix: Sequence[str]
    enter: Optional[Callable[[Callable[[], None]], None]]
    report: Optional[Callable[[], str]]


OUTSIDE = BoxEntry((), None, None)


class Finished(NamedTuple):
    """How a command ended. `exit_code` is 128 + signal for a killed one, as in a shell."""

    exit_code: int
    timed_out: bool
    flooded: bool
    seconds: float
    cpu_seconds: float
    output: str
    exceeded: str = ""  # which limit it was ended for, such as "memory over 800 MB"
    met: Met = Met()
    apart: str = ""  # the output as stdout, then stderr

    @property
    def ok(self) -> bool:
        return self.exit_code == 0 and not (self.timed_out or self.flooded or self.exceeded)

    def failure(self) -> str:
        """Why it is not ok, in a few words; empty when it is."""
        if self.flooded:
            return "output over the limit"
        if self.exceeded:
            return self.exceeded
        if self.timed_out:
            return "timeout after %.0f s" % self.seconds
        return "exit %d" % self.exit_code if self.exit_code else ""


def run(
    command: Command,
    *,
    env: Mapping[str, str],
    cwd: str,
    timeout: float,
    output_limit: int = OUTPUT_LIMIT,
    cpus: Optional[Sequence[int]] = None,
    log: Optional[IO[bytes]] = None,
    streams: bool = False,
    grace: float = 0.0,
    on_start: Optional[Callable[[int], None]] = None,
    extend: Optional[Callable[[], float]] = None,
    entry: BoxEntry = OUTSIDE,
    guard: Optional[Guard] = None,
    meter: Optional[Meter] = None,
) -> Finished:
    """Run `command` (an argument list, or a line for `sh -c`) in its own session without stdin.

    stdout and stderr go to one file: `log` when given (then `output` is empty), else a private one that is
    read back whole, up to `output_limit` bytes; a command that writes more is killed. With `streams` they are read
    as they are printed instead, and can be changed by nobody afterwards (`capture.Streams`). At `timeout` seconds,
    at an exception (a signal handler's, Ctrl-C) and also after success, the whole process tree is killed;
    with `grace` its group gets SIGTERM and that many seconds first. `cpus` pins the command where possible.
    `extend` is asked at the deadline for more seconds; 0 means that the time is up.
    `entry` puts it into a container, `guard` limits what it uses up, `meter` watches what it meets.
    Raises OSError when the command cannot be started at all.
    """
    argv = [*entry.prefix, *(["sh", "-c", command] if isinstance(command, str) else command)]
    marker = os.urandom(12).hex()
    full_env: Dict[str, str] = dict(env)
    full_env[MARKER] = marker
    parent = os.getpid()

    def in_child() -> None:
        processes.die_with_parent()
        if os.getppid() != parent:  # it died before the request above
            os._exit(125)
        if meter is not None:
            meter.in_child()
        if entry.enter is not None:
            entry.enter(pin)
        else:
            pin()

    def pin() -> None:
        if guard is not None:
            guard.in_child()
        if cpus and hasattr(os, "sched_setaffinity"):
            with contextlib.suppress(OSError):
                os.sched_setaffinity(0, cpus)

    with contextlib.ExitStack() as stack:
        file = log if log is not None or streams else stack.enter_context(tempfile.TemporaryFile())
        output: Capture = Streams() if file is None else File(file)
        stack.callback(output.close)
        if meter is not None:
            stack.callback(meter.release)
        stack.enter_context(processes.subreaper())
        before = processes.direct_children()
        begun = time.monotonic()
        # start_new_session: setsid, so that a terminal's Ctrl-C and our group kill reach the right ones.
        try:
            child = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=output.stdout, stderr=output.stderr, env=full_env, cwd=cwd,
                start_new_session=True, preexec_fn=in_child,
            )  # fmt: skip
        except subprocess.SubprocessError as exc:
            processes.end_tree(0, MARKER + "=" + marker, before)
            raise OSError("containment: %s" % (entry.report() if entry.report else exc)) from None
        if meter is not None:
            begun = meter.begun(begun)
        output.started()
        watch = _Watch(child, output, begun + timeout, output_limit, extend, guard, meter)
        seconds = 0.0
        whole = Used()
        ended = False
        try:
            if on_start is not None:
                on_start(child.pid)
            ended = watch.wait()
            seconds = time.monotonic() - begun
        finally:
            if not ended and grace > 0:
                processes.kill_group(child.pid, signal.SIGTERM)
                watch.wait_until(time.monotonic() + grace)
            whole = _end(child.pid, watch, marker, before).plus(watch.used)
            met = meter.met(seconds, whole, watch.late) if meter is not None else Met()
        said = output.text(output_limit) if log is None else ""
        apart = output.apart(output_limit) if streams else said
    return Finished(
        watch.exit_code, watch.timed_out, watch.flooded, seconds, whole.cpu_seconds, said, watch.exceeded, met, apart
    )


def _end(group: int, watch: "_Watch", marker: str, before: Set[int]) -> Used:
    processes.kill_group(group)
    watch.wait_until(None)
    return processes.end_tree(group, MARKER + "=" + marker, before)


class _Watch:
    """Waits for a child with a deadline and an eye on the size of its output."""

    def __init__(
        self,
        child: "subprocess.Popen[bytes]",
        output: Capture,
        deadline: float,
        limit: int,
        extend: Optional[Callable[[], float]],
        guard: Optional[Guard],
        meter: Optional[Meter],
    ) -> None:
        self.child = child
        self.output = output
        self.deadline = deadline
        self.limit = limit
        self.extend = extend
        self.guard = guard
        self.meter = meter
        self.exceeded = ""
        self.exit_code = -1
        self.used = Used()
        self.late = 0.0  # seconds that we waited for a core ourselves when it had ended
        self.timed_out = False
        self.flooded = False
        self._done = False

    def wait(self) -> bool:
        """True when the child has ended by itself, False when it must be killed."""
        waited = 0.0
        with _end_signal(self.child.pid, self.output, self.limit) as sleep:
            while not self._collect(os.WNOHANG):
                left = self.deadline - time.monotonic()
                if left <= 0 and self.extend is not None:
                    left = self.extend()
                    self.deadline = time.monotonic() + left
                self.flooded = self.output.size() > self.limit
                self.timed_out = left <= 0
                self.exceeded = self.guard.look() if self.guard is not None else ""
                if self.flooded or self.timed_out or self.exceeded:
                    return False
                waited = waited_here() if self.meter is not None else 0.0
                sleep(min(left, _LOOK_EVERY))
        self.late = waited_here() - waited if waited else 0.0
        self.flooded = self.output.size() > self.limit
        return True

    def wait_until(self, deadline: Optional[float]) -> None:
        """Collect the child, at the latest at `deadline`; without one, until it has ended."""
        while not self._collect(0 if deadline is None else os.WNOHANG):
            if deadline is not None:
                if time.monotonic() >= deadline:
                    return
                time.sleep(0.02)

    def _collect(self, flags: int) -> bool:
        if self._done:
            return True
        try:
            if self.meter is not None and hasattr(os, "waitid"):  # macOS has it from Python 3.13 on
                if os.waitid(os.P_PID, self.child.pid, os.WEXITED | os.WNOWAIT | flags) is None:
                    return False
                self.meter.ended(self.child.pid)
            pid, status, usage = os.wait4(self.child.pid, flags)
        except ChildProcessError:
            # Somebody else in this process has reaped it: its exit code is lost, so it counts as a failure.
            pid, status, usage = self.child.pid, 1 << 8, None
        if not pid:
            return False
        self.exit_code = 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        self.used = used(usage) if usage is not None else Used()
        self.child.returncode = self.exit_code  # so that Popen does not wait for it again
        self._done = True
        return True


@contextlib.contextmanager
def _end_signal(pid: int, output: Capture, limit: int) -> Iterator[Callable[[float], None]]:
    """A sleep that returns early when process `pid` ends or has printed more than `limit` bytes, and reads meanwhile
    what it prints. The end is seen by pidfd (Linux, Python 3.9), else by short naps."""
    opener = getattr(os, "pidfd_open", None)
    fd = -1
    if opener is not None:
        with contextlib.suppress(OSError):
            fd = opener(pid)
    nap = 60.0 if fd >= 0 else 0.005
    poller = select.poll()
    for each in ([fd] if fd >= 0 else []) + output.readers:
        poller.register(each, select.POLLIN)

    def sleep(seconds: float) -> None:
        until = time.monotonic() + min(seconds, nap)
        while output.size() <= limit:
            ready = [got for got, _ in poller.poll(max(1.0, (until - time.monotonic()) * 1000))]
            for each in ready:
                if each in output.readers:
                    output.pump(each)
                    if each not in output.readers:
                        poller.unregister(each)
            if fd in ready or time.monotonic() >= until:
                return

    try:
        yield sleep
    finally:
        if fd >= 0:
            os.close(fd)
