#!/usr/bin/env bash
# Measures how the cost of a backup to S3 grows, with the size, the number of tables and the parts in flight: pgbk beside the
# shell pipeline, restic and rclone, all in one run on two cores with the same database, store, part size and zstd at level 3.
#   GROWTH_GB="0.1 1"       sizes of the dump                  TABLES="1 100 10000"   numbers of tables, of 100 MB together
#   PARTS="1 2 4"           parts in flight (4 elsewhere), at PARTS_GB=1
#   RUNS=3                  rounds, all sides in turn          PART_MB=16             size of a part
#   BENCH_DIR=/var/tmp      where the databases and the stores are; a disk with 2.5 times the largest size free, and 5 GB
#   BENCH_PGBK=…            an installed pgbk instead of a release build
# Results as JSON: target/bench/growth.json; every single run: target/bench/growth.tsv.
# shellcheck disable=SC2317,SC2329  # the sides are called by name
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=benches/parts/place.sh
. "$here/benches/parts/place.sh"
# shellcheck source=benches/parts/peers.sh
. "$here/benches/parts/peers.sh"

GROWTH_GB=${GROWTH_GB:-0.1 1} TABLES=${TABLES:-1 100 10000} PARTS=${PARTS:-1 2 4} PARTS_GB=${PARTS_GB:-1}
TABLES_MB=${TABLES_MB:-100}
rows=$out/growth.tsv
sizes=$out/growth-sizes.tsv
# The server is only read from. Without fsync ten thousand tables are made in a minute; a dump locks them all at once.
server_settings=('shared_buffers = 512MB' 'max_wal_size = 2GB' 'checkpoint_timeout = 30min' 'maintenance_work_mem = 256MB'
    'autovacuum = off' 'fsync = off' 'max_locks_per_transaction = 512')

main() {
    on_two_cores "$@"
    local sizes_gb gb count
    mapfile -t sizes_gb < <(tr ' ' '\n' <<<"$GROWTH_GB $PARTS_GB" | sort -g -u)
    begin "$(bytes_of "${sizes_gb[-1]}" 2.5 5)" restic rclone
    mkdir "$work/tmp"
    export TMPDIR=$work/tmp LC_ALL=C.UTF-8
    peers
    for gb in "${sizes_gb[@]}"; do
        database "size_$gb" "$(bytes_of "$gb")"
        if [[ " $GROWTH_GB " == *" $gb "* ]]; then
            in_flight 4
            point size "$gb" "size_$gb"
        fi
        if [ "$gb" = "$PARTS_GB" ]; then
            for count in $PARTS; do
                in_flight "$count"
                point parts "$count" "size_$gb"
            done
        fi
        dropdb "size_$gb"
    done
    in_flight 4
    for count in $TABLES; do
        tables "tables_$count" "$count" $((TABLES_MB * 1000000))
        point tables "$count" "tables_$count"
        dropdb "tables_$count"
    done
    tools >"$out/growth-tools"
    "$python" "$here/benches/growth.py" "$rows" "$sizes" "$(machine)" "$out/growth-tools" "$out/growth.json"
}

# bytes_of GB [TIMES [MORE_GB]]
bytes_of() {
    awk "BEGIN { printf \"%.0f\", $1 * 1e9 * ${2:-1} + ${3:-0} * 1e9 }"
}

machine() {
    echo "$(hardware). $RUNS rounds, S3 is SeaweedFS on loopback on the same cores, parts of $PART_MB MiB, four in flight where nothing" \
        "else is said; all compress with zstd at level 3 (restic calls that level auto, and uses every core for it) and encrypt." \
        "Parts in flight at $PARTS_GB GB; tables of $TABLES_MB MB together. Server: ${server_settings[*]}."
}

# --- one point of a curve: all sides in turn, each into an empty bucket

# point AXIS AT DATABASE
point() {
    local row="$1 $2" db=$3 reference
    say "$row"
    reference=$(pg_dump "$db" | sum)
    in_turn floor with_pgbk with_shell with_restic with_rclone
    drop_bucket
}

# Of the lines of a dump in whatever order, without those that are other ones in each: several connections read a table in parts, each of
# which is a COPY of its own.
sum() {
    LC_ALL=C grep -avE '^(\\(un)?restrict |COPY |\\\.$|--|$)' | LC_ALL=C sort -S 512M | b2sum
}

floor() {
    pipeline "$row" pg_dump "pg_dump $db >/dev/null"
}

with_pgbk() {
    S3_PART_SIZE=${PART_MB}M backup "$row" pgbk s3 zstd "$db"
    comes_back pgbk "${pgbk_s3[@]}" S3_BUCKET="$bucket" DB_NAME="$db" "$BENCH_PGBK" download latest -o -
}

with_shell() {
    local object
    fresh_bucket
    object=s3://$bucket/dump.sql.zst.enc
    pipeline "$row" shell "pg_dump $db | zstd -q -3 -T1 | openssl enc -aes-256-cbc -K \$key -iv \$iv | aws s3 cp --quiet - $object"
    comes_back shell bash -o pipefail -ec "aws s3 cp --quiet $object - | openssl enc -d -aes-256-cbc -K \$key -iv \$iv | zstd -qdc"
}

with_restic() {
    fresh_bucket
    fresh_repository
    pipeline "$row" restic "pg_dump $db | restic -q -o s3.connections=$parts backup --compression auto --stdin --stdin-filename dump.sql"
    comes_back restic restic -q dump latest dump.sql
}

with_rclone() {
    fresh_bucket
    export RCLONE_CONFIG_VAULT_REMOTE=store:$bucket
    pipeline "$row" rclone "pg_dump $db | zstd -q -3 -T1 | rclone rcat vault:dump.sql.zst"
    comes_back rclone bash -o pipefail -ec 'rclone cat vault:dump.sql.zst | zstd -qdc'
}

# comes_back SIDE COMMAND...: a fast backup that cannot be read is none; once per kind is enough.
comes_back() {
    [ "$round" -eq 1 ] || return 0
    printf '%s\t%s\n' "$row $1" "$(aws s3 ls --recursive --summarize "s3://$bucket" | awk '/Total Size:/ { print $3 }')" >>"$sizes"
    [ "$("${@:2}" 2>>"$log" | sum)" = "$reference" ] || { echo "$row: what $1 stored is not what pg_dump wrote" >&2; exit 1; }
}

main "$@"
