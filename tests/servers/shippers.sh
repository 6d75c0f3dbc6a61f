#!/usr/bin/env bash
# Real senders of logs, to point at sources; kept in CACHE/shippers.
#   shippers.sh node CACHE          node: @fluent-org/logger, pino with pino-elasticsearch and pino-loki
#   shippers.sh python CACHE        venv: fluent-logger; OpenTelemetry's SDK with its exporters by gRPC and HTTP
#   shippers.sh otelcol CACHE       otelcol: an OpenTelemetry Collector with what the tests use, built by its builder; needs Go
#   shippers.sh telemetrygen CACHE  bin/telemetrygen: OpenTelemetry's generator of logs; needs Go
#   shippers.sh rsyslog             rsyslogd with TLS and omelasticsearch from Debian's packages; needs root where they are missing
set -euo pipefail
NODE=(@fluent-org/logger@1.0.10 pino@9 pino-elasticsearch@8 pino-loki@2)
OTEL=0.161.0 CONFMAP=1.67.0 OTEL_PYTHON=1.45.2
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
  ls "$dir"/lib/python3*/site-packages/fluent/sender.py "$dir"/lib/python3*/site-packages/opentelemetry/exporter/otlp/proto/{grpc,http}/__init__.py > /dev/null 2>&1 ||
    "$dir/bin/pip" install -q --disable-pip-version-check fluent-logger==0.11.1 "opentelemetry-sdk==$OTEL_PYTHON" \
      "opentelemetry-exporter-otlp-proto-grpc==$OTEL_PYTHON" "opentelemetry-exporter-otlp-proto-http==$OTEL_PYTHON"
}
go_install() { CGO_ENABLED=0 GOBIN=$1 go install -ldflags '-s -w' "$2"; }
telemetrygen() {
  local dir=$1/shippers
  lock "$dir"
  [ -x "$dir/bin/telemetrygen" ] ||
    go_install "$dir/bin" "github.com/open-telemetry/opentelemetry-collector-contrib/cmd/telemetrygen@v$OTEL"
}
otelcol() {
  local dir=$1/shippers core=go.opentelemetry.io/collector contrib=github.com/open-telemetry/opentelemetry-collector-contrib
  lock "$dir"
  [ -x "$dir/otelcol" ] && return 0
  [ -x "$dir/bin/builder" ] || go_install "$dir/bin" "$core/cmd/builder@v$OTEL"
  cat > "$dir/builder.yaml" <<Y
dist: {name: otelcol, module: local/otelcol, output_path: "$dir/otelcol-src", version: "$OTEL"}
receivers: [{gomod: $core/receiver/otlpreceiver v$OTEL}, {gomod: $contrib/receiver/fluentforwardreceiver v$OTEL}]
processors: [{gomod: $core/processor/batchprocessor v$OTEL}]
exporters:
  - gomod: $core/exporter/otlpexporter v$OTEL
  - gomod: $core/exporter/otlphttpexporter v$OTEL
  - gomod: $core/exporter/debugexporter v$OTEL
providers: [{gomod: $core/confmap/provider/fileprovider v$CONFMAP}, {gomod: $core/confmap/provider/envprovider v$CONFMAP}]
Y
  CGO_ENABLED=0 "$dir/bin/builder" --config "$dir/builder.yaml" --skip-strict-versioning > "$dir/builder.log" 2>&1 || { tail "$dir/builder.log" >&2; return 1; }
  mv "$dir/otelcol-src/otelcol" "$dir/otelcol"
}
rsyslog() {
  [ -x /usr/sbin/rsyslogd ] && ls /usr/lib/*/rsyslog/lmnsd_ossl.so /usr/lib/*/rsyslog/omelasticsearch.so > /dev/null 2>&1 && return 0
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends rsyslog rsyslog-openssl rsyslog-elasticsearch > /dev/null
}
"$@"
