"""ADAPT: a clean build and its result. Compiler caches (ccache, sccache) stay off: they would remember the answer."""

import os

CLEAN = ["make", "-s", "clean"]
BUILD = ["make", "-s"]
ROUNDS = 3
ENVIRONMENT = {**os.environ, "CCACHE_DISABLE": "1", "SCCACHE_RECACHE": "1", "MAKEFLAGS": ""}
ARTIFACT = "build/app"  # a file that the build makes
RUNS = {"3 4": "7", "-1 1": "0"}  # input of the artifact: its output
