"""What ends a trial before its end."""

from __future__ import annotations

from autoresearch.verdict import TrialStatus


class Failed(Exception):
    """A step that ends the trial. `side` is "A" (base) or "B" (candidate); `flaky` speaks against neither."""

    def __init__(
        self, side: str, error: str, *, status: TrialStatus = "crash", conflict: bool = False, flaky: bool = False
    ) -> None:
        super().__init__(error)
        self.side = side
        self.error = error
        self.status = status
        self.conflict = conflict
        self.flaky = flaky
