#!/usr/bin/env bash
# The benchmark. Prints the number that decides; frozen at `autoresearch baseline`. Runs in the project's directory,
# after the build (build: in autoresearch.yaml), many times, base and candidate in turns.
#
# Keep to this:
#   1. Print the result with  metric name=value  (below), once, as a plain decimal: no unit, no thousands separator. It
#      prints  METRIC name=value  and signs it. Metrics with other names are recorded, and do not decide.
#   2. Time only the hot part: start the clock after loading and preparing, stop it before printing.
#   3. Let a run take 0.2 to 5 s, in 30 or more rounds, each timed by itself and paired with the frozen reference, so that
#      other work on the machine decides nothing (templates/paired.py; recipes for every language: references/measuring.md).
#      Each round on another input, or a remembered answer looks like a gain.
#   4. Inputs alike in size and shape every time: drawn from AUTORESEARCH_LAYOUT_SEED, which is new in every run, or fixed
#      files. Make large ones here or in setup_deps.sh, outside the clock.
#   5. Do the work every time: no result from a file, a cache or a server that outlives the run. No network.
#   6. Use the result (print a checksum), so that a compiler cannot drop the work.
#   7. Fail loudly: exit non-zero when a step fails.
set -euo pipefail

# Signing: the token is read and deleted before anything else runs, so that only this script can sign a result, and no
# program that it starts can print one in its name.
token=""
if [ -f "${AUTORESEARCH_TOKEN:-}" ]; then token=$(cat "$AUTORESEARCH_TOKEN") && rm -f "$AUTORESEARCH_TOKEN"; fi
sha256() { if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -d' ' -f1; }
# metric NAME=VALUE prints one result; metric --from FORMAT [FILE], each result of a benchmark harness and their geometric
# mean, such as geomean_ns, with the reader that `autoresearch parse --reader` puts beside this script.
metric() {
  if [ "$1" = --from ]; then
    local results pair
    results=$(python3 -I autoresearch.formats.py "$@") || exit 1
    while IFS= read -r pair; do metric "$pair"; done <<<"$results"
    return
  fi
  printf 'METRIC %s\n' "$1"
  [ -z "$token" ] || printf 'SIGNED_METRIC %s %s\n' "$1" "$(printf '%s %s' "$token" "$1" | sha256)"
}

# Example, in pairs: evaluator/bench.py signs by itself. The copy was made once, and is listed under evaluator: in
# autoresearch.yaml with the rest:  mkdir -p evaluator/reference && cp -r src evaluator/reference/
#   exec python3 evaluator/bench.py
#     from signed_metric import metric
#     import paired
#     inputs = [b"%d\n" % n for n in range(40)]
#     paired.tell(metric, paired.commands(["python3", "src/main.py"], inputs, seed=1), nominal=0.02)
# Example, for a program that takes its own time:
#   elapsed=$(./build/bench --input bench/data.bin --rounds 20 | sed -n 's/^elapsed_seconds: *//p')
#   metric "time_s=$elapsed"
# Example, for a harness that measures by itself (go, pytest-benchmark, criterion, ...: autoresearch parse --help):
#   go test -run '^$' -bench . -benchmem ./... >"$TMPDIR/go.txt" && metric --from go --expect 12 "$TMPDIR/go.txt"
# Example, for Python: bench/hot.py imports templates/signed_metric.py (copy it beside it) before anything else.
#   PYTHONPATH=src python3 bench/hot.py          # prints METRIC time_s=0.731, signed

echo "autoresearch.sh is still the template: write the benchmark, then run autoresearch doctor." >&2
exit 2
