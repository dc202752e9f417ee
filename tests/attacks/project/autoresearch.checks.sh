#!/usr/bin/env bash
# Exit 0 = the candidate is correct. Frozen at `autoresearch baseline`.
set -euo pipefail
exec python3 -I -S evaluator/check.py
