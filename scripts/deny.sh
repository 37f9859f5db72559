#!/usr/bin/env bash
# cargo deny for both workspaces: licences, sources, bans, and advisories when their database can be fetched.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

PATH="${TIDEGATE_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/tidegate/tools}/bin:$PATH"
checks="bans licenses sources"
if GIT_TERMINAL_PROMPT=0 cargo deny --log-level error fetch db 2>/dev/null; then
    checks="$checks advisories"
else
    printf '\n  !! NOT CHECKED: security advisories: their database could not be fetched\n\n' >&2
fi
for manifest in Cargo.toml plugins/Cargo.toml; do
    # shellcheck disable=SC2086
    cargo deny --log-level error --manifest-path "$manifest" --config "$PWD/deny.toml" check --hide-inclusion-graph $checks
done
