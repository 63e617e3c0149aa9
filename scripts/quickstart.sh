#!/usr/bin/env bash
# From a clean clone to a backup that is proven: builds pgbk, starts a PostgreSQL server of its own, backs a small shop
# up, encrypted and compressed, checks the backup, restores it, and compares. Needs Rust, and Debian or Ubuntu for the
# packages; touches no PostgreSQL cluster that is already there and leaves nothing running. Run it twice if
# you like: the second run removes the backups of the first.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
own=$here/.quickstart
log=$own/log
# shellcheck source=scripts/packages.sh
. "$here/scripts/packages.sh"
# shellcheck source=scripts/cluster.sh
. "$here/scripts/cluster.sh"

main() {
    cd "$here"
    forget_settings
    mkdir -p "$own"
    : >"$log"
    trap finish EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM

    step "Looking for what is needed" install
    step "Building pgbk (the first time takes some minutes)" build
    step "Starting a PostgreSQL server of its own" start
    step "Making a small shop in it" fill
    settings
    step "Backing it up: xz, AES-256, into ./backups" pgbk backup
    step "Listing what is stored" pgbk list
    step "Checking the backup to its last byte" pgbk verify latest --level content
    step "Restoring it into another database" pgbk restore latest --to shop_restored --yes
    step "Comparing the two databases" compare
    step "Decoding the backup without pgbk: openssl, xz" decode
    look_around
    verdict=OK
}

step() {
    doing=$1
    printf '\n== %s\n' "$doing"
    shift
    "$@"
}

# The shell that calls may hold settings of a real database, a real store or a real key.
forget_settings() {
    local name
    for name in "${!PG@}" "${!DB_@}" "${!S3_@}" "${!AWS_@}" STORE_DIR STATE_DIR NO_ENCRYPT ENC_PASSWORD TZ; do
        unset "$name"
    done
}

install() {
    local needs=()
    if ! command -v cargo >/dev/null && [ -r "$HOME/.cargo/env" ]; then
        # shellcheck disable=SC1091  # rustup's, outside the project
        . "$HOME/.cargo/env"
    fi
    command -v cargo >/dev/null || { echo "cargo is missing: please install Rust first, with rustup" >&2; return 1; }
    command -v cc >/dev/null || needs+=(build-essential)
    command -v pkg-config >/dev/null || needs+=(pkg-config)
    pkg-config --exists openssl 2>/dev/null || needs+=(libssl-dev)
    command -v openssl >/dev/null || needs+=(openssl)
    command -v xz >/dev/null || needs+=(xz-utils)
    has_postgresql_server || needs+=(postgresql)
    if [ ${#needs[@]} -eq 0 ]; then
        echo "everything is there"
    else
        echo "installing ${needs[*]}"
        install_packages "$log" "${needs[@]}"
    fi
}

# The development profile: half the time of a release build, and its codecs and hashes are optimised all the same.
build() {
    cargo build --locked >>"$log" 2>&1 || { tail -n 40 "$log" >&2; return 1; }
    PATH=${CARGO_TARGET_DIR:-$here/target}/debug:$PATH
    pgbk --version
}

start() {
    start_cluster "$(mktemp -d /tmp/pgbk-quickstart.XXXXXX)" 'fsync = off'
    echo "on 127.0.0.1 port $PGPORT, for as long as this runs"
}

fill() {
    createdb shop
    psql -X -q -v ON_ERROR_STOP=1 -d shop -f "$here/scripts/shop.sql" >>"$log"
    psql -X -A -t -d shop -c "
        SELECT (SELECT count(*) FROM customers) || ' customers, ' || (SELECT count(*) FROM products) || ' products, ' ||
               (SELECT count(*) FROM orders) || ' orders, ' || (SELECT count(*) FROM order_lines) || ' order lines'"
}

# The key stays: without it a second run could not read what the first one stored.
settings() {
    # The server of an earlier run is gone, and "latest" would ask which of the two is meant.
    [ ! -s "$own/settings" ] || rm -rf "$here/backups" "$own/state"
    key_file=$own/key
    [ -s "$key_file" ] || (umask 077 && openssl rand -hex 32 >"$key_file")
    cat >"$own/settings" <<END
export STORE_DIR='$here/backups' STATE_DIR='$own/state' DB_NAME=shop DB_BACKUP_COMPRESS=xz DB_BACKUP_ENCRYPT_KEY_FILE='$key_file'
END
    # shellcheck disable=SC1091  # written just now
    . "$own/settings"
    export DB_HOST=$PGHOST DB_PORT=$PGPORT DB_USER=$PGUSER DB_PASSWORD=$PGPASSWORD
    printf '\nThe encryption key is in %s (only you can read it).\n' "$key_file"
}

compare() {
    local database
    for database in shop shop_restored; do
        # pg_dump's \restrict lines hold a random word each time.
        pg_dump "$database" | grep -vE '^\\(un)?restrict ' >"$cluster/$database.sql"
    done
    cmp "$cluster/shop.sql" "$cluster/shop_restored.sql"
    echo "pg_dump of the two is equal, byte for byte: $(wc -c <"$cluster/shop.sql") bytes"
}

decode() {
    local payload iv
    payload=$(find "$STORE_DIR" -name 'shop-*.sql.xz.enc' | sort | tail -n 1)
    iv=$(sed -nE 's/.*"iv": *"([0-9a-f]{32})".*/\1/p' "${payload%.sql.xz.enc}.meta")
    openssl enc -d -aes-256-cbc -K "$(cat "$key_file")" -iv "$iv" -in "$payload" | xz -dc >"$cluster/decoded.sql"
    grep -qx -- '-- PostgreSQL database dump complete' "$cluster/decoded.sql"
    grep -vE '^\\(un)?restrict ' "$cluster/decoded.sql" | cmp - "$cluster/shop.sql"
    echo "${payload##*/} is a whole dump, and the same one"
}

look_around() {
    cat <<END

== To look around
    . .quickstart/settings                     # the store and the key of this run
    export PATH=\$PATH:${CARGO_TARGET_DIR:-$here/target}/debug
    pgbk list
    pgbk verify --all --level content
    pgbk download latest -o shop.sql           # decrypted and decompressed, ready for an editor
    pgbk --help
For a database of your own: set DB_HOST, DB_PORT, DB_USER, DB_NAME and DB_PASSWORD, and start with
    pgbk doctor
    pgbk backup
To forget all this: rm -r backups .quickstart   (the backups are lost without the key)

END
}

finish() {
    local code=$?
    trap '' INT TERM
    remove_cluster
    if [ "${verdict:-}" = OK ]; then
        echo "quickstart: OK, backed up, verified, restored and compared"
    else
        [ "$code" -ne 0 ] || code=1
        echo "quickstart: FAILED at \"${doing:-the start}\" (the log: $log)"
    fi
    exit "$code"
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
    main "$@"
fi
