#!/usr/bin/env bash
# Builds a workspace of plugins to components and puts them into a folder, each under its package's name. A file is only
# replaced when it has changed.
#   components.sh [WORKSPACE [FOLDER]]      the reference plugins, into target/plugins
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

root="$PWD"
workspace="${1:-plugins}"
out="$root/${2:-target/plugins}"
# A shared target folder is divided: each is a workspace of its own, with profiles of its own.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:+$CARGO_TARGET_DIR/plugins}"
[ -n "$CARGO_TARGET_DIR" ] || export CARGO_TARGET_DIR="$root/$workspace/target"

mkdir -p "$out"
cd "$workspace" # Cargo reads .cargo/config.toml, which names the linker, only from there
settings=$("$root/scripts/wasm-target.sh")
eval "$settings"
$WASM_CARGO build --release --target wasm32-unknown-unknown
for manifest in */Cargo.toml; do
    name=$(sed -n 's/^name *= *"\(.*\)"/\1/p' "$manifest" | head -n 1)
    # Packages of two workspaces may have one name: their libraries then have names of their own.
    library=$(sed -n '/^\[lib\]/,/^\[dep/s/^name *= *"\(.*\)"/\1/p' "$manifest")
    built="$CARGO_TARGET_DIR/wasm32-unknown-unknown/release/${library:-${name//-/_}}.wasm"
    cmp -s "$built" "$out/$name.wasm" || { cp "$built" "$out/.$name.new" && mv "$out/.$name.new" "$out/$name.wasm"; }
done
