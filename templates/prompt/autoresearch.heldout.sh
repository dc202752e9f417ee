#!/usr/bin/env bash
# Cases that no experiment has seen, for `autoresearch finalize --audit`: a gain that they do not show was fitted.
set -euo pipefail
exec python3 evaluator/score.py heldout.jsonl
