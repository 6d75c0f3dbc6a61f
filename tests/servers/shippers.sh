#!/usr/bin/env bash
# Real senders of logs, to point at sources.
#   shippers.sh node CACHE      in CACHE/shippers/node: @fluent-org/logger, pino with pino-elasticsearch and pino-loki
#   shippers.sh python CACHE    in CACHE/shippers/venv: fluent-logger
#   shippers.sh rsyslog         rsyslogd with TLS and omelasticsearch from Debian's packages; needs root where they are missing
set -euo pipefail
NODE=(@fluent-org/logger@1.0.10 pino@9 pino-elasticsearch@8 pino-loki@2)
# Tests run side by side, and in several working trees.
lock() { mkdir -p "$1"; exec 9> "$1/lock"; flock 9; }
node() {
  local dir=$1/shippers/node
  lock "$1/shippers"
  [ -e "$dir/node_modules/@fluent-org/logger" ] && [ -e "$dir/node_modules/pino-elasticsearch" ] && [ -e "$dir/node_modules/pino-loki" ] && return 0
  mkdir -p "$dir"
  [ -e "$dir/package.json" ] || echo '{"private":true}' > "$dir/package.json"
  npm install --prefix "$dir" --no-audit --no-fund --silent "${NODE[@]}"
}
python() {
  local dir=$1/shippers/venv
  lock "$1/shippers"
  [ -x "$dir/bin/pip" ] || python3 -m venv "$dir"
  ls "$dir"/lib/python3*/site-packages/fluent/sender.py > /dev/null 2>&1 ||
    "$dir/bin/pip" install -q --disable-pip-version-check fluent-logger==0.11.1
}
rsyslog() {
  [ -x /usr/sbin/rsyslogd ] && ls /usr/lib/*/rsyslog/lmnsd_ossl.so /usr/lib/*/rsyslog/omelasticsearch.so > /dev/null 2>&1 && return 0
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends rsyslog rsyslog-openssl rsyslog-elasticsearch > /dev/null
}
"$@"
