"""The pure parts of the engine skypilot: what a VM is launched as, whether an output counts, whether a VM is fit."""

from __future__ import annotations

import json
import os
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoresearch.engines.output import strip_prefixes
from autoresearch.engines.skypilot import qualify, receipt
from autoresearch.engines.skypilot.qualify import Yardstick
from autoresearch.engines.skypilot.taskconfig import is_ours, launch_config, run_config, spec_hash
from autoresearch.task import load_task, parse_task
from driver import REPO
from trial_helpers import HELPERS

SHA = "ab" * 32
BRIDGE = HELPERS / "autoresearch" / "engines" / "skypilot" / "bridge.py"


# --- what SkyPilot is given


def test_every_launch_has_an_autostop_and_the_infra_that_was_asked_for() -> None:
    shipped = load_task(REPO / "experiment.yaml")
    config = launch_config(shipped, "slurm/lab/cpu", None)
    assert config["resources"]["autostop"] == {"idle_minutes": 30, "down": True}
    assert config["resources"]["infra"] == "slurm/lab/cpu"
    assert config["resources"]["cpus"] == "4+"
    assert "run" not in config
    assert "workdir" not in config
    assert launch_config(shipped, None, 5)["resources"]["autostop"] == {"idle_minutes": 5, "down": True}
    assert "infra" not in launch_config(shipped, None, 5)["resources"]


@pytest.mark.parametrize(
    ("asked", "minutes"),
    [("autostop: 7", 7), ("autostop: 2h", 120), ("autostop: 45m", 45), ("autostop: true", 30), ("autostop: false", 30),
     ("autostop: {idle_minutes: 9}", 9), ("cloud: aws", 30)],
)  # fmt: skip
def test_a_tasks_own_autostop_keeps_its_minutes_and_always_ends_the_vm(asked: str, minutes: int) -> None:
    config = launch_config(parse_task(f"run: x\nresources: {{{asked}}}\n"), "gcp", None)
    assert config["resources"] == {"autostop": {"idle_minutes": minutes, "down": True}, "infra": "gcp"}


def test_a_change_of_setup_or_machine_is_another_spec() -> None:
    base = launch_config(parse_task("run: x\nsetup: a\n"), "aws", None)
    same = launch_config(parse_task("run: other\nsetup: a\n"), "aws", None)
    other = launch_config(parse_task("run: x\nsetup: b\n"), "aws", None)
    assert spec_hash(base) == spec_hash(same) != spec_hash(other)


def test_the_shipped_task_runs_unchanged_and_a_users_own_is_wrapped() -> None:
    shipped = load_task(REPO / "experiment.yaml")
    assert is_ours(shipped)
    values = shipped.resolve({"EXP_ID": "e1", "EXP_SHA256": SHA})
    assert run_config(shipped, values) == {"run": shipped.run, "envs": values}
    own = parse_task("run: |\n  echo hi\nsecrets: {T: x}\nresources: {accelerators: 'L4:1'}\n")
    config = run_config(own, {**own.resolve({}), "EXP_ID": "e1"})
    assert "stale_source" in config["run"]
    assert config["secrets"] == {"T": "x"}
    assert "T" not in config["envs"]
    assert config["resources"] == {"accelerators": "L4:1"}


def test_the_wrapper_refuses_what_is_not_the_bundle(tmp_path: Path) -> None:
    config = run_config(parse_task("run: echo METRIC x=1\n"), {})
    (tmp_path / f"{SHA}.tar.gz").write_bytes(b"other bytes")
    done = subprocess.run(
        ["bash", "-c", config["run"]], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "EXP_ID": "e1", "EXP_SHA256": SHA},
    )  # fmt: skip
    assert done.returncode == 90
    assert "METRIC" not in done.stdout
    assert receipt.fault(done.stdout + done.stderr, "e1", SHA, ours=False) == (
        "the VM did not have the bundle that was sent"
    )


# --- whether an output counts

