"""ADAPT: how the service starts, and what it is asked. Right is what evaluator/reference, the service as it was at the
start, answers to the same request: status, type and body."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import paired

COMMAND = [sys.executable, "src/server.py"]  # listens on 127.0.0.1:$PORT
CLIENTS, WARM_UP, REQUESTS = 2, 20, 300  # in all
EDGES = ["/square?n=0", "/square?n=-3", "/nothing", "/"]  # what the checks ask beside such requests
REFERENCE = "evaluator/reference"  # where there is a build, setup_deps.sh builds it: (cd evaluator/reference && make)


def question(rng):
    """The path of one request, as varied as in the real load; `rng` has another seed in every run."""
    return "/square?n=%d" % rng.randrange(-(10**9), 10**9) if rng.random() < 0.95 else "/%x" % rng.getrandbits(40)


@contextlib.contextmanager
def running(at="."):
    """The service on a free port, ready to answer; afterwards it is gone, with all that it has started."""
    paired.adopt_orphans()
    with socket.socket() as free, tempfile.TemporaryFile() as said:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        env = dict(paired.environments()[at != "."], PORT=str(port))
        streams = {"stdin": subprocess.DEVNULL, "stdout": said, "stderr": said, "start_new_session": True}
        server = subprocess.Popen(COMMAND, cwd=at, env=env, **streams)
        try:
            deadline = time.monotonic() + 20
            while True:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
                    break
                if server.poll() is not None or time.monotonic() > deadline:
                    said.seek(0)
                    sys.exit("the service did not start: " + said.read()[-500:].decode("utf-8", "replace"))
            yield port
        finally:
            with contextlib.suppress(OSError):
                os.killpg(server.pid, signal.SIGKILL)
            server.wait()
    paired.left_behind()


def ask(connection, path):
    """(status, type, body), or None without an answer; the connection is kept alive, as real clients do."""
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.getheader("Content-Type"), answer.read()
    except (OSError, http.client.HTTPException):
        connection.close()
        return None


def load(port, paths, answered):
    """CLIENTS ask their shares of `paths`, each the next when the last is answered; `answered(path, answer, began)`."""

    def client(mine):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        for path in mine:
            began = time.perf_counter()
            answered(path, ask(connection, path), began)
        connection.close()

    threads = [threading.Thread(target=client, args=(paths[n::CLIENTS],)) for n in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def wrong(answers, frozen):
    """Those (path, answer) that the reference answers in another way, asked once the service is gone.

    `frozen`: paired.states(REFERENCE) from before, as the service could have written there."""
    if paired.states(REFERENCE) != frozen:
        sys.exit("the service wrote to " + REFERENCE)
    right = {}
    with running(REFERENCE) as port:
        load(port, list(dict(answers)), lambda path, answer, _: right.__setitem__(path, answer))
    if None in right.values():
        sys.exit("the reference has no answer to every request: what is asked is wrong")
    return [(path, answer) for path, answer in answers if answer != right[path]]
