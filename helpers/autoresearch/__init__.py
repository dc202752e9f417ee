"""autoresearch: the agent proposes, the code decides."""

__version__ = "0.4.0"
