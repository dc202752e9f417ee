#!/usr/bin/env bash
# The checks. Exit 0 = the code is still right; anything else = it is not. Frozen at `autoresearch baseline`. Runs in
# the project's directory, after the build, for every candidate before it is measured.
#
# Keep to this:
#   1. Run the project's tests, once and non-interactively (vitest run, pytest -q, cargo test --locked).
#   2. Compare outputs with known good ones, on other inputs than the benchmark's too, and on the benchmark's.
#   3. Make it strict: a candidate may be faster because it does less. What is not checked will be lost.
#   4. Stay below timeouts.checks in autoresearch.yaml. No network.
set -euo pipefail

# Example:
#   ctest --test-dir build --output-on-failure
#   ./build/tool < tests/input.txt | cmp - tests/expected.txt

echo "autoresearch.checks.sh is still the template: write the checks, then run autoresearch doctor." >&2
exit 2
