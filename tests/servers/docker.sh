#!/usr/bin/env bash
# A real Docker daemon, of Debian's packages, without a network: what it needs is to be root, and cgroups.
#   docker.sh start CACHE DATA   a daemon on DATA/docker.sock, with an image `shell` of a static busybox; prints nothing
#   docker.sh stop DATA
# The client is docker; its folder is CACHE/docker/usr/bin.
set -euo pipefail
PACKAGES=(docker.io containerd runc busybox-static)
install() {
  local dir=$1 work
  mkdir -p "$dir"
  exec 9> "$dir/lock"; flock 9
  if [ ! -x "$dir/usr/sbin/dockerd" ]; then
    work=$(mktemp -d)
    (cd "$work" && { apt-get download "${PACKAGES[@]}" > /dev/null 2>&1 || { apt-get update -qq && apt-get download "${PACKAGES[@]}" > /dev/null 2>&1; }; })
    for package in "$work"/*.deb; do dpkg -x "$package" "$dir"; done
    rm -rf "$work"
  fi
  flock -u 9; exec 9>&-
}
start() {
  local dir=$1/docker data=$2 i
  install "$dir"
  export PATH=$dir/usr/bin:$dir/usr/sbin:$PATH
  mkdir -p "$data/image/bin"
  dockerd --iptables=false --ip6tables=false --bridge=none --storage-driver=vfs --data-root "$data/data" --exec-root "$data/exec" \
    --host "unix://$data/docker.sock" --pidfile "$data/pid" > "$data/log" 2>&1 &
  for i in $(seq 240); do
    docker --host "unix://$data/docker.sock" version > /dev/null 2>&1 && break
    [ "$i" != 240 ] || { tail -n 20 "$data/log" >&2; return 1; }
    sleep 0.25
  done
  cp "$dir/bin/busybox" "$data/image/bin/"
  for i in sh seq sleep usleep printf head tr; do ln -sf busybox "$data/image/bin/$i"; done
  tar -C "$data/image" -c . | docker --host "unix://$data/docker.sock" import - shell > /dev/null
}
stop() {
  local pid; pid=$(cat "$1/pid" 2> /dev/null) || return 0
  kill "$pid" 2> /dev/null || return 0
  while kill -0 "$pid" 2> /dev/null; do sleep 0.1; done
}
"$@"
