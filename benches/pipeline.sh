#!/usr/bin/env bash
# One big file to a file of JSON lines: logrisk, which scores every line, against rsyslog and the OpenTelemetry
# Collector, which only copy it. In turns; a figure is the median of the rounds.
#   benches/pipeline.sh LOGS_FOLDER RESULT.json
# LOGS_FOLDER holds *.log files (LogHub's 16 systems in our runs); they are repeated to MEGABYTES (1000). ROUNDS (5); BINARY is
# used instead of building one;
# OTELCOL names a Collector with the filelog receiver and the file exporter, which is left out if there is none.
set -euo pipefail
cd "$(dirname "$0")/.."
logs=$1
result=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ -z "${BINARY:-}" ]; then
  cargo build --profile dist --quiet
  BINARY=${CARGO_TARGET_DIR:-target}/dist/logrisk
fi
binary=$(realpath "$BINARY")

for file in "$logs"/*.log; do
  cat "$file"
  echo
done | grep -v '^$' >"$work/once.log"
once=$(wc -c <"$work/once.log")
for _ in $(seq $((${MEGABYTES:-1000} * 1000000 / once + 1))); do cat "$work/once.log"; done >"$work/big.log"
lines=$(wc -l <"$work/big.log")

cat >"$work/logrisk.yaml" <<YAML
sources: {in: {tail: {paths: [$work/big.log]}}}
sinks: {out: {file: {path: $work/out.json, sync: ${SYNC:-true}}}}
run: {data_dir: $work/data}
log: {level: warn}
YAML
cat >"$work/rsyslog.conf" <<CONF
global(workDirectory="$work/rsyslog" maxMessageSize="64k")
module(load="imfile")
template(name="json" type="list" option.jsonf="on") {
  property(outname="@timestamp" name="timereported" dateFormat="rfc3339" format="jsonf")
  property(outname="message" name="msg" format="jsonf")
  property(outname="log.file.path" name="\$!metadata!filename" format="jsonf")
}
ruleset(name="out") { action(type="omfile" file="$work/out.json" template="json" asyncWriting="off" ioBufferSize="1m") }
input(type="imfile" file="$work/big.log" tag="big" ruleset="out" addMetadata="on")
CONF
cat >"$work/otelcol.yaml" <<YAML
receivers: {filelog: {include: [$work/big.log], start_at: beginning}}
exporters: {file: {path: $work/out.json}}
service:
  telemetry: {logs: {level: warn}, metrics: {level: none}}
  pipelines: {logs: {receivers: [filelog], exporters: [file]}}
YAML

# Starts a shipper and prints the seconds until its output did not grow any more.
seconds() {
  local began pid size last=-1 quiet=0
  rm -rf "$work/out.json" "$work/data" "$work/rsyslog"
  mkdir "$work/rsyslog"
  began=$(date +%s.%N)
  "$@" >"$work/log" 2>&1 &
  pid=$!
  while ((quiet < 30)); do
    sleep 0.1
    size=$(stat -c %s "$work/out.json" 2>/dev/null || echo 0)
    if ((size > 0 && size == last)); then quiet=$((quiet + 1)); else quiet=0; fi
    last=$size
  done
  echo "$(stat -c %.Y "$work/out.json") - $began" | bc -l
  ps -o rss= -p "$pid" | tr -d ' ' >>"$work/${1##*/}.rss"
  kill "$pid"
  wait "$pid" 2>/dev/null || true
}

for _ in $(seq "${ROUNDS:-5}"); do
  seconds "$binary" run -c "$work/logrisk.yaml" >>"$work/logrisk"
  seconds rsyslogd -n -f "$work/rsyslog.conf" -i "$work/rsyslog/pid" >>"$work/rsyslog.seconds"
  if [ -n "${OTELCOL:-}" ]; then seconds "$OTELCOL" --config "$work/otelcol.yaml" >>"$work/otelcol"; fi
done

python3 - "$work" "$lines" "$(wc -c <"$work/big.log")" >"$result" <<'PYTHON'
import json, os, platform, statistics, subprocess, sys
work, lines, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
def read(name):
    path = f"{work}/{name}"
    return [float(text) for text in open(path)] if os.path.exists(path) else []
rate = lambda name: round(lines / statistics.median(read(name))) if read(name) else None
names = {"logrisk": "logrisk", "rsyslog": "rsyslog.seconds", "otelcol": "otelcol"}
rates = {name: rate(file) for name, file in names.items()}
processor = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
print(json.dumps({
    "what": "one file to a file of JSON lines: logrisk run scores every line, the others copy",
    "commit": subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip(),
    "processor": processor, "cores": os.cpu_count(), "lines": lines, "bytes": size,
    "lines_per_second": rates,
    "logrisk_over": {name: round(rates["logrisk"] / other, 2) for name, other in rates.items() if other and name != "logrisk"},
    "resident_kib": {"logrisk": read("logrisk.rss"), "rsyslog": read("rsyslogd.rss"), "otelcol": read("otelcol.rss")},
    "seconds": {name: read(file) for name, file in names.items()},
}, indent=1))
PYTHON
cat "$result"
