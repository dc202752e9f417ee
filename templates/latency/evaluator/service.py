"""ADAPT: how the service starts, and what it is asked. The load is fixed: the same requests, clients and order."""

import contextlib
import http.client
import os
import socket
import subprocess
import sys
import time

COMMAND = [sys.executable, "src/server.py"]  # listens on 127.0.0.1:$PORT
CLIENTS, WARM_UP, REQUESTS = 2, 20, 300  # in all
# (path, status, body): right answers belong to the load; a fast wrong answer is an error
QUESTIONS = [("/square?n=12", 200, b"144"), ("/square?n=-3", 200, b"9"), ("/nothing", 404, None)]


@contextlib.contextmanager
def running():
    """The service on a free port, ready to answer; it is gone afterwards."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(COMMAND, env={**os.environ, "PORT": str(port)}, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
                break
            if server.poll() is not None or time.monotonic() > deadline:
                sys.exit("the service did not start")
        yield port
    finally:
        server.kill()
        server.wait()


def ask(connection, question):
    """Whether the answer was right; the connection is kept alive, as real clients do."""
    path, status, body = question
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        said = answer.read()
    except (OSError, http.client.HTTPException):
        connection.close()
        return False
    return answer.status == status and body in (None, said)
