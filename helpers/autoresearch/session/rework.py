"""A candidate that crashed or failed its checks may be mended twice; then it is decided as it stands.

Each submission after a failure is a rework and says so on its ledger line (`rework: 1`), so that the bound holds for
any agent, in any process. A job that was killed, or a base that failed, is no failure of the candidate.
"""

from __future__ import annotations

from typing import Any

from autoresearch.errors import NotYet
from autoresearch.session.stages import stage_of
from autoresearch.session.state import MOST_REWORKS, Experiment, Session


def admit_rework(session: Session, experiment: Experiment, diff_sha256: str) -> dict[str, Any]:
    """What the next job's ledger line says of it, {} for a first try; `NotYet` when it was mended often enough."""
    stage = stage_of(session, experiment)
    before = experiment.reworks
    base_failed = any(r.get("type") == "end" and r.get("base_failed") for r in stage.records)
    if stage.name != "failed" or base_failed:
        return {"rework": before} if before else {}
    if before < MOST_REWORKS:
        return {"rework": before + 1}
    name = experiment.id
    same = stage.record is not None and stage.record.get("diff_sha256") == diff_sha256
    raise NotYet(
        f"{name} was reworked {before} times and failed again ({stage.detail})",
        fix="Decide it; what was learned is worth a new experiment",
        next=f"autoresearch decide {name}" + ("" if same else " --abandon"),
    )
