#!/usr/bin/env bash
# `logrisk run` from a real Kafka to files: one member against three of a group, on twelve partitions, in turns within one run;
# beside them a consumer that only counts.
#   benches/kafka.sh RESULT.json
# BINARY is used instead of building one; LINES (3000000) and ROUNDS (3) may shorten a run.
set -euo pipefail
cd "$(dirname "$0")/.."
result=${1:?"usage: benches/kafka.sh RESULT.json"}
cache=${LOGRISK_TEST_CACHE:-$HOME/.cache/logrisk-tests}
if [ -z "${BINARY:-}" ]; then
  cargo build --profile dist --locked
  BINARY=${CARGO_TARGET_DIR:-target}/dist/logrisk
fi
venv=$cache/kafka-bench
if [ ! -e "$venv/.done" ]; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check confluent-kafka==2.16.1
  touch "$venv/.done"
fi
data=$(mktemp -d)
port=$((20000 + RANDOM % 10000))
trap 'tests/servers/kafka.sh stop "$data" || true; rm -rf "$data"' EXIT
tests/servers/kafka.sh start "$HOME/.cache/logrisk-servers" "$data" "$port"
BINARY=$BINARY BROKER=127.0.0.1:$((port + 12)) "$venv/bin/python" benches/kafka/drive.py | tee "$result"
