"""Runs the tests of a directory once."""

import os
import subprocess

from settings import COMMAND, ENVIRONMENT, SECONDS


def passes(where):
    """(whether they pass, what they said)"""
    env = {**os.environ, **ENVIRONMENT}
    try:
        done = subprocess.run(
            COMMAND, cwd=where, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        return False, "timeout"
    return done.returncode == 0, done.stdout.decode("utf-8", "replace")
