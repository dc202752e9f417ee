#!/usr/bin/env bash
# Plays the candidate against a frozen pool of opponents: pairs of games with sides swapped.
# Lines marked ADAPT in evaluator/ are yours to change before the baseline; afterwards all of it is frozen.
set -euo pipefail
exec python3 evaluator/match.py
