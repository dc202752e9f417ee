#!/usr/bin/env bash
# Times a clean build, from nothing, several times.
# Lines marked ADAPT in evaluator/ are yours to change before the baseline; afterwards all of it is frozen.
set -euo pipefail
exec python3 -sE evaluator/bench.py
