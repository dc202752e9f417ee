#!/usr/bin/env bash
# Optional: what a fresh machine needs before it can build and run the benchmark. Frozen at `autoresearch baseline`.
# Runs once per trial, before the build, in the project's directory; it may use the network, the benchmark may not.
# It runs contained: it can write to the project's directory and HOME, and not as root (no sudo). System packages belong
# into setup: of experiment.yaml.
#
# Keep to this:
#   1. Do nothing when everything is there already: it runs often.
#   2. Pin versions, so that every machine gets the same.
#   3. Install into the project's directory or the user's home; the benchmark sees no other account.
set -euo pipefail

# Example:
#   command -v cmake >/dev/null || pip install -q --user cmake==3.30.5
#   [ -d .venv ] || { python3 -m venv .venv && .venv/bin/pip install -q -r requirements.txt; }
