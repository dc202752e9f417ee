"""Prints tests_s: ROUNDS runs of the whole suite, as a developer starts it."""

from signed_metric import metric

import os
import subprocess
import time

from settings import COMMAND, ENVIRONMENT, ROUNDS

begun = time.perf_counter()
for _ in range(ROUNDS):
    subprocess.run(COMMAND, env={**os.environ, **ENVIRONMENT}, check=True, capture_output=True)
metric("tests_s", round((time.perf_counter() - begun) / ROUNDS, 6))
