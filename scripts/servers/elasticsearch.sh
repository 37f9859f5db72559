#!/usr/bin/env bash
# One Elasticsearch node for tests and for `make demo SERVERS=real`. It is the official build that Maven Central has for
# integration tests: without a JDK and with few modules (no scripts, no reindex, no ingest, no users but those of files).
#   elasticsearch.sh install|start|wait|status|stop|kill|pause|resume|secure|clean [DIR]
# DIR holds all of an instance: configuration, data, log, pid. `start` installs when needed, returns when the node
# answers, and is harmless when it runs.
# Env: ES_VERSION ES_PORT ES_TRANSPORT_PORT ES_HEAP ES_DIR ES_CONFIG (extra elasticsearch.yml lines)
#      ES_JVM (extra flags) ES_RUN_AS (a user, when started by root) ES_JAVA_HOME
#      ES_SECURED (a folder; security is on where it was given once. It has users, users_roles and roles.yml as the node reads
#      them, ca.pem, node.pem and node.key of the node, which lets nobody in without a certificate, and tester.pem, tester.key
#      and tester, NAME:PASSWORD, of the one who looks whether the node is there; `secure` hands it over once more)
#      TIDEGATE_SERVERS (where installs and instances go) JAVA_HOME
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

version="${ES_VERSION:-8.19.21}"
port="${ES_PORT:-9200}"
transport_port="${ES_TRANSPORT_PORT:-$((port + 100))}"
home="$servers/elasticsearch-$version"
dir=$(absolute "${2:-${ES_DIR:-$servers/run/elasticsearch-$port}}")
log="$dir/elasticsearch.log"
secured="$dir/config/secured"

# Maven Central has no checksum files for these zips, so the ones used here are pinned.
sha256() {
    case "$1" in
        7.17.29) echo 841ee00be1a72ba8e707b5a2fb55f23fe7a4184369b4585393238b1c903eedaf ;;
        8.19.21) echo 215d5f3dbf0609a149f6218a9e47b6ae2df34ebbff3c5754e35f15a5e5393c8a ;;
        8.19.16) echo c3d95992e27741b33a8057118379cda8b17cfda9e46ff4ec25e3f5b94fc22b52 ;;
        9.2.0) echo bf44938a0490ba2a303d39c9cb64b38963dd08c812ce93e10816e878585bcb6b ;;
    esac
}

checked() { if command -v sha256sum >/dev/null; then sha256sum --check --quiet; else shasum -a 256 --check --quiet; fi; }

install() { [ -f "$home/complete" ] || with_lock elasticsearch install_locked; }

