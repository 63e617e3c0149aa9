#!/usr/bin/env bash
# Measures pgbk side by side with what people use otherwise, all in one run on two cores, and prints a table of ratios.
#   SIZE_GB=2     the database, as pg_dump writes it        XZ_MB=200   the one for the rows with xz: at 1.5 to 12 MB/s
#                                                           each of its 6 runs a round takes minutes
#   RUNS=3        rounds of each row, both sides in turn    PART_MB=16  part size of `aws s3 cp`
#   ROWS="plain zstd xz shell staging restore table copy many memory startup store"
#   BENCH_DIR=/var/tmp   where the databases and the stores are; a real disk with six times SIZE_GB free
#   BENCH_PGBK=…         an installed pgbk instead of a release build
# Results as JSON: target/bench/results.json; every single run: target/bench/rows.tsv.
# shellcheck disable=SC2317,SC2329  # the rows' functions are called by name
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=benches/parts/place.sh
. "$here/benches/parts/place.sh"

SIZE_GB=${SIZE_GB:-2} XZ_MB=${XZ_MB:-200}
ROWS=${ROWS:-plain zstd xz shell staging restore table copy many memory startup store}
rows=$out/rows.tsv
sizes=$out/sizes.tsv
size=$(awk "BEGIN { printf \"%d\", $SIZE_GB * 1e9 }")
server_settings=('shared_buffers = 512MB' 'max_wal_size = 8GB' 'checkpoint_timeout = 30min' 'maintenance_work_mem = 256MB'
    'autovacuum = off' 'max_locks_per_transaction = 512')

main() {
    on_two_cores "$@"
    local row
    known_rows
    begin $((size * 6 + 1000000000))
    for row in $ROWS; do
        say "$row"
        "row_$row"
    done
    "$python" "$here/benches/report.py" "$rows" "$sizes" "$(machine)" "$out/results.json"
}

machine() {
    echo "$(hardware); $(pg_dump --version); xz $(xz --version | sed -n 's/^xz.* //p')." \
        "Database $SIZE_GB GB ($XZ_MB MB with xz), $RUNS rounds, S3 is SeaweedFS 4.48 on loopback on the same cores;" \
        "server: ${server_settings[*]}."
}

# --- the databases

full() { database full "$size"; }
quarter() { database quarter $((size / 4)); }
small() { database small $((XZ_MB * 1000000)); }

# --- the rows

dump_only() { pipeline "$row" peer 'pg_dump full >/dev/null'; }

row_plain() {
    plain_dir() { backup plain dir dir 0 full; }
    plain_s3() { backup plain s3 s3 0 full; }
    # What the same work takes without pgbk, on cores that the server and the store use too.
    plain_shell() {
        fresh_bucket
        pipeline plain shell "pg_dump full | openssl enc -aes-256-cbc -K \$key -iv \$iv |
            aws s3 cp --quiet --expected-size $size - s3://$bucket/full.sql.enc"
    }
    full
    in_turn dump_only plain_dir plain_s3 plain_shell
}

row_zstd() {
    zstd_dir() { backup zstd dir dir zstd full; }
    zstd_1() { DB_BACKUP_COMPRESS_LEVEL=1 backup zstd dir-1 dir zstd full; }
    zstd_s3() { backup zstd s3 s3 zstd full; }
    zstd_pipe() { pipeline zstd pipe 'pg_dump full | zstd -q -3 -T1 >/dev/null'; }
    full
    in_turn dump_only zstd_dir zstd_1 zstd_s3 zstd_pipe
}

row_xz() {
    xz_peer() { pipeline xz peer 'pg_dump small | xz -T0 -4 >/dev/null'; }
    xz_dir() { backup xz dir dir xz small; }
    small
    in_turn xz_peer xz_dir
    printf '%s\t%s\n' "xz peer" "$(pg_dump small | xz -T0 -4 | wc -c)" >>"$sizes"
    # The order of the last round may have left the directory of another side.
    printf '%s\t%s\n' "xz pgbk" "$(find "$work/store" -name '*.sql.xz.enc' -printf '%s')" >>"$sizes"
}

row_shell() {
    shell_peer() {
        fresh_bucket
        pipeline shell peer "pg_dump small | xz -T0 -4 | openssl enc -aes-256-cbc -K \$key -iv \$iv |
            aws s3 cp --quiet - s3://$bucket/small.sql.xz.enc"
    }
    shell_s3() { backup shell s3 s3 xz small; }
    small
    in_turn shell_peer shell_s3
}

row_staging() {
    staging_xz() {
        fresh_bucket
        pipeline staging xz-peer "cd '$work'; pg_dump -f small.sql small; b2sum small.sql >small.b2; xz -T0 -4 small.sql
            openssl enc -aes-256-cbc -K \$key -iv \$iv -in small.sql.xz -out small.sql.xz.enc
            aws s3 cp --quiet small.sql.xz.enc s3://$bucket/; rm small.*"
    }
    staging_xz_s3() { backup staging xz-s3 s3 xz small; }
    staging_plain() {
        fresh_bucket
        pipeline staging plain-peer "cd '$work'; pg_dump -f full.sql full; b2sum full.sql >full.b2
            openssl enc -aes-256-cbc -K \$key -iv \$iv -in full.sql -out full.sql.enc
            aws s3 cp --quiet full.sql.enc s3://$bucket/; rm full.*"
    }
    staging_plain_s3() { backup staging plain-s3 s3 0 full; }
    small
    full
    in_turn staging_xz staging_xz_s3
    in_turn staging_plain staging_plain_s3
}

# An empty database for a restore, and nothing left to write of the one before.
empty() {
    psql -X -q -d postgres -c "DROP DATABASE IF EXISTS target" -c "CREATE DATABASE target TEMPLATE template0" \
        -c "CHECKPOINT" >>"$log" 2>&1
}

