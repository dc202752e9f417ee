#!/usr/bin/env bash
# Generated inputs: prints what the program answers for the input of one seed, $1. Frozen at `autoresearch baseline`. Every
# A/B runs it with fresh seeds on base and candidate, after the build, and compares exit code, stdout and stderr; a candidate
# that answers otherwise, hangs, or is several times slower on any of them has failed its checks.
#
# Keep to this:
#   1. The input depends on the seed alone: a fixed generator, no time, no network, no file outside the project.
#   2. Every seed another shape: empty, one, huge, nested, malformed, non-ASCII, repeated. That is where loops do not end.
#   3. Print the whole answer, errors included; a failing input is an answer too. No times, paths or addresses.
#   4. Stay below a second a seed. `autoresearch doctor` runs it; references/checks.md of the skill has recipes.
set -euo pipefail
seed=$1

# Example: a generator of the evaluator's own (list it under evaluator:), piped through the program.
#   python3 bench/generate.py "$seed" | ./build/tool --stdin 2>&1 || echo "exit $?"
# Example, for a Python library:
#   PYTHONPATH=src python3 bench/answer.py "$seed"

echo "autoresearch.diff.sh is still the template: write it (seed $seed), then run autoresearch doctor." >&2
exit 2
