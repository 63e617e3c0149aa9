# shellcheck shell=bash
# shellcheck disable=SC2154  # the benchmark and the other parts set them
# Sourced by the benchmarks: runs of both sides in turn, each a row in a file.

keys() {
    key=$(openssl rand -hex 32)
    iv=$(openssl rand -hex 16)
    pgbk_dir=(env STORE_DIR="$work/store")
    pgbk_s3=(env S3_HOST_BASE="$endpoint" S3_REGION=us-east-1 S3_FOLDER=bench S3_ACCESS_KEY_ID=bench
        S3_SECRET_ACCESS_KEY=benchsecret)
    # Nothing of a benchmark belongs among the machine's own records.
    export STATE_DIR=$work/state
    export DB_HOST=$PGHOST DB_PORT=$PGPORT DB_USER=$PGUSER DB_PASSWORD=$PGPASSWORD DB_BACKUP_ENCRYPT_KEY=$key
    export key iv
    BENCH_SERVER=$(head -n 1 "$cluster/data/postmaster.pid")
    export BENCH_SERVER BENCH_STORE=$weed
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
        # With what pgbk knows of the runs before: it refuses a folder that should hold their backups and does not.
        rm -rf "$work/store" "$STATE_DIR"
        mkdir "$work/store" "$STATE_DIR"
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
