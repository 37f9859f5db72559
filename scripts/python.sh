#!/usr/bin/env bash
# Builds a folder of plugins in Python to components, with the SDK and componentize-py in an environment of their own. Quiet when
# there is nothing to do: a component is built again only when its source, the SDK or the tool has changed.
# Where Python cannot be used, says why, and exits with 3.
#   python.sh [FOLDER [OUT]]   the examples, into target/python
#   python.sh --python         only the environment; prints its interpreter
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

root="$PWD"
environment="${CARGO_TARGET_DIR:-$root/target}/python-environment"
python="$environment/bin/python"

unusable() {
    echo "$1" >&2
    exit 3
}

checksum() { cat "$@" | cksum | tr -d ' \n'; }

sdk_files() { find sdk/python/tidegate_sdk sdk/python/pyproject.toml -type f ! -name '*.pyc' | LC_ALL=C sort; }

make_environment() {
    local found wanted log="$environment.log"
    wanted=$(sdk_files | xargs cat | cksum | tr -d ' ')
    [ "$(cat "$environment/tidegate-sdk" 2>/dev/null)" != "$wanted" ] || return 0
    found=$(command -v python3) || unusable 'python3 is not there (Debian: apt-get install python3-venv)'
    "$found" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || unusable "$("$found" --version) is older than 3.10"
    mkdir -p "$(dirname "$environment")"
    if [ ! -x "$python" ]; then
        rm -rf "$environment"
        "$found" -m venv "$environment" >"$log" 2>&1 ||
            unusable "python3 -m venv fails (Debian: apt-get install python3-venv): $(tail -n 1 "$log")"
    fi
    echo 'installing the SDK for Python and componentize-py' >&2
    "$python" -m pip install --quiet --disable-pip-version-check "$root/sdk/python" >"$log" 2>&1 ||
        unusable "pip cannot install them: $(tail -n 1 "$log"); all of it is in $log"
    echo "$wanted" >"$environment/tidegate-sdk"
}

make_environment
if [ "${1:-}" = --python ]; then
    echo "$python"
    exit
fi
folder="${1:-examples/python}"
out="$root/${2:-target/python}"
mkdir -p "$out"
for source in "$folder"/*.py; do
    module=$(basename "$source" .py)
    name=$(echo "$module" | tr _ -)
    stamp="$(checksum "$source") $(cat "$environment/tidegate-sdk")"
    if [ ! -e "$out/$name.wasm" ] || [ "$(cat "$out/.$name.stamp" 2>/dev/null)" != "$stamp" ]; then
        "$python" -m tidegate_sdk build "$source" -o "$out/$name.wasm"
        echo "$stamp" >"$out/.$name.stamp"
    fi
done
