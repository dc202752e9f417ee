"""The fleet scheduler against random worlds: whatever happens, no job is lost or doubled, and every job ends."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from autoresearch.engines.skypilot import model as m
from autoresearch.engines.skypilot.fleet import Fleet

QUIET = m.Noise(True, 0.5, 0.65, "can see 0.65 %")
LOUD = m.Noise(False, 5.0, 6.5, "can see only 6.5 %")


class World:
    """Carries actions out; `rng` decides what breaks. Checks the fleet's promises at every step."""

    def __init__(self, fleet: Fleet, rng: random.Random, trouble: float) -> None:
        self.fleet = fleet
        self.rng = rng
        self.trouble = trouble
        self.now = 0.0
        self.on_vm: dict[str, set[m.Attempt]] = {}  # trials that really run, by VM
        self.lost: set[str] = set()
        self.finished: Counter[str] = Counter()
        self.finishes: dict[str, m.Finish] = {}
        self.results: set[m.Attempt] = set()
        self.notes: list[m.Note] = []
        self.answers: list[m.Event] = []
        self.old: list[m.Event] = []
        self.sent: Counter[str] = Counter()

    def take(self, actions: list[m.Action]) -> None:
        for action in actions:
            if isinstance(action, m.Finish):
                self.finished[action.job] += 1
                self.finishes[action.job] = action
                assert self.finished[action.job] == 1, f"{action.job} ended twice"
                if action.state == "done":
                    assert action.attempt in self.results, "a number from nowhere"
            elif isinstance(action, m.Note):
                self.notes.append(action)
            elif isinstance(action, m.Send):
                self._send(action)
            else:
                self._answer(action)
        self.check()

    def check(self) -> None:
        places: Counter[str] = Counter()
        for vm in self.fleet.vms.values():
            if vm.flight is not None and vm.flight.attempt.job:
                places[vm.flight.attempt.job] += 1
            assert (vm.flight is not None) == (vm.state in (m.BUSY, m.QUALIFYING)), vm
        assert all(count == 1 for count in places.values()), "a job on two VMs"
        waiting = Counter(self.fleet.queue)
        assert all(count == 1 for count in waiting.values())
        assert set(places) | set(waiting) == set(self.fleet.jobs)
        assert not set(places) & set(waiting)
        assert len(self.fleet.alive()) <= self.fleet.policy.vms

    def _send(self, action: m.Send) -> None:
        vm, job, _ = action.attempt
        self.sent[job] += 1
        running = self.on_vm.setdefault(vm, set())
        assert not running, f"{vm} already has {running}"
        if self._breaks():
            kind = self.rng.choice(("refused", "unclear there", "unclear not there", "silent", "lost"))
            if kind in ("unclear there", "silent"):
                running.add(action.attempt)
            if kind.startswith("unclear"):
                self.answers.append(m.Unclear(action.attempt, "cut"))
            elif kind == "refused":
                self.answers.append(m.Refused(action.attempt, "no"))
            elif kind == "lost":
                self._lose(vm)
            return
        running.add(action.attempt)
        self.answers.append(m.Accepted(action.attempt))

    def _answer(self, action: m.Action) -> None:
        assert isinstance(action, (m.Launch, m.Locate, m.Stop, m.TearDown))
        vm = action.attempt.vm if isinstance(action, (m.Locate, m.Stop)) else action.vm
        if isinstance(action, m.Launch):
            if self._breaks():
                if self.rng.random() < 0.7:
                    hopeless = self.rng.random() < 0.1
                    self.answers.append(m.LaunchRefused(vm, "no capacity", hopeless))
                return
            self.answers.append(m.Up(vm))
        elif isinstance(action, m.TearDown):
            self.on_vm[vm] = set()
            if not self._breaks():
                self.answers.append(m.Gone(vm))
        elif vm in self.lost:
            self.answers.append(m.VmLost(vm, "gone"))
        elif isinstance(action, m.Locate):
            if self._breaks():
                self.answers.append(m.Unclear(action.attempt, "no connection"))
            elif action.attempt in self.on_vm.get(vm, set()):
                self.answers.append(m.Accepted(action.attempt))
            else:
                self.answers.append(m.Refused(action.attempt, "not there"))
        elif not self._breaks():
            self.on_vm[vm].discard(action.attempt)
            self.answers.append(m.TrialStopped(action.attempt))

    def _breaks(self) -> bool:
        return self.rng.random() < self.trouble

    def _lose(self, vm: str) -> None:
        self.lost.add(vm)
        self.on_vm[vm] = set()
        self.answers.append(m.VmLost(vm, "preempted"))

    def step(self) -> None:
        """Something happens, or time passes."""
        self.now += self.rng.choice((0.1, 1.0, 30.0))
        ends = [trial for vm, trials in self.on_vm.items() for trial in trials if self.fleet.vms[vm].flight is not None]
        if self.answers and self.rng.random() < 0.7:
            event = self.answers.pop(self.rng.randrange(len(self.answers)))
            self.old.append(event)
        elif ends and self.rng.random() < 0.5:
            event = self._end(self.rng.choice(ends))
        elif self.old and self.rng.random() < self.trouble:
            event = self.rng.choice(self.old)  # an answer comes twice, or a day late
            if isinstance(event, (m.Accepted, m.Refused, m.Unclear, m.TrialStopped, m.Result)):
                flight = self.fleet.vms[event.attempt.vm].flight
                if flight is not None and flight.attempt == event.attempt:
                    return  # of this very flight: a lie, which no engine tells
            elif not isinstance(event, m.Submit):
                return
        elif self.rng.random() < self.trouble / 5 and self.fleet.vms:
            self._lose(self.rng.choice(list(self.fleet.vms)))
            return
        else:
            self.take(self.fleet.tick(self.now))
            return
        self.take(self.fleet.apply(event, self.now))

    def _end(self, trial: m.Attempt) -> m.Result:
        vm = trial.vm
        self.on_vm[vm].discard(trial)
        usable = not self._breaks()
        if usable:
            self.results.add(trial)
        noise = None
        if self.fleet.vms[vm].state == m.QUALIFYING and not self._breaks():
            noise = LOUD if self._breaks() else QUIET
        drifted = "noisier than it was" if self._breaks() else ""
        return m.Result(trial, usable, "done", "" if usable else "truncated", noise, drifted)


