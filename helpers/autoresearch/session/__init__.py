"""Config + ledger -> what is true now. Everything is derived from the ledger, git and the jobs' directories."""

from autoresearch.session.state import Experiment, Session, find_root, load, open_session

__all__ = ["Experiment", "Session", "find_root", "load", "open_session"]
