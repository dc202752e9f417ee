#!/usr/bin/env bash
# Starts the service, asks it drawn questions in a closed loop, prints p50, p95, p99 and errors.
# Lines marked ADAPT in evaluator/ are yours to change before the baseline; afterwards all of it is frozen.
set -euo pipefail
exec python3 -sE evaluator/load.py
