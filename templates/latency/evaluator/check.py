"""Every question gets its answer, one by one, all at once, and again after a client that breaks off."""

import http.client
import socket
import sys
import threading

from service import QUESTIONS, ask, running

with running() as port:

    def one(question, out):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        out.append((ask(connection, question), question))
        connection.close()

    seen = []
    for question in QUESTIONS:
        one(question, seen)
    with socket.create_connection(("127.0.0.1", port)) as rude:
        rude.sendall(b"GET /square?n=1")
    threads = [threading.Thread(target=one, args=(q, seen)) for q in QUESTIONS * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
bad = [question for right, question in seen if not right]
if bad or len(seen) != 5 * len(QUESTIONS):
    sys.exit(f"a wrong answer or none: {bad[:3]}")
