#!/usr/bin/env bash
# Creates the topics of the click-stream example; those that exist stay as they are.
#   topics.sh [BROKERS]              default: localhost:9092
# Env: KAFKA_TOPICS, the command that Kafka brings along (default: kafka-topics.sh); REPLICAS (default: 1, in production 3)
set -euo pipefail
brokers="${1:-localhost:9092}"
day=86400000

# shellcheck disable=SC2086
create() { ${KAFKA_TOPICS:-kafka-topics.sh} --bootstrap-server "$brokers" --create --if-not-exists --replication-factor "${REPLICAS:-1}" "$@"; }

# Partitions bound how many cores and machines can share the work. Retention is how long an outage may last. With REPLICAS=3 add
# min.insync.replicas=2, so that an acknowledged event is on two disks. A bound on timestamps ahead of the broker's clock
# keeps Kafka's own timestamps honest, which `max_future` relies on.
create --topic streaming-events --partitions 4 \
    --config retention.ms=$((7 * day)) --config message.timestamp.after.max.ms=300000
# Long enough for somebody to look.
create --topic clickstream.dead-letters --partitions 1 --config retention.ms=$((30 * day))
