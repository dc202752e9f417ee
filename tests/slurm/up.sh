#!/usr/bin/env bash
# A throw-away Slurm cluster on this one machine, which the real SkyPilot drives as if it were a cloud: no account,
# no container, no network beyond the package registries. Everything listens on 127.0.0.1 and lives in one directory.
#
#   sudo bash up.sh             # prints the path of an env file; then:
#   . ENV-FILE                  # HOME, PATH and SkyPilot settings of the lab
#   sky launch -c vm-01 --infra slurm/lab/cpu -d -y TASK.yaml
#   sudo bash down.sh
#   sudo bash up.sh --packages  # only the Debian packages
#
# Started: munged, slurmctld, one slurmd per "VM", one sshd (the login node). Outside of the directory it installs
# Debian packages (their services are not started), makes one unix account and adds one marked line to /etc/hosts.
# What it has made is taken back when it fails or is interrupted, and what a lab of this name that died has left, too.
# Exit codes: 0 up, 1 a daemon did not come up, 3 this machine cannot have a lab (one sentence says why).
#
# Knobs:
#   SLURM_LAB_NAME    infra is slurm/NAME/cpu; labs of different names run side by side   (lab)
#   SLURM_LAB_NODES   nodes = VMs at once                                                 (3)
#   SLURM_LAB_CPUS, SLURM_LAB_MEM_MB   what a node claims to have; it need not be there   (4, 8192)
#   SLURM_LAB_PRICE   dollars per claimed CPU and hour, for SkyPilot's cost report        (0.05)
#   SLURM_LAB_DIR     where everything lives                                              (a new mktemp -d)
#   SLURM_LAB_VENV    an environment that holds skypilot[slurm]                           (made in the directory)
#   SKYPILOT_VERSION  what is installed into one that is made                             (0.14.1)
#   SLURM_LAB_UV      a uv that the nodes get                                 (the environment's, or the one on PATH)
set -euo pipefail

readonly NAME=${SLURM_LAB_NAME:-lab} NODES=${SLURM_LAB_NODES:-3} CPUS=${SLURM_LAB_CPUS:-4} MEM=${SLURM_LAB_MEM_MB:-8192}
readonly PRICE=${SLURM_LAB_PRICE:-0.05} SKYPILOT=${SKYPILOT_VERSION:-0.14.1}
readonly ACCOUNT="slurm-$NAME"
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
LAB="" POLICY=""
PATH=$PATH:/usr/sbin:/sbin
readonly SYSTEM_PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin

say() { printf '[lab %s %3ss] %s\n' "$NAME" "$SECONDS" "$*" >&2; }
cannot() { printf 'up.sh: no lab on this machine: %s\n' "$1" >&2 && exit 3; }
broken() { # SENTENCE FILE...: what the daemons said last goes along
  printf 'up.sh: %s\n' "$1" >&2
  shift
  tail -n 20 -- "$@" >&2
  exit 1
}

# ------------------------------------------------------------ what has to be here

