#!/usr/bin/env bash
# The encoder against ONNX Runtime on the same token ids, in turns within one run: medians of five, and their ratios.
#
#   benches/encoder.sh OUTPUT.json [IDS.json]
#
# IDS.json holds {"name": [[id, …], …]}; without it, lengths are drawn like those of log lines. PYTHON names an
# interpreter that has what benches/rivals/onnx_runtime.py needs; REPEATS and SECONDS (per figure) may shorten the run.
set -euo pipefail

cd "$(dirname "$0")/.."
output=${1:?"usage: benches/encoder.sh OUTPUT.json [IDS.json]"}
python=${PYTHON:-python3}
repeats=${REPEATS:-5}
seconds=${SECONDS_EACH:-2}
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT

ours() { cargo bench --quiet --package logrisk-score --bench encoder -- "$@"; }

if [ $# -gt 1 ]; then cp "$2" "$work/ids.json"; else ours --print-ids >"$work/ids.json"; fi
for ((i = 1; i <= repeats; i++)); do
    echo "round $i of $repeats" >&2
    ours --ids "$work/ids.json" --lines 128 --seconds "$seconds" >"$work/ours.$i.json"
    "$python" benches/rivals/onnx_runtime.py --ids "$work/ids.json" --lines 128 --seconds "$seconds" \
        --models "$work/models" 2>/dev/null >"$work/rival.$i.json"
done

COMMIT=$(git rev-parse --short HEAD) "$python" - "$work" "$output" <<'PYTHON'
import json, os, platform, statistics, sys
from pathlib import Path

work, output = Path(sys.argv[1]), Path(sys.argv[2])


def medians(name):
    runs = [json.loads(path.read_text()) for path in sorted(work.glob(f"{name}.*.json"))]
    merged = runs[0]
    for number, result in enumerate(merged["results"]):
        for key in ("lines_per_second", "percent_of_peak"):
            if key in result:
                result[key] = statistics.median(run["results"][number][key] for run in runs)
    return merged


ours, rival = medians("ours"), medians("rival")


def rate(results, **wanted):
    found = [r["lines_per_second"] for r in results["results"] if all(r.get(k) == v for k, v in wanted.items())]
    return found[0]


ratios = []
for name in dict.fromkeys(result["input"] for result in ours["results"]):
    seed = rate(rival, input=name, precision="f32", padded_to=128)
    for batch in (1, 32):
        for precision in ("f32", "int8"):
            mine = rate(ours, input=name, precision=precision, batch=batch, threads=1)
            theirs = rate(rival, input=name, precision=precision, batch=batch, padded_to=None)
            ratios.append({
                "input": name, "precision": precision, "batch": batch,
                "over_onnxruntime": round(mine / theirs, 2), "over_padded_f32": round(mine / seed, 1),
            })
    for precision in ("f32", "bf16", "int8"):
        one, two = (rate(ours, input=name, precision=precision, batch=32, threads=n) for n in (1, 2))
        ratios.append({"input": name, "precision": precision, "two_threads_over_one": round(two / one, 2)})
cpu = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), platform.machine())
report = {"commit": os.environ["COMMIT"], "cpu": cpu, "ratios": ratios, "ours": ours, "rival": rival}
output.write_text(json.dumps(report, indent=1) + "\n")
for ratio in ratios:
    print(ratio)
PYTHON
