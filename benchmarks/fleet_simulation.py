"""A night on many VMs, through the real scheduler: 1,000 experiments on 64 VMs, with everything that breaks.

python benchmarks/fleet_simulation.py [--experiments 1000] [--vms 64] [--set build=300] [--seed 1] [--table] [--json]

`engines/skypilot/fleet.py` decides; this file plays the world that carries its decisions out, with a clock that jumps
from event to event. Launches are refused, VMs preempted and noisy, connections cut, logs cut short, trials hang. It
prints experiments/hour, dollars and utilisation, and counts what must be 0: jobs lost, doubled, or with a number that
no trial has measured. `capacity` is the formula of docs/capacity.md, which the last line compares with the simulation.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "helpers"))

from fleet_capacity import Capacity, World, capacity, clean_ab, screening

from autoresearch.engines.skypilot import model as m
from autoresearch.engines.skypilot.fleet import Fleet


class Night:
    """One simulated night. `now` is in seconds; `_at` is a heap of (time, serial, what then happens)."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.rng = random.Random(seed)
        self.fleet = Fleet(m.Policy(vms=world.vms, launches=50, attempts=4, replacements=world.vms))
        self.now = 0.0
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._serial = itertools.count()
        self._lanes = [0.0] * world.lanes
        self.on_vm: dict[str, m.Attempt | None] = {}  # the trial that really runs there
        self.up_since: dict[str, float] = {}
        self.fit: dict[str, bool] = {}
        self.vm_seconds = self.useful = 0.0
        self.measured: set[m.Attempt] = set()
        self.finishes: Counter[str] = Counter()
        self.states: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()
        self.notes: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.ended = 0.0
        self.submitted = 0

    # --- the world's clockwork

    def _at(self, delay: float, then: Callable[[], None]) -> None:
        heapq.heappush(self._heap, (self.now + delay, next(self._serial), then))

    def _tell(self, event: m.Event) -> None:
        self._take(self.fleet.apply(event, self.now))

    def _over_a_lane(self, seconds: float) -> float:
        """When something that takes a connection for `seconds` will be done, from now."""
        lane = min(range(len(self._lanes)), key=self._lanes.__getitem__)
        self._lanes[lane] = max(self._lanes[lane], self.now) + seconds
        return self._lanes[lane] - self.now

    def _about(self, mean: float) -> float:
        spread = self.world.spread
        return mean * self.rng.lognormvariate(-spread * spread / 2.0, spread)

    def _happens(self, chance: float) -> bool:
        return self.rng.random() < chance

    def run(self) -> None:
        for number in range(self.world.experiments):
            self._submit(f"e{number}-single")
        self._at(self.world.poll, self._tick)
        while self._heap and (self.fleet.jobs or self.submitted > sum(self.finishes.values())):
            self.now, _, then = heapq.heappop(self._heap)
            then()
        for vm in list(self.up_since):
            self._bill(vm)

    def _tick(self) -> None:
        self._take(self.fleet.tick(self.now))
        self._at(self.world.poll, self._tick)

    def _submit(self, job: str) -> None:
        self.submitted += 1
        self._tell(m.Submit(job, self.world.timeout))

    # --- carrying out what the scheduler says

    def _take(self, actions: list[m.Action]) -> None:
        for action in actions:
            _CARRY_OUT[type(action)](self, action)

    def _launch(self, action: m.Launch) -> None:
        if self._happens(self.world.refused):
            self._at(self._about(30.0), lambda: self._tell(m.LaunchRefused(action.vm, "no capacity")))
            return
        self.up_since[action.vm] = self.now  # paid for from here on
        self.fit[action.vm] = not self._happens(self.world.noisy)
        self.on_vm[action.vm] = None
        if self.world.preempted:
            self._at(self.rng.expovariate(self.world.preempted / 3600.0), lambda: self._preempt(action.vm))
        self._at(self._about(self.world.launch), lambda: self._tell(m.Up(action.vm)))

    def _preempt(self, vm: str) -> None:
        if vm not in self.up_since:
            return
        self._bill(vm)
        self.on_vm[vm] = None
        self._at(self.rng.uniform(0.0, self.world.poll), lambda: self._tell(m.VmLost(vm, "preempted")))

    def _bill(self, vm: str) -> None:
        self.vm_seconds += self.now - self.up_since.pop(vm)

    def _send(self, action: m.Send) -> None:
        job = action.attempt.job
        self.sent[job] += bool(job)
        self._at(self._over_a_lane(self._about(self.world.send)), lambda: self._arrive(action))

    def _arrive(self, action: m.Send) -> None:
        attempt = action.attempt
        vm = attempt.vm
        if vm not in self.up_since:
            return  # VmLost is on its way
        if self.on_vm[vm] is not None:
            self.wrong.append(f"{vm} was given {attempt.job} while it ran {self.on_vm[vm]}")
        unclear = self._happens(self.world.cut)
        if not unclear or self._happens(0.5):
            self._start(attempt)
        self._tell(m.Unclear(attempt, "cut") if unclear else m.Accepted(attempt))

    def _start(self, attempt: m.Attempt) -> None:
        self.on_vm[attempt.vm] = attempt
        if attempt.job and self._happens(self.world.hang):
            return
        seconds = self._duration(attempt.job)
        self._at(seconds, lambda: self._end(attempt, seconds))

    def _duration(self, job: str) -> float:
        w = replace(self.world, build=self._about(self.world.build), bench=self._about(self.world.bench))
        if not job:
            return self._about(w.noise)
        return clean_ab(w) if job.endswith("-ab") else screening(w)

    def _end(self, attempt: m.Attempt, seconds: float) -> None:
        if self.on_vm.get(attempt.vm) != attempt:
            return  # the VM went first, or the trial was stopped
        self.on_vm[attempt.vm] = None
        usable = not self._happens(self.world.truncated)
        if usable:
            self.measured.add(attempt)
            self.useful += seconds if attempt.job else 0.0
        self._at(self.rng.uniform(0.0, self.world.poll), lambda: self._fetch(attempt, usable))

    def _fetch(self, attempt: m.Attempt, usable: bool) -> None:
        fit = self.fit[attempt.vm]
        noise = None if attempt.job else m.Noise(fit, 0.5 if fit else 5.0, reason="noise trial")
        result = m.Result(attempt, usable, "done", "" if usable else "truncated", noise)
        self._at(self._over_a_lane(self._about(self.world.fetch)), lambda: self._tell(result))

    def _locate(self, action: m.Locate) -> None:
        attempt = action.attempt

        def answer() -> None:
            if attempt.vm not in self.up_since:
                return
            if attempt in self.measured:
                self._fetch(attempt, True)
            elif self.on_vm[attempt.vm] == attempt:
                self._tell(m.Accepted(attempt))
            else:
                self._tell(m.Refused(attempt, "not there"))

        self._at(self._over_a_lane(self.world.fetch), answer)

    def _stop(self, action: m.Stop) -> None:
        def answer() -> None:
            vm = action.attempt.vm
            if vm in self.up_since:
                self.on_vm[vm] = None
                self._tell(m.TrialStopped(action.attempt))

        self._at(self._over_a_lane(self.world.fetch), answer)

    def _tear_down(self, action: m.TearDown) -> None:
        def gone() -> None:
            if action.vm in self.up_since:
                self._bill(action.vm)
            self.on_vm[action.vm] = None
            self._tell(m.Gone(action.vm))

        self._at(self._about(40.0), gone)

    def _finish(self, action: m.Finish) -> None:
        self.finishes[action.job] += 1
        self.states[action.state] += 1
        self.ended = self.now
        if action.state == "done":
            if action.attempt not in self.measured:
                self.wrong.append(f"{action.job} has a number that no VM has measured: {action.attempt}")
            experiment, _, kind = action.job.partition("-")
            if kind == "single" and self._happens(self.world.passes):
                self._submit(f"{experiment}-ab")

    def _note(self, action: m.Note) -> None:
        self.notes[action.kind] += 1


