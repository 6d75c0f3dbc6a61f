#!/usr/bin/env bash
# Real Elasticsearch 7.10.2 (the last Apache-licensed one) from Maven artifacts, on JDK 17.
#   elasticsearch.sh install CACHE                        fetch the jars, compile the launcher (idempotent)
#   elasticsearch.sh start CACHE DATA HTTP_PORT [k=v ...] start one node, wait until it answers; pid in DATA/pid
#   elasticsearch.sh stop DATA                            stop it
# It has bulk, search, search_after, scroll, ingest, painless; it has no PIT, no data streams, no life cycles and no
# X-Elastic-Product header. With ELASTICSEARCH_PARENT it ends with the process of that number, however that ends.
set -euo pipefail
VERSION=${ELASTICSEARCH_RUNNER_VERSION:-7.10.2.0}
JAVA=${ELASTICSEARCH_JAVA_HOME:-$(ls -d /usr/lib/jvm/java-17-* 2>/dev/null | head -n 1)}/bin
install() {
  local dir=$1/elasticsearch-$VERSION
  [ -e "$dir/.done" ] && return 0
  mkdir -p "$dir/classes"
  cat > "$dir/pom.xml" <<XML
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>local</groupId><artifactId>elasticsearch-it</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.codelibs</groupId><artifactId>elasticsearch-cluster-runner</artifactId><version>$VERSION</version></dependency>
  </dependencies>
</project>
XML
  mvn -q -B -f "$dir/pom.xml" -Dmaven.repo.local="$1/m2" dependency:copy-dependencies -DoutputDirectory="$dir/lib"
  cat > "$dir/ElasticsearchIt.java" <<'JAVA'
import java.nio.file.*;
import java.util.*;
import org.codelibs.elasticsearch.runner.node.ClusterRunnerNode;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.node.InternalSettingsPreparer;
import org.elasticsearch.plugins.Plugin;

/** One real Elasticsearch node with its HTTP API: ElasticsearchIt DIR HTTP_PORT [key=value ...] */
public final class ElasticsearchIt {
    private static final String[] PLUGINS = {
        "org.elasticsearch.transport.Netty4Plugin",
        "org.elasticsearch.analysis.common.CommonAnalysisPlugin",
        "org.elasticsearch.ingest.common.IngestCommonPlugin",
        "org.elasticsearch.script.expression.ExpressionPlugin",
        "org.elasticsearch.script.mustache.MustachePlugin",
        "org.elasticsearch.painless.PainlessPlugin",
        "org.elasticsearch.index.mapper.MapperExtrasPlugin",
        "org.elasticsearch.index.reindex.ReindexPlugin",
    };

    @SuppressWarnings("unchecked")
    public static void main(String[] args) throws Exception {
        long t0 = System.nanoTime();
        Path home = Paths.get(args[0]).toAbsolutePath();
        String port = args[1];
        for (String d : List.of("config", "data", "logs")) Files.createDirectories(home.resolve(d));
        Settings.Builder b = Settings.builder()
            .put("path.home", home.toString())
            .put("path.data", home.resolve("data").toString())
            .put("path.logs", home.resolve("logs").toString())
            .put("cluster.name", "it")
            .put("node.name", "node-" + port)
            .put("network.host", "127.0.0.1")
            .put("http.port", port)
            .put("transport.port", Integer.toString(Integer.parseInt(port) + 100))
            .put("http.type", "netty4")
            .put("transport.type", "netty4")
            .put("node.store.allow_mmap", "false")
            .put("cluster.routing.allocation.disk.threshold_enabled", "false")
            .put("action.auto_create_index", "true");
        boolean clustered = false;
        for (int i = 2; i < args.length; i++) {
            String[] kv = args[i].split("=", 2);
            if (kv[0].startsWith("discovery.") || kv[0].startsWith("cluster.initial")) clustered = true;
            if (kv[1].contains(",")) b.putList(kv[0], kv[1].split(",")); else b.put(kv[0], kv[1]);
        }
        if (!clustered) b.put("discovery.type", "single-node");
        List<Class<? extends Plugin>> plugins = new ArrayList<>();
        for (String p : PLUGINS) {
            try { plugins.add((Class<? extends Plugin>) Class.forName(p)); }
            catch (ClassNotFoundException e) {
                plugins.add((Class<? extends Plugin>) Class.forName(p.replace("ModulePlugin", "Plugin")));
            }
        }
        Environment env = InternalSettingsPreparer.prepareEnvironment(
            b.build(), Map.of(), home.resolve("config"), () -> "node-" + port);
        ClusterRunnerNode node = new ClusterRunnerNode(env, plugins);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try { node.close(); } catch (Exception e) { e.printStackTrace(); }
        }));
        node.start();
        System.out.printf("READY http://127.0.0.1:%s %.1fs%n", port, (System.nanoTime() - t0) / 1e9);
        System.out.flush();
        Thread.currentThread().join();
    }
}
JAVA
  "$JAVA/javac" -cp "$dir/lib/*" -d "$dir/classes" "$dir/ElasticsearchIt.java"
  touch "$dir/.done"
}
start() {
  local cache=$1 data=$2 port=$3; shift 3
  install "$cache"
  local dir=$cache/elasticsearch-$VERSION heap=${ELASTICSEARCH_HEAP:-512m} i
  mkdir -p "$data"; : > "$data/log" # an earlier run's READY must not count
  "$JAVA/java" -Xms"$heap" -Xmx"$heap" -cp "$dir/classes:$dir/lib/*" ElasticsearchIt "$data" "$port" "$@" > "$data/log" 2>&1 &
  echo $! > "$data/pid"
  if [ -n "${ELASTICSEARCH_PARENT:-}" ]; then
    (while kill -0 "$ELASTICSEARCH_PARENT" 2>/dev/null && kill -0 "$(cat "$data/pid")" 2>/dev/null; do sleep 1; done
     kill -9 "$(cat "$data/pid")" 2>/dev/null) > /dev/null 2>&1 < /dev/null &
  fi
  for i in $(seq 240); do
    kill -0 "$(cat "$data/pid")" 2>/dev/null || { tail -n 20 "$data/log" >&2; return 1; }
    grep -q '^READY' "$data/log" && { grep '^READY' "$data/log"; return 0; }
    sleep 0.5
  done
  tail -n 20 "$data/log" >&2; return 1
}
stop() { local pid; pid=$(cat "$1/pid"); kill "$pid" 2>/dev/null || return 0; while kill -0 "$pid" 2>/dev/null; do sleep 0.2; done; }
"$@"
