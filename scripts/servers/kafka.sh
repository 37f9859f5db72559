#!/usr/bin/env bash
# One Kafka broker (KRaft, one node) from Maven Central's jars, for tests and for `make demo SERVERS=real`.
#   kafka.sh install|start|wait|status|stop|kill|pause|resume|clean [DIR]
#   kafka.sh tool CLASS ARGS...      a command line tool, e.g. org.apache.kafka.tools.TopicCommand
# DIR holds all of an instance: configuration, data, log, pid. `start` installs when needed, returns when the broker
# answers, and is harmless when it runs.
# Env: KAFKA_VERSION KAFKA_PORT KAFKA_CONTROLLER_PORT KAFKA_HEAP KAFKA_DIR KAFKA_JVM (extra flags)
#      KAFKA_CONFIG (extra server.properties lines, the last one of a key wins) KAFKA_ADVERTISED (host:port that clients are
#      told, for a fault proxy in front) TIDEGATE_SERVERS (where installs and instances go) JAVA_HOME
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

version="${KAFKA_VERSION:-4.3.1}"
log4j_version="${KAFKA_LOG4J_VERSION:-2.25.4}" # must equal the log4j-core that this Kafka resolves
port="${KAFKA_PORT:-9092}"
controller_port="${KAFKA_CONTROLLER_PORT:-$((port + 1))}"
home="$servers/kafka-$version"

install() { [ -f "$home/complete" ] || with_lock kafka install_locked; }

install_locked() {
    [ ! -f "$home/complete" ] || return 0
    say "installing Kafka $version into $home"
    rm -rf "$home"; mkdir -p "$home"
    cat >"$home/pom.xml" <<XML
<project><modelVersion>4.0.0</modelVersion><groupId>tidegate.test</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging>
<dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$version</version></dependency>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>$version</version></dependency>
<dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>$log4j_version</version></dependency>
</dependencies></project>
XML
    fetch "$home/maven.log" copy-dependencies -f "$home/pom.xml" -DincludeScope=runtime -DoutputDirectory="$home/libs"
    cat >"$home/log4j2.properties" <<'LOG'
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601} %-5p %c{1} %m%n
rootLogger.level = info
rootLogger.appenderRef.out.ref = out
logger.config.name = org.apache.kafka.common.config
logger.config.level = warn
LOG
    sed 's/= info/= warn/' "$home/log4j2.properties" >"$home/log4j2-tool.properties"
    touch "$home/complete"
}

if [ "${1:-}" = tool ]; then
    install
    shift
    exec "$java" -Xmx256m -XX:TieredStopAtLevel=1 -Dlog4j2.configurationFile="$home/log4j2-tool.properties" -cp "$home/libs/*" "$@"
fi

dir=$(absolute "${2:-${KAFKA_DIR:-$servers/run/kafka-$port}}")
log="$dir/kafka.log"

configure() {
    cat >"$dir/server.properties" <<CONF
process.roles=broker,controller
node.id=1
log.dirs=$dir/data
controller.quorum.bootstrap.servers=127.0.0.1:$controller_port
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller_port
advertised.listeners=PLAINTEXT://${KAFKA_ADVERTISED:-127.0.0.1:$port}
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
log.retention.check.interval.ms=1000
# After a crash the restarted broker is refused until its old session is over (default 9 s).
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=300
${KAFKA_CONFIG:-}
CONF
}

# 16 bytes in base64, as Kafka wants them, without the "-" of its alphabet: an id that begins with one would be an option.
cluster_id() { head -c 16 /dev/urandom | base64 | tr '+/' 'AZ' | cut -c1-22; }

start() {
    claim_port "$port"
    mkdir -p "$dir"
    cd "$dir"
    configure
    [ ! -f "$log" ] || mv "$log" "$log.old"
    if [ ! -f "$dir/data/meta.properties" ]; then
        "$java" -Xmx256m -XX:TieredStopAtLevel=1 -Dlog4j2.configurationFile="$home/log4j2-tool.properties" -cp "$home/libs/*" \
            kafka.tools.StorageTool format --standalone -t "$(cluster_id)" \
            -c "$dir/server.properties" >"$dir/format.log" 2>&1 || { cat "$dir/format.log" >&2; die "format failed"; }
    fi
    # shellcheck disable=SC2086
    (detached "$java" -Xms256m -Xmx"${KAFKA_HEAP:-512m}" -XX:+UseG1GC -Djava.awt.headless=true ${KAFKA_JVM:-} \
        -Dlog4j2.configurationFile="$home/log4j2.properties" -cp "$home/libs/*" kafka.Kafka "$dir/server.properties" \
        >"$log" 2>&1 </dev/null) &
    echo $! >"$dir/pid"
}

# The broker logs this line last, after its listeners accept requests and the controller has unfenced it.
ready() { grep -q 'Kafka Server started' "$log" 2>/dev/null && port_open "$port"; }

dispatch "${1:-}"
