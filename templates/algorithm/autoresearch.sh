#!/usr/bin/env bash
# Times one function over several sizes, against a slow reference: for ideas from papers and forks.
# Lines marked ADAPT in evaluator/ are yours to change before the baseline; afterwards all of it is frozen.
set -euo pipefail
exec python3 evaluator/bench.py
