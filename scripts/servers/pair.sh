#!/usr/bin/env bash
# A Kafka and an Elasticsearch side by side, on ports that disturb nobody's own.
#   pair.sh test|demo start|stop|clean
# `start` prints where they are, as KAFKA=… and ELASTICSEARCH=… for eval; started twice, they are the same. A port that
# somebody else has is passed over. Instances lie in the target folder; the installs are shared by all checkouts.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
usage() { echo "usage: pair.sh test|demo start|stop|clean" >&2; exit 1; }

case "${1:-}" in
    # The first compiler is enough for functional tests and halves the start.
    test) kafka=29092 elasticsearch=29200; export ES_HEAP="${ES_HEAP:-512m}" ES_JVM="${ES_JVM:--XX:TieredStopAtLevel=1}" ;;
    demo) kafka=19092 elasticsearch=19200 ;;
    *) usage ;;
esac
instances="${CARGO_TARGET_DIR:-$here/../../target}/servers/$1"
mkdir -p "$instances"
instances="$(cd "$instances" && pwd)"

taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# The port of our running instance, else the first free one; each server uses one more, 1 or 100 above.
port_of() {
    local name="$1" port="$2" folder
    for folder in "$instances/$name"-*; do
        ! "$here/$name.sh" status "$folder" >/dev/null || { echo "${folder##*-}"; return; }
    done
    while taken "$port" || taken $((port + 1)) || taken $((port + 100)); do port=$((port + 10)); done
    echo "$port"
}

case "${2:-}" in
    start)
        KAFKA_PORT=$(port_of kafka "$kafka")
        ES_PORT=$(port_of elasticsearch "$elasticsearch")
        export KAFKA_PORT ES_PORT
        "$here/kafka.sh" start "$instances/kafka-$KAFKA_PORT"
        "$here/elasticsearch.sh" start "$instances/elasticsearch-$ES_PORT"
        printf 'KAFKA=127.0.0.1:%s\nELASTICSEARCH=http://127.0.0.1:%s\n' "$KAFKA_PORT" "$ES_PORT"
        ;;
    stop | clean)
        for folder in "$instances"/*-*; do
            [ ! -d "$folder" ] || "$here/$(basename "${folder%-*}").sh" "$2" "$folder"
        done
        ;;
    *) usage ;;
esac
