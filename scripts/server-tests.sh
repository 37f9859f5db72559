#!/usr/bin/env bash
# Runs the tests that need a real Kafka and a real Elasticsearch, and stops the servers afterwards.
# SERVERS=auto (default): where Java or Maven is missing they are left out, and this says so. required: that is a
# failure. none: they are left out. SUITES=kills: those of that file alone.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

left_out() {
    cat >&2 <<TEXT

  !! LEFT OUT: the tests on real servers ($(sed -n 's/^fn \([a-z_0-9]*\)().*/\1/p' tests/tests/servers.rs tests/tests/kills.rs | paste -sd' ' -))
  !! because $1
TEXT
}

case "${SERVERS:-auto}" in
    none) left_out 'SERVERS=none'; exit 0 ;;
    auto) scripts/prerequisites.sh servers || { left_out 'of what is missing above'; exit 0; } ;;
    required) scripts/prerequisites.sh --install servers || { echo 'SERVERS=required, and the above is missing' >&2; exit 1; } ;;
    *) echo "SERVERS is one of auto, required, none" >&2; exit 1 ;;
esac

trap 'scripts/servers/pair.sh test clean' EXIT
scripts/servers/pair.sh test start >/dev/null
# shellcheck disable=SC2046,SC2086
cargo test --workspace $(printf -- '--test %s ' ${SUITES:-servers kills}) -- --ignored --test-threads=1 "$@"
