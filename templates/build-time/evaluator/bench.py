"""Prints build_s, the mean of ROUNDS clean builds (cleaning is outside the clock), and artifact_bytes.

Each is a build of other sources, and each artifact has to do what the reference's does: see build.py.
"""

from signed_metric import metric

import os
import random

from build import judged, no_new_binaries
from settings import ROUNDS

rng = random.Random(os.environ.get("AUTORESEARCH_LAYOUT_SEED", "1"))
no_new_binaries()
builds = [judged(rng) for _ in range(ROUNDS)]
metric("build_s", round(sum(seconds for seconds, _ in builds) / ROUNDS, 6))
metric("artifact_bytes", builds[-1][1])
