#!/usr/bin/env bash
set -euo pipefail
[ "$(echo "3 1 2" | python3 -I -S src/main.py)" = 2 ]