# As the real SkyPilot printed it, with its colours, its prefix and its own lines around ours.
HEAD = (
    "\x1b[2m├── \x1b[0m\x1b[2mWaiting for task resources on 1 node.\x1b[0m\n"
    "\x1b[2m└── \x1b[0mJob started. Streaming logs... "
    "\x1b[2m(Ctrl-C to exit log streaming; job will not be killed)\x1b[0m\n"
)
FOOT = "\x1b[0m\x1b[32m✓ Job finished (status: SUCCEEDED).\x1b[0m\x1b[0m\n"


def sky_log(*lines: str, name: str = "e1-ab-1.t-18d5-vm-1.a1") -> str:
    return HEAD + "".join(f"\x1b[36m({name}, pid=2378)\x1b[0m {line}\n" for line in lines) + FOOT


def sample(slot: int | None) -> str:
    return "AR_RECORD " + json.dumps({"type": "sample", "slot": slot, "warmup": slot is None, "value": 1.0})


GOOD = [
    f"EXPERIMENT_BUNDLE: e1 {SHA}", sample(None), sample(0), sample(1),
    "EXPERIMENT_STATUS: done", "CHECKS_STATUS: passed",
]  # fmt: skip


def test_a_whole_output_of_the_right_bundle_counts() -> None:
    assert receipt.fault(sky_log(*GOOD), "e1", SHA, ours=True) == ""
    assert strip_prefixes(sky_log(*GOOD)).splitlines()[2] == GOOD[0]


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (GOOD[1:], "does not name its bundle"),
        ([GOOD[0].replace(SHA, "cd" * 32), *GOOD[1:]], "of another bundle"),
        ([GOOD[0].replace("e1", "e2"), *GOOD[1:]], "of another bundle"),
        (GOOD[:-1], "cut off"),
        ([*GOOD[:3], *GOOD[4:]], ""),
        ([*GOOD[:2], *GOOD[3:]], "samples are missing"),
        ([*GOOD[:2], sample(0)[:-9], *GOOD[3:]], "damaged"),
        ([GOOD[-1], *GOOD[:-1]], "cut off"),
        ([], "does not name its bundle"),
    ],
)
def test_anything_else_is_refused(lines: list[str], why: str) -> None:
    found = receipt.fault(sky_log(*lines), "e1", SHA, ours=True)
    assert why in found
    assert bool(found) == bool(why)


@given(st.integers(0, len(sky_log(*GOOD))))
def test_no_beginning_of_an_output_counts(cut: int) -> None:
    whole = sky_log(*GOOD)
    last = whole.index("CHECKS_STATUS:") + len("CHECKS_STATUS:")
    assert bool(receipt.fault(whole[:cut], "e1", SHA, ours=True)) == (cut < last)


def test_a_program_that_prints_another_bundle_later_changes_nothing() -> None:
    forged = f"EXPERIMENT_BUNDLE: e1 {'cd' * 32}"
    lines = [GOOD[0], forged, "EXPERIMENT_EXIT: 0"]
    assert receipt.fault(sky_log(*lines), "e1", SHA, ours=False) == ""
    assert receipt.fault(sky_log(forged, *lines), "e1", SHA, ours=False).startswith("the output is of another bundle")


def test_exit_codes() -> None:
    assert receipt.exit_code(sky_log("EXPERIMENT_EXIT: 7"), 100) == 7
    assert receipt.exit_code(sky_log(*GOOD), 0) == 0
    assert receipt.exit_code(sky_log(*GOOD), 100) is None


# --- whether a VM is fit


def noise_records(values: list[float], status: str = "done", side: str = "A") -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [{"type": "sample", "side": side, "value": 9.9, "warmup": True}]
    rows += [{"type": "sample", "side": side, "value": v, "warmup": False} for v in values]
    return [*rows, {"type": "end", "status": status}]


