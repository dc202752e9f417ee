"""The fleet scheduler against random worlds: whatever happens, no job is lost or doubled, and every job ends."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
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
        self.on_vm: dict[str, set[tuple[str, int]]] = {}  # trials that really run, by VM
        self.lost: set[str] = set()
        self.finished: Counter[str] = Counter()
        self.finishes: dict[str, m.Finish] = {}
        self.results: set[tuple[str, str, int]] = set()
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
                    assert (action.vm, action.job, action.attempt) in self.results, "a number from nowhere"
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
            if vm.flight is not None and vm.flight.job:
                places[vm.flight.job] += 1
            assert (vm.flight is not None) == (vm.state in (m.BUSY, m.QUALIFYING)), vm
        assert all(count == 1 for count in places.values()), "a job on two VMs"
        waiting = Counter(self.fleet.queue)
        assert all(count == 1 for count in waiting.values())
        assert set(places) | set(waiting) == set(self.fleet.jobs)
        assert not set(places) & set(waiting)
        assert len(self.fleet.alive()) <= self.fleet.policy.vms

    def _send(self, action: m.Send) -> None:
        self.sent[action.job] += 1
        running = self.on_vm.setdefault(action.vm, set())
        assert not running, f"{action.vm} already has {running}"
        if self._breaks():
            kind = self.rng.choice(("refused", "unclear there", "unclear not there", "silent", "lost"))
            if kind in ("unclear there", "silent"):
                running.add((action.job, action.attempt))
            if kind.startswith("unclear"):
                self.answers.append(m.Unclear(action.vm, action.job, action.attempt, "cut"))
            elif kind == "refused":
                self.answers.append(m.Refused(action.vm, action.job, action.attempt, "no"))
            elif kind == "lost":
                self._lose(action.vm)
            return
        running.add((action.job, action.attempt))
        self.answers.append(m.Accepted(action.vm, action.job, action.attempt))

    def _answer(self, action: m.Action) -> None:
        assert isinstance(action, (m.Launch, m.Look, m.Stop, m.TearDown))
        vm = action.vm
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
        elif isinstance(action, m.Look):
            if self._breaks():
                self.answers.append(m.Unclear(vm, action.job, action.attempt, "no connection"))
            elif (action.job, action.attempt) in self.on_vm.get(vm, set()):
                self.answers.append(m.Accepted(vm, action.job, action.attempt))
            else:
                self.answers.append(m.Refused(vm, action.job, action.attempt, "not there"))
        elif not self._breaks():
            self.on_vm[vm].discard((action.job, action.attempt))
            self.answers.append(m.Stopped(vm, action.job, action.attempt))

    def _breaks(self) -> bool:
        return self.rng.random() < self.trouble

    def _lose(self, vm: str) -> None:
        self.lost.add(vm)
        self.on_vm[vm] = set()
        self.answers.append(m.VmLost(vm, "preempted"))

    def step(self) -> None:
        """Something happens, or time passes."""
        self.now += self.rng.choice((0.1, 1.0, 30.0))
        ends = [
            (vm, trial)
            for vm, trials in self.on_vm.items()
            for trial in trials
            if self.fleet.vms[vm].flight is not None
        ]
        if self.answers and self.rng.random() < 0.7:
            event = self.answers.pop(self.rng.randrange(len(self.answers)))
            self.old.append(event)
        elif ends and self.rng.random() < 0.5:
            event = self._end(*self.rng.choice(ends))
        elif self.old and self.rng.random() < self.trouble:
            event = self.rng.choice(self.old)  # an answer comes twice, or a day late
            if isinstance(event, (m.Accepted, m.Refused, m.Unclear, m.Stopped, m.Result)):
                flight = self.fleet.vms[event.vm].flight
                if flight is not None and (flight.job, flight.attempt) == (event.job, event.attempt):
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

    def _end(self, vm: str, trial: tuple[str, int]) -> m.Result:
        job, attempt = trial
        self.on_vm[vm].discard(trial)
        usable = not self._breaks()
        if usable:
            self.results.add((vm, job, attempt))
        noise = None
        if self.fleet.vms[vm].state == m.QUALIFYING and not self._breaks():
            noise = LOUD if self._breaks() else QUIET
        drifted = "noisier than it was" if self._breaks() else ""
        return m.Result(vm, job, attempt, usable, "done", "" if usable else "truncated", noise, drifted)


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
    todo: list[m.Event] = [
        m.Submit(f"j{i}", 3600.0, qualifies=i == 0 and rng.random() < 0.5) for i in range(jobs)
    ]
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


# --- single behaviours, told one by one


class Script:
    """A fleet whose events the test tells; remembers all actions."""

    def __init__(self, **policy: Any) -> None:
        self.fleet = Fleet(m.Policy(**policy))
        self.now = 0.0

    def __call__(self, *events: m.Event, after: float = 1.0) -> list[m.Action]:
        self.now += after
        if not events:
            return self.fleet.tick(self.now)
        return [action for event in events for action in self.fleet.apply(event, self.now)]

    def ready(self, vm: str) -> list[m.Action]:
        """Bring a VM through its qualification."""
        self(m.Up(vm))
        flight = self.fleet.vms[vm].flight
        assert flight is not None
        self(m.Accepted(vm, "", flight.attempt))
        return self(m.Result(vm, "", flight.attempt, True, noise=QUIET))


def test_a_job_waits_for_a_vm_that_has_shown_its_noise() -> None:
    play = Script(vms=2)
    assert play(m.Submit("a", 60)) == [m.Launch("vm-1")]
    assert play(m.Submit("b", 60)) == [m.Launch("vm-2")]
    assert play(m.Submit("c", 60)) == []
    assert play(m.Up("vm-1")) == [m.Send("vm-1", "", 1)]
    play(m.Accepted("vm-1", "", 1))
    said = play(m.Result("vm-1", "", 1, True, noise=QUIET))
    assert said == [
        m.Note("qualified", "vm-1", QUIET.reason, {"sigma_short_pct": 0.5, "mde_pct": 0.65}),
        m.Send("vm-1", "a", 1),
    ]
    assert play(m.Accepted("vm-1", "a", 1)) == []
    # The next one is sent at once, when the VM is free.
    assert play(m.Result("vm-1", "a", 1, True)) == [
        m.Finish("a", "done", "", "vm-1", 1),
        m.Send("vm-1", "b", 1),
    ]


def test_a_baseline_is_its_vms_qualification() -> None:
    play = Script(vms=1)
    play(m.Submit("baseline", 60, qualifies=True))
    assert play(m.Up("vm-1")) == [m.Send("vm-1", "baseline", 1)]
    done = play(m.Accepted("vm-1", "baseline", 1), m.Result("vm-1", "baseline", 1, True, noise=QUIET))
    assert done[-1] == m.Finish("baseline", "done", "", "vm-1", 1)
    assert play(m.Submit("a", 60)) == [m.Send("vm-1", "a", 1)]


def test_a_noisy_vm_is_replaced_within_the_limit_and_then_used_as_it_is() -> None:
    play = Script(vms=1, replacements=1)
    play(m.Submit("a", 60))
    play(m.Up("vm-1"))
    said = play(m.Accepted("vm-1", "", 1), m.Result("vm-1", "", 1, True, noise=LOUD))
    assert [type(a) for a in said] == [m.Note, m.TearDown, m.Launch]
    assert said[0] == m.Note(
        "replaced", "vm-1", "can see only 6.5 %; replacement 1 of 1", {"sigma_short_pct": 5.0, "mde_pct": 6.5}
    )
    play(m.Gone("vm-1"), m.Up("vm-2"))
    said = play(m.Accepted("vm-2", "", 1), m.Result("vm-2", "", 1, True, noise=LOUD))
    assert isinstance(said[0], m.Note)
    assert said[0].kind == "unfit"
    assert "no replacement is left" in said[0].reason
    assert said[1] == m.Send("vm-2", "a", 1)


def test_a_lost_vm_gives_its_job_to_another_and_never_sends_it_twice_at_once() -> None:
    play = Script(vms=2, backoff=5.0)
    play(m.Submit("a", 600), m.Submit("b", 600))
    play.ready("vm-1")
    play.ready("vm-2")
    play(m.Accepted("vm-1", "a", 1), m.Accepted("vm-2", "b", 1))
    said = play(m.VmLost("vm-1", "preempted"))
    assert said == [m.Note("lost", "vm-1", "preempted")]
    assert play(after=6) == [m.Launch("vm-3")]
    # A late word of the old flight changes nothing.
    assert play(m.Result("vm-1", "a", 1, True)) == []
    done = play(m.Result("vm-2", "b", 1, True))
    assert done == [m.Finish("b", "done", "", "vm-2", 1), m.Send("vm-2", "a", 2)]


def test_an_unclear_submission_is_looked_for_before_anything_is_sent_again() -> None:
    play = Script(vms=1, look_every=10.0)
    play(m.Submit("a", 600))
    play.ready("vm-1")
    assert play(m.Unclear("vm-1", "a", 1, "server restarted")) == [m.Look("vm-1", "a", 1)]
    assert play(m.Unclear("vm-1", "a", 1, "still"), after=5) == []
    assert play(after=6) == [m.Look("vm-1", "a", 1)]
    assert play(m.Accepted("vm-1", "a", 1)) == []  # it is there
    assert play(m.Unclear("vm-1", "a", 1, "ssh cut")) == [m.Look("vm-1", "a", 1)]
    assert play(m.Refused("vm-1", "a", 1, "not there")) == [m.Send("vm-1", "a", 2)]


def test_a_stuck_job_is_looked_at_then_ended_and_its_vm_measured_anew() -> None:
    play = Script(vms=1)
    play(m.Submit("a", 600), m.Submit("b", 600))
    play.ready("vm-1")
    play(m.Accepted("vm-1", "a", 1))
    assert play(after=601) == [m.Look("vm-1", "a", 1)]
    assert play(m.Accepted("vm-1", "a", 1)) == [m.Stop("vm-1", "a", 1)]
    said = play(m.Stopped("vm-1", "a", 1))
    assert said == [
        m.Finish("a", "failed", "ended after 600 s, its time limit", "vm-1", 1),
        m.Send("vm-1", "", 2),
    ]


def test_a_job_that_ended_while_the_lid_was_closed_keeps_its_result() -> None:
    play = Script(vms=1)
    play(m.Submit("a", 600))
    play.ready("vm-1")
    play(m.Accepted("vm-1", "a", 1))
    assert play(after=8 * 3600) == [m.Look("vm-1", "a", 1)]
    assert play(m.Result("vm-1", "a", 1, True)) == [m.Finish("a", "done", "", "vm-1", 1)]


def test_a_vm_beyond_reach_is_given_up_and_its_late_result_is_not_taken() -> None:
    play = Script(vms=1, unreachable_after=300.0, backoff=1.0)
    play(m.Submit("a", 6000))
    play.ready("vm-1")
    play(m.Accepted("vm-1", "a", 1), m.Unclear("vm-1", "a", 1, "ssh cut"))
    said = play(after=301)
    assert [type(a) for a in said] == [m.Note, m.TearDown]
    assert play(m.Result("vm-1", "a", 1, True)) == [m.Launch("vm-2")]
    assert play(m.Gone("vm-1"), after=2) == []


def test_a_server_that_is_away_makes_no_vm_unreachable() -> None:
    play = Script(vms=1, unreachable_after=300.0, look_every=10.0)
    play(m.Submit("a", 60000))
    play.ready("vm-1")
    play(m.Accepted("vm-1", "a", 1), m.Unclear("vm-1", "a", 1, "no server", True))
    for _ in range(10):
        assert m.Look("vm-1", "a", 1) in play(m.Unclear("vm-1", "a", 1, "no server", True), after=250)
    assert play(m.Result("vm-1", "a", 1, True)) == [m.Finish("a", "done", "", "vm-1", 1)]


def test_refused_launches_end_in_a_clear_failure() -> None:
    play = Script(vms=2, launches=3, backoff=10.0)
    play(m.Submit("a", 60))
    finished: list[m.Action] = []
    for number in range(1, 4):
        finished = play(m.LaunchRefused(f"vm-{number}", "no capacity"), m.Gone(f"vm-{number}"), after=100)
        play(after=100)
    assert m.Finish("a", "failed", "no VM could be had: no capacity") in finished
    # A job submitted later gets a fresh try.
    assert m.Launch("vm-4") in play(m.Submit("b", 60), after=1000)


def test_drift_and_many_trials_ask_for_a_new_qualification() -> None:
    play = Script(vms=1, requalify_after=2)
    play(m.Submit("a", 60), m.Submit("b", 60), m.Submit("c", 60))
    play.ready("vm-1")
    play(m.Accepted("vm-1", "a", 1))
    said = play(m.Result("vm-1", "a", 1, True, drifted="sigma 3 %, was 0.5 %"))
    assert [type(a) for a in said] == [m.Finish, m.Note, m.Send]
    assert said[-1] == m.Send("vm-1", "", 2)
    play(m.Accepted("vm-1", "", 2), m.Result("vm-1", "", 2, True, noise=QUIET))
    play(m.Result("vm-1", "b", 1, True))
    said = play(m.Result("vm-1", "c", 1, True))
    assert said[-1] == m.Note("requalify", "vm-1", "2 trials since its noise was measured")


def test_cancelling() -> None:
    play = Script(vms=1)
    play(m.Submit("a", 60), m.Submit("b", 60))
    assert play(m.CancelJob("b")) == [m.Finish("b", "cancelled", "cancelled")]
    play.ready("vm-1")
    assert play(m.CancelJob("a")) == []  # on its way: stopped as soon as it has arrived
    assert play(m.Accepted("vm-1", "a", 1)) == [m.Stop("vm-1", "a", 1)]
    assert play(m.Stopped("vm-1", "a", 1)) == [m.Finish("a", "cancelled", "cancelled", "vm-1", 1)]
    assert play(m.CancelJob("a"), m.CancelJob("nothing")) == []


def test_a_halt_lets_run_what_runs_and_fails_what_waits() -> None:
    play = Script(vms=1)
    play(m.Submit("a", 60), m.Submit("b", 60))
    play.ready("vm-1")
    said = play(m.Halt("budget: 5 dollars are spent"))
    assert said == [
        m.Note("halt", "", "budget: 5 dollars are spent"),
        m.Finish("b", "failed", "budget: 5 dollars are spent"),
    ]
    assert play(m.Result("vm-1", "a", 1, True)) == [m.Finish("a", "done", "", "vm-1", 1), m.TearDown("vm-1")]
    assert [type(a) for a in play(m.Submit("c", 60))] == [m.Finish]
    assert not play.fleet.at_rest
    play(m.Gone("vm-1"))
    assert play.fleet.at_rest
    play(m.Halt(""))
    assert play(m.Submit("d", 60)) == [m.Launch("vm-2")]


def test_a_halt_waits_for_a_vm_that_comes_up_to_give_it_back() -> None:
    play = Script(vms=1)
    play(m.Submit("a", 60))
    assert play(m.Halt("spent"))[-1] == m.Finish("a", "failed", "spent")
    assert not play.fleet.at_rest
    assert play(m.Up("vm-1")) == [m.TearDown("vm-1")]


def test_an_outdated_vm_goes_when_nothing_is_on_it() -> None:
    play = Script(vms=1)
    play(m.Submit("a", 60))
    play.ready("vm-1")
    assert play(m.Outdated("vm-1", "setup changed")) == [], "a trial is on it"
    play(m.Accepted("vm-1", "a", 1), m.Result("vm-1", "a", 1, True))
    said = play(m.Outdated("vm-1", "setup changed"), m.Submit("b", 60))
    assert said == [m.Note("replaced", "vm-1", "setup changed"), m.TearDown("vm-1"), m.Launch("vm-2")]


@pytest.mark.parametrize(
    "event", [m.Up("x"), m.Outdated("x", ""), m.Gone("x"), m.VmLost("x", ""), m.LaunchRefused("x", "")]
)
def test_words_about_unknown_vms_are_ignored(event: m.Event) -> None:
    assert Script()(event) == []
