"""What a metric's numbers are, by its unit, or without one by its name: a time, a rate, a size or a count.

The one table: what one check takes for a time is a time to all of them. Pure, Python 3.8: travels to the worker.
"""

from __future__ import annotations

import re
from typing import Dict, Optional, Tuple

_TIMES = {
    1e-9: "ns nsec nsecs nanos nanosecond nanoseconds",
    1e-6: "us µs μs usec usecs µsec μsec micros microsecond microseconds",
    1e-3: "ms msec msecs millis millisecond milliseconds",
    1.0: "s sec secs second seconds",
    60.0: "min mins minute minutes",
    3600.0: "h hr hrs hour hours",
}
SECONDS: Dict[str, float] = {word: scale for scale, words in _TIMES.items() for word in words.split()}
# As the last word of a name these mean something else: time_min is the least time.
_NO_NAMES = ("min", "h")
# Rates that name no time.
_RATES = frozenset(["fps", "qps", "rps", "tps", "iops", "bps", "kbps", "mbps", "gbps", "hz", "khz", "mhz", "ghz"])

# Units of sizes and counts, and the ends of their names. Where the linker put the code moves none of these, and their
# readings depend on no clock; an unknown unit may be a time.
COUNTS = frozenset({
    "B", "kB", "KB", "MB", "GB", "KiB", "MiB", "GiB", "byte", "bytes", "lines", "files", "steps", "calls", "items",
    "tokens", "allocs", "allocations", "instructions", "count", "requests", "errors", "points", "%",
})  # fmt: skip
_COUNT_NAMES = frozenset({
    "bytes", "size", "lines", "files", "steps", "calls", "allocs", "allocations", "instructions", "count",
    "mem", "memory", "rss", "kb", "mb", "gb",
})  # fmt: skip


def seconds_in(metric: str, unit: str = "") -> Optional[float]:
    """What 1 of the metric is in seconds, `ns/op` and `ns_per_op` too; None when it is no time."""
    above, below = _fraction(metric, unit)
    if _scale(below.rpartition(" ")[2]) is not None or (not unit.strip() and above in _NO_NAMES):
        return None
    return _scale(above)


def is_rate(metric: str, unit: str = "") -> bool:
    """Whether it is so much in a time, such as req/s, ops/min, MB per second or fps."""
    above, below = _fraction(metric, unit)
    return _scale(below.rpartition(" ")[2]) is not None or above.lower() in _RATES


def is_count(metric: str, unit: str = "") -> bool:
    """Whether the metric is a size or a count, by its unit, or without one by the last word of its name."""
    if unit.strip():
        return unit.strip() in COUNTS
    found = metric.rpartition("_")[2].lower() in _COUNT_NAMES
    return found and seconds_in(metric) is None and not is_rate(metric)


def meant(unit: str) -> Optional[str]:
    """The time or rate that a unit such as `sec.` or `milis` is likely to stand for; None for all other units."""
    if seconds_in("", unit) is not None or is_rate("", unit):
        return None
    above, below = _fraction("", unit)
    likely, per = _meant(above), _meant(below)
    if likely is None and per is None:
        return None
    return (likely or above) + (f"/{per or below}" if below else "")


def _meant(part: str) -> Optional[str]:
    words = [word for word in re.split(r"[\s()\[\]{}<>,;:_.-]+", part) if word]
    whole = "".join(words)
    if whole.lower() in SECONDS:
        return whole if whole in SECONDS else whole.lower()
    # "CPU seconds", "ms (median)"
    if len(words) > 1 and not any(word[0].isdigit() for word in words):
        for word in (words[0], words[-1]):
            if _scale(word) is not None and word not in _NO_NAMES:
                return word
    import difflib  # for start-up time

    # Short words have neighbours of their own, such as specs and users; and micros has microns.
    long = [word for word in SECONDS if len(word) > 5 and word != "micros"]
    return next(iter(difflib.get_close_matches(whole.lower(), long, 1, cutoff=0.86)), None)


def _fraction(metric: str, unit: str) -> Tuple[str, str]:
    """What stands above the line, and below; of a name, the last words of both."""
    if not unit.strip():
        name, _, each = metric.partition("_per_")
        return name.rpartition("_")[2], each.rpartition("_")[2]
    above, *below = re.split(r"\s+per\s+|\s*/\s*", unit.strip())
    return above, below[-1] if below else ""


def _scale(word: str) -> Optional[float]:
    """Words are read in any case; symbols as they are written, since others than ms and s stand for other things."""
    return SECONDS.get(word) or (SECONDS.get(word.lower()) if len(word) > 2 else None)
