#!/usr/bin/env bash
# Says what is missing on this machine to build, test or lint Tidegate: one line for each thing, with the command that
# installs it on Debian and on macOS. Quiet, and exit code 0, when all is there.
#   prerequisites.sh [--install] build|python|javascript|go|c|servers|s3|lint|fuzz...
# --install: as root on Debian, installs what is missing with apt-get; cargo-deny, cargo-fuzz and wit-bindgen go to $TIDEGATE_TOOLS.
set -euo pipefail

rust_needed=1.95
cargo_deny_version=0.20.2
cargo_fuzz_version=0.13.2
wit_bindgen_version=0.61.1
tools="${TIDEGATE_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/tidegate/tools}"
install=no
[ "${1:-}" != --install ] || { install=yes; shift; }
packages= # of Debian, to install
missing=0

have() { command -v "$1" >/dev/null 2>&1; }

# lacks WHAT DEBIAN_PACKAGES OTHER: OTHER is what to type on macOS, or on both where no Debian package is named.
lacks() {
    if [ "$install" = yes ] && [ -n "$2" ]; then
        packages="$packages $2"
    elif [ -n "$2" ]; then
        printf 'missing: %s. Debian: apt-get install %s; macOS: %s\n' "$1" "$2" "$3" >&2
        missing=1
    else
        printf 'missing: %s. Run: %s\n' "$1" "$3" >&2
        missing=1
    fi
}

