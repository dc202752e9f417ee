"""The scheduler as a pure state machine: events in, actions out, the clock a parameter. No file, process or network.

Its promises, whatever events come, in whatever order, late, twice or never (`tests/test_fleet.py`):

* at most one trial is on a VM at any time, and a job is never on two VMs that may both still give its result;
* a job is submitted again only when it is certain that no earlier submission can count;
* every job ends: each wait has a time limit and each retry a bound, so ticks alone lead to an end.

Whoever carries the actions out (dispatcher, simulation) answers with events; an event about a flight that is over is
ignored, so an answer may come twice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from autoresearch.engines.skypilot import model as m
from autoresearch.engines.skypilot.fleet_vms import FleetVms


class Fleet(FleetVms):
    """The scheduler. `apply` and `tick` return what to do now, in order.

    While `halted` holds a reason (a budget says so) nothing is launched or sent, what waits fails with it, and VMs are
    given back as soon as what they measure has ended.
    """

    def __init__(self, policy: m.Policy, prefix: str = "vm", *, yardstick: bool = True) -> None:
        super().__init__(policy, prefix, yardstick=yardstick)
        self.jobs: dict[str, m.Job] = {}
        self.queue: deque[str] = deque()
        self.halted = ""

    # --- in and out

    def apply(self, event: m.Event, now: float) -> list[m.Action]:
        """Take one event; `now` in seconds, never decreasing."""
        handle = _HANDLERS[type(event)]
        if isinstance(event, m.OfAttempt):
            vm = self.vms.get(event.attempt.vm)
            # Of a flight that is over, or of another one: its answer comes late, or twice.
            if vm is not None and vm.flight is not None and vm.flight.attempt == event.attempt:
                handle(self, vm, vm.flight, event, now)
        elif not isinstance(event, m.OfVm):
            handle(self, event, now)
        elif event.vm in self.vms:
            handle(self, self.vms[event.vm], event, now)
        return self._advance(now)

    def tick(self, now: float) -> list[m.Action]:
        """What the passing of time asks for."""
        for vm in list(self.vms.values()):
            self._overdue(vm, now)
        return self._advance(now)

    @property
    def at_rest(self) -> bool:
        """Nothing is left to do: no job, and no VM on its way out, or that a halt has still to give back."""
        leaving = any(vm.state == m.LEAVING for vm in self.vms.values())
        return not self.jobs and not leaving and not (self.halted and self.alive())

    def restore(self, vms: Iterable[m.Vm], jobs: Iterable[m.Job], now: float) -> None:
        """Take up where a killed dispatcher stood. What was in flight is looked for, and nothing is sent twice.

        Jobs come in the order of their submission; those on a VM are its `flight`. `since` of the VMs is the caller's.
        """
        for vm in vms:
            self.vms[vm.name] = vm
            if vm.flight is not None:
                vm.flight.stage, vm.flight.since, vm.flight.looked = m.UNSURE, now, float("-inf")
                if vm.state in m.ALIVE:
                    vm.state = m.QUALIFYING if vm.flight.qualifying else m.BUSY
            elif vm.state in (m.BUSY, m.QUALIFYING):
                vm.state = m.IDLE if vm.qualified else m.FRESH
        flying = {vm.flight.attempt.job: vm.name for vm in self.vms.values() if vm.flight}
        for job in jobs:
            self.jobs[job.name] = job
            job.vm = flying.get(job.name, "")
            if not job.vm:
                self.queue.append(job.name)

    # --- events

    def _submit(self, event: m.Submit, now: float) -> None:
        if event.job in self.jobs or not event.job:
            return
        self.jobs[event.job] = m.Job(event.job, event.timeout, event.qualifies, event.attempts)
        self.queue.append(event.job)

    def _cancel(self, event: m.CancelJob, now: float) -> None:
        job = self.jobs.get(event.job)
        if job is None or job.cancelled:
            return
        job.cancelled = True
        flight = self.vms[job.vm].flight if job.vm else None
        if flight is None:
            self._finish(job, "cancelled", "cancelled")
        elif flight.stage == m.RUNNING:
            self._stop(self.vms[job.vm], flight, now)

    def _up(self, vm: m.Vm, event: m.Up, now: float) -> None:
        if vm.state == m.LAUNCHING:
            self._enter(vm, m.FRESH, now)

    def _launch_refused(self, vm: m.Vm, event: m.LaunchRefused, now: float) -> None:
        if vm.state != m.LAUNCHING:
            return
        self._setback(now, self.policy.launches if event.hopeless else 1)
        # A refused launch may have left something behind that costs money.
        self._dismiss(vm, "refused", event.reason, now)

    def _accepted(self, vm: m.Vm, flight: m.Flight, event: m.Accepted, now: float) -> None:
        if flight.stage not in (m.SENDING, m.UNSURE):
            return
        flight.begun = now if flight.begun is None else flight.begun
        flight.stage, flight.since, flight.reason = m.RUNNING, now, ""
        job = self.jobs.get(flight.attempt.job)
        if (job is not None and job.cancelled) or now > flight.begun + self._limit(flight):
            self._stop(vm, flight, now)

    def _refused(self, vm: m.Vm, flight: m.Flight, event: m.Refused, now: float) -> None:
        self._land(vm, now)
        self._strike(vm, event.reason, now)
        self._no_result(vm, flight, event.reason, now)

    def _unclear(self, vm: m.Vm, flight: m.Flight, event: m.Unclear, now: float) -> None:
        if flight.stage == m.STOPPING:
            return
        flight.reason = event.reason
        if flight.stage != m.UNSURE:
            flight.stage, flight.since, flight.looked = m.UNSURE, now, float("-inf")
        elif event.patient:
            flight.since = now

    def _result(self, vm: m.Vm, flight: m.Flight, event: m.Result, now: float) -> None:
        timed_out = flight.reason if flight.stage == m.STOPPING else ""
        self._land(vm, now)
        if not event.usable:
            self._strike(vm, event.detail, now)
            over = bool(timed_out and flight.attempt.job)
            self._no_result(vm, flight, timed_out if over else event.detail, now, over=over)
            return
        vm.strikes = 0
        vm.trials += 1
        vm.trials_since += 1
        if flight.qualifying:
            self._judge(vm, flight, event, now)
            return
        self._finish_flight(flight, event.state, event.detail)
        if event.drifted and vm.state == m.IDLE:
            self._note("drift", vm, event.drifted)
            self._requalify(vm, now)
        elif vm.trials_since >= self.policy.requalify_after and vm.state == m.IDLE:
            self._note("requalify", vm, f"{vm.trials_since} trials since its noise was measured")
            self._requalify(vm, now)

    def _stopped(self, vm: m.Vm, flight: m.Flight, event: m.TrialStopped, now: float) -> None:
        if flight.stage != m.STOPPING:
            return
        self._land(vm, now)
        if flight.reason:  # what hung may have left its mark on the VM
            self._requalify(vm, now)
        self._no_result(vm, flight, flight.reason, now, over=True)

    def _vm_lost(self, vm: m.Vm, event: m.VmLost, now: float) -> None:
        if vm.state in m.OVER:
            return
        if vm.state == m.LEAVING:
            self._enter(vm, m.RETIRED, now)
            return
        flight, vm.flight = vm.flight, None
        vm.reason = event.reason
        self._enter(vm, m.LOST, now)
        self._note("lost", vm, event.reason)
        if not event.idle_end:
            self._setback(now)
        if flight is not None:
            self._no_result(vm, flight, event.reason, now)

    def _gone(self, vm: m.Vm, event: m.Gone, now: float) -> None:
        if vm.state == m.LEAVING:
            self._enter(vm, m.RETIRED, now)

    def _halt(self, event: m.Halt, now: float) -> None:
        if event.reason and not self.halted:
            self._actions.append(m.Note("halt", "", event.reason))
        self.halted = event.reason

    # --- time

    def _overdue(self, vm: m.Vm, now: float) -> None:
        """The time limits of whatever the VM waits for."""
        policy, waited = self.policy, now - vm.since
        if vm.state == m.LAUNCHING and waited > policy.launch_timeout:
            self._launch_refused(vm, m.LaunchRefused(vm.name, f"not up after {waited:.0f} s"), now)
        elif vm.state == m.LEAVING and waited > policy.teardown_every:
            self._tear_down(vm, now)
        flight = vm.flight
        if flight is None or vm.state not in m.ALIVE:
            return
        waited = now - flight.since
        if flight.stage == m.SENDING and waited > policy.send_timeout:
            self._unclear(vm, flight, m.Unclear(flight.attempt, "no answer to its submission"), now)
        elif flight.stage == m.RUNNING and flight.begun is not None:
            # Looked at first: after a night with the lid closed it may have ended long ago, with a good result.
            if now > flight.begun + self._limit(flight):
                self._unclear(vm, flight, m.Unclear(flight.attempt, "its time is up"), now)
        elif flight.stage == m.STOPPING and waited > policy.stop_timeout:
            self._give_up(vm, flight, f"{flight.reason}; it could not be stopped", now)
        elif flight.stage == m.UNSURE and waited > policy.unreachable_after:
            self._give_up(vm, flight, f"beyond reach for {waited:.0f} s: {flight.reason}", now)

    def _give_up(self, vm: m.Vm, flight: m.Flight, reason: str, now: float) -> None:
        """Take a VM out of service that may still run: its trial's output will never be asked for again."""
        vm.flight = None
        self._setback(now)
        self._dismiss(vm, "lost", reason, now)
        self._no_result(vm, flight, reason, now, over=flight.stage == m.STOPPING)

    def _limit(self, flight: m.Flight) -> float:
        job = self.jobs.get(flight.attempt.job)
        return job.timeout if job is not None else self.policy.qualify_timeout

    # --- what happens to a job

    def _no_result(self, vm: m.Vm, flight: m.Flight, reason: str, now: float, over: bool = False) -> None:
        """The flight has brought nothing: the job waits for another VM, or it is `over`, as after its last try."""
        if not flight.attempt.job:
            self._unqualified(vm, reason, now)
            return
        if over:
            self._finish_flight(flight, "failed", reason)
            return
        job = self.jobs[flight.attempt.job]
        job.vm, job.avoid = "", vm.name
        job.reasons.append(f"{vm.name}: {reason}")
        if job.cancelled:
            self._finish(job, "cancelled", "cancelled")
        elif job.attempts >= self.policy.attempts:
            self._finish(job, "failed", f"{job.attempts} attempts: {'; '.join(job.reasons[-3:])}")
        else:
            self.queue.appendleft(job.name)

    def _finish_flight(self, flight: m.Flight, state: m.JobEnd, detail: str) -> None:
        job = self.jobs[flight.attempt.job]
        if job.cancelled:
            state, detail = "cancelled", "cancelled"
        self._finish(job, state, detail, flight.attempt)

    def _finish(self, job: m.Job, state: m.JobEnd, detail: str, attempt: m.Attempt | None = None) -> None:
        if not job.vm and job.name in self.queue:
            self.queue.remove(job.name)
        del self.jobs[job.name]
        if attempt is not None and state != "cancelled":
            self.setbacks = 0
        self._actions.append(m.Finish(job.name, state, detail, attempt))

    def _judge(self, vm: m.Vm, flight: m.Flight, event: m.Result, now: float) -> None:
        """A noise trial has ended: is the VM good enough?"""
        noise = event.noise
        if noise is None:
            # The base itself did not run. If a job asked for it, that is the answer to it.
            if flight.attempt.job:
                self._finish_flight(flight, event.state, event.detail)
            self._unqualified(vm, f"the base does not run here: {event.detail or event.state}", now)
            return
        vm.sigma_pct, vm.mde_pct = noise.sigma_pct, noise.mde_pct
        data = {"sigma_short_pct": noise.sigma_pct, "mde_pct": noise.mde_pct}
        last = bool(flight.attempt.job) and self.jobs[flight.attempt.job].attempts >= self.policy.attempts
        if noise.fit or last or not self._may_replace():
            vm.qualified, vm.trials_since = True, 0
            vm.unfit = "" if noise.fit else noise.reason
            more = "" if noise.fit else "; used all the same: no replacement is left"
            self._note("qualified" if noise.fit else "unfit", vm, noise.reason + more, data)
            self._enter(vm, m.IDLE, now)
            if flight.attempt.job:
                self._finish_flight(flight, event.state, event.detail)
            return
        self._replace(vm, noise.reason, now, data)
        if flight.attempt.job:
            self._no_result(vm, flight, f"measures badly: {noise.reason}", now)

    def _stop(self, vm: m.Vm, flight: m.Flight, now: float) -> None:
        job = self.jobs.get(flight.attempt.job)
        if job is None or not job.cancelled:
            flight.reason = f"ended after {self._limit(flight):.0f} s, its time limit"
        flight.stage, flight.since = m.STOPPING, now
        self._actions.append(m.Stop(flight.attempt))

    # --- decisions

    def _advance(self, now: float) -> list[m.Action]:
        """Send, look and launch whatever can be, and hand over all actions."""
        if self.halted:
            for name in list(self.queue):
                self._finish(self.jobs[name], "failed", self.halted)
        for vm in self.vms.values():
            flight = vm.flight
            if flight is not None and flight.stage == m.UNSURE and vm.state in m.ALIVE:
                if now - flight.looked >= self.policy.look_every:
                    flight.looked = now
                    self._actions.append(m.Locate(flight.attempt))
            elif vm.state in (m.FRESH, m.IDLE):
                if self.halted:
                    vm.reason = self.halted
                    self._leave(vm, now)
                else:
                    self._use(vm, now)
        self._despair()
        if self.queue and not self.halted:
            self._launch(now, len(self.queue))
        actions, self._actions = self._actions, []
        return actions

    def _use(self, vm: m.Vm, now: float) -> None:
        """Give an idle VM its next trial."""
        if vm.state == m.FRESH and not self._must_qualify():
            job = self._next_job(vm)
            if job is None or not (self.policy.qualify and job.qualifies):
                self._enter(vm, m.IDLE, now)
        job = self._next_job(vm)
        if vm.state == m.IDLE:
            if job is not None:
                self._send_job(vm, job, now, qualifying=False)
        elif job is not None and job.qualifies:
            self._send_job(vm, job, now, qualifying=True)
        elif job is not None:
            vm.noise_trials += 1
            self._send(vm, m.Attempt(vm.name, "", vm.noise_trials), now, qualifying=True)

    def _next_job(self, vm: m.Vm) -> m.Job | None:
        """The oldest job that waits, but not one that has just failed here, if there is another VM."""
        if not self.queue:
            return None
        for name in self.queue:
            if self.jobs[name].avoid != vm.name:
                return self.jobs[name]
        return self.jobs[self.queue[0]] if len(self.alive()) == 1 else None

    def _send_job(self, vm: m.Vm, job: m.Job, now: float, *, qualifying: bool) -> None:
        self.queue.remove(job.name)
        job.attempts += 1
        job.vm = vm.name
        self._send(vm, m.Attempt(vm.name, job.name, job.attempts), now, qualifying=qualifying)

    def _send(self, vm: m.Vm, attempt: m.Attempt, now: float, *, qualifying: bool) -> None:
        vm.flight = m.Flight(attempt, m.SENDING, now, qualifying=qualifying)
        self._enter(vm, m.QUALIFYING if qualifying else m.BUSY, now)
        self._actions.append(m.Send(attempt))

    def _despair(self) -> None:
        """No VM is left and none can be had: say so, instead of waiting for ever."""
        if self.queue and not self.alive() and self.setbacks >= self.policy.launches:
            why = next((vm.reason for vm in reversed(list(self.vms.values())) if vm.reason), "no reason given")
            for name in list(self.queue):
                self._finish(self.jobs[name], "failed", f"no VM could be had: {why}")
            self.setbacks = 0


_HANDLERS: dict[type, Callable[..., None]] = {
    m.Submit: Fleet._submit,
    m.CancelJob: Fleet._cancel,
    m.Up: Fleet._up,
    m.LaunchRefused: Fleet._launch_refused,
    m.Accepted: Fleet._accepted,
    m.Refused: Fleet._refused,
    m.Unclear: Fleet._unclear,
    m.Result: Fleet._result,
    m.TrialStopped: Fleet._stopped,
    m.VmLost: Fleet._vm_lost,
    m.Gone: Fleet._gone,
    m.Outdated: Fleet._outdated,
    m.Halt: Fleet._halt,
}
