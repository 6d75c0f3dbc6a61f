#!/usr/bin/env bash
# `logrisk serve` against the first seed's way (FastAPI, ONNX Runtime, padded to 128) and against its own encoder alone, in
# turns within one run.
#
#   benches/serve.sh [RESULT.txt]          benches/runs/<today>/serve.txt if none is named
#
# BINARY is used instead of building one; SECONDS_EACH (10) and ROUNDS (3) may shorten a run. The load comes from oha, which
# is installed with cargo if it is missing; the rival's packages from PyPI. Both are kept in LOGRISK_TEST_CACHE
# (~/.cache/logrisk-tests).
set -euo pipefail
cd "$(dirname "$0")/.."
result=${1:-benches/runs/$(date -u +%F)/serve.txt}
cache=${LOGRISK_TEST_CACHE:-$HOME/.cache/logrisk-tests}
venv=$cache/fastapi-rival

if [ -z "${BINARY:-}" ]; then
  cargo build --profile dist --locked
  BINARY=${CARGO_TARGET_DIR:-target}/dist/logrisk
fi
oha=$(command -v oha || echo "$cache/oha/bin/oha")
[ -x "$oha" ] || cargo install oha --locked --root "$cache/oha" --no-default-features --features rustls
if [ ! -e "$venv/.done" ]; then
  mkdir -p "$cache"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check fastapi uvicorn httptools uvloop onnxruntime tokenizers numpy
  touch "$venv/.done"
fi
mkdir -p "$(dirname "$result")"
BINARY=$BINARY OHA=$oha PYTHON=$venv/bin/python python3 benches/serve/drive.py | tee "$result.part"
mv "$result.part" "$result"
