#!/usr/bin/env bash
# Exit 0 = the candidate is correct. Frozen at `autoresearch baseline`.
set -euo pipefail
export PYTHONPATH=src:evaluator
python3 evaluator/test_units.py
python3 evaluator/check.py
