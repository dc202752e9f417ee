"""Every request is answered as the reference does: one by one, all at once, and again after clients that break off."""

import signed_metric  # noqa: F401  as in the benchmark, before the service starts

import os
import random
import socket
import sys

import paired
from service import EDGES, REFERENCE, load, question, running, wrong

rng = random.Random("check" + os.environ.get("AUTORESEARCH_LAYOUT_SEED", "1"))
paths = [*EDGES, *(question(rng) for _ in range(30))]
answers, frozen = [], paired.states(REFERENCE)
with running() as port:
    for path in paths:
        load(port, [path], lambda path, answer, _: answers.append((path, answer)))
    for path in paths[:3]:
        with socket.create_connection(("127.0.0.1", port)) as rude:
            rude.sendall(b"GET " + path.encode()[:-1])
    for _ in range(4):
        rng.shuffle(paths)
        load(port, paths, lambda path, answer, _: answers.append((path, answer)))
bad = wrong(answers, frozen)
if bad:
    sys.exit(f"a wrong answer or none, {len(bad)} of {len(answers)}: {bad[:3]}"[:500])
if len({answer for _, answer in answers}) < 5:
    sys.exit("nearly all requests have one answer: let question() draw others")
