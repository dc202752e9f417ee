"""`doctor` before the first VM: what it says of the real SkyPilot, and of one that cannot be used."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from slurm.lab import Lab
from slurm.play import Play

if "SLURM_LAB" not in os.environ:
    pytest.skip("SLURM_LAB is not set: no real cluster tested (setup.sh --test slurm)", allow_module_level=True)

pytestmark = pytest.mark.timeout(600)


def test_doctor_says_what_can_be_used(lab: Lab, tmp_path: Path) -> None:
    sky = os.environ.get("AUTORESEARCH_SKY_PYTHON", sys.executable)
    play = Play(tmp_path, f"engine: skypilot\ninfra: {lab.infra}", {**lab.env, "AUTORESEARCH_SKY_PYTHON": sky})

    def engine() -> tuple[str, str, str]:
        data = play("doctor", "--no-run", "--timeout", "300")[1]
        (found,) = (f for f in data["findings"] if f["what"] == "engine")
        return found["level"], found["found"], found["fix"]

    level, found, fix = engine()
    assert (level, fix) == ("ok", ""), found
    assert found.endswith("enabled: slurm")

    settings = tmp_path / "autoresearch.yaml"
    settings.write_text(settings.read_text().replace(lab.infra, "aws/us-east-1"))
    level, found, fix = engine()
    assert level == "fail"
    assert "infra aws/us-east-1 is not enabled; enabled: slurm" in found
    assert "sky check" in fix

    play.env["SKYPILOT_API_SERVER_ENDPOINT"] = "http://127.0.0.1:9"  # nobody listens there
    level, found, fix = engine()
    assert level == "fail"
    assert "127.0.0.1:9" in found
    assert "sky api" in fix
    assert lab.vms() == {}
