"""Closed loop: each client sends its next request when the last is answered. Times are per request, in milliseconds.

Not paired with a reference as templates/cpu is, and not in own time: a request is mostly a wait, for the service, for
other clients, for the core, and only the clock on the wall sees the tail that they make together. Where the service's
work is what is slow, time that: templates/cpu for the program, templates/algorithm for its hot function.
"""

from signed_metric import metric  # before the service starts: it takes the token away
from time import perf_counter

import http.client
import threading

from service import CLIENTS, QUESTIONS, REQUESTS, WARM_UP, ask, running

times, wrong = [], []


def client(port, count, counted):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    for n in range(count):
        begun = perf_counter()
        right = ask(connection, QUESTIONS[n % len(QUESTIONS)])
        if counted:
            times.append(1000 * (perf_counter() - begun))
            wrong.append(not right)
    connection.close()


def load(port, count, counted):
    threads = [threading.Thread(target=client, args=(port, count // CLIENTS, counted)) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


with running() as port:
    load(port, WARM_UP, False)
    load(port, REQUESTS, True)
times.sort()
for name, share in (("p50_ms", 0.50), ("p95_ms", 0.95), ("p99_ms", 0.99)):
    metric(name, round(times[min(len(times) - 1, int(share * len(times)))], 4))
metric("error_rate", sum(wrong) / len(wrong))
