#!/usr/bin/env bash
# The same benchmark on lists that no experiment has seen.
set -euo pipefail
exec python3 -I -S evaluator/bench.py "$AUTORESEARCH_LAYOUT_SEED"
