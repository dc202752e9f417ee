"""What a fleet of VMs can do, by a formula (docs/capacity.md derives it); `fleet_simulation.py` plays that world."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class World:
    """What a night is like. Times in seconds, prices in dollars per VM-hour, the rest are chances.

    Half of the experiments pass their screening and get an A/B of `runs` runs. A trial is submitted and its log fetched
    over one of `lanes` connections, which takes `send` and `fetch`; its end is seen at the next look, every `poll`.
    """

    vms: int = 64
    experiments: int = 1000
    build: float = 60.0
    bench: float = 5.0
    checks: float = 20.0
    runs: int = 30
    passes: float = 0.5
    send: float = 5.0
    fetch: float = 4.0
    lanes: int = 8
    poll: float = 5.0
    launch: float = 150.0
    noise: float = 100.0
    price: float = 0.40
    spread: float = 0.3  # of build and benchmark times, as a standard deviation of their logarithm
    refused: float = 0.05  # launches refused
    preempted: float = 0.10  # VMs lost per VM and hour
    noisy: float = 0.05  # VMs that measure badly
    cut: float = 0.01  # submissions after which nobody knows whether the trial runs
    truncated: float = 0.01  # logs that arrive incomplete
    hang: float = 0.005  # trials that run into their time limit
    timeout: float = 1800.0


QUIET = {"refused": 0.0, "preempted": 0.0, "noisy": 0.0, "cut": 0.0, "truncated": 0.0, "hang": 0.0}


def screening(w: World) -> float:
    """Seconds of a screening on its VM: build, one run, checks."""
    return w.build + w.bench + w.checks


def clean_ab(w: World) -> float:
    """Seconds of an A/B: both sides built, the candidate checked, a warm-up of each side and the runs."""
    return 2 * w.build + w.checks + (w.runs + 2) * w.bench


@dataclass(frozen=True)
class Capacity:
    """The formula's answer. `serial` is the share of an experiment's time that no further VM shortens."""

    per_hour: float
    makespan_h: float
    dollars: float
    serial: float


def capacity(w: World) -> Capacity:
    """Experiments/hour and dollars as functions of VMs and times; docs/capacity.md derives it."""
    jobs = 1.0 + w.passes
    # A trial that brings nothing is repeated; one that hangs takes its whole time limit, and then fails.
    repeats = 1.0 / (1.0 - w.truncated)
    on_vm = (screening(w) + w.passes * clean_ab(w)) * (1.0 - w.hang) + jobs * w.hang * w.timeout
    busy = repeats * (on_vm + jobs * w.poll / 2.0)
    # What the connections do per experiment: V VMs wait for `lanes` of them (mean value analysis, one station).
    serve = repeats * jobs * (w.send + w.fetch)
    arrive = w.launch + w.noise + w.send + w.fetch + w.poll / 2.0
    trial = busy / jobs
    # A preempted VM costs its successor's arrival and half a trial; a noisy or refused one only delays the start.
    lost_per_hour = w.preempted * (arrive * (1.0 + w.noisy) + trial / 2.0) / 3600.0
    share = 1.0 / (1.0 + lost_per_hour)
    rate = share * _closed(w.vms, busy, serve, w.lanes)
    # All VMs come at once, and queue for a connection with their noise trials and their first experiments.
    burst = w.vms * (2 * w.send + w.fetch) / w.lanes / 2.0
    start = arrive * (1.0 + w.noisy) + w.refused * 15.0 + burst
    middle = w.experiments / rate
    # The last trials end one by one: until the slowest of one per VM, less the half that the others have done by then.
    # If one hangs near the end, all wait for its time limit: of n that hang at random moments the last begins
    # middle / (n + 1) before the queue runs dry.
    hangs = jobs * w.hang * w.experiments
    last = (1.0 - math.exp(-hangs)) * max(0.0, w.timeout - middle / (hangs + 1.0))
    end = max(_slowest(w) - clean_ab(w) / 2.0, last) if w.vms > 1 else 0.0
    seconds = start + middle + end
    hours = seconds / 3600.0
    return Capacity(w.experiments / hours, hours, w.vms * hours * w.price, serve / w.lanes / (busy + serve))


def _slowest(w: World) -> float:
    """The longest of `vms` A/Bs: build and benchmark times are log-normal, and vary apart from each other."""
    mean = clean_ab(w)
    sigma = w.spread * math.hypot(2 * w.build, (w.runs + 2) * w.bench) / mean
    return mean * math.exp(sigma * math.sqrt(2.0 * math.log(w.vms)) - sigma * sigma / 2.0)


def _closed(customers: int, think: float, serve: float, lanes: int) -> float:
    """Experiments per second of a closed system: VMs that work `think` seconds alone, then need one of `lanes`.

    Mean value analysis (Reiser & Lavenberg 1980, JACM 27:313-322), with the lanes as one station of service time
    serve / lanes and the rest of `serve` as a delay (Seidmann et al. 1987).
    """
    station, delay = serve / lanes, think + serve * (lanes - 1) / lanes
    queue, rate = 0.0, 0.0
    for n in range(1, customers + 1):
        stay = station * (1.0 + queue)
        rate = n / (stay + delay)
        queue = rate * stay
    return rate
