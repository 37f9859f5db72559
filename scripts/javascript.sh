#!/usr/bin/env bash
# Builds a folder of plugins in JavaScript to components, with componentize-qjs in a folder of its own. Quiet when there is nothing to
# do: a component is built again only when its source, what it imports, the interface or the tool has changed.
# Where Node.js cannot be used, says why, and exits with 3.
#   javascript.sh [FOLDER [OUT]]      the examples, into target/javascript
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

environment="${CARGO_TARGET_DIR:-$PWD/target}/javascript-environment"
componentize="$environment/node_modules/componentize-qjs/cli.mjs"
library=examples/javascript

unusable() {
    echo "$1" >&2
    exit 3
}

checksum() { cat "$@" | cksum | tr -d ' \n'; }

make_environment() {
    local wanted missing log="$environment.log"
    wanted=$(checksum "$library/package.json" "$library/package-lock.json")
    [ "$(cat "$environment/tidegate" 2>/dev/null)" != "$wanted" ] || return 0
    missing=$(scripts/prerequisites.sh javascript 2>&1) || unusable "$missing"
    echo 'installing componentize-qjs' >&2
    mkdir -p "$environment"
    cp "$library/package.json" "$library/package-lock.json" "$environment"
    # Not `npm ci`: it wants packages for platforms for which there are none.
    npm install --prefix "$environment" --ignore-scripts --no-audit --no-fund --no-save >"$log" 2>&1 ||
        unusable "npm cannot install componentize-qjs: $(grep -m 1 'npm error' "$log" || tail -n 1 "$log"); all of it is in $log"
    node "$componentize" --help >"$log" 2>&1 || unusable "componentize-qjs does not run here: $(tail -n 1 "$log")"
    echo "$wanted" >"$environment/tidegate"
}

make_environment
folder="${1:-$library}"
out="${2:-target/javascript}"
mkdir -p "$out"
for source in "$folder"/*.js; do
    # Which of the two a module is, is what it calls; one that calls neither is a library.
    case "$(grep -o -m 1 '^export const .* = make[A-Z][a-z]*(' "$source" || true)" in
        *makeFilter\() world=filter-plugin ;;
        *makeEnricher\() world=enrich-plugin ;;
        *) continue ;;
    esac
    name=$(basename "$source" .js)
    stamp=$(checksum "$source" "$library/tidegate.js" wit/tidegate.wit "$environment/tidegate")
    if [ ! -e "$out/$name.wasm" ] || [ "$(cat "$out/.$name.stamp" 2>/dev/null)" != "$stamp" ]; then
        node "$componentize" --wit wit --world "$world" --js "$source" --sync --stub-wasi --output "$out/.$name.new" >"$environment.log" 2>&1 ||
            { cat "$environment.log" >&2; exit 1; }
        mv "$out/.$name.new" "$out/$name.wasm"
        echo "$stamp" >"$out/.$name.stamp"
    fi
done