# at_least HAVE NEEDED: versions of two numbers.
at_least() {
    local have_minor=${1#*.} need_minor=${2#*.}
    [ "${1%%.*}" -gt "${2%%.*}" ] || { [ "${1%%.*}" -eq "${2%%.*}" ] && [ "${have_minor%%.*}" -ge "$need_minor" ]; }
}

go_release() { go version 2>/dev/null | sed -n 's/^go version go\([0-9]*\.[0-9]*\).*/\1/p'; }

rust_release() { rustc --version 2>/dev/null | sed -n 's/^rustc \([0-9]*\.[0-9]*\).*/\1/p'; }

java_release() { # 17 of `openjdk version "17.0.15"`
    "${JAVA_HOME:+$JAVA_HOME/bin/}java" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -n 1
}

openssl_headers() {
    [ -n "${OPENSSL_DIR:-}" ] || pkg-config --exists openssl 2>/dev/null || [ -d /opt/homebrew/opt/openssl@3 ] || [ -d /usr/local/opt/openssl@3 ]
}

need_build() {
    local release
    release=$(rust_release || true)
    if [ -z "$release" ] || ! have cargo; then
        lacks "Rust $rust_needed or newer" '' 'the installer of https://rustup.rs'
    elif ! at_least "$release" "$rust_needed"; then
        lacks "Rust $rust_needed or newer (this is $release)" '' 'rustup update stable'
    fi
    { have cc && have c++; } || lacks 'a C and C++ compiler' build-essential 'xcode-select --install'
    have make || lacks make make 'xcode-select --install'
    have pkg-config || lacks pkg-config pkg-config 'brew install pkg-config'
    openssl_headers || lacks "OpenSSL's headers" libssl-dev 'brew install openssl@3'
}

need_python() {
    python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null ||
        lacks 'Python 3.10 or newer with venv and pip' python3-venv 'brew install python'
}

need_c() {
    local packages='clang-19 lld-19 wasi-libc libclang-rt-19-dev-wasm32'
    { have clang-19 && have wasm-ld-19 && [ -d /usr/include/wasm32-wasi ]; } ||
        lacks 'clang 19 and the C library for WebAssembly' "$packages" 'not tried'
    need_wit_bindgen c
}

need_go() {
    local release
    release=$(go_release || true)
    { [ -n "$release" ] && at_least "$release" 1.25; } || lacks 'Go 1.25 or newer' '' 'the installer of https://go.dev/dl'
    need_javascript # jco-transpile makes components
    need_wit_bindgen go
}

# need_wit_bindgen GROUP: with bindings for C and for Go, and the package that the latter want, which is in the crate's source.
need_wit_bindgen() {
    local source
    PATH="$tools/bin:$PATH"
    if have wit-bindgen && { [ "$1" = c ] || [ -d "$tools/wit-bindgen-go" ]; }; then
        return
    elif [ "$install" = yes ]; then
        echo "installing wit-bindgen $wit_bindgen_version into $tools" >&2
        cargo install --quiet --locked --force wit-bindgen-cli --version "$wit_bindgen_version" --no-default-features --features c,go --root "$tools"
        source=$(find "${CARGO_HOME:-$HOME/.cargo}/registry/src" -maxdepth 2 -name "wit-bindgen-go-$wit_bindgen_version" | head -n 1)
        rm -rf "$tools/wit-bindgen-go"
        cp -r "$source/src/pkg" "$tools/wit-bindgen-go"
    else
        lacks wit-bindgen '' "scripts/prerequisites.sh --install $1"
    fi
}

need_javascript() {
    local release
    release=$(node --version 2>/dev/null | sed -n 's/^v\([0-9]*\).*/\1/p')
    { [ -n "$release" ] && [ "$release" -ge 18 ] && have npm; } || lacks 'Node.js 18 or newer with npm' 'nodejs npm' 'brew install node'
}

need_servers() {
    local release
    release=$(java_release 2>/dev/null || true)
    { [ -n "$release" ] && [ "$release" -ge 17 ] && have "${JAVA_HOME:+$JAVA_HOME/bin/}javac"; } ||
        lacks 'a JDK of Java 17 or newer' default-jdk-headless 'brew install openjdk'
    have mvn || lacks Maven maven 'brew install maven'
    have curl || lacks curl curl 'brew install curl'
    have unzip || lacks unzip unzip 'brew install unzip'
}

# The store is built from source, by a Go that fetches the version that the source wants.
need_s3() {
    local release
    release=$(go_release || true)
    { [ -n "$release" ] && at_least "$release" 1.21; } || lacks 'Go 1.21 or newer' '' 'the installer of https://go.dev/dl'
    have curl || lacks curl curl 'brew install curl'
}

need_lint() {
    cargo clippy --version >/dev/null 2>&1 || lacks clippy '' 'rustup component add clippy'
    cargo fmt --version >/dev/null 2>&1 || lacks rustfmt '' 'rustup component add rustfmt'
    PATH="$tools/bin:$PATH"
    if ! have cargo-deny; then
        if [ "$install" = yes ]; then
            echo "installing cargo-deny $cargo_deny_version into $tools" >&2
            cargo install --quiet --locked cargo-deny --version "$cargo_deny_version" --root "$tools"
        else
            lacks cargo-deny '' "cargo install --locked cargo-deny --version $cargo_deny_version"
        fi
    fi
}

need_fuzz() {
    need_build
    PATH="$tools/bin:$PATH"
    if ! have cargo-fuzz; then
        if [ "$install" = yes ]; then
            echo "installing cargo-fuzz $cargo_fuzz_version into $tools" >&2
            cargo install --quiet --locked cargo-fuzz --version "$cargo_fuzz_version" --root "$tools"
        else
            lacks cargo-fuzz '' "cargo install --locked cargo-fuzz --version $cargo_fuzz_version"
        fi
    fi
}

install_packages() {
    { have apt-get && [ "$(id -u)" = 0 ]; } || {
        echo "to install:$packages (Debian's names); run as root on Debian: apt-get install$packages" >&2
        exit 1
    }
    echo "apt-get install$packages" >&2
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq update >/dev/null || true # an index of yesterday will do
    # shellcheck disable=SC2086
    apt-get -qq -y -o Dpkg::Use-Pty=0 install --no-install-recommends $packages >/dev/null
}

for group in "$@"; do "need_$group"; done
[ -z "$packages" ] || install_packages
exit "$missing"