_CARRY_OUT: dict[type, Callable[..., None]] = {
    m.Launch: Night._launch, m.Send: Night._send, m.Locate: Night._locate, m.Stop: Night._stop,
    m.TearDown: Night._tear_down, m.Finish: Night._finish, m.Note: Night._note,
}  # fmt: skip


@dataclass(frozen=True)
class Summary:
    """What a night came to. `lost`, `doubled` and `wrong` must be 0; `overhead` is the scheduler's own time per job."""

    experiments: int
    jobs: int
    done: int
    failed: int
    resubmitted: int
    lost: int
    doubled: int
    wrong: int
    hours: float
    per_hour: float
    vm_hours: float
    dollars: float
    utilisation: float
    scheduler_ms_per_job: float
    notes: dict[str, int]


def simulate(world: World, seed: int = 1) -> Summary:
    """Play one night."""
    night = Night(world, seed)
    begun = time.process_time()
    night.run()
    spent = time.process_time() - begun
    hours = night.ended / 3600.0
    jobs = night.submitted
    return Summary(
        experiments=world.experiments,
        jobs=jobs,
        done=night.states["done"],
        failed=night.states["failed"],
        resubmitted=sum(night.sent.values()) - len(night.sent),
        lost=jobs - len(night.finishes),
        doubled=sum(count - 1 for count in night.finishes.values()),
        wrong=len(night.wrong),
        hours=hours,
        per_hour=world.experiments / hours,
        vm_hours=night.vm_seconds / 3600.0,
        dollars=night.vm_seconds / 3600.0 * world.price,
        utilisation=night.useful / night.vm_seconds,
        scheduler_ms_per_job=1000.0 * spent / jobs,
        notes=dict(sorted(night.notes.items())),
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--experiments", type=int, default=1000)
    parser.add_argument("--vms", type=int, default=64)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="any field of World")
    parser.add_argument("--table", action="store_true", help="the table of docs/capacity.md")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    world = replace(World(vms=options.vms, experiments=options.experiments), **_fields(options.set))
    if options.table:
        return _table(world, options.seed)
    found, said = simulate(world, options.seed), capacity(world)
    if options.json:
        print(json.dumps({"simulation": asdict(found), "formula": asdict(said)}))
    else:
        _print(world, found, said)
    return 0 if (found.lost, found.doubled, found.wrong) == (0, 0, 0) else 1


