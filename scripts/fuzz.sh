#!/usr/bin/env bash
# Runs the fuzz targets of tests/fuzz, each for so many seconds; what they find is in tests/fuzz/artifacts, what they have learnt in
# tests/fuzz/corpus.
#   fuzz.sh [SECONDS [TARGET…]]      60 seconds, all targets
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seconds="${1:-60}"
shift || true
[ $# -gt 0 ] || set -- inspect returned
PATH="${TIDEGATE_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/tidegate/tools}/bin:$PATH"
# Coverage is an unstable flag of the compiler, which the stable one knows too.
export RUSTC_BOOTSTRAP=1
target="${CARGO_TARGET_DIR:-$PWD/target}"
cargo test --quiet --workspace --test fuzz -- --ignored --exact seeds_are_written
for name in "$@"; do
    cargo fuzz run --fuzz-dir tests/fuzz --target-dir "$target/fuzz" --sanitizer none "$name" -- \
        -max_total_time="$seconds" -rss_limit_mb=4096 -timeout=20
done
