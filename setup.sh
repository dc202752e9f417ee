#!/usr/bin/env bash
# Installs the command `autoresearch` and drops the skill into a project.  Start reading at main, the last function.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: bash setup.sh [--demo | --test [SUITE] | --uninstall | --help]

  (no option)     Install the command, drop the skill into this project, say what is still missing.
  --demo          Show the loop on a toy project, in a private place; needs no account.
  --test [SUITE]  Check this checkout as CI does. SUITE: slurm, attacks, faults, clients or bench.
  --uninstall     Take back what an install put into this project and this account.

Variables:
  TARGET_REPO          Git URL or path: clone it into ./NAME and install there.
  AUTORESEARCH_SOURCE  Install from this directory, tarball (path or URL) or git URL. Default: beside this script.

Exit codes: 0 done, 1 a check failed, 2 wrong use, 3 something is missing on this machine.
TEXT
}

# What travels into a project: enough to read, to run and to install from again.
readonly SHIPPED="SKILL.md instructions.md experiment.yaml setup.sh pyproject.toml README.md LICENSE CHANGELOG.md helpers references templates .claude-plugin hooks package.json pi"
readonly PACKAGE=autoresearch-skill SKILL=.agents/skills/autoresearch LINK=.claude/skills/autoresearch
STAMP=$(date +%Y%m%d-%H%M%S)
readonly STAMP
PYTHON="" SCRIPT_DIR="" SOURCE="" PROJECT="" SCRATCH=""
if [ -f "${BASH_SOURCE[0]:-}" ]; then # not when piped into bash
  SCRIPT_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
fi

step() { printf '==> %s\n' "$*"; }
note() { printf '    %s\n' "$*"; }
die() { printf 'setup.sh: %s\n' "$2" >&2 && exit "$1"; } # EXIT-CODE SENTENCE
have() { command -v "$1" >/dev/null 2>&1; }
scratch() { [ -n "$SCRATCH" ] || SCRATCH=$(mktemp -d "${TMPDIR:-/tmp}/autoresearch-setup.XXXXXX"); }
trap '[ -z "$SCRATCH" ] || rm -rf "$SCRATCH"' EXIT

# ------------------------------------------------------------ what this machine has

need_git() {
  have git || die 3 "git is missing: install it (Debian, Ubuntu: apt install git; macOS: xcode-select --install)."
}

need_home() {
  [ -n "${HOME:-}" ] || die 3 "HOME is not set: set it to a directory that you may write to."
  BIN="$HOME/.local/bin"
  DATA="${XDG_DATA_HOME:-$HOME/.local/share}/autoresearch"
  CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/autoresearch"
}

need_place() { # DIR WHAT-IT-IS: made where it is missing
  { mkdir -p "$1" 2>/dev/null && [ -w "$1" ]; } || die 3 "cannot write to $1 ($2): mend its permissions, or choose another."
}

find_python() { # the first that can make a venv: a newer one may lack what Debian packs apart
  local name bare=""
  for name in python3.14 python3.13 python3.12 python3.11 python3.10 python3; do
    # It is run because a version manager's shim may stand for a Python that is not installed.
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1; then
      PYTHON=$("$name" -c 'import sys; print(getattr(sys, "_base_executable", sys.executable))')
      if have uv || can_venv; then return; fi
      bare=${bare:-$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])')}
    fi
  done
  [ -z "$bare" ] || die 3 "Python $bare has no venv module: install it (Debian, Ubuntu: apt install python$bare-venv)."
  die 3 "Python 3.10 or newer is missing: install it (Debian, Ubuntu: apt install python3 python3-venv; macOS: brew install python)."
}

can_venv() { "$PYTHON" -c 'import ensurepip, venv' >/dev/null 2>&1; }

make_venv() { # DIR
  if have uv; then
    uv venv --quiet --no-python-downloads --allow-existing --python "$PYTHON" "$1"
  else
    plain_venv "$1"
  fi
}

plain_venv() { # DIR
  can_venv || die 3 "the venv module of $PYTHON is missing: install it (Debian, Ubuntu: apt install python3-venv)."
  "$PYTHON" -m venv "$1"
}

