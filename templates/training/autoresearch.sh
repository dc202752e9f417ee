#!/usr/bin/env bash
# Trains for a fixed time, then scores on data that the training never saw. Lower val_bpb is better.
# Lines marked ADAPT in evaluator/ are yours to change before the baseline; afterwards all of it is frozen.
set -euo pipefail
exec python3 evaluator/bench.py
