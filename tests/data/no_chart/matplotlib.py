"""Stands before the real one on the path of most tests' commands, which then draw no chart: see tests/driver.py."""

raise ImportError("no chart in this test")
