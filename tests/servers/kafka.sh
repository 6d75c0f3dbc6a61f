#!/usr/bin/env bash
# Real Kafka brokers (KRaft, no ZooKeeper) from Maven artifacts, on a JDK of 17 or later.
#   kafka.sh install CACHE                        fetch the jars (idempotent)
#   kafka.sh start CACHE DATA BASE_PORT [N]       N brokers (default 1); broker i listens on BASE_PORT+10*i+2, its controller on
#                                                 +3, and with users and TLS (see below) on +4
#   kafka.sh one CACHE DATA I                     start broker I again after a kill
#   kafka.sh cli CACHE CLASS ARGS...              e.g. cli CACHE org.apache.kafka.tools.TopicCommand --bootstrap-server ... --list
#   kafka.sh stop DATA
# With KAFKA_KEYSTORE, a PEM file with a key and its certificate, each broker also listens with SASL over TLS, for the user `it`
# with the password `secret`, by PLAIN and SCRAM-SHA-512. With KAFKA_PARENT the brokers end with the process of that number,
# however that ends.
set -euo pipefail
VERSION=${KAFKA_VERSION:-4.3.1} # 4.4.0 lacks its kafka-tools-api artifact
CLUSTER_ID=AAAAAAAAQACAAAAAAAAAAQ
install() {
  local dir=$1/kafka-$VERSION
  [ -e "$dir/.done" ] && return 0
  mkdir -p "$dir"
  cat > "$dir/pom.xml" <<XML
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>local</groupId><artifactId>kafka-it</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$VERSION</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>$VERSION</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
XML
  mvn -q -B -f "$dir/pom.xml" -Dmaven.repo.local="$1/m2" dependency:copy-dependencies -DoutputDirectory="$dir/lib"
  touch "$dir/.done"
}
cli() { local cache=$1; shift; java -Xmx256m -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp "$cache/kafka-$VERSION/lib/*" "$@"; }
configure() { # CACHE DATA BASE N I
  local cache=$1 d=$2/$5 base=$3 n=$4 i=$5 voters= j rf isr b scram=()
  b=$((base + 10 * i))
  rf=$((n < 3 ? 1 : 3)); isr=$((n < 3 ? 1 : 2))
  for j in $(seq "$n"); do voters=$voters,$j@127.0.0.1:$((base + 10 * j + 3)); done
  mkdir -p "$d"
  cat > "$d/server.properties" <<P
process.roles=broker,controller
node.id=$i
controller.quorum.voters=${voters#,}
listeners=PLAINTEXT://127.0.0.1:$((b + 2)),CONTROLLER://127.0.0.1:$((b + 3))${KAFKA_KEYSTORE:+,SECURE://127.0.0.1:$((b + 4))}
advertised.listeners=PLAINTEXT://127.0.0.1:$((b + 2))${KAFKA_KEYSTORE:+,SECURE://localhost:$((b + 4))}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL
inter.broker.listener.name=PLAINTEXT
log.dirs=$d/data
auto.create.topics.enable=false
default.replication.factor=$rf
min.insync.replicas=$isr
offsets.topic.num.partitions=3
offsets.topic.replication.factor=$rf
transaction.state.log.num.partitions=3
transaction.state.log.replication.factor=$rf
transaction.state.log.min.isr=$isr
share.coordinator.state.topic.num.partitions=3
share.coordinator.state.topic.replication.factor=$rf
share.coordinator.state.topic.min.isr=$isr
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
log.cleaner.dedupe.buffer.size=8388608
P
  if [ -n "${KAFKA_KEYSTORE:-}" ]; then
    cat >> "$d/server.properties" <<P
ssl.keystore.type=PEM
ssl.keystore.location=$KAFKA_KEYSTORE
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
listener.name.secure.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_it="secret";
listener.name.secure.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
P
    scram=(--add-scram 'SCRAM-SHA-512=[name=it,password=secret]')
  fi
  cli "$cache" kafka.tools.StorageTool format -t "$CLUSTER_ID" -c "$d/server.properties" --ignore-formatted "${scram[@]}" > "$d/format.log" 2>&1
}
launch() { # CACHE DATA I
  local d=$2/$3
  : > "$d/log" # an earlier run's line must not count
  java -Xms128m -Xmx"${KAFKA_HEAP:-256m}" -Dorg.slf4j.simpleLogger.defaultLogLevel=info \
    -cp "$1/kafka-$VERSION/lib/*" kafka.Kafka "$d/server.properties" > "$d/log" 2>&1 &
  echo $! > "$d/pid"
  if [ -n "${KAFKA_PARENT:-}" ]; then
    (pid=$(cat "$d/pid")
     while kill -0 "$KAFKA_PARENT" 2>/dev/null && kill -0 "$pid" 2>/dev/null; do sleep 1; done
     kill -9 "$pid" 2>/dev/null) > /dev/null 2>&1 < /dev/null &
  fi
}
await() { # DATA I
  local d=$1/$2 t=0
  until grep -q 'Kafka Server started' "$d/log"; do
    kill -0 "$(cat "$d/pid")" 2>/dev/null && [ $((t += 1)) -lt 240 ] || { tail -n 20 "$d/log" >&2; return 1; }
    sleep 0.5
  done
}
one() { launch "$1" "$2" "$3"; await "$2" "$3"; }
start() {
  local cache=$1 data=$2 base=$3 n=${4:-1} i
  install "$cache"
  for i in $(seq "$n"); do configure "$cache" "$data" "$base" "$n" "$i"; done
  for i in $(seq "$n"); do launch "$cache" "$data" "$i"; done
  for i in $(seq "$n"); do await "$data" "$i"; done
  echo "READY"
}
stop() {
  local p
  for p in "$1"/*/pid; do kill "$(cat "$p")" 2>/dev/null || true; done
  for p in "$1"/*/pid; do while kill -0 "$(cat "$p")" 2>/dev/null; do sleep 0.2; done; done
}
"$@"
