#!/usr/bin/env bash
# Builds the example in C to a component, in target/c. Where its tools are not there, says which, and exits with 3.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

PATH="${TIDEGATE_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/tidegate/tools}/bin:$PATH"
missing=$(scripts/prerequisites.sh c 2>&1) || { echo "$missing" >&2; exit 3; }

bindings="${CARGO_TARGET_DIR:-$PWD/target}/c-bindings"
mkdir -p target/c "$bindings"
wit-bindgen c wit -w filter-plugin --out-dir "$bindings" >"$bindings/log" 2>&1 || { cat "$bindings/log" >&2; exit 1; }
clang-19 --target=wasm32-wasi -mexec-model=reactor -O2 -Wall -Wextra -Werror -Wl,-s -I "$bindings" -o target/c/.valid-iban.new \
    examples/c/valid_iban.c "$bindings/filter_plugin.c" "$bindings/filter_plugin_component_type.o"
mv target/c/.valid-iban.new target/c/valid-iban.wasm
