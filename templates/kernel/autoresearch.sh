#!/usr/bin/env bash
# Times one kernel over its shapes, after a warm-up, with the device in step.
# Lines marked ADAPT in evaluator/ are yours to change before the baseline; afterwards all of it is frozen.
set -euo pipefail
exec python3 evaluator/bench.py
