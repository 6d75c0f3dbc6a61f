#!/usr/bin/env bash
# The whole binary against seven `re.sub` masks in Python, on the same lines in one run.
#   benches/throughput.sh LOGS_FOLDER RESULT.json
# LOGS_FOLDER holds *.log files (LogHub's 16 systems in our runs); they are repeated to at least 1 GB. Every figure is the
# median of five rounds (ROUNDS), taken in turns so that a busy machine slows all alike.
set -euo pipefail
cd "$(dirname "$0")/.."
logs=$1
result=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cargo build --profile dist --quiet
binary=${CARGO_TARGET_DIR:-target}/dist/logrisk

for file in "$logs"/*.log; do
  cat "$file"
  echo
done | grep -v '^$' >"$work/once.log"
once=$(wc -c <"$work/once.log")
for _ in $(seq $((1000000000 / once + 1))); do cat "$work/once.log"; done >"$work/big.log"
lines=$(wc -l <"$work/big.log")
bytes=$(wc -c <"$work/big.log")

seconds() { # runs the command, prints the seconds that it took
  local began ended
  began=$(date +%s.%N)
  "$@" >/dev/null 2>&1
  ended=$(date +%s.%N)
  echo "$ended - $began" | bc -l
}
for _ in $(seq "${ROUNDS:-5}"); do
  python3 benches/rivals/seven_masks.py "$work/once.log" >>"$work/python"
  seconds "$binary" score --format json --threads 1 "$work/big.log" >>"$work/one"
  seconds "$binary" score --format json --threads 2 "$work/big.log" >>"$work/two"
  seconds "$binary" score --format json --threads 1 --quiet "$work/once.log" >>"$work/cold"
done
printf 'INFO started\n' >"$work/line.log"
for _ in $(seq 11); do seconds "$binary" score --quiet "$work/line.log" >>"$work/start"; done

python3 - "$work" "$lines" "$bytes" "$binary" >"$result" <<'PYTHON'
import json, os, platform, statistics, subprocess, sys
work, lines, size, binary = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
read = lambda name: [float(text) for text in open(f"{work}/{name}")]
median = lambda name: statistics.median(read(name))
python, one, two = median("python"), lines / median("one"), lines / median("two")
processor = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
print(json.dumps({
    "what": "logrisk score --format json, repeated real logs to /dev/null, against seven re.sub masks in Python",
    "commit": subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip(),
    "processor": processor, "cores": os.cpu_count(), "lines": lines, "bytes": size,
    "python_lines_per_second": round(python),
    "one_thread_lines_per_second": round(one), "one_thread_ratio": round(one / python, 2),
    "two_threads_lines_per_second": round(two), "two_threads_over_one": round(two / one, 2),
    "start_to_first_score_seconds": round(median("start"), 4),
    "binary_bytes": os.path.getsize(binary),
    "raw": {name: read(name) for name in ("python", "one", "two", "cold", "start")},
}, indent=1))
PYTHON
cat "$result"
