#!/usr/bin/env bash
# Whole training steps (forward, backward, clipping, AdamW) against PyTorch on the same lines, in turns within one run.
#
#   benches/training.sh OUTPUT.txt
#
# PYTHON names an interpreter with torch and transformers; ROUNDS and SECONDS_EACH may shorten the run.
set -euo pipefail

cd "$(dirname "$0")/.."
output=${1:?"usage: benches/training.sh OUTPUT.txt"}
python=${PYTHON:-python3}
seconds=${SECONDS_EACH:-6}
ours() { cargo bench --quiet --package logrisk-train --bench step -- mini --threads 2 --seconds "$seconds" "$@"; }

{
    echo "# commit $(git rev-parse --short HEAD), $(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2-), $(nproc) cores"
    for ((round = 1; round <= ${ROUNDS:-5}; round++)); do
        echo "# round $round"
        ours
        ours --f32
        OMP_WAIT_POLICY=passive GOMP_SPINCOUNT=0 KMP_BLOCKTIME=0 \
            "$python" benches/rivals/pytorch_training.py mini --threads 2 --seconds "$seconds" 2>/dev/null
    done
} | tee "$output"