row_restore() {
    restore_psql() {
        empty
        measure restore peer psql -X -q -v ON_ERROR_STOP=1 -1 -d target -f "$work/local.sql"
    }
    restore_jobs() {
        empty
        measure restore jobs pg_restore -j2 -d target "$work/local.dir"
    }
    restore_dir() {
        empty
        measure restore dir "${pgbk_dir[@]}" DB_NAME=full "$BENCH_PGBK" restore latest --to target --yes
        if [ "$round" -eq 1 ]; then
            same_as_dump
        fi
    }
    # The same as what was dumped, with rows in any order: several connections have read them.
    lines() { grep -vE '^\\(un)?restrict ' | LC_ALL=C sort | b2sum; }
    same_as_dump() {
        [ "$(pg_dump target | lines)" = "$(lines <"$work/local.sql")" ] ||
            { echo "what was restored is not what was dumped" >&2; exit 1; }
    }
    full
    pg_dump -f "$work/local.sql" full
    pg_dump -Fd -Z0 -j2 -f "$work/local.dir" full
    round=0
    backup prepare dir dir 0 full
    in_turn restore_psql restore_jobs restore_dir
    rm -rf "$work/local.sql" "$work/local.dir"
    psql -X -q -d postgres -c "DROP DATABASE target"
}

# One table with a hundredth of the rows, out of a backup of all.
row_table() {
    table_whole() {
        empty
        measure table whole "${pgbk_dir[@]}" DB_NAME=full "$BENCH_PGBK" restore latest --to target --yes
    }
    table_one() {
        empty
        measure table one "${pgbk_dir[@]}" DB_NAME=full "$BENCH_PGBK" restore latest --table hundredth --to target --yes
    }
    full
    psql -X -q -d full -c "CREATE TABLE hundredth AS SELECT * FROM events WHERE id % 45 = 0" -c "ANALYZE hundredth"
    round=0
    backup prepare dir dir zstd full
    in_turn table_whole table_one
    printf '%s\t%s\n' "table payload" "$(find "$work/store" -name '*.sql.zst.enc' -printf '%s')" >>"$sizes"
    printf '%s\t%s\n' "table read" "$("${pgbk_dir[@]}" DB_NAME=full "$BENCH_PGBK" restore latest --table hundredth --to elsewhere \
        --dry-run --json | "$python" -c 'import json, sys; print(json.load(sys.stdin)["read_bytes"])')" >>"$sizes"
    psql -X -q -d postgres -c "DROP DATABASE target"
    psql -X -q -d full -c "DROP TABLE hundredth"
}

# An anonymised backup beside the plain one: with rules for a tenth of the bytes, and for a fifth, among them texts that are made anew letter
# by letter.
row_copy() {
    copy_plain() { backup copy peer dir zstd full; }
    copy_both() { copied both "$work/tenth.toml"; }
    copy_texts() { copied texts "$work/texts.toml"; }
    # copied SIDE RULES
    copied() {
        rm -rf "$work/store" "$STATE_DIR"
        mkdir "$work/store" "$STATE_DIR"
        measure copy "$1" "${pgbk_dir[@]}" DB_NAME=full DB_BACKUP_COMPRESS=zstd OUTPUTS=plain,anonymised \
            ANONYMISE_RULES="$2" ANONYMISE_SECRET="$key" ANON_ENCRYPT_KEY="$key" "$BENCH_PGBK" backup
        [ "$(find "$work/store" -name '*.meta' | wc -l)" -eq 2 ] || { echo "copy: there are not two backups" >&2; exit 1; }
    }
    full
    cat >"$work/tenth.toml" <<'END'
[tables.public.customers]
name = "name"
email = "email"
city = "address"
since = "date"
ref = "hash"
[tables.public.orders]
price = "number"
placed_at = "date"
note = "keep"
[tables.public.events]
"*" = "keep"
[tables.public.messages]
"*" = "keep"
END
    sed 's/^note = "keep"/note = "text"/' "$work/tenth.toml" >"$work/texts.toml"
    in_turn copy_plain copy_both copy_texts
}

# What many small tables cost, which a dump locks all at once.
row_many() {
    many_peer() { pipeline many peer 'pg_dump many >/dev/null'; }
    many_dir() { backup many dir dir 0 many; }
    tables many 20000 20000000
    in_turn many_peer many_dir
    dropdb many
}

row_memory() {
    local kind
    full
    quarter
    printf '%s\t%s\n' "memory quarter" $((size / 4)) >>"$sizes"
    round=1
    for kind in 0:plain zstd:zstd; do
        backup memory "${kind#*:}-quarter" s3 "${kind%:*}" quarter
        backup memory "${kind#*:}-full" s3 "${kind%:*}" full
    done
    pg_dump -f "$work/local.sql" quarter
    measure memory zstd-codec zstd -q -3 -T1 -o "$work/local.zst" "$work/local.sql"
    rm -f "$work"/local.*
}

row_startup() {
    startup_help() { measure startup help "$BENCH_PGBK" --help; }
    startup_true() { measure startup peer true; }
    RUNS=20 in_turn startup_true startup_help 2>>"$log"
}

# What the S3 server itself takes, without PostgreSQL and without encryption: what a backup to S3 cannot beat by much.
row_store() {
    local bytes=$((size < 1000000000 ? size : 1000000000))
    store_put() {
        fresh_bucket
        measure store put aws s3 cp --quiet "$work/file" "s3://$bucket/file"
    }
    head -c "$bytes" /dev/urandom >"$work/file"
    printf '%s\t%s\n' "store put" "$bytes" >>"$sizes"
    in_turn store_put
    rm -f "$work/file"
}

main "$@"
