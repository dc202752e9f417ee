#!/usr/bin/env bash
# Scores a prompt or an agent scaffold over fixed cases. The model is a command: prompt on stdin, answer on stdout.
# Lines marked ADAPT in evaluator/ are yours to change before the baseline; afterwards all of it is frozen.
set -euo pipefail
exec python3 evaluator/score.py
