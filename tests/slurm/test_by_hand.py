"""experiment.yaml by hand, with nothing but `sky`, as its header says: what SkyPilot alone gets wrong."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from autoresearch.engines.bundle import build_bare_bundle
from autoresearch.engines.output import parse_log
from autoresearch.resources import shipped
from slurm.lab import Lab
from trial_helpers import eventually, make_tree

if "SLURM_LAB" not in os.environ:
    pytest.skip("SLURM_LAB is not set: no real cluster tested (setup.sh --test slurm)", allow_module_level=True)

pytestmark = pytest.mark.timeout(900)
STAMP = 1_700_000_000


def test_queued_jobs_of_equal_size_and_time_measure_their_own_code(lab: Lab, tmp_path: Path) -> None:
    """`sky exec` syncs at submission and skips files of equal size and time; our tarballs cannot be mixed up."""
    assert "slurm" in lab.sky("check", "slurm", timeout=300).lower()
    bundles = {}
    for value in "123":
        tree = make_tree(tmp_path / f"tree{value}", f"echo METRIC a={value}\n", plain=f"{value}\n")
        for path in tree.iterdir():
            os.utime(path, (STAMP, STAMP))
        bundle = build_bare_bundle(tmp_path / f"outbox{value}", tree)
        os.utime(bundle.path, (STAMP, STAMP))
        (bundle.path.parent / ".skyignore").touch()
        bundles[value] = bundle
    first, *others = bundles
    task = str(shipped("experiment.yaml"))

    def words(value: str) -> tuple[str, ...]:
        bundle = bundles[value]
        return ("--workdir", str(bundle.path.parent), task, "--env", f"EXP_ID=e{value}",
                "--env", f"EXP_SHA256={bundle.sha256}")  # fmt: skip

    dry = ("launch", "-y", "--dryrun", "-c", "dry", "--infra", lab.infra)
    lab.sky(*dry, *words(first))
    sides = ("--env", "EXP_ID=ab", "--env", f"BASE_SHA256={'0' * 64}", "--env", f"CANDIDATE_SHA256={'1' * 64}")
    lab.sky(*dry, str(shipped("templates/ab.yaml")), *sides)
    lab.sky("launch", "-y", "-d", "-c", "hand", "--infra", lab.infra, *words(first), timeout=600)
    for value in others:  # the first may still run: they queue up behind it
        lab.sky("exec", "-d", "hand", *words(value))
    statuses: dict[str, str] = {}

    def all_ended() -> bool:
        said = lab.sky("queue", "hand", "-o", "json")
        (jobs,) = json.loads(said[said.index("{") :]).values()
        statuses.update({str(job["job_id"]): job["status"] for job in jobs})
        return len(statuses) == len(bundles) and set(statuses.values()) <= {"SUCCEEDED", "FAILED"}

    assert eventually(all_ended, 400), statuses
    assert set(statuses.values()) == {"SUCCEEDED"}
    for job, value in enumerate(bundles, start=1):
        log = lab.sky("logs", "hand", str(job), "--no-follow")
        assert re.search(r"\bpid=\d+", log)  # SkyPilot's prefix is there, and does not stop the parser
        found = parse_log(log)
        assert (found.status, found.metrics) == ("done", {"a": float(value)}), log
    lab.sky("down", "-y", "hand")
    assert not [name for name in lab.vms() if name.startswith("hand")]