def test_short_term_noise_decides_and_slow_weather_does_not() -> None:
    rng = random.Random(7)
    weather = [1.0 + 0.05 * (i / 20) + rng.gauss(0, 0.002) for i in range(20)]  # cv 1.5 %, neighbours 0.2 % apart
    jumpy = [1.0 + rng.gauss(0, 0.03) for i in range(20)]
    need = Yardstick("lower", 1.0, 60)
    good, bad = qualify.judge(noise_records(weather), need), qualify.judge(noise_records(jumpy), need)
    assert good is not None
    assert bad is not None
    assert (good.fit, bad.fit) == (True, False)
    assert bad.mde_pct is not None
    assert bad.mde_pct > 1.0
    assert "60 runs show only gains of" in bad.reason
    generous = qualify.judge(noise_records(jumpy), Yardstick("lower", 20.0, 60))
    assert generous is not None
    assert generous.fit


def test_equal_readings_are_no_vms_fault() -> None:
    found = qualify.judge(noise_records([10.0] * 8), Yardstick())
    assert found is not None
    assert found.fit


@pytest.mark.parametrize("records", [[], noise_records([1.0] * 3), noise_records([1.0] * 8, "crash")])
def test_a_trial_that_did_not_get_through_says_nothing(records: list[dict[str, Any]]) -> None:
    assert qualify.judge(records, Yardstick()) is None


def test_drift_is_seen_on_the_bases_readings_only() -> None:
    rng = random.Random(3)
    loud = [1.0 + rng.gauss(0, 0.03) for _ in range(24)]
    calm = [1.0 + rng.gauss(0, 0.004) for _ in range(24)]
    need = Yardstick("lower", 1.0, 60)
    assert "at its qualification 0.4 %" in qualify.drift(noise_records(loud), 0.4, need)
    assert qualify.drift(noise_records(calm), 0.4, need) == ""
    assert qualify.drift(noise_records(loud, side="B"), 0.4, need) == ""
    assert qualify.drift(noise_records(loud), None, need) == ""
    assert qualify.drift(noise_records(loud), 0.4, Yardstick("lower", 20.0, 60)) == "", "still good enough"


# --- the bridge and the real SkyPilot


def test_the_bridge_speaks_before_skypilot_is_there(tmp_path: Path) -> None:
    """Without SkyPilot every op is refused by name, and the end of stdin ends it."""
    ask = '{"id": 1, "op": "hello"}\n{"id": 2, "op": "nothing"}\n'
    process = subprocess.Popen(
        ["python3", "-S", str(BRIDGE)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        stderr=subprocess.DEVNULL, env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(ask)
    process.stdin.flush()
    answers = {a["id"]: a for a in (json.loads(process.stdout.readline()) for _ in range(2))}
    process.stdin.close()
    assert process.wait(20) == 0
    assert (answers[1]["ok"], answers[1]["kind"]) == (False, "missing")
    assert answers[2]["ok"] is False


def test_the_real_skypilot_takes_what_we_pass() -> None:
    """The contract: version and every parameter that we use. No server is started."""
    python = os.environ.get("AUTORESEARCH_SKY_PYTHON")
    if not python:
        pytest.skip("SkyPilot is not installed: set AUTORESEARCH_SKY_PYTHON to an interpreter that has it")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import bridge, sky; from sky.client import sdk; import sky.exceptions\n"
        "print(bridge.mismatches(sky.__version__, sdk))\n"
        "ours = {'ConnectionError', 'ChunkedEncodingError', 'Timeout'}\n"
        "print(sorted(n for n in bridge.ERRORS if n not in ours and not hasattr(sky.exceptions, n)))\n"
        "print(bridge.mismatches('0.13.9', sdk), bridge.mismatches('0.16.0', sdk))\n"
        "del sdk.exec; sdk.launch = lambda task: None\n"
        "print(len(bridge.mismatches(sky.__version__, sdk)))\n"
    )
    done = subprocess.run(
        [python, "-c", code, str(BRIDGE.parent)], capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, "SKYPILOT_DISABLE_LOCAL_API_SERVER": "1", "SKYPILOT_DISABLE_USAGE_COLLECTION": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "[]", lines[0]
    assert lines[1] == "[]", f"unknown to this SkyPilot: {lines[1]}"
    assert lines[2].count(">= 0.14, < 0.16") == 2
    assert lines[3] == "2"
