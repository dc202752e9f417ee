#!/usr/bin/env bash
# Scores how many attacks of a checklist the code repels. Each probe is an attack with a STRIDE letter and a weight.
# Lines marked ADAPT in evaluator/ are yours to change before the baseline; afterwards all of it is frozen.
set -euo pipefail
exec python3 evaluator/score.py
