"""As the suite's own, with one input for ever: what the held-out benchmark is for."""

import os
import random
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from signed_metric import metric  # first: it takes the token away before the program starts
from drive import ask, judge

rng = random.Random(sys.argv[1] if len(sys.argv) > 1 else "for ever the same")
lists = [[rng.randrange(-(10**6), 10**6) for _ in range(300)] for _ in range(12)]
out, seconds = ask(lists)
judge(lists, out)
metric("time_s", round(seconds, 6))
