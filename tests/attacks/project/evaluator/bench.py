"""Times the program on lists that no run has seen before; the metric is seconds for its whole life.

The lists come from the seed that the trial draws for each run: as long every time, and never the same twice, so an
answer that was remembered or prepared is worth nothing. What was timed is judged, after the clock has stopped.
"""

import os
import random
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from signed_metric import metric  # first: it takes the token away before the program starts
from drive import ask, judge

rng = random.Random(os.environ["AUTORESEARCH_LAYOUT_SEED"])
lists = [[rng.randrange(-10**6, 10**6) for _ in range(300)] for _ in range(12)]
out, seconds = ask(lists)
judge(lists, out)
metric("time_s", round(seconds, 6))
