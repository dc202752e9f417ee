"""The fleet scheduler's single behaviours, told one by one."""

from __future__ import annotations

from typing import Any

import pytest

from autoresearch.engines.skypilot import model as m
from autoresearch.engines.skypilot.fleet import Fleet

QUIET = m.Noise(True, 0.5, 0.65, "can see 0.65 %")
LOUD = m.Noise(False, 5.0, 6.5, "can see only 6.5 %")
A1 = m.Attempt("vm-1", "a", 1)


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
        self(m.Accepted(flight.attempt))
        return self(m.Result(flight.attempt, True, noise=QUIET))


def test_a_job_waits_for_a_vm_that_has_shown_its_noise() -> None:
    play = Script(vms=2)
    assert play(m.Submit("a", 60)) == [m.Launch("vm-1")]
    assert play(m.Submit("b", 60)) == [m.Launch("vm-2")]
    assert play(m.Submit("c", 60)) == []
    assert play(m.Up("vm-1")) == [m.Send(m.Attempt("vm-1", "", 1))]
    play(m.Accepted(m.Attempt("vm-1", "", 1)))
    said = play(m.Result(m.Attempt("vm-1", "", 1), True, noise=QUIET))
    assert said == [m.Note("qualified", "vm-1", QUIET.reason, {"sigma_short_pct": 0.5, "mde_pct": 0.65}), m.Send(A1)]
    assert play(m.Accepted(A1)) == []
    # The next one is sent at once, when the VM is free.
    assert play(m.Result(A1, True)) == [m.Finish("a", "done", "", A1), m.Send(m.Attempt("vm-1", "b", 1))]


def test_a_baseline_is_its_vms_qualification() -> None:
    play = Script(vms=1)
    play(m.Submit("baseline", 60, qualifies=True))
    assert play(m.Up("vm-1")) == [m.Send(m.Attempt("vm-1", "baseline", 1))]
    done = play(
        m.Accepted(m.Attempt("vm-1", "baseline", 1)), m.Result(m.Attempt("vm-1", "baseline", 1), True, noise=QUIET)
    )
    assert done[-1] == m.Finish("baseline", "done", "", m.Attempt("vm-1", "baseline", 1))
    assert play(m.Submit("a", 60)) == [m.Send(A1)]


def test_a_noisy_vm_is_replaced_within_the_limit_and_then_used_as_it_is() -> None:
    play = Script(vms=1, replacements=1)
    play(m.Submit("a", 60))
    play(m.Up("vm-1"))
    said = play(m.Accepted(m.Attempt("vm-1", "", 1)), m.Result(m.Attempt("vm-1", "", 1), True, noise=LOUD))
    assert [type(a) for a in said] == [m.Note, m.TearDown, m.Launch]
    assert said[0] == m.Note(
        "replaced", "vm-1", "can see only 6.5 %; replacement 1 of 1", {"sigma_short_pct": 5.0, "mde_pct": 6.5}
    )
    play(m.Gone("vm-1"), m.Up("vm-2"))
    said = play(m.Accepted(m.Attempt("vm-2", "", 1)), m.Result(m.Attempt("vm-2", "", 1), True, noise=LOUD))
    assert isinstance(said[0], m.Note)
    assert said[0].kind == "unfit"
    assert "no replacement is left" in said[0].reason
    assert said[1] == m.Send(m.Attempt("vm-2", "a", 1))


def test_a_lost_vm_gives_its_job_to_another_and_never_sends_it_twice_at_once() -> None:
    play = Script(vms=2, backoff=5.0)
    play(m.Submit("a", 600), m.Submit("b", 600))
    play.ready("vm-1")
    play.ready("vm-2")
    play(m.Accepted(A1), m.Accepted(m.Attempt("vm-2", "b", 1)))
    said = play(m.VmLost("vm-1", "preempted"))
    assert said == [m.Note("lost", "vm-1", "preempted")]
    assert play(after=6) == [m.Launch("vm-3")]
    # A late word of the old flight changes nothing.
    assert play(m.Result(A1, True)) == []
    done = play(m.Result(m.Attempt("vm-2", "b", 1), True))
    assert done == [m.Finish("b", "done", "", m.Attempt("vm-2", "b", 1)), m.Send(m.Attempt("vm-2", "a", 2))]


