#!/usr/bin/env bash
# Run a command in the machine that lies in a folder, as machine.py starts it: in mount and process namespaces of its own, so that
# every mount below and every process left behind is gone when this ends, however it ends.
#
# usage: enter.sh FOLDER PROJECT CACHE USER COMMAND      CACHE, a folder of ccache's, is lent read-only; "" lends none
set -euo pipefail
machine=$1 project=$2 cache=$3 user=$4 command=$5

lend() {
  mount --bind "$1" "$2"
  mount -o remount,bind,ro "$2"
}

mount -t proc proc "$machine/proc"
mount -t tmpfs -o mode=755 none "$machine/dev"
# Single nodes, not the folder: nothing that happens in there reaches this machine's /dev.
for node in null zero full random urandom tty; do
  : >"$machine/dev/$node"
  mount --bind "/dev/$node" "$machine/dev/$node"
done
mkdir "$machine/dev/pts" "$machine/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$machine/dev/pts"
ln -s pts/ptmx "$machine/dev/ptmx"
ln -s /proc/self/fd "$machine/dev/fd"
mount -t tmpfs -o mode=1777 none "$machine/dev/shm"
if [ "$cache" ]; then
  mkdir -p "$machine/var/cache/ccache"
  lend "$cache" "$machine/var/cache/ccache"
fi
for wheels in ${PIP_FIND_LINKS:-}; do
  [ ! -d "$wheels" ] || { mkdir -p "$machine$wheels" && lend "$wheels" "$machine$wheels"; }
done
exec chroot "$machine" /usr/bin/setpriv --reuid "$user" --regid "$user" --init-groups --reset-env \
  /usr/bin/env "${@:6}" sh -c 'cd "$0" && eval "$1"' "$project" "$command"
