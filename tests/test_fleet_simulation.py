"""The capacity formula against the simulation, and a night of 1,000 experiments on 64 VMs that loses nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

from fleet_capacity import QUIET, World, capacity  # noqa: E402
from fleet_simulation import Night, simulate  # noqa: E402


def test_a_thousand_experiments_on_64_vms_with_everything_that_breaks() -> None:
    # Much more trouble than the documented night: each kind of failure happens many times.
    world = World(preempted=0.5, refused=0.2, noisy=0.3, cut=0.05, truncated=0.05, hang=0.01)
    night = Night(world, 7)
    night.run()
    assert night.wrong == []
    assert len(night.finishes) == night.submitted > 1400
    assert set(night.finishes.values()) == {1}
    assert set(night.states) == {"done", "failed"}
    assert night.states["done"] > 0.97 * night.submitted
    assert min(night.notes[kind] for kind in ("lost", "refused", "replaced")) > 10
    assert sum(night.sent.values()) - len(night.sent) > 50  # sent again, after a VM or a log was lost


@pytest.mark.parametrize("vms", [1, 8, 64, 200])
def test_the_formula_agrees_with_a_quiet_night(vms: int) -> None:
    world = World(vms=vms, experiments=max(100, 4 * vms), **QUIET)
    assert capacity(world).per_hour == pytest.approx(simulate(world, 3).per_hour, rel=0.10)


def test_the_formula_agrees_with_what_a_bad_night_is_on_average() -> None:
    world = World(vms=16, experiments=400)
    nights = [simulate(world, seed).per_hour for seed in range(4)]
    assert capacity(world).per_hour == pytest.approx(sum(nights) / 4, rel=0.10)


def test_no_number_of_vms_beats_the_serial_fraction() -> None:
    few, many = (capacity(replace(World(experiments=10**6, **QUIET), vms=vms)) for vms in (1, 10_000))
    assert many.per_hour <= few.per_hour / few.serial
    assert many.per_hour > 0.9 * few.per_hour / few.serial


def test_the_document_holds_the_formulas_own_numbers() -> None:
    text = (ROOT / "docs" / "capacity.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| (\d+) \| (\d+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| (\d+) % \|$", text, re.M)
    assert [int(row[0]) for row in rows] == [1, 4, 16, 64, 128, 256]
    for row in rows:
        assert int(row[1]) == round(capacity(World(vms=int(row[0]))).per_hour)
    small = simulate(World(vms=16), 1)
    assert [row[2] for row in rows if row[0] == "16"] == [f"{small.per_hour:.0f}"]


def test_the_command_of_the_document() -> None:
    done = subprocess.run(
        [sys.executable, "benchmarks/fleet_simulation.py", "--experiments", "60", "--vms", "4", "--set", "build=30"],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "lost, doubled, invented  0, 0, 0" in done.stdout
