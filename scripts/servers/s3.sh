#!/usr/bin/env bash
# One S3-compatible store, versitygw, for tests: objects are files below a directory and survive a crash.
#   s3.sh install|start|wait|status|stop|kill|pause|resume|clean [DIR]
# DIR holds all of an instance: objects, log, pid. `start` installs when needed, returns when the store answers, and is
# harmless when it runs. Its bucket is `tidegate`, the region us-east-1, addresses are path-style.
# Env: S3_VERSION S3_PORT S3_DIR S3_ACCESS_KEY S3_SECRET_KEY S3_CONCURRENCY TIDEGATE_SERVERS (where installs and instances go)
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

version="${S3_VERSION:-1.7.0}"
port="${S3_PORT:-7070}"
home="$servers/versitygw-$version"
dir=$(absolute "${2:-${S3_DIR:-$servers/run/s3-$port}}")
log="$dir/s3.log"

install() { [ -f "$home/complete" ] || with_lock s3 install_locked; }

install_locked() {
    [ ! -f "$home/complete" ] || return 0
    command -v go >/dev/null || die "Go is missing: see scripts/prerequisites.sh s3"
    say "building versitygw $version into $home, which takes minutes"
    rm -rf "$home"; mkdir -p "$home"
    GOBIN="$home" GOFLAGS= go install "github.com/versity/versitygw/cmd/versitygw@v$version" >"$home/install.log" 2>&1 \
        || { tail -n 20 "$home/install.log" >&2; die "the build failed, see $home/install.log"; }
    touch "$home/complete"
}

# One action at a time: this store looks whether an object is there, and then puts it. Two that do so at once would both be told
# that theirs is the first, which is what `If-None-Match: *` is to exclude.
start() {
    claim_port "$port"
    mkdir -p "$dir/objects/tidegate" "$dir/attributes"
    [ ! -f "$log" ] || mv "$log" "$log.old"
    (
        export ROOT_ACCESS_KEY="${S3_ACCESS_KEY:-test}" ROOT_SECRET_KEY="${S3_SECRET_KEY:-testtest1}"
        # Attributes as files: not every file system has its own.
        detached "$home/versitygw" --port "127.0.0.1:$port" --quiet \
            posix --concurrency "${S3_CONCURRENCY:-1}" --sidecar "$dir/attributes" "$dir/objects" >"$log" 2>&1 </dev/null
    ) &
    echo $! >"$dir/pid"
}

ready() { curl -sS -o /dev/null --max-time 2 "http://127.0.0.1:$port/" 2>/dev/null; }

dispatch "${1:-}"
