#!/usr/bin/env bash
# Builds the reference plugins to components and puts them into target/plugins, each under its package's name. A file
# is only replaced when it has changed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

out="$PWD/target/plugins"
# A shared target folder is divided: the plugins are a workspace of their own, with profiles of their own.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:+$CARGO_TARGET_DIR/plugins}"
[ -n "$CARGO_TARGET_DIR" ] || export CARGO_TARGET_DIR="$PWD/plugins/target"

mkdir -p "$out"
cd plugins # Cargo reads plugins/.cargo/config.toml, which names the linker, only from here
settings=$(../scripts/wasm-target.sh)
eval "$settings"
$WASM_CARGO build --release --target wasm32-unknown-unknown
for manifest in */Cargo.toml; do
    name=$(sed -n 's/^name *= *"\(.*\)"/\1/p' "$manifest" | head -n 1)
    built="$CARGO_TARGET_DIR/wasm32-unknown-unknown/release/$(echo "$name" | tr - _).wasm"
    cmp -s "$built" "$out/$name.wasm" || { cp "$built" "$out/.$name.new" && mv "$out/.$name.new" "$out/$name.wasm"; }
done
