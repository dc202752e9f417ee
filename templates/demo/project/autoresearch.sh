#!/usr/bin/env bash
# The benchmark: prints METRIC time_s=SECONDS. Frozen at `autoresearch baseline`.
set -euo pipefail
PYTHONPATH=src exec python3 evaluator/bench.py
