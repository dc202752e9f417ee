#!/bin/sh
# watched.sh REPORT PROJECT HOME COMMAND...: run COMMAND in PROJECT and list in REPORT every file outside of PROJECT and
# HOME that it, or what it starts, writes or removes. It sees the machine through an overlay, so nothing of it is changed.
set -eu
tools=$PATH:/usr/sbin:/sbin # where mount and chroot are; COMMAND keeps its PATH
report=$1 project=$2 home=$3
shift 3
userns=
[ "$(id -u)" = 0 ] || userns=--map-root-user
PATH=$tools exec unshare $userns --mount --propagation private sh -euc '
path=$1 report=$2 project=$3 home=$4
shift 4
mount -t tmpfs tmpfs /mnt
mkdir /mnt/up /mnt/work /mnt/root
mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/up,workdir=/mnt/work /mnt/root
for place in /proc /dev /sys "$project" "$home"; do mount --rbind "$place" "/mnt/root$place"; done
cd /mnt/up # stays within reach from here, and from nowhere else
# Not chroot: in one, the kernel makes no user namespace, which candidates run in.
pivot_root /mnt/root /mnt/root/mnt
umount -l /mnt
code=0
(cd "$project" && PATH=$path exec "$@") || code=$?
find . ! -type d >"$report"
exit $code
' sh "$PATH" "$report" "$project" "$home" "$@"