install_locked() {
    [ ! -f "$home/complete" ] || return 0
    local zip="$servers/elasticsearch-$version.zip" sum
    say "installing Elasticsearch $version into $home"
    rm -rf "$home"
    fetch "$servers/elasticsearch-maven.log" copy -DoutputDirectory="$servers" \
        -Dartifact="org.elasticsearch.distribution.integ-test-zip:elasticsearch:$version:zip"
    sum=$(sha256 "$version")
    [ -z "$sum" ] || echo "$sum  $zip" | checked || die "unexpected content: $zip"
    unzip -q -d "$servers" "$zip"
    chmod +x "$home"/bin/*
    rm -f "$zip"
    touch "$home/complete"
}

# Elasticsearch refuses uid 0. As root it runs in a user namespace where root's files belong to uid 1000, so nothing has to
# be chowned and private home directories stay readable; where namespaces are forbidden, as ES_RUN_AS (default nobody).
unprivileged() {
    if [ "$(id -u)" != 0 ]; then
        "$@"
    elif [ -z "${ES_RUN_AS:-}" ] && unshare --user --map-user=1000 --map-group=1000 true 2>/dev/null; then
        chown -R "$(id -u)" "$dir" # an earlier start may have used ES_RUN_AS
        unshare --user --map-user=1000 --map-group=1000 "$@"
    else
        local user="${ES_RUN_AS:-nobody}"
        chown -R "$user" "$dir"
        setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups test -r "$home/complete" -a -w "$dir/data" \
            || die "$user cannot reach $home and $dir: set TIDEGATE_SERVERS and ES_DIR to directories outside root's home"
        setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups env HOME="$dir" "$@"
    fi
}

configure() {
    mkdir -p "$dir"/{config,data,logs,tmp}
    cp "$home/config/log4j2.properties" "$dir/config/"
    # No GC log: at test scale it only fills the disk. The vector module is missing from small JDKs and not needed.
    sed -e '/-Xlog:gc/d' -e '/jdk.incubator.vector/d' "$home/config/jvm.options" >"$dir/config/jvm.options"
    cat >"$dir/config/elasticsearch.yml" <<CONF
cluster.name: tidegate-test
node.name: n1
discovery.type: single-node
network.host: 127.0.0.1
http.port: $port
transport.port: $transport_port
path.data: $dir/data
path.logs: $dir/logs
node.store.allow_mmap: false
# On a disk that is nearly full no index would be made.
cluster.routing.allocation.disk.threshold_enabled: false
${ES_CONFIG:-}
CONF
    [ -z "${ES_SECURED:-}" ] || secure
    if [ ! -d "$secured" ]; then
        echo 'xpack.security.enabled: false' >>"$dir/config/elasticsearch.yml"
        return
    fi
    cat >>"$dir/config/elasticsearch.yml" <<CONF
xpack.security.enabled: true
xpack.security.http.ssl.enabled: true
xpack.security.http.ssl.client_authentication: required
xpack.security.http.ssl.certificate_authorities: secured/ca.pem
xpack.security.http.ssl.certificate: secured/node.pem
xpack.security.http.ssl.key: secured/node.key
resource.reload.interval.high: 1s
CONF
}

# What the node reads again when it changes.
secure() {
    mkdir -p "$secured"
    cp "$ES_SECURED"/{ca.pem,node.pem,node.key,tester.pem,tester.key,tester} "$secured/"
    cp "$ES_SECURED"/{users,users_roles,roles.yml} "$dir/config/"
}

# Elasticsearch 9 needs Java 21, and 7 and 8 take 17.
java_home() { if [ "${version%%.*}" -ge 9 ]; then java_home_of 21; else java_home_of 17; fi; }

start() {
    claim_port "$port"
    configure
    export ES_JAVA_HOME="${ES_JAVA_HOME:-${JAVA_HOME:-$(java_home)}}"
    export ES_PATH_CONF="$dir/config" ES_TMPDIR="$dir/tmp" ES_JAVA_OPTS="-Xms${ES_HEAP:-1g} -Xmx${ES_HEAP:-1g} -Dtidegate.dir=$dir ${ES_JVM:-}"
    # With -d the launcher returns when the node is up, and the pid file names the server itself.
    [ ! -f "$log" ] || mv "$log" "$log.old"
    local session=()
    ! command -v setsid >/dev/null || session=(setsid)
    unprivileged ${session[@]+"${session[@]}"} "$home/bin/elasticsearch" -d -p "$dir/pid" >"$log" 2>&1 </dev/null \
        || { tail -n 20 "$log" >&2; die "start failed, see $log and $dir/logs"; }
    # The launcher of Elasticsearch 7 returns before.
    local deadline=$((SECONDS + 30))
    until [ -s "$dir/pid" ]; do
        [ $SECONDS -lt $deadline ] || { tail -n 20 "$log" >&2; die "no $dir/pid, see $log and $dir/logs"; }
        sleep 0.1
    done
}

# Not `wait_for_status`: a test may leave an index red on purpose, and the node is up all the same.
ready() {
    local scheme=http who=()
    if [ -d "$secured" ]; then
        scheme=https
        who=(--cacert "$secured/ca.pem" --cert "$secured/tester.pem" --key "$secured/tester.key" --user "$(cat "$secured/tester")")
    fi
    curl -fsS -o /dev/null --max-time 2 ${who[@]+"${who[@]}"} \
        "$scheme://127.0.0.1:$port/_cluster/health?wait_for_no_initializing_shards=true&wait_for_events=languid&timeout=1s" 2>/dev/null
}

case "${1:-}" in
    secure) secure ;;
    *) dispatch "${1:-}" ;;
esac
