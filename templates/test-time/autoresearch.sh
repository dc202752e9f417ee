#!/usr/bin/env bash
# Times the test suite, which may change: planted and drawn bugs keep it honest.
# Lines marked ADAPT in evaluator/ are yours to change before the baseline; afterwards all of it is frozen.
set -euo pipefail
exec python3 -sE evaluator/suite.py <<<time
