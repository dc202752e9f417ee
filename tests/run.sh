# Sourced by setup.sh --test: what CI runs, and the slower suites by name. Uses setup.sh's functions.
# shellcheck shell=bash

run_suite() { # SUITE
  local suite=$1 venv file
  cd "$SCRIPT_DIR" || exit
  case "$suite" in
    all | bench) ;;
    slurm | attacks | faults | clients)
      [ -d "tests/$suite" ] || die 2 "SUITE NOT THERE YET: tests/$suite does not exist, so nothing was tested."
      ;;
    *) die 2 "no suite is called $suite: choose slurm, attacks, faults, clients or bench." ;;
  esac
  need_git
  find_python
  if [ "$suite" = slurm ] && ! lab_possible; then return; fi
  venv="$SCRIPT_DIR/.venv"
  if ! test_environment "$venv"; then
    if [ "$suite" = slurm ]; then no_lab "the test environment could not be installed (see above)." && return; fi
    die 3 "the test environment could not be installed (see above)."
  fi
  PATH="$venv/bin:$PATH"
  export PATH
  case "$suite" in
    all)
      sky_for_tests "$venv/skypilot"
      step ruff
      ruff check .
      ruff format --check .
      step mypy
      mypy
      step pytest
      pytest -n auto --dist worksteal -m "not slow and not by_name"
      step "pytest, the slow tests: they measure or install, so nothing else runs beside them"
      pytest -m "slow and not by_name"
      ;;
    bench)
      local missed=() quick
      for file in benchmarks/*.py; do
        step "$file"
        quick=()
        if grep -q -e --quick "$file"; then quick=(--quick); fi
        python "$file" ${quick[@]+"${quick[@]}"} || missed+=("$file")
      done
      [ ${#missed[@]} -eq 0 ] || die 1 "a target was missed (see above): ${missed[*]}. Other load does that: run it alone."
      ;;
    clients)
      # Without npm or its registry there is nothing to test, which is said and is no failure of ours.
      clients_for_tests || return 0
      step "pytest tests/clients"
      pytest tests/clients --durations=0
      ;;
    slurm)
      sky_for_tests "$venv/skypilot"
      if [ -z "${AUTORESEARCH_SKY_PYTHON:-}" ]; then no_lab "SkyPilot could not be installed." && return; fi
      step "pytest tests/slurm: the real SkyPilot on a Slurm cluster of this machine"
      SLURM_LAB_VENV=$(dirname "$(dirname "$AUTORESEARCH_SKY_PYTHON")") SLURM_LAB_UV=${SLURM_LAB_UV:-$venv/bin/uv}
      SLURM_LAB_DIR=${SLURM_LAB_DIR:-$(mktemp -d "${TMPDIR:-/tmp}/slurm-lab.XXXXXX")}
      export SLURM_LAB_VENV SLURM_LAB_UV SLURM_LAB_DIR
      # In the background, as a shell answers a signal only while it waits: an interrupted suite takes its lab down, too.
      SLURM_LAB=1 pytest tests/slurm --durations=0 &
      SUITE=$!
      trap 'lab_down; [ -z "$SCRATCH" ] || rm -rf "$SCRATCH"' EXIT
      trap 'exit 130' INT TERM HUP
      wait "$SUITE"
      ;;
    faults)
      step "pytest tests/faults, all of it: about half an hour"
      AUTORESEARCH_FAULTS=full pytest tests/faults -s --durations=10
      ;;
    *)
      step "pytest tests/$suite"
      pytest "tests/$suite"
      ;;
  esac
}

# shellcheck disable=SC2329 # a trap
lab_down() { # the tests take their lab down; this is for tests that were killed
  local as_root=()
  trap '' INT TERM HUP
  kill "$SUITE" 2>/dev/null && wait "$SUITE" || true
  if [ "$(id -u)" != 0 ]; then as_root=(sudo -n); fi
  if [ -f "$SLURM_LAB_DIR/pids" ]; then "${as_root[@]}" bash "$SCRIPT_DIR/tests/slurm/down.sh" "$SLURM_LAB_DIR"; fi
  rmdir "$SLURM_LAB_DIR" 2>/dev/null || true
}

lab_possible() { # installs the Debian packages of tests/slurm/up.sh, or says why there can be no lab
  local said as_root=()
  if [ "$(id -u)" != 0 ]; then
    if ! sudo -n true 2>/dev/null; then no_lab "it needs root, or sudo without a password." && return 1; fi
    as_root=(sudo -n)
  fi
  step "Slurm: Debian packages"
  if ! said=$("${as_root[@]}" bash tests/slurm/up.sh --packages 2>&1); then no_lab "$said" && return 1; fi
}

no_lab() { # SENTENCE: loud, and a failure where the suite must not be skipped
  if [ -n "${SLURM_LAB_REQUIRED:-}" ]; then die 3 "the Slurm suite cannot run: $1"; fi
  printf 'setup.sh: THE SLURM SUITE WAS SKIPPED: %s\n' "$1" >&2
}

test_environment() { # DIR: exactly the locked packages, and this checkout
  local key
  key=$(cat requirements-dev.lock pyproject.toml | cksum | tr ' ' '-')
  if [ -f "$1/locked-$key" ]; then return; fi
  step "environment: $1, from requirements-dev.lock"
  make_venv "$1" && pip_install "$1" --require-hashes -r requirements-dev.lock &&
    pip_install "$1" --no-deps --editable . && rm -f "$1"/locked-* && touch "$1/locked-$key"
}

clients_for_tests() { # real agent clients from npm, kept in the cache until their versions change
  local key
  if [ -n "${AGENT_CLIENTS:-}" ]; then return; fi
  if ! have npm; then
    printf 'setup.sh: CLIENTS SKIPPED: npm is missing (Node 20 or newer), so no real agent client was tested.\n' >&2
    return 1
  fi
  need_home
  key=$(cksum <tests/clients/install_clients.sh | tr ' ' '-')
  AGENT_CLIENTS="$CACHE/clients-$key"
  if [ ! -f "$AGENT_CLIENTS/ready" ]; then
    step "clients: Pi, Claude Code and Codex into $AGENT_CLIENTS (two minutes, once)"
    rm -rf "$CACHE"/clients-*
    if ! bash tests/clients/install_clients.sh "$AGENT_CLIENTS"; then
      printf 'setup.sh: CLIENTS SKIPPED: npm cannot provide them (see above), so no real agent client was tested.\n' >&2
      return 1
    fi
    touch "$AGENT_CLIENTS/ready"
  fi
  export AGENT_CLIENTS
}

sky_for_tests() { # DIR: SkyPilot validates experiment.yaml; its packages stay apart from ours
  if [ -n "${AUTORESEARCH_SKY_PYTHON:-}" ]; then return; fi
  if [ ! -f "$1/ready" ]; then
    step "environment: $1, with SkyPilot (about a minute, once)"
    if make_venv "$1" && pip_install "$1" 'skypilot[slurm]>=0.14,<0.16'; then
      touch "$1/ready"
    else
      printf 'setup.sh: SKYPILOT COULD NOT BE INSTALLED: the tests that need it will be skipped.\n' >&2
      return
    fi
  fi
  export AUTORESEARCH_SKY_PYTHON="$1/bin/python"
}
