#!/usr/bin/env bash
# Runs the tests of plugins in a language other than Rust, with the components that scripts/LANGUAGE.sh builds.
#   language-tests.sh python|javascript|go|c [auto|required|none]
# auto (default): where the language's tools cannot be used the tests are left out, and this says so. required: that is a failure.
# none: they are left out.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

language="$1"
wanted="${2:-auto}"

left_out() {
    local tests
    tests=$(sed -n "/^mod $language {/,/^}/p" tests/tests/languages.rs | sed -n '/#\[ignore/{n;s/^ *fn \([a-z_0-9]*\)().*/\1/p;}' | paste -sd' ' -)
    cat >&2 <<TEXT

  !! LEFT OUT: the tests of plugins in $language ($tests)
  !! because $1
TEXT
}

case "$wanted" in
    none) left_out 'none was said'; exit 0 ;;
    auto | required) ;;
    *) echo "say one of auto, required, none" >&2; exit 1 ;;
esac

failed=0
why=$("scripts/$language.sh" 2>&1 >/dev/null) || failed=$?
if [ "$failed" = 3 ] && [ "$wanted" = auto ]; then
    left_out "$why"
    exit 0
elif [ "$failed" != 0 ]; then
    echo "$why" >&2
    exit 1
fi
cargo test --workspace --test languages -- --ignored "$language::"
