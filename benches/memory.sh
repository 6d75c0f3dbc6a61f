#!/usr/bin/env bash
# Peak memory of `logrisk score` on a stream of that many gigabytes, and the time from start to the first score.
#   benches/memory.sh LOGS_FOLDER GIGABYTES
set -euo pipefail
cd "$(dirname "$0")/.."
binary=${CARGO_TARGET_DIR:-target}/dist/logrisk
lines=$(mktemp)
trap 'rm -f "$lines"' EXIT
for file in "$1"/*.log; do cat "$file"; echo; done | grep -v '^$' >"$lines"
size=$(wc -c <"$lines")
for ((i = 0; i <= $2 * 1000000000 / size; i++)); do cat "$lines"; done |
    /usr/bin/time -f '%M KiB at most, %e s' "$binary" score --format json >/dev/null
