#!/usr/bin/env bash
# Times a command over fixed inputs: user code on a CPU, any language.
# Lines marked ADAPT in evaluator/ are yours to change before the baseline; afterwards all of it is frozen.
set -euo pipefail
exec python3 evaluator/bench.py
