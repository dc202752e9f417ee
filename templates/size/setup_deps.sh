#!/usr/bin/env bash
# Builds the reference, before a candidate's build: what the bundle has to do is what this one does.
set -euo pipefail
cd evaluator/reference && sh build.sh  # ADAPT: build: of autoresearch.yaml
