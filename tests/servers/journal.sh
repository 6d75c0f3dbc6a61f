#!/usr/bin/env bash
# Writes entries into a real journal.
#   journal.sh CACHE FILE   appends what standard input has, in systemd's export format, to FILE (….journal)
# systemd-journal-remote is taken out of Debian's packages where it is not installed: no root needed. journalctl, which reads
# such files, comes with systemd.
set -euo pipefail
cache=$1/journal file=$2
remote=/lib/systemd/systemd-journal-remote
if [ ! -x "$remote" ]; then
  remote=$cache/lib/systemd/systemd-journal-remote
  mkdir -p "$cache"
  exec 9> "$cache/lock"; flock 9
  if [ ! -x "$remote" ]; then
    work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
    cd "$work"
    packages=(systemd-journal-remote libmicrohttpd12)
    apt-get download "${packages[@]}" > /dev/null 2>&1 || { apt-get update -qq && apt-get download "${packages[@]}" > /dev/null 2>&1; }
    for package in *.deb; do dpkg -x "$package" "$cache"; done
  fi
  flock -u 9
  export LD_LIBRARY_PATH=$(dirname "$cache"/usr/lib/*/libmicrohttpd.so.12)
fi
"$remote" -o "$file" - 2> /dev/null
