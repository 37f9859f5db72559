#!/usr/bin/env bash
# A Kafka and an Elasticsearch side by side, on ports that disturb nobody's own.
#   pair.sh test|demo start|stop|clean
# `start` prints where they are, as KAFKA=… and ELASTICSEARCH=… for eval. Instances lie in target/servers; the installs
# are shared by all checkouts. KAFKA_PORT and ES_PORT choose other ports.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
usage() { echo "usage: pair.sh test|demo start|stop|clean" >&2; exit 1; }

instances="${CARGO_TARGET_DIR:-$here/../../target}/servers"
case "${1:-}" in
    # The first compiler is enough for functional tests and halves the start.
    test) export KAFKA_PORT="${KAFKA_PORT:-29092}" ES_PORT="${ES_PORT:-29200}" ES_HEAP="${ES_HEAP:-512m}" ES_JVM="${ES_JVM:--XX:TieredStopAtLevel=1}" ;;
    demo) export KAFKA_PORT="${KAFKA_PORT:-19092}" ES_PORT="${ES_PORT:-19200}" ;;
    *) usage ;;
esac
mkdir -p "$instances"
instances="$(cd "$instances" && pwd)"

case "${2:-}" in
    start | stop | clean)
        "$here/kafka.sh" "$2" "$instances/kafka-$KAFKA_PORT"
        "$here/elasticsearch.sh" "$2" "$instances/elasticsearch-$ES_PORT"
        ;;
    *) usage ;;
esac
[ "$2" != start ] || printf 'KAFKA=127.0.0.1:%s\nELASTICSEARCH=http://127.0.0.1:%s\n' "$KAFKA_PORT" "$ES_PORT"
