#!/usr/bin/env bash
# Scores a test suite by the bugs it finds: small changes of the source that a test should notice.
# Lines marked ADAPT in evaluator/ are yours to change before the baseline; afterwards all of it is frozen.
set -euo pipefail
exec python3 evaluator/score.py
