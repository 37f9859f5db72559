#!/usr/bin/env bash
# Runs the tests that need a real Kafka, a real Elasticsearch or OpenSearch, or a real S3-compatible store, and stops the servers afterwards.
# SERVERS=auto (default): where Java or Maven is missing they are left out, and this says so. required: that is a
# failure. none: they are left out. S3: the same for the store, whose tests want Go. SUITES=kills: those of that file alone.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

suites="${SUITES:-servers delivery reconcile_windows opensearch security faults kills}"

left_out() { # WHAT FILES BECAUSE
    cat >&2 <<TEXT

  !! LEFT OUT: the tests on $1 ($(for file in $2; do sed -n '/^#\[ignore/{n;s/^\(async \)\{0,1\}fn \([a-z_0-9]*\).*/\2/p;}' "$file"; done | paste -sd' ' -))
  !! because $3
TEXT
}

# wanted HOW GROUP WHAT FILES: whether what the tests on WHAT need is there, or is to be there.
wanted() {
    case "$1" in
        none) left_out "$3" "$4" 'nobody wants them: it says none'; return 1 ;;
        auto) scripts/prerequisites.sh "$2" || { left_out "$3" "$4" 'of what is missing above'; return 1; } ;;
        required) scripts/prerequisites.sh --install "$2" || { echo "they are required, and the above is missing" >&2; exit 1; } ;;
        *) echo "SERVERS and S3 are one of auto, required, none" >&2; exit 1 ;;
    esac
}

trap 'scripts/servers/pair.sh test clean' EXIT
if ! wanted "${S3:-auto}" s3 'an S3-compatible store' 'runtime/src/checkpoint/tests/s3.rs tests/tests/store_s3.rs tests/tests/archive.rs'; then
    export STORE="${STORE:-file}"
else
    where=$(scripts/servers/pair.sh test start s3)
    if [ -z "${SUITES:-}" ]; then
        AWS_ENDPOINT_URL="${where#S3=}" AWS_ALLOW_HTTP=true AWS_REGION=us-east-1 AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=testtest1 \
            TIDEGATE_TEST_S3=s3://tidegate cargo test --workspace --lib checkpoint::tests::s3 -- --ignored "$@"
        suites="$suites store_s3 archive" # those need the servers too
    fi
fi
wanted "${SERVERS:-auto}" servers 'real servers' 'tests/tests/servers.rs tests/tests/delivery.rs tests/tests/reconcile_windows.rs tests/tests/opensearch.rs tests/tests/security.rs tests/tests/faults.rs tests/tests/kills.rs' || exit 0
scripts/servers/pair.sh test start >/dev/null
# shellcheck disable=SC2046,SC2086
cargo test --workspace $(printf -- '--test %s ' $suites) -- --ignored --test-threads=1 "$@"
