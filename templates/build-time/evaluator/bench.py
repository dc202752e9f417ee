"""Prints build_s, the mean of ROUNDS clean builds (cleaning is outside the clock), and artifact_bytes."""

from signed_metric import metric

import subprocess
import time
from pathlib import Path

from settings import ARTIFACT, BUILD, CLEAN, ENVIRONMENT, ROUNDS

seconds = 0.0
for _ in range(ROUNDS):
    subprocess.run(CLEAN, env=ENVIRONMENT, check=True)
    begun = time.perf_counter()
    subprocess.run(BUILD, env=ENVIRONMENT, check=True, stdout=subprocess.DEVNULL)
    seconds += time.perf_counter() - begun
metric("build_s", round(seconds / ROUNDS, 6))
metric("artifact_bytes", Path(ARTIFACT).stat().st_size)
