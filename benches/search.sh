#!/usr/bin/env bash
# `logrisk run` from Fluent's forward to a real OpenSearch, against a bare loop that sends the very same bulk bodies, in
# turns within one run.
#   benches/search.sh RESULT.json
# BINARY is used instead of building one; RECORDS (200000) and ROUNDS (5) may shorten a run.
set -euo pipefail
cd "$(dirname "$0")/.."
result=${1:?"usage: benches/search.sh RESULT.json"}
cache=${LOGRISK_TEST_CACHE:-$HOME/.cache/logrisk-tests}
if [ -z "${BINARY:-}" ]; then
  cargo build --profile dist --locked
  BINARY=${CARGO_TARGET_DIR:-target}/dist/logrisk
fi
venv=$cache/forward-sender
if [ ! -e "$venv/.done" ]; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check msgpack
  touch "$venv/.done"
fi
data=$(mktemp -d)
port=$((20000 + RANDOM % 10000))
trap 'tests/servers/opensearch.sh stop "$data" || true; rm -rf "$data"' EXIT
tests/servers/opensearch.sh start "$HOME/.cache/logrisk-servers" "$data" "$port"
BINARY=$BINARY SEARCH=http://127.0.0.1:$port "$venv/bin/python" benches/search/drive.py | tee "$result"
