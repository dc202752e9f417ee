#!/usr/bin/env bash
# Times a command in pairs with a frozen copy of the project, evaluator/reference: user code on a CPU, any language.
# Where the project has a build, setup_deps.sh builds that copy: (cd evaluator/reference && make).
# Lines marked ADAPT in evaluator/ are yours to change before the baseline; afterwards all of it is frozen.
set -euo pipefail
exec python3 -sE evaluator/bench.py
