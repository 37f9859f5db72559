#!/usr/bin/env bash
# A Kafka and an Elasticsearch side by side, and an OpenSearch, an Elasticsearch with security on or an S3-compatible store where they are
# asked for, on ports that disturb nobody's own.
#   pair.sh test|demo start|stop|kill|pause|resume|secure|clean [kafka|elasticsearch|opensearch|secured|s3...]
# `start` prints where they are, as KAFKA=…, ELASTICSEARCH=…, OPENSEARCH=…, SECURED=… and S3=… for eval; started twice, they are the same, and one that
# was stopped or killed is again where it was. A port that somebody else has is passed over. Without names, `start` means the
# first two, and the others whatever there is. Instances lie in the target folder; the installs are shared by all checkouts.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
usage() { echo "usage: pair.sh test|demo start|stop|kill|pause|resume|secure|clean [kafka|elasticsearch|opensearch|secured|s3...]" >&2; exit 1; }

case "${1:-}" in
    # The first compiler is enough for functional tests and halves the start.
    test)
        ports=29000
        export ES_HEAP="${ES_HEAP:-512m}" ES_JVM="${ES_JVM:--XX:TieredStopAtLevel=1}"
        export OS_HEAP="${OS_HEAP:-512m}" OS_JVM="${OS_JVM:--XX:TieredStopAtLevel=1}"
        ;;
    demo) ports=19000 ;;
    *) usage ;;
esac
instances="${CARGO_TARGET_DIR:-$here/../../target}/servers/$1"
mkdir -p "$instances"
instances="$(cd "$instances" && pwd)"

taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# The port of our instance where it runs or can run again, else the first free one; each server uses one more, 1 or 100 above.
port_of() {
    local name="$1" port="$2" folder
    for folder in "$instances/$name"-*; do
        ! "$here/$name.sh" status "$folder" >/dev/null || { echo "${folder##*-}"; return; }
    done
    for folder in "$instances/$name"-*; do
        [ ! -d "$folder" ] || taken "${folder##*-}" || { echo "${folder##*-}"; return; }
    done
    while taken "$port" || taken $((port + 1)) || taken $((port + 100)); do port=$((port + 10)); done
    echo "$port"
}

start() {
    case "$1" in
        kafka)
            KAFKA_PORT=$(port_of kafka $((ports + 92)))
            export KAFKA_PORT
            "$here/kafka.sh" start "$instances/kafka-$KAFKA_PORT"
            echo "KAFKA=127.0.0.1:$KAFKA_PORT"
            ;;
        elasticsearch)
            ES_PORT=$(port_of elasticsearch $((ports + 200)))
            export ES_PORT
            "$here/elasticsearch.sh" start "$instances/elasticsearch-$ES_PORT"
            echo "ELASTICSEARCH=http://127.0.0.1:$ES_PORT"
            ;;
        opensearch)
            OS_PORT=$(port_of opensearch $((ports + 400)))
            export OS_PORT
            "$here/opensearch.sh" start "$instances/opensearch-$OS_PORT"
            echo "OPENSEARCH=http://127.0.0.1:$OS_PORT"
            ;;
        secured)
            ES_PORT=$(port_of secured $((ports + 600)))
            export ES_PORT
            "$here/secured.sh" start "$instances/secured-$ES_PORT"
            echo "SECURED=https://127.0.0.1:$ES_PORT"
            ;;
        s3)
            S3_PORT=$(port_of s3 $((ports + 70)))
            export S3_PORT
            "$here/s3.sh" start "$instances/s3-$S3_PORT"
            echo "S3=http://127.0.0.1:$S3_PORT"
            ;;
        *) usage ;;
    esac
}

command="${2:-}"
names=("${@:3}")
case "$command" in
    start)
        [ ${#names[@]} -gt 0 ] || names=(kafka elasticsearch)
        for name in "${names[@]}"; do start "$name"; done
        ;;
    stop | kill | pause | resume | secure | clean)
        [ ${#names[@]} -gt 0 ] || names=('*')
        for name in "${names[@]}"; do
            # shellcheck disable=SC2231
            for folder in "$instances"/$name-*; do
                [ ! -d "$folder" ] || "$here/$(basename "${folder%-*}").sh" "$command" "$folder"
            done
        done
        ;;
    *) usage ;;
esac
