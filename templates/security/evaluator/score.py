"""Prints repelled_pct (by weight), and repelled_S … repelled_E: no class may hide behind another."""

from signed_metric import metric

import os
import random

import worker
from probes import PROBES

draw = random.Random(os.environ.get("AUTORESEARCH_LAYOUT_SEED", "1"))
total, won = {}, {}
for name, stride, _, weight, attack in draw.sample(PROBES, len(PROBES)):
    program = None
    try:
        program = worker.Worker("evaluator/adapter.py", "src", limit=20)
        repelled = attack(program, draw) is True
    except (worker.Failed, TypeError) as error:  # a crash is no defence
        print(f"{name}: {error}")
        repelled = False
    if program:
        program.kill()
    metric(f"probe_{name}", int(repelled))
    total[stride] = total.get(stride, 0) + weight
    won[stride] = won.get(stride, 0) + weight * repelled
metric("repelled_pct", round(100 * sum(won.values()) / sum(total.values()), 4))
for stride in sorted(total):
    metric(f"repelled_{stride}", round(100 * won[stride] / total[stride], 4))
