"""What an agent does after a crash: it asks `status`, or repeats what it was at, until the step is done."""

from __future__ import annotations

from fault_session import Done, Place, Step, drive

from autoresearch.session.access import load


def resume(place: Place, step: Step, *, ask: bool) -> tuple[Done, list[str]]:
    """Finish a step that was disturbed; the last answer, and what the commands said they had made up for."""
    recovered: list[str] = []
    if ask:
        told = place.run("status")
        assert told.code in (0, 4) or step.name == "init", told
        assert "Traceback" not in told.err, told.err
        recovered += told.data.get("recovered", [])
    commands = [step]
    if step.args[0] == "run":
        # A finished screening may be run again on purpose, so only what `status` calls open or lost is.
        waiting = _open(place, step.args[1:])
        commands = [Step(step.name, ("run", *waiting), codes=step.codes)] if waiting else []
    done = Done(0, "", "")
    for command in commands:
        done = drive(place, command)
        recovered += done.data.get("recovered", [])
    if step.args[0] == "run":
        place.settle()
        if _open(place, step.args[1:]):
            return resume(place, step, ask=False)
    return done, recovered


def _open(place: Place, names: tuple[str, ...]) -> list[str]:
    told = place.run("wait", *names, "--timeout", "25")
    assert told.code in (0, 1), told
    stages = told.data["stages"]
    return [name for name in names if stages.get(name, "open").split(":")[0] in ("open", "lost")]


def decided(place: Place) -> dict[str, str]:
    """Verdict by experiment."""
    session = load(place.root)
    return {e.id: e.result.status for e in session.experiments.values() if e.result is not None}
