"""Makes most tests' commands draw no chart, as if matplotlib were not installed: see tests/driver.py."""

import sys

sys.modules["matplotlib"] = None  # type: ignore[assignment]