packages() {
  local pair missing=() log
  for pair in slurmctld:slurm-wlm munged:munge sshd:openssh-server rsync:rsync; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
  done
  if [ ${#missing[@]} = 0 ]; then return; fi
  command -v apt-get >/dev/null || cannot "it lacks ${missing[*]}, and apt-get to install them."
  say "apt-get install ${missing[*]}"
  log=$(mktemp)
  # The lab starts its own daemons: the packages' services must not run on a contributor's machine.
  if [ ! -e /usr/sbin/policy-rc.d ]; then
    POLICY=/usr/sbin/policy-rc.d
    printf '#!/bin/sh\nexit 101\n' >"$POLICY" && chmod 755 "$POLICY"
  fi
  if ! { apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 "${missing[@]}"; } >"$log" 2>&1; then
    tail -n 5 "$log" >&2
    rm -f "$log"
    cannot "apt-get cannot install ${missing[*]}."
  fi
  rm -f "$log" ${POLICY:+"$POLICY"}
  for pair in slurmctld munged sshd rsync; do
    [ -x "$(command -v "$pair")" ] || cannot "it has no $pair, though apt-get installed ${missing[*]}."
  done
}

# A lab of this name that lives is left alone; one that died with its daemons is cleared away.
no_other() {
  local old pid
  old=$(getent passwd "$ACCOUNT" | cut -d: -f6) || return 0
  case "$old" in */node-home) old=${old%/node-home} ;; *) cannot "the account $ACCOUNT is somebody's." ;; esac
  if [ ! -f "$old/pids" ]; then
    userdel "$ACCOUNT"
    return
  fi
  for pid in $(cat "$old/pids" "$old"/run/*.pid 2>/dev/null); do
    if ls -l "/proc/$pid/fd" 2>/dev/null | grep -qF " $old/"; then
      cannot "a lab called $NAME runs in $old: take it down, or choose another SLURM_LAB_NAME."
    fi
  done
  say "what a lab of this name has left in $old goes"
  SLURM_LAB_KEEP=0 bash "$HERE/down.sh" "$old"
}

# shellcheck disable=SC2329 # a trap
taken_back() { # EXIT-CODE
  trap '' INT TERM HUP
  if [ -n "$POLICY" ]; then rm -f "$POLICY"; fi
  if [ "$1" != 0 ] && [ -f "$LAB/pids" ]; then bash "$HERE/down.sh" "$LAB"; fi
}

directories() {
  local i
  LAB=${SLURM_LAB_DIR:-$(mktemp -d -t "slurm-$NAME.XXXXXX")}
  mkdir -p "$LAB"
  LAB=$(cd "$LAB" && pwd -P)
  [ -z "$(ls -A "$LAB")" ] || cannot "$LAB is not empty: down.sh would delete all that is in it."
  chmod 755 "$LAB" # the login account has to walk through it
  mkdir -p "$LAB"/{etc,log,run,munge,ctld,home/.slurm,home/.sky,tmp,node-bin,node-home,node-tmp,keys}
  for ((i = 1; i <= NODES; i++)); do mkdir -p "$LAB/slurmd/$NAME-$i"; done
  chmod 700 "$LAB/keys" "$LAB/munge" "$LAB/ctld"
  : >"$LAB/pids"
  printf '%s\n' "$NAME" >"$LAB/name" # early, so that down.sh can clear a half-made lab away
}

skypilot() {
  VENV=${SLURM_LAB_VENV:-$LAB/venv}
  if [ ! -x "$VENV/bin/sky" ]; then
    say "pip install skypilot[slurm]==$SKYPILOT"
    python3 -m venv "$VENV"
    "$VENV/bin/pip" install -q "skypilot[slurm]==$SKYPILOT" uv >"$LAB/log/pip.log" 2>&1 ||
      { tail -n 5 "$LAB/log/pip.log" >&2 && cannot "pip cannot install skypilot[slurm]==$SKYPILOT."; }
  fi
  VENV=$(cd "$VENV" && pwd -P)
  UV=${SLURM_LAB_UV:-$VENV/bin/uv}
  [ -x "$UV" ] || UV=$(command -v uv) || cannot "there is no uv: pip install uv."
}

account() {
  useradd --system --no-create-home --home-dir "$LAB/node-home" --shell /bin/bash "$ACCOUNT"
  printf '%s\n' "$ACCOUNT" >"$LAB/created-account"
  usermod -p '*' "$ACCOUNT" # no password, but not locked, which sshd would refuse
  chown "$ACCOUNT": "$LAB/node-home" "$LAB/node-tmp"
}

# ------------------------------------------------------------ what a node offers

runs_for_account() { su "$ACCOUNT" -s /bin/sh -c "'$1' -c 'import ssl, sqlite3'" >/dev/null 2>&1; }

# SkyPilot prepares a node by: curl UV-INSTALLER | sh, uv venv --python 3.10, uv pip install ITS-OWN-WHEEL. Only the
# first needs help offline. The programs below are seen by the lab's own sessions alone:
#   curl  answers one address, uv's installer, with a script that copies our uv; all else goes to the real curl
#   uv    the one from the package registry; for 3.10 it takes the Python that is there, and it links files into a VM's
#         runtime instead of copying 370 MB
node_programs() {
  local bin=$LAB/node-bin p python=""
  cp -L "$UV" "$bin/uv.real"
  for p in $(command -v python3.10 || true) "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.10.*/bin/python3.10 \
    /usr/bin/python3 "$(python3 -c 'import sys; print(sys.executable)')"; do
    if [ -z "$python" ] && [ -x "$p" ] && runs_for_account "$p"; then python=$p; fi
  done
  [ -n "$python" ] || cannot "the account $ACCOUNT can run no Python."
  cat >"$bin/uv" <<UV
#!/bin/bash
words=()
while [ \$# -gt 0 ]; do
  if [ "\$1" = --python ] && [ "\${2:-}" = 3.10 ]; then words+=(--python "$python"); shift 2
  else words+=("\$1"); shift; fi
done
export UV_LINK_MODE=hardlink
exec "$bin/uv.real" "\${words[@]}"
UV
  cat >"$bin/curl" <<CURL
#!/bin/bash
for word in "\$@"; do
  case \$word in */uv/install.sh)
    echo 'mkdir -p "\$UV_INSTALL_DIR" && cp "$bin/uv" "\$UV_INSTALL_DIR/uv"'
    exit 0 ;;
  esac
done
exec "$(command -v curl || echo false)" "\$@"
CURL
  chmod 755 "$bin"/*
  # SkyPilot comes in through a login shell, whose /etc/profile resets PATH.
  for p in .bash_profile .bashrc; do
    printf 'case :$PATH: in *:%s:*) ;; *) export PATH=%s:$PATH ;; esac\n' "$bin" "$bin" >"$LAB/node-home/$p"
    chown "$ACCOUNT": "$LAB/node-home/$p"
  done
}

# ------------------------------------------------------------ daemons

free_ports() { # COUNT
  python3 - "$1" <<'PY'
import random, socket, sys
# Below the range that outgoing connections take theirs from: a port must still be free when its daemon is started again.
found = []
for port in random.sample(range(20000, 32000), 1000):
    with socket.socket() as one:
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            continue
    found.append(port)
    if len(found) == int(sys.argv[1]):
        break
print(*found)
PY
}

slurm_conf() {
  local i
  cat <<CONF
ClusterName=$NAME
SlurmctldHost=$HOST(127.0.0.1)
SlurmctldPort=$CTLPORT
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=$LAB/run/munge.socket
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation=$LAB/ctld
SlurmctldPidFile=$LAB/run/slurmctld.pid
SlurmctldLogFile=$LAB/log/slurmctld.log
SlurmdPidFile=$LAB/run/slurmd.%n.pid
SlurmdLogFile=$LAB/log/slurmd.%n.log
SlurmdSpoolDir=$LAB/slurmd/%n
# No cgroups, no accounting daemon, no health checks.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SlurmdParameters=config_overrides
# Teardown of a VM waits for these.
SchedulerParameters=sched_interval=1,sched_min_interval=0,bf_interval=5
KillWait=5
MinJobAge=60
InactiveLimit=0
CONF
  for ((i = 1; i <= NODES; i++)); do
    echo "NodeName=$NAME-$i NodeHostname=$HOST NodeAddr=127.0.0.1 Port=${NODEPORTS[$((i - 1))]} CPUs=$CPUS RealMemory=$MEM State=UNKNOWN"
  done
  echo "PartitionName=cpu Nodes=$NAME-[1-$NODES] Default=YES MaxTime=1-00:00:00 State=UP"
}

slurm() {
  local i clean
  head -c 1024 /dev/urandom >"$LAB/keys/munge.key"
  chmod 400 "$LAB/keys/munge.key"
  chmod 755 "$LAB/run"
  munged --force --key-file="$LAB/keys/munge.key" --socket="$LAB/run/munge.socket" --pid-file="$LAB/run/munged.pid" \
    --log-file="$LAB/log/munged.log" --seed-file="$LAB/munge/munged.seed" 2>>"$LAB/log/munged.log" ||
    broken "munged does not start." "$LAB/log/munged.log"
  cat "$LAB/run/munged.pid" >>"$LAB/pids"
  slurm_conf >"$LAB/etc/slurm.conf"
  echo "CgroupAutomount=no" >"$LAB/etc/cgroup.conf"
  export SLURM_CONF=$LAB/etc/slurm.conf
  # SkyPilot's job runner resolves node names. Written in place: /etc/hosts may be a mount.
  if ! getent hosts "$NAME-$NODES" >/dev/null; then
    printf '127.0.0.1 %s # slurm-lab %s\n' "$(seq -f "$NAME-%g" -s ' ' 1 "$NODES")" "$NAME" >>/etc/hosts
  fi
  # The daemons' environment reaches the jobs: keep it small.
  clean=(env -i "PATH=$LAB/node-bin:$SYSTEM_PATH" "SLURM_CONF=$SLURM_CONF" LANG=C.UTF-8)
  "${clean[@]}" slurmctld -f "$SLURM_CONF" 2>>"$LAB/log/slurmctld.log" ||
    broken "slurmctld does not start." "$LAB/log/slurmctld.log"
  for ((i = 1; i <= NODES; i++)); do
    "${clean[@]}" slurmd -f "$SLURM_CONF" -N "$NAME-$i" 2>>"$LAB/log/slurmd.$NAME-$i.log" ||
      broken "slurmd $NAME-$i does not start." "$LAB/log/slurmd.$NAME-$i.log"
  done
  for ((i = 0; i < 120; i++)); do
    if [ "$(sinfo -h -t idle -o %D 2>/dev/null)" = "$NODES" ]; then break; fi
    sleep 0.5
  done
  cat "$LAB"/run/slurmctld.pid "$LAB"/run/slurmd.*.pid >>"$LAB/pids"
  [ "$(sinfo -h -t idle -o %D)" = "$NODES" ] || broken "the nodes are not idle after a minute." "$LAB"/log/slurm*.log
}

login_node() {
  local name value i setenv="PATH=$LAB/node-bin:$SYSTEM_PATH SLURM_CONF=$SLURM_CONF"
  # The caller's certificate and registry settings, for uv on the nodes.
  for name in SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE PIP_CERT PIP_INDEX_URL PIP_EXTRA_INDEX_URL \
    UV_INDEX_URL UV_DEFAULT_INDEX UV_INDEX UV_EXTRA_INDEX_URL http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY; do
    value=${!name:-}
    [ -z "$value" ] || setenv="$setenv \"$name=$value\""
  done
  mkdir -p /run/sshd
  ssh-keygen -q -t ed25519 -N '' -f "$LAB/keys/host"
  ssh-keygen -q -t ed25519 -N '' -C "slurm-$NAME" -f "$LAB/keys/id"
  install -m 644 "$LAB/keys/id.pub" "$LAB/etc/authorized_keys"
  cat >"$LAB/etc/sshd_config" <<CONF
ListenAddress 127.0.0.1
Port $SSHPORT
HostKey $LAB/keys/host
PidFile $LAB/run/sshd.pid
AuthorizedKeysFile $LAB/etc/authorized_keys
AllowUsers $ACCOUNT
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
PrintMotd no
UseDNS no
MaxSessions 200
MaxStartups 150:30:200
Subsystem sftp internal-sftp
SetEnv $setenv
CONF
  "$(command -v sshd)" -f "$LAB/etc/sshd_config" -E "$LAB/log/sshd.log" || broken "sshd does not start." "$LAB/log/sshd.log"
  for ((i = 0; i < 100; i++)); do if [ -s "$LAB/run/sshd.pid" ]; then break; else sleep 0.1; fi; done
  cat "$LAB/run/sshd.pid" >>"$LAB/pids"
}

# ------------------------------------------------------------ the client's side

client_files() {
  cat >"$LAB/home/.slurm/config" <<CONF
Host $NAME
    HostName 127.0.0.1
    Port $SSHPORT
    User $ACCOUNT
    IdentityFile $LAB/keys/id
    IdentitiesOnly yes
CONF
  cat >"$LAB/home/.sky/config.yaml" <<CONF
slurm:
  pricing:
    cpu: $PRICE
  cluster_configs:
    $NAME:
      tmpdir: $LAB/node-tmp
CONF
  # By user and machine it would be the same for all labs and for the caller's own SkyPilot: they would share connections.
  printf '%s' "$(od -An -N4 -tx1 /dev/urandom | tr -d ' ')" >"$LAB/home/.sky/user_hash"
  cat >"$LAB/env.sh" <<CONF
export SLURM_LAB_DIR=$LAB
export SLURM_LAB_NAME=$NAME
export HOME=$LAB/home
export TMPDIR=$LAB/tmp
export PATH=$VENV/bin:\$PATH
export SLURM_CONF=$SLURM_CONF
export SKYPILOT_DISABLE_USAGE_COLLECTION=1
export SKYPILOT_API_SERVER_LOCAL_PORT=$APIPORT
CONF
  if [ -n "${SUDO_UID:-}" ]; then # the client is who called sudo
    chmod 755 "$LAB/keys"
    chown -R "$SUDO_UID:${SUDO_GID:-$SUDO_UID}" "$LAB/home" "$LAB/tmp" "$LAB/keys/id"
  fi
}

main() {
  [[ $NAME =~ ^[a-z][a-z0-9]{0,15}$ ]] || cannot "SLURM_LAB_NAME must be a short lower-case word."
  [ "$(id -u)" = 0 ] || cannot "it needs root (sudo bash $0)."
  trap 'taken_back $?' EXIT
  trap 'exit 130' INT TERM HUP
  packages
  if [ "${1:-}" = --packages ]; then exit; fi
  no_other
  directories
  skypilot
  account
  node_programs
  HOST=$(hostname -s)
  read -r SSHPORT CTLPORT APIPORT REST <<<"$(free_ports $((NODES + 3)))"
  read -ra NODEPORTS <<<"$REST"
  say "munged, slurmctld, $NODES slurmd"
  slurm
  say "sshd"
  login_node
  client_files
  say "up: infra slurm/$NAME/cpu; now:  . $LAB/env.sh"
  echo "$LAB/env.sh"
}

main "$@"
