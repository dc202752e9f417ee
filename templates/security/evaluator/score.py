"""Prints repelled_pct (by weight), and repelled_S … repelled_E: no class may hide behind another."""

from signed_metric import metric

import io
from contextlib import redirect_stdout

from probes import PROBES

total, won = {}, {}
for name, stride, owasp, weight, attack in PROBES:
    try:
        with redirect_stdout(io.StringIO()):
            repelled = attack() is True
    except Exception as error:  # a crash is no defence
        print(f"{name}: {type(error).__name__}")
        repelled = False
    print(f"{'repelled' if repelled else 'OPEN    '}  {stride}  {owasp}: {name}")
    total[stride] = total.get(stride, 0) + weight
    won[stride] = won.get(stride, 0) + weight * repelled
metric("repelled_pct", round(100 * sum(won.values()) / sum(total.values()), 4))
for stride in total:
    metric(f"repelled_{stride}", round(100 * won[stride] / total[stride], 4))
