#!/usr/bin/env bash
# The benchmark: prints METRIC time_s=SECONDS. Frozen at `autoresearch baseline`.
set -euo pipefail
exec python3 evaluator/bench.py