pip_install() { # DIR-OF-VENV ARGUMENT...
  local venv=$1
  shift
  if [ -x "$venv/bin/pip" ]; then
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
  else
    uv pip install --quiet --python "$venv/bin/python" "$@"
  fi
}

# ------------------------------------------------------------ what is installed

is_source() { [ -f "$1/pyproject.toml" ] && [ -f "$1/SKILL.md" ] && [ -d "$1/helpers/autoresearch" ]; }

find_source() {
  local from=${AUTORESEARCH_SOURCE:-$SCRIPT_DIR}
  [ -n "$from" ] ||
    die 2 "AUTORESEARCH_SOURCE is not set: a piped setup.sh must be told what to install (a directory, a tarball or a git URL)."
  case "$from" in
    http://*.tar.gz | https://*.tar.gz | http://*.tgz | https://*.tgz)
      have curl || die 3 "curl is missing: install it (Debian, Ubuntu: apt install curl)."
      scratch
      curl -fsSL -o "$SCRATCH/source.tar.gz" "$from" || die 3 "cannot download $from."
      unpack "$SCRATCH/source.tar.gz"
      ;;
    *.tar.gz | *.tgz) unpack "$from" ;;
    *)
      if [ -f "$from/pyproject.toml" ]; then
        SOURCE=$(cd "$from" && pwd -P)
      else
        need_git
        scratch
        SOURCE="$SCRATCH/source"
        git clone --quiet --depth 1 -- "$from" "$SOURCE" || die 3 "cannot clone $from."
      fi
      ;;
  esac
  is_source "$SOURCE" || die 2 "$from does not hold autoresearch: it has no pyproject.toml, SKILL.md and helpers/autoresearch."
}

