#!/usr/bin/env bash
# Takes a lab down: API server, VMs, daemons, account, hosts line, files.
#   sudo bash down.sh DIRECTORY        (the directory that holds the env file)
# Ends only processes whose ids up.sh wrote down, SkyPilot's with the lab's home, what still holds files of the lab, and
# what belongs to the account that up.sh made. SLURM_LAB_KEEP=1 keeps the directory, for its logs.
set -uo pipefail

LAB=${1:-${SLURM_LAB_DIR:-}}
[ "$(id -u)" = 0 ] || { echo "down.sh: it needs root (sudo bash $0 DIRECTORY)." >&2 && exit 3; }
[ -n "$LAB" ] && [ -f "$LAB/pids" ] || { echo "down.sh: no lab in '$LAB'." >&2 && exit 2; }
LAB=$(cd "$LAB" && pwd -P)
NAME=$(cat "$LAB/name")
PATH=$PATH:/usr/sbin:/sbin
export SLURM_CONF=$LAB/etc/slurm.conf

holds_ours() { ls -l "/proc/$1/fd" 2>/dev/null | grep -qF " $LAB/"; }
daemon() { case $(cat "/proc/$1/comm" 2>/dev/null) in munged | slurmctld | slurmd | sshd) holds_ours "$1" ;; *) return 1 ;; esac }
any_daemon() { for p in $pids; do if daemon "$p"; then return; fi; done && return 1; }

# What works for the lab: the API server, what a killed one has left (workers hold its port), bridges, dispatchers, ssh. Each
# has the lab's home, or (workers overwrite their environment with a title) a file of the lab. A Python that tracks shared
# memory ends by itself when they are gone, and only it can take that back; `sky api stop` would end it, too.
end_clients() {
  local p
  for p in $(pgrep -f 'sky|Sky|autoresearch|multiprocessing|ssh'); do
    case $(cat "/proc/$p/comm" 2>/dev/null) in python* | sky | SkyPilot* | ssh) ;; *) continue ;; esac
    if grep -qF resource_tracker "/proc/$p/cmdline" 2>/dev/null; then continue; fi
    if holds_ours "$p" || { tr '\0' '\n' <"/proc/$p/environ"; } 2>/dev/null | grep -qxF "HOME=$LAB/home"; then
      kill -9 "$p" 2>/dev/null
    fi
  done
}

# The VMs are Slurm jobs and go with Slurm, without a graceful end, for their files go too.
end_clients
for job in $(timeout 10 squeue -h -o %A 2>/dev/null); do
  timeout 10 scancel --full --signal=KILL "$job" 2>/dev/null
  timeout 10 scancel "$job" 2>/dev/null
done
for _ in $(seq 60); do if [ -z "$(timeout 5 squeue -h 2>/dev/null)" ]; then break; else sleep 0.5; fi; done

pids=$(cat "$LAB/pids" "$LAB"/run/*.pid 2>/dev/null | grep -E '^[0-9]+$' | sort -rnu)
for p in $pids; do if daemon "$p"; then kill "$p" 2>/dev/null; fi; done
for _ in $(seq 40); do if any_daemon; then sleep 0.25; else break; fi; done
for p in $pids $(pgrep -x slurmstepd); do if holds_ours "$p"; then kill -9 "$p" 2>/dev/null; fi; done

if [ -f "$LAB/created-account" ]; then
  account=$(cat "$LAB/created-account")
  if uid=$(id -u "$account" 2>/dev/null); then
    for p in $(ps -o pid= -u "$uid"); do kill -9 "$p" 2>/dev/null; done
    # SkyPilot's, on the nodes; nobody else has this account.
    find /tmp /var/tmp /dev/shm -maxdepth 1 -user "$uid" -exec rm -rf {} +
    userdel "$account" 2>/dev/null
  fi
fi
if grep -q "# slurm-lab $NAME\$" /etc/hosts; then
  hosts=$(mktemp)
  grep -v "# slurm-lab $NAME\$" /etc/hosts >"$hosts"
  cat "$hosts" >/etc/hosts # in place: it may be a mount
  rm -f "$hosts"
fi
# Connections are kept outside of the home.
if grep -qxE '[0-9a-f]{8}' "$LAB/home/.sky/user_hash" 2>/dev/null; then
  rm -rf "/tmp/sky_ssh_$(cat "$LAB/home/.sky/user_hash")"
fi
if [ "${SLURM_LAB_KEEP:-0}" = 1 ]; then
  rm -f "$LAB/pids"
else
  for _ in $(seq 20); do # what ends just now may still write
    end_clients
    rm -rf "$LAB" 2>/dev/null
    if [ -e "$LAB" ]; then sleep 0.5; else break; fi
  done
fi
echo "[lab $NAME] down" >&2