@settings(max_examples=300, deadline=None)
@given(
    seed=st.integers(0, 2**32), vms=st.integers(1, 6), jobs=st.integers(1, 15), trouble=st.floats(0, 0.6),
    qualify=st.booleans(), cancels=st.integers(0, 4),
)  # fmt: skip
def test_every_job_ends_once_in_any_world(
    seed: int, vms: int, jobs: int, trouble: float, qualify: bool, cancels: int
) -> None:
    rng = random.Random(seed)
    fleet = Fleet(m.Policy(vms=vms, qualify=qualify, requalify_after=4), yardstick=rng.random() < 0.8)
    world = World(fleet, rng, trouble)
    todo: list[m.Event] = [m.Submit(f"j{i}", 3600.0, qualifies=i == 0 and rng.random() < 0.5) for i in range(jobs)]
    todo += [m.CancelJob(f"j{rng.randrange(jobs)}") for _ in range(cancels)]
    while todo:
        world.take(fleet.apply(todo.pop(0), world.now))
        for _ in range(rng.randrange(6)):
            world.step()
    for _ in range(20_000):
        if fleet.at_rest:
            break
        world.step()
    assert fleet.at_rest, (fleet.jobs, fleet.vms)
    assert set(world.finished) == {f"j{i}" for i in range(jobs)}
    if trouble == 0 and not cancels:
        assert {f.state for f in world.finishes.values()} == {"done"}
    assert all(world.sent[f"j{i}"] <= fleet.policy.attempts for i in range(jobs))
    assert fleet.replaced <= fleet.policy.replacements


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), vms=st.integers(1, 4))
def test_silence_ends_too(seed: int, vms: int) -> None:
    """No answer to anything, ever: time alone ends every job, clearly failed."""
    fleet = Fleet(m.Policy(vms=vms))
    rng = random.Random(seed)
    finished: list[m.Finish] = []
    actions = [a for i in range(3) for a in fleet.apply(m.Submit(f"j{i}", 600.0), 0.0)]
    now = 0.0
    for _ in range(3000):
        finished += [a for a in actions if isinstance(a, m.Finish)]
        if fleet.at_rest:
            break
        now += rng.choice((60.0, 600.0, 6000.0))
        # VMs come up, so that jobs are sent too.
        ups = [m.Up(a.vm) for a in actions if isinstance(a, m.Launch) and rng.random() < 0.5]
        actions = [a for up in ups for a in fleet.apply(up, now)] + fleet.tick(now)
    assert fleet.at_rest
    assert sorted((f.job, f.state) for f in finished) == [(f"j{i}", "failed") for i in range(3)]


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32), trouble=st.floats(0, 0.4), kills=st.integers(1, 4))
def test_a_killed_scheduler_takes_up_where_it_stood(seed: int, trouble: float, kills: int) -> None:
    """The state survives in the VMs and in the jobs' own files; what was said in between is lost."""
    rng = random.Random(seed)
    policy = m.Policy(vms=3, attempts=10)
    fleet = Fleet(policy)
    world = World(fleet, rng, trouble)
    for i in range(8):
        world.take(fleet.apply(m.Submit(f"j{i}", 3600.0), world.now))
    for _ in range(kills):
        for _ in range(rng.randrange(40)):
            world.step()
        old, fleet = fleet, Fleet(policy)
        fleet.launched, fleet.replaced = old.launched, old.replaced
        fleet.restore(old.vms.values(), old.jobs.values(), world.now)
        world.fleet, world.answers = fleet, []
        # What the new one asks about VMs on their way, as the dispatcher does: it re-attaches to their launch.
        for vm in fleet.vms.values():
            if vm.state == m.LAUNCHING:
                world.answers.append(m.Up(vm.name))
            elif vm.name in world.lost:
                world.answers.append(m.VmLost(vm.name, "gone"))
        world.check()
    for _ in range(20_000):
        if fleet.at_rest:
            break
        world.step()
    assert fleet.at_rest
    assert set(world.finished) == {f"j{i}" for i in range(8)}