def _fields(words: list[str]) -> dict[str, Any]:
    """ "build=300" as a field of World, in that field's type."""
    found: dict[str, Any] = {}
    for word in words:
        name, _, value = word.partition("=")
        if name not in World.__dataclass_fields__:
            raise SystemExit(f"no field {name}: choose among {', '.join(World.__dataclass_fields__)}")
        found[name] = type(getattr(World, name))(value)
    return found


def _print(world: World, found: Summary, said: Capacity) -> None:
    rows: list[tuple[str, Any]] = [
        ("experiments on VMs", f"{found.experiments} on {world.vms}, {found.jobs} trials asked for"),
        ("ended", f"{found.done} with a result, {found.failed} clearly failed, {found.resubmitted} sent again"),
        ("what happened", ", ".join(f"{count} {kind}" for kind, count in found.notes.items())),
        ("lost, doubled, invented", f"{found.lost}, {found.doubled}, {found.wrong}"),
        ("experiments/hour", f"{found.per_hour:.0f} over {found.hours:.2f} h"),
        ("cost", f"{found.vm_hours:.1f} VM-hours, {found.dollars:.2f} dollars"),
        ("utilisation", f"{100 * found.utilisation:.1f} % of the VM-hours are trials that count"),
        ("scheduler and world", f"{found.scheduler_ms_per_job:.2f} ms of CPU per trial"),
        ("formula / simulation", f"{said.per_hour / found.per_hour:.3f} (serial fraction {100 * said.serial:.2f} %)"),
    ]  # fmt: skip
    for name, value in rows:
        print(f"{name:<24} {value}")


def _table(world: World, seed: int) -> int:
    print("| VMs | experiments/hour, formula | simulated | hours | dollars | per experiment | utilisation |")
    print("|---|---|---|---|---|---|---|")
    wrong = 0
    for vms in (1, 4, 16, 64, 128, 256):
        said = capacity(replace(world, vms=vms))
        found = simulate(replace(world, vms=vms), seed)
        wrong += found.lost + found.doubled + found.wrong
        print(
            f"| {vms} | {said.per_hour:.0f} | {found.per_hour:.0f} | {found.hours:.1f} | {found.dollars:.2f} | "
            f"{found.dollars / world.experiments:.3f} | {100 * found.utilisation:.0f} % |"
        )
    return 0 if wrong == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
