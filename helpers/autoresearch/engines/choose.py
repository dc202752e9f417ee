"""The engine that `autoresearch.yaml` names."""

from __future__ import annotations

from autoresearch.engines import Engine
from autoresearch.ledger.history import Session


def engine_of(session: Session) -> Engine:
    """The engine that `autoresearch.yaml` names, made once."""
    if session.engine is None:
        session.engine = _made(session)
    engine: Engine = session.engine
    return engine


def _made(session: Session) -> Engine:
    config = session.config
    # For start-up time: a session uses one of the two.
    if config.engine == "skypilot":
        from autoresearch.engines.skypilot.engine import SkyPilotEngine, limits

        return SkyPilotEngine(session.project.state, config.name, **limits(config))
    from autoresearch.engines.local import LocalEngine

    return LocalEngine(session.project.state, slots=config.slots, cores_per_slot=config.cores_per_slot)
