#!/usr/bin/env bash
# Runs the tests of plugins in Python, with the components that scripts/python.sh builds.
# PYTHON=auto (default): where Python or pip cannot be used they are left out, and this says so. required: that is a
# failure. none: they are left out.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

left_out() {
    cat >&2 <<TEXT

  !! LEFT OUT: the tests of plugins in Python ($(sed -n '/#\[ignore/{n;s/^fn \([a-z_0-9]*\)().*/\1/p;}' tests/tests/python.rs | paste -sd' ' -))
  !! because $1
TEXT
}

case "${PYTHON:-auto}" in
    none) left_out 'PYTHON=none'; exit 0 ;;
    auto | required) ;;
    *) echo "PYTHON is one of auto, required, none" >&2; exit 1 ;;
esac

failed=0
why=$(scripts/python.sh 2>&1 >/dev/null) || failed=$?
if [ "$failed" = 3 ] && [ "${PYTHON:-auto}" = auto ]; then
    left_out "$why"
    exit 0
elif [ "$failed" != 0 ]; then
    echo "$why" >&2
    exit 1
fi
cargo test --workspace --test python -- --ignored "$@"
