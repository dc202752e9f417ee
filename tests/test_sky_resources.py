"""What a VM is launched as: the infra of autoresearch.yaml and the resources of experiment.yaml together."""

from __future__ import annotations

from typing import Any

import pytest

from autoresearch.engines.skypilot.taskconfig import launch_config
from autoresearch.task import parse_task

PLACES = """run: "true"
resources:
  cpus: 4+
  any_of:
    - {infra: aws, instance_type: c7i.2xlarge}
    - {infra: gcp/us-central1, instance_type: c3-standard-8}
    - {cpus: 8}
"""
C7I: dict[str, Any] = {"instance_type": "c7i.2xlarge"}


@pytest.mark.parametrize(
    ("infra", "places"),
    [
        ("aws", [{**C7I, "infra": "aws"}, {"cpus": 8, "infra": "aws"}]),
        ("aws/us-east-1", [{**C7I, "infra": "aws/us-east-1"}, {"cpus": 8, "infra": "aws/us-east-1"}]),
        ("gcp/europe-west1", [{"cpus": 8, "infra": "gcp/europe-west1"}]),
        ("slurm/lab/cpu", [{"cpus": 8, "infra": "slurm/lab/cpu"}]),
    ],
)
def test_any_of_stays_within_the_infra(infra: str, places: list[dict[str, Any]]) -> None:
    """Left as they are, entries of any_of win over `infra`, and the VMs come up where the user did not ask for them."""
    resources = launch_config(parse_task(PLACES), infra, None)["resources"]
    assert resources["any_of"] == places
    assert resources["infra"] == infra


def test_without_an_infra_any_of_is_the_tasks_own() -> None:
    resources = launch_config(parse_task(PLACES), None, 5)["resources"]
    assert len(resources["any_of"]) == 3
    assert resources["autostop"] == {"idle_minutes": 5, "down": True}


def test_places_that_are_all_elsewhere_leave_the_infra_alone() -> None:
    text = PLACES.replace("    - {cpus: 8}\n", "")
    assert "any_of" not in launch_config(parse_task(text), "k8s", None)["resources"]
