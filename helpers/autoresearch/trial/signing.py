"""Metrics that the evaluator signs, so that the program it runs cannot speak in its name.

Before every benchmark run the trial lays a fresh random token into a file, `AUTORESEARCH_TOKEN` names it. The
evaluator reads and deletes the file before it starts anything of the candidate's, and prints each result as

    SIGNED_METRIC name=value HEX        with HEX = sha256 of "TOKEN name=value"

(templates/autoresearch.sh and templates/signed_metric.py do it). What runs later finds no token, and what it reads of
the output tells it none. A candidate inside the signer's own process could still dig for it: let the
evaluator start the program as a process of its own where that matters.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from typing import Dict, List

from autoresearch import metrics

VARIABLE = "AUTORESEARCH_TOKEN"
FILE = "token"
_LINE = re.compile(r"^SIGNED_METRIC ([A-Za-z0-9_.µ]+)=([^\s]+) ([0-9a-f]{64})\r?$", re.MULTILINE)


def issue(directory: str) -> str:
    """A new token, in `directory`'s token file for the run that begins; returns it."""
    token = os.urandom(24).hex()
    path = os.path.join(directory, FILE)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(token)
    return token


def signature(token: str, pair: str) -> str:
    """HEX for `pair`, such as "time_s=0.731"."""
    return hashlib.sha256(("%s %s" % (token, pair)).encode()).hexdigest()


def signed(output: str, token: str) -> Dict[str, List[float]]:
    """The values of `output` whose signature is right, by name, in order. Others are ignored."""
    found: Dict[str, List[float]] = {}
    for name, raw, given in _LINE.findall(output):
        value = metrics.to_number(raw)
        if value is not None and hmac.compare_digest(given, signature(token, "%s=%s" % (name, raw))):
            found.setdefault(name, []).append(value)
    return found
