#!/usr/bin/env bash
# Starts the service, asks it the same questions in a closed loop, prints p50, p95, p99 and errors.
# Lines marked ADAPT in evaluator/ are yours to change before the baseline; afterwards all of it is frozen.
set -euo pipefail
exec python3 evaluator/load.py
