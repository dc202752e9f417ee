"""Config + ledger -> what is true now. Everything is derived from the ledger, git and the jobs' directories."""

from autoresearch.ledger.history import Experiment, Session
from autoresearch.session.access import find_root, load, open_session

__all__ = ["Experiment", "Session", "find_root", "load", "open_session"]
