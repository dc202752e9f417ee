"""Reads cases: a JSON object a line."""

import json

import worker


def read(name):
    with open(worker.secret(f"evaluator/{name}"), encoding="utf-8") as file:
        return [json.loads(line) for line in file]
