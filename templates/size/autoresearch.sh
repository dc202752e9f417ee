#!/usr/bin/env bash
# Counts what users download: the built files, gzipped. No clock, no noise.
# Lines marked ADAPT in evaluator/ are yours to change before the baseline; afterwards all of it is frozen.
set -euo pipefail
exec python3 -sE evaluator/size.py
