"""What the house did unasked while a command ran, such as finishing a killed one. Every answer carries it."""

from __future__ import annotations

_said: list[str] = []


def say(text: str) -> None:
    """Remember one sentence, without a final stop."""
    if text not in _said:
        _said.append(text)


def drain() -> list[str]:
    """The sentences so far, once."""
    said, _said[:] = _said[:], []
    return said
