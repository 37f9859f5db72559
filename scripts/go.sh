#!/usr/bin/env bash
# Builds the example in Go to components, in target/go. Quiet when there is nothing to do. Where its tools are not there, says which, and
# exits with 3.
#   go.sh [FOLDER [OUT]]      each folder of FOLDER with a package export_… is a plugin
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

root="$PWD"
library=examples/go
tools="${TIDEGATE_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/tidegate/tools}"
environment="${CARGO_TARGET_DIR:-$root/target}/go-environment"
PATH="$tools/bin:$PATH"

unusable() {
    echo "$1" >&2
    exit 3
}

checksum() { find "$@" -type f | LC_ALL=C sort | xargs cat | cksum | tr -d ' \n'; }

make_environment() {
    local wanted missing log="$environment.log"
    missing=$(scripts/prerequisites.sh go 2>&1) || unusable "$missing"
    wanted=$(checksum "$library/package.json" "$library/package-lock.json")
    [ "$(cat "$environment/tidegate" 2>/dev/null)" != "$wanted" ] || return 0
    echo 'installing jco-transpile, which makes components of core modules' >&2
    mkdir -p "$environment"
    cp "$library/package.json" "$library/package-lock.json" "$environment"
    npm install --prefix "$environment" --ignore-scripts --no-audit --no-fund --no-save >"$log" 2>&1 ||
        unusable "npm cannot install jco-transpile: $(grep -m 1 'npm error' "$log" || tail -n 1 "$log"); all of it is in $log"
    echo "$wanted" >"$environment/tidegate"
}

# build PLUGIN WORLD: a module of the bindings, their support and the plugin's packages.
build() {
    local module
    module="$environment/$(basename "$1")"
    rm -rf "$module" &&
        mkdir -p "$module" &&
        wit-bindgen go wit -w "$2" --out-dir "$module" &&
        cp -r "$tools/wit-bindgen-go" "$module/support" &&
        cp -r "$library/columns" "$1"/export_* "$module" &&
        go -C "$module" mod edit -replace go.bytecodealliance.org/pkg=./support &&
        GOOS=wasip1 GOARCH=wasm go -C "$module" build -trimpath -buildmode=c-shared -ldflags='-s -w -checklinkname=0' -o core.wasm . &&
        TIDEGATE_NODE_MODULES="$environment" node "$library/componentize.mjs" "$module/core.wasm" wit/tidegate.wit "$2" "$module/component.wasm"
}

make_environment
folder="${1:-$library}"
out="${2:-target/go}"
mkdir -p "$out"
for plugin in "$folder"/*/; do
    plugin="${plugin%/}"
    if [ -d "$plugin/export_tidegate_plugin_filter" ]; then
        world=filter-plugin
    elif [ -d "$plugin/export_tidegate_plugin_enrich" ]; then
        world=enrich-plugin
    else
        continue
    fi
    name=$(basename "$plugin")
    stamp="$(checksum "$plugin" "$library/columns" "$library/adapter.wat" "$library/componentize.mjs" wit "$environment/tidegate") $(go version)"
    if [ ! -e "$out/$name.wasm" ] || [ "$(cat "$out/.$name.stamp" 2>/dev/null)" != "$stamp" ]; then
        build "$plugin" "$world" >"$environment.log" 2>&1 || { cat "$environment.log" >&2; exit 1; }
        mv "$environment/$name/component.wasm" "$out/$name.wasm"
        echo "$stamp" >"$out/.$name.stamp"
    fi
done
