# shellcheck shell=bash
# Sourced by the scripts: a PostgreSQL server of their own, which no existing cluster notices.

# start_cluster DIR [SETTING...]
# Makes a server in the new directory DIR and starts it on a free port of 127.0.0.1; its socket is in DIR too. Exports
# PGHOST, PGPORT, PGUSER and PGPASSWORD, and puts the server's own programs first in PATH.
start_cluster() {
    local setting attempt
    cluster=$1
    shift
    PATH=$(newest_postgresql):$PATH
    PGPASSWORD=$(openssl rand -hex 16)
    export PATH PGPASSWORD PGHOST=127.0.0.1 PGUSER=postgres

    mkdir -p "$cluster"
    touch "$cluster/password" "$cluster/server.log"
    chmod 600 "$cluster/password"
    echo "$PGPASSWORD" >"$cluster/password"
    # The server refuses to run as root.
    [ "$(id -u)" -ne 0 ] || chown -R postgres: "$cluster"
    as_server initdb -D "$cluster/data" -U postgres -E UTF8 --locale=C.UTF-8 -A scram-sha-256 \
        --pwfile="$cluster/password" >"$cluster/initdb.log" || { cat "$cluster/initdb.log" >&2; return 1; }
    rm -f "$cluster/password"
    for setting in "listen_addresses = '127.0.0.1'" "unix_socket_directories = '$cluster'" "$@"; do
        echo "$setting" >>"$cluster/data/postgresql.conf"
    done

    # Somebody may take a port between the look and the start.
    for attempt in 1 2 3 4 5; do
        PGPORT=$(free_port)
        export PGPORT
        if as_server pg_ctl -D "$cluster/data" -o "-p $PGPORT" -l "$cluster/server.log" -w start >/dev/null 2>&1; then
            return
        fi
    done
    echo "the server did not start, $attempt times:" >&2
    tail -n 20 "$cluster/server.log" >&2
    return 1
}

# Stops the server that start_cluster began and removes its directory; nothing to do is fine too.
remove_cluster() {
    [ -n "${cluster:-}" ] || return 0
    if [ -e "$cluster/data/postmaster.pid" ]; then
        as_server pg_ctl -D "$cluster/data" -m fast -w stop >/dev/null 2>&1 ||
            as_server pg_ctl -D "$cluster/data" -m immediate -w stop >/dev/null 2>&1 || true
    fi
    rm -rf "$cluster"
    cluster=
}

as_server() (
    # The server's user may not be able to read where we are.
    cd /
    if [ "$(id -u)" -eq 0 ]; then
        exec runuser -u postgres -- "$@"
    fi
    exec "$@"
)

newest_postgresql() {
    local initdb
    initdb=$(compgen -G '/usr/lib/postgresql/*/bin/initdb' | sort -V | tail -n 1)
    echo "${initdb%/initdb}"
}

# Below the ports that the system gives to clients, so that only another server can take it.
free_port() {
    local port
    while port=$((16000 + RANDOM % 16000)); do
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "$port"
            return
        fi
    done
}