def test_an_unclear_submission_is_looked_for_before_anything_is_sent_again() -> None:
    play = Script(vms=1, look_every=10.0)
    play(m.Submit("a", 600))
    play.ready("vm-1")
    assert play(m.Unclear(A1, "server restarted")) == [m.Locate(A1)]
    assert play(m.Unclear(A1, "still"), after=5) == []
    assert play(after=6) == [m.Locate(A1)]
    assert play(m.Accepted(A1)) == []  # it is there
    assert play(m.Unclear(A1, "ssh cut")) == [m.Locate(A1)]
    assert play(m.Refused(A1, "not there")) == [m.Send(m.Attempt("vm-1", "a", 2))]


def test_a_stuck_job_is_looked_at_then_ended_and_its_vm_measured_anew() -> None:
    play = Script(vms=1)
    play(m.Submit("a", 600), m.Submit("b", 600))
    play.ready("vm-1")
    play(m.Accepted(A1))
    assert play(after=601) == [m.Locate(A1)]
    assert play(m.Accepted(A1)) == [m.Stop(A1)]
    said = play(m.TrialStopped(A1))
    assert said == [m.Finish("a", "failed", "ended after 600 s, its time limit", A1), m.Send(m.Attempt("vm-1", "", 2))]


def test_a_job_that_ended_while_the_lid_was_closed_keeps_its_result() -> None:
    play = Script(vms=1)
    play(m.Submit("a", 600))
    play.ready("vm-1")
    play(m.Accepted(A1))
    assert play(after=8 * 3600) == [m.Locate(A1)]
    assert play(m.Result(A1, True)) == [m.Finish("a", "done", "", A1)]


def test_a_vm_beyond_reach_is_given_up_and_its_late_result_is_not_taken() -> None:
    play = Script(vms=1, unreachable_after=300.0, backoff=1.0)
    play(m.Submit("a", 6000))
    play.ready("vm-1")
    play(m.Accepted(A1), m.Unclear(A1, "ssh cut"))
    said = play(after=301)
    assert [type(a) for a in said] == [m.Note, m.TearDown]
    assert play(m.Result(A1, True)) == [m.Launch("vm-2")]
    assert play(m.Gone("vm-1"), after=2) == []


def test_a_server_that_is_away_makes_no_vm_unreachable() -> None:
    play = Script(vms=1, unreachable_after=300.0, look_every=10.0)
    play(m.Submit("a", 60000))
    play.ready("vm-1")
    play(m.Accepted(A1), m.Unclear(A1, "no server", True))
    for _ in range(10):
        assert m.Locate(A1) in play(m.Unclear(A1, "no server", True), after=250)
    assert play(m.Result(A1, True)) == [m.Finish("a", "done", "", A1)]


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
    play(m.Accepted(A1))
    said = play(m.Result(A1, True, drifted="sigma 3 %, was 0.5 %"))
    assert [type(a) for a in said] == [m.Finish, m.Note, m.Send]
    assert said[-1] == m.Send(m.Attempt("vm-1", "", 2))
    play(m.Accepted(m.Attempt("vm-1", "", 2)), m.Result(m.Attempt("vm-1", "", 2), True, noise=QUIET))
    play(m.Result(m.Attempt("vm-1", "b", 1), True))
    said = play(m.Result(m.Attempt("vm-1", "c", 1), True))
    assert said[-1] == m.Note("requalify", "vm-1", "2 trials since its noise was measured")


def test_cancelling() -> None:
    play = Script(vms=1)
    play(m.Submit("a", 60), m.Submit("b", 60))
    assert play(m.CancelJob("b")) == [m.Finish("b", "cancelled", "cancelled")]
    play.ready("vm-1")
    assert play(m.CancelJob("a")) == []  # on its way: stopped as soon as it has arrived
    assert play(m.Accepted(A1)) == [m.Stop(A1)]
    assert play(m.TrialStopped(A1)) == [m.Finish("a", "cancelled", "cancelled", A1)]
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
    assert play(m.Result(A1, True)) == [m.Finish("a", "done", "", A1), m.TearDown("vm-1")]
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
    play(m.Accepted(A1), m.Result(A1, True))
    said = play(m.Outdated("vm-1", "setup changed"), m.Submit("b", 60))
    assert said == [m.Note("replaced", "vm-1", "setup changed"), m.TearDown("vm-1"), m.Launch("vm-2")]


@pytest.mark.parametrize(
    "event", [m.Up("x"), m.Outdated("x", ""), m.Gone("x"), m.VmLost("x", ""), m.LaunchRefused("x", "")]
)
def test_words_about_unknown_vms_are_ignored(event: m.Event) -> None:
    assert Script()(event) == []
