"""Closed loop: each client sends its next request when the last is answered. Times are per request, in milliseconds.

Requests are new in every run, and every answer is held against the reference's once the clock has stopped: what is
answered wrongly under load, remembered or left out is an error.

Not paired with a reference as templates/cpu is, and not in own time: a request is mostly a wait, for the service, for
other clients, for the core, and only the clock on the wall sees the tail that they make together. Where the service's
work is what is slow, time that: templates/cpu for the program, templates/algorithm for its hot function.
"""

from signed_metric import metric  # before the service starts: it takes the token away
from time import perf_counter

import os
import random

import paired
from service import REFERENCE, REQUESTS, WARM_UP, load, question, running, wrong

rng = random.Random(os.environ.get("AUTORESEARCH_LAYOUT_SEED", "1"))
warm, counted = ([question(rng) for _ in range(count)] for count in (WARM_UP, REQUESTS))
times, answers, frozen = [], [], paired.states(REFERENCE)


def answered(path, answer, began):
    times.append(1000 * (perf_counter() - began))
    answers.append((path, answer))


with running() as port:
    load(port, warm, answered)
    times.clear()
    load(port, counted, answered)
times.sort()
for name, share in (("p50_ms", 0.50), ("p95_ms", 0.95), ("p99_ms", 0.99)):
    metric(name, round(times[min(len(times) - 1, int(share * len(times)))], 4))
metric("mean_ms", round(sum(times) / len(times), 4))
metric("error_rate", len(wrong(answers, frozen)) / len(answers))
