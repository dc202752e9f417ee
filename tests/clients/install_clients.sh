#!/usr/bin/env bash
# Installs pinned coding-agent clients from npm under one directory, nothing globally, and runs no package's script:
#   install_clients.sh DIR [node22] [pi20] [pi] [claude] [codex] [skills] [pi-autoresearch]
# Without names: everything, 1.3 GB in about a minute and a half.
set -euo pipefail
[ $# -gt 0 ] || { printf 'usage: install_clients.sh DIR [client ...]\n' >&2 && exit 2; }
mkdir -p "$1"
dir=$(cd "$1" && pwd)
shift
[ $# -gt 0 ] || set -- node22 pi20 pi claude codex skills pi-autoresearch

case $(uname -m) in aarch64 | arm64) arch=arm64 ;; *) arch=x64 ;; esac

get() { # SUBDIRECTORY PACKAGE [OPTION ...]
  if [ "$(cat "$dir/$1/.done" 2>/dev/null)" = "$2" ]; then return; fi
  rm -rf "${dir:?}/$1"
  mkdir -p "$dir/$1"
  npm --prefix "$dir/$1" install --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error "${@:3}" "$2"
  printf '%s\n' "$2" >"$dir/$1/.done"
}

for name in "$@"; do
  case $name in
    node22) get node22 "node-linux-$arch@22.23.3" ;;               # a Node binary from npm, for pi and skills
    pi20) get pi20 "@earendil-works/pi-coding-agent@0.74.2" ;;     # the last Pi for Node 20
    pi) get pi "@earendil-works/pi-coding-agent@0.87.1" ;;         # needs Node 22.19
    claude) get claude "@anthropic-ai/claude-code@2.1.329" ;;
    codex) get codex "@openai/codex@0.169.0" ;;
    # Its peers are Pi's own packages, which Pi brings along.
    pi-autoresearch) get pi-autoresearch "pi-autoresearch@1.6.0" --omit=peer --legacy-peer-deps ;;
    skills) get skills "skills@1.7.4" ;;                           # `npx skills`, needs Node 22.20
    *) printf 'install_clients.sh: no client is called %s\n' "$name" >&2 && exit 2 ;;
  esac
done
