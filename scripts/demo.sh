#!/usr/bin/env bash
# Runs the demonstration: with stand-ins, or with SERVERS=real on a Kafka and an Elasticsearch that are started for it and
# thrown away afterwards. TIDEGATE is the program.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

program="${TIDEGATE:-target/release/tidegate}"
pipeline=examples/clickstream/pipeline.toml

[ "${SERVERS:-auto}" = real ] || exec "$program" demo "$pipeline"

scripts/prerequisites.sh --install servers
trap 'scripts/servers/pair.sh demo clean' EXIT
echo 'starting Kafka and Elasticsearch' >&2
where=$(scripts/servers/pair.sh demo start)
eval "$where"
KAFKA_TOPICS="scripts/servers/kafka.sh tool org.apache.kafka.tools.TopicCommand" examples/clickstream/topics.sh "$KAFKA" >/dev/null
curl -fsS -o /dev/null -X PUT "$ELASTICSEARCH/_index_template/event-counts" -H 'content-type: application/json' \
    --data-binary @examples/clickstream/index-template.json
"$program" demo "$pipeline" --brokers "$KAFKA" --elasticsearch "$ELASTICSEARCH"
