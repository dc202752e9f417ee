"""Notices that the machine's clock was set, or that it slept, while something was measured."""

from __future__ import annotations

import time
from typing import Callable

# Slewing (NTP) stays far below this share, reading two clocks one after the other below these seconds.
_SHARE = 0.02
_SECONDS = 0.1


class ClockJumped(OSError):
    """The clock is the machine's: it says nothing about the candidate, and what was measured is void."""


class Watch:
    """Two clocks, started together."""

    def __init__(self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic) -> None:
        self._wall, self._steady = wall, steady
        self._begun = wall(), steady()

    def check(self) -> None:
        """Raise `ClockJumped` when the clocks disagree on how long it was."""
        wall, steady = self._wall() - self._begun[0], self._steady() - self._begun[1]
        if abs(wall - steady) > _SECONDS + _SHARE * steady:
            raise ClockJumped(
                "clock_jump: the clock was set by %+.1f s during a run, or the machine slept" % (wall - steady)
            )