unpack() { # TARBALL
  local inner
  scratch
  SOURCE="$SCRATCH/source"
  mkdir -p "$SOURCE"
  tar -xzf "$1" -C "$SOURCE" || die 2 "$1 is not a gzip tarball that can be read."
  for inner in "$SOURCE"/*/; do # most tarballs hold one top directory
    if is_source "${inner%/}"; then SOURCE=${inner%/}; fi
  done
}

shipped_files() { # paths relative to the source, sorted
  local name
  cd "$SOURCE"
  for name in $SHIPPED; do
    if [ -e "$name" ]; then
      find "$name" \( -name __pycache__ -o -name '.*_cache' \) -prune -o -type f ! -name '*.py[co]' ! -name '*.bak-*' -print
    fi
  done | LC_ALL=C sort
}

# What the command is built from; the rest does not call for a new installation.
source_key() { (cd "$SOURCE" && shipped_files | grep -vx -e setup.sh -e CHANGELOG.md | tr '\n' '\0' | xargs -0 cksum | cksum | tr ' ' '-'); }

# ------------------------------------------------------------ the command

install_command() {
  local key
  key=$(source_key)
  if [ "$(sed -n 2p "$DATA/receipt" 2>/dev/null)" = "$key" ] && "$BIN/autoresearch" --version >/dev/null 2>&1; then
    step "command: $("$BIN/autoresearch" --version) is installed already"
    return
  fi
  step "command: installing (about a minute)"
  if [ ! -f "$DATA/receipt" ] && { [ -e "$BIN/autoresearch" ] || [ -L "$BIN/autoresearch" ]; }; then
    mv "$BIN/autoresearch" "$BIN/autoresearch.bak-$STAMP"
    note "$BIN/autoresearch was yours: kept as autoresearch.bak-$STAMP"
  fi
  mkdir -p "$BIN" "$DATA"
  if install_with_uv; then
    printf 'uv\n%s\n' "$key" >"$DATA/receipt"
  else
    install_with_pip
    printf 'venv\n%s\n' "$key" >"$DATA/receipt"
  fi
  step "command: $("$BIN/autoresearch" --version) is $BIN/autoresearch"
}

install_with_uv() {
  have uv || return 1
  UV_TOOL_BIN_DIR="$BIN" uv tool install --quiet --force --reinstall-package "$PACKAGE" \
    --no-python-downloads --python "$PYTHON" "${SOURCE}[papers,chart]" &&
    launcher "$(uv tool dir)/$PACKAGE/bin/python" && return
  note "uv could not install it; trying pip"
  return 1
}

launcher() { # PYTHON: the command, which no variable of the caller's Python reaches
  rm -f "$BIN/autoresearch"
  printf "#!/bin/sh\nexec '%s' -I -m autoresearch \"\$@\"\n" "${1//\'/\'\\\'\'}" >"$BIN/autoresearch"
  chmod 755 "$BIN/autoresearch"
}

install_with_pip() {
  rm -rf "$DATA/venv"
  plain_venv "$DATA/venv"
  pip_install "$DATA/venv" "${SOURCE}[papers,chart]"
  launcher "$DATA/venv/bin/python"
}

remove_command() {
  local tools
  [ -f "$DATA/receipt" ] || { step "command: none that this script installed" && return; }
  if [ "$(sed -n 1p "$DATA/receipt")" = uv ]; then
    have uv || die 3 "uv is missing: it installed the command and has to remove it; put it on PATH again."
    UV_TOOL_BIN_DIR="$BIN" uv tool uninstall --quiet "$PACKAGE"
    rm -f "$BIN/autoresearch"
    tools=$(uv tool dir) # holds uv's lock and .gitignore when the last tool is gone
    if [ -z "$(ls "$tools")" ]; then rm -rf "$tools" && { rmdir "$(dirname "$tools")" 2>/dev/null || true; }; fi
  else
    rm -rf "$DATA/venv"
    rm -f "$BIN/autoresearch"
  fi
  rm -f "$DATA/receipt"
  step "command: removed $BIN/autoresearch"
}

# ------------------------------------------------------------ the project

find_project() {
  if [ -n "${TARGET_REPO:-}" ]; then
    local name && name=$(basename "${TARGET_REPO%/}" .git)
    if [ -e "$name" ]; then
      git -C "$name" rev-parse --git-dir >/dev/null 2>&1 || die 2 "./$name is in the way of a clone of $TARGET_REPO: move it."
      step "project: ./$name is here already"
    else
      git clone --quiet -- "$TARGET_REPO" "$name" || die 3 "cannot clone $TARGET_REPO."
      step "project: cloned into ./$name"
    fi
    cd "$name"
  fi
  if ! PROJECT=$(git rev-parse --show-toplevel 2>/dev/null); then
    local said && said=$(LC_ALL=C git rev-parse --show-toplevel 2>&1 || true)
    case "$said" in
      *"not a git repository"*) PROJECT=$(pwd -P) ;;
      *) die 3 "git refuses $(pwd -P): $(printf '%s' "$said" | tr -s '\n\t' '  ')" ;;
    esac
  fi
  MANIFEST="$PROJECT/$SKILL/.installed"
}

drop_skill() {
  local file copied=0
  [ "$PROJECT" != "$SOURCE" ] || { step "skill: not installed, as this is its own checkout; run this script from your project" && return; }
  mkdir -p "$PROJECT/$SKILL"
  : >"$MANIFEST.new"
  if [ "$SOURCE" -ef "$PROJECT/$SKILL" ]; then # this script was started from the installed copy
    [ ! -f "$MANIFEST" ] || each_installed list_if_ours >>"$MANIFEST.new"
  else
    while IFS= read -r file; do put "$SOURCE/$file" "$SKILL/$file"; done < <(shipped_files)
  fi
  put "$SOURCE/experiment.yaml" experiment.yaml
  put "$SOURCE/instructions.md" instructions.md
  if [ -f "$MANIFEST" ]; then each_installed drop_if_gone; fi
  (cd "$PROJECT" && LC_ALL=C sort -u "$MANIFEST.new" | tr '\n' '\0' | xargs -0 cksum) >"$MANIFEST"
  rm -f "$MANIFEST.new"
  link_for_claude
  step "skill: $copied files copied; $PROJECT/$SKILL is up to date, experiment.yaml and instructions.md are at the top"
}

# The manifest has a line "CHECKSUM SIZE PATH" for each file that was installed: what still matches is ours.
ours() { [ -f "$MANIFEST" ] && [ -f "$PROJECT/$1" ] && [ ! -L "$PROJECT/$1" ] && grep -qxF "$(cd "$PROJECT" && cksum "$1")" "$MANIFEST"; }

put() { # FILE PATH-IN-PROJECT; a file of the user's becomes a backup
  local to="$PROJECT/$2"
  if [ -L "$to" ] || ! cmp -s "$1" "$to"; then
    if { [ -e "$to" ] || [ -L "$to" ]; } && ! ours "$2"; then
      mv "$to" "$to.bak-$STAMP"
      note "$2 was yours: kept as $2.bak-$STAMP"
    fi
    mkdir -p "$(dirname "$to")"
    cp -p "$1" "$to"
    copied=$((copied + 1))
  fi
  printf '%s\n' "$2" >>"$MANIFEST.new"
}

each_installed() { # COMMAND...: called with each path of the manifest; none may lead out of the project
  local path
  while read -r _ _ path; do
    case "/$path/" in */../* | //*) continue ;; esac
    "$@" "$path"
  done <"$MANIFEST"
}

# shellcheck disable=SC2329 # called through each_installed, as the next two are
list_if_ours() { if ours "$1"; then printf '%s\n' "$1"; fi; }
# shellcheck disable=SC2329
drop_if_gone() { # what an older version shipped and this one does not
  grep -qxF "$1" "$MANIFEST.new" || take_back "$1"
}

# shellcheck disable=SC2329
take_back() {
  local there="$PROJECT/$1"
  if [ -f "$there" ] && ours "$1"; then
    rm -f "$there"
  elif [ -e "$there" ]; then
    note "kept $1: it was changed since it was installed"
  fi
}

link_for_claude() { # Claude Code reads .claude/skills; Codex, Pi and others read .agents/skills
  local link="$PROJECT/$LINK"
  if [ "$link" -ef "$PROJECT/$SKILL" ]; then return; fi
  if [ -e "$link" ] || [ -L "$link" ]; then note "left $LINK alone: it is not the link that this script makes" && return; fi
  mkdir -p "$(dirname "$link")"
  ln -s "../../$SKILL" "$link"
}

remove_skill() {
  local place
  [ -f "$MANIFEST" ] || { step "skill: none that this script installed in $PROJECT" && return; }
  each_installed take_back
  rm -f "$MANIFEST"
  if [ "$(readlink "$PROJECT/$LINK")" = "../../$SKILL" ]; then rm "$PROJECT/$LINK"; fi
  find "$PROJECT/$SKILL" -name __pycache__ -type d -prune -exec rm -rf {} +
  find "$PROJECT/$SKILL" -depth -type d -exec rmdir {} + 2>/dev/null || true # what is not empty is the user's
  for place in .agents/skills .agents .claude/skills .claude; do rmdir "$PROJECT/$place" 2>/dev/null || true; done
  step "skill: removed from $PROJECT; your session (autoresearch.*, IMPROVEMENTS.md, papers, .autoresearch) stays"
}
# ------------------------------------------------------------ what is still missing

row() { printf '    %-13s%s\n' "$1" "$2"; }
present() { # NAME FILE HINT
  if [ -f "$2" ]; then row "$1" "credentials in $2"; else row "$1" "no credentials ($3)"; fi
}

report() {
  local who
  step "this machine"
  row Python "$("$PYTHON" -c 'import platform; print(platform.python_version())') at $PYTHON"
  who=$(git config user.email || true)
  row git "${who:-no user.email, so winners are committed as 'autoresearch' (git config --global user.email YOU)}"
  sky_row
  present AWS "${AWS_SHARED_CREDENTIALS_FILE:-$HOME/.aws/credentials}" "needed for SkyPilot on AWS only"
  present GCP "${GOOGLE_APPLICATION_CREDENTIALS:-$HOME/.config/gcloud/application_default_credentials.json}" "needed for SkyPilot on GCP only"
  present Kubernetes "${KUBECONFIG:-$HOME/.kube/config}" "needed for SkyPilot on Kubernetes only"
  case ":$PATH:" in
    *":$BIN:"*) row PATH "has $BIN" ;;
    *) row PATH "lacks $BIN: add  export PATH=\"$BIN:\$PATH\"  to your shell's start file" ;;
  esac
  git -C "$PROJECT" rev-parse --verify --quiet HEAD >/dev/null ||
    row project "has no commit yet: git init && git add -A && git commit -m start"
  printf '\nStart your agent in %s and paste:\n\n' "$PROJECT"
  printf '%s\n' "  Read $SKILL/SKILL.md and use the autoresearch skill to make this project faster. Ask me its setup questions first, then go on without me until a stop rule ends the session."
}

sky_row() { # reads what SkyPilot wrote down last; `sky check` itself would start a server
  local clouds
  have sky || { row SkyPilot "not installed: experiments run on this machine" && return; }
  clouds=$("$PYTHON" -c 'import json, sqlite3, sys
rows = sqlite3.connect(sys.argv[1], uri=True).execute("SELECT value FROM config WHERE key LIKE \"enabled_clouds%\"")
print(*sorted({cloud for (value,) in rows for cloud in json.loads(value)}))' "file:$HOME/.sky/state.db?mode=ro" 2>/dev/null || true)
  row SkyPilot "installed; ${clouds:+enabled when last checked: }${clouds:-run: sky check}"
}

# ------------------------------------------------------------ the modes

install() {
  need_git
  need_home
  find_python
  find_source
  find_project
  need_place "$BIN" "for the command, in HOME"
  need_place "$DATA" "for what it needs, in HOME"
  [ "$PROJECT" = "$SOURCE" ] || need_place "$PROJECT/$SKILL" "for the skill, in the project"
  install_command
  drop_skill
  # So that taking it out of one project leaves the command to the others.
  printf '%s\n' "$PROJECT" "$(other_projects)" >"$DATA/projects.new" && mv "$DATA/projects.new" "$DATA/projects"
  report
}

other_projects() { # the others that it was installed into and that still have it, one a line
  local place
  while IFS= read -r place; do
    if [ "$place" != "$PROJECT" ] && [ -f "$place/$SKILL/.installed" ]; then printf '%s\n' "$place"; fi
  done < <(cat "$DATA/projects" 2>/dev/null)
}

uninstall() {
  local others
  need_home
  TARGET_REPO="" find_project
  remove_skill
  others=$(other_projects)
  if [ -n "$others" ]; then
    printf '%s\n' "$others" >"$DATA/projects"
    step "command: stays, as other projects use it: $(printf '%s' "$others" | tr '\n' ' ')"
    return
  fi
  rm -f "$DATA/projects"
  remove_command
  rm -rf "$CACHE"
  # Directories that an install may have made; rmdir takes only empty ones.
  rmdir "$DATA" "$(dirname "$DATA")" "$BIN" "$HOME/.local" "$(dirname "$CACHE")" 2>/dev/null || true
}

demo() {
  local key venv
  need_git
  find_python
  find_source
  key=$(source_key)
  if [ -n "${HOME:-}" ] && need_home && mkdir -p "$CACHE" 2>/dev/null; then
    venv="$CACHE/demo-$key"
  else
    scratch
    venv="$SCRATCH/demo"
  fi
  if [ ! -f "$venv/ready" ]; then
    step "demo: installing it in a private place (a minute at most, once)"
    [ "$venv" = "$SCRATCH/demo" ] || rm -rf "$CACHE"/demo-*
    make_venv "$venv"
    pip_install "$venv" "${SOURCE}[chart]"
    touch "$venv/ready"
  fi
  PATH="$venv/bin:$PATH" "$venv/bin/python" "$SOURCE/templates/demo/play.py" "$@"
}

run_tests() { # [SUITE]
  [ -f "$SCRIPT_DIR/tests/run.sh" ] || die 2 "--test needs a checkout: an installed copy carries no tests."
  # shellcheck source=tests/run.sh
  . "$SCRIPT_DIR/tests/run.sh"
  run_suite "${1:-all}"
}

main() {
  local mode=${1:-install}
  [ $# -eq 0 ] || shift
  case "$mode:$#" in
    --demo:* | --test:0 | --test:1 | *:0) ;;
    *) die 2 "unexpected argument ${*: -1}: see bash setup.sh --help." ;;
  esac
  case "$mode" in
    install) install ;;
    --demo) demo "$@" ;;
    --test) run_tests "$@" ;;
    --uninstall) uninstall ;;
    -h | --help) usage ;;
    *) die 2 "unknown option $mode: see bash setup.sh --help." ;;
  esac
}

main "$@"
