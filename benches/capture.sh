#!/usr/bin/env bash
# Measures continuous backup on two cores that the server shares: capture beside pg_recvlogical, the time from a commit until it is
# stored, what it costs the application, memory, and how fast changes are applied.
#   CHANGES=1000000   changed rows that are applied, and a third of those that are streamed
#   LARGE=3000000     rows of the transaction by which memory is measured
#   RUNS=3            rounds of each row, in turn          SECONDS_EACH=30 how long latency and cost are measured each time
#   ROWS="stream apply memory latency cost"
#   BENCH_DIR=/var/tmp   where the database and the store are; a real disk with 10 GB free
#   BENCH_PGBK=…         an installed pgbk instead of a release build
# Results as JSON: target/bench/capture.json; every single run: target/bench/capture.tsv.
# shellcheck disable=SC2317,SC2329  # the rows' functions are called by name
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=benches/parts/place.sh
. "$here/benches/parts/place.sh"

CHANGES=${CHANGES:-1000000} LARGE=${LARGE:-3000000} SECONDS_EACH=${SECONDS_EACH:-30}
ROWS=${ROWS:-stream apply memory latency cost}
rows=$out/capture.tsv
sizes=$out/capture-sizes.tsv
server_settings=('shared_buffers = 512MB' 'max_wal_size = 8GB' 'checkpoint_timeout = 30min' 'autovacuum = off' 'wal_level = logical')

main() {
    on_two_cores "$@"
    local row
    known_rows
    begin 10000000000
    export DB_NAME=changes DB_BACKUP_COMPRESS=zstd CAPTURE_SLOT=bench CAPTURE_BASES=0 CAPTURE_INTERVAL=1s STORE_DIR=$work/store
    createdb changes
    sql -f "$here/benches/parts/changes.sql"
    for row in $ROWS; do
        say "$row"
        "row_$row"
    done
    "$python" "$here/benches/capture.py" "$rows" "$sizes" "$(machine)" "$out/capture.json"
}

machine() {
    echo "$(hardware); $(pg_dump --version). $CHANGES changed rows, zstd:3, encrypted, to a directory, CAPTURE_INTERVAL=1s, $RUNS rounds;" \
        "server: ${server_settings[*]}."
}

sql() { psql -X -q -A -t -v ON_ERROR_STOP=1 -d changes "$@"; }
note() { printf '%s\t%s\n' "$1" "$2" >>"$sizes"; }

# --- the capture

# A new chain in a new store, with a base of tables without rows, and the slot of the peer at the same place.
anew() {
    gone
    rm -rf "$work/store" "$STATE_DIR"
    mkdir "$work/store" "$STATE_DIR"
    sql -c "TRUNCATE accounts, links, rare, burst RESTART IDENTITY" -c CHECKPOINT
    "$BENCH_PGBK" capture --setup >>"$log" 2>&1
    sql -c "SELECT pg_create_logical_replication_slot('peer', 'pgoutput')" >>"$log"
    "$BENCH_PGBK" backup >>"$log" 2>&1
    began=$(sql -c "SELECT pg_current_wal_insert_lsn()")
}

gone() {
    "$BENCH_PGBK" capture --teardown >>"$log" 2>&1 || true
    sql -c "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = 'peer'" >>"$log"
}

# changed KIND ROWS: makes the changes, and sets where they end.
changed() {
    # The plan of an empty table would be kept.
    sql -c "SET enable_seqscan = off" -c "CALL $1($2)"
    committed
    note "$row wal" "$(sql -c "SELECT pg_wal_lsn_diff('$end', '$began')::bigint")"
}

# A last change, by whose place it is known that all have come.
committed() {
    end=$(sql -c "INSERT INTO rare (text) VALUES ('last') RETURNING pg_current_wal_insert_lsn()" -c CHECKPOINT)
}

# captured SIDE: how long it takes until all of it is stored and confirmed.
captured() {
    measure "$row" "$1" "$python" "$here/benches/until.py" bench "$end" -- "$BENCH_PGBK" capture
}

# The capture in the background, once it has stored all that was there.
begin_capture() {
    "$BENCH_PGBK" capture >>"$log" 2>&1 &
    capturing=$!
    local end waited stored="SELECT 1 FROM pg_replication_slots WHERE slot_name = 'bench' AND active AND confirmed_flush_lsn >"
    committed
    for waited in {1..600}; do
        [ -z "$(sql -c "$stored '$end'")" ] || return 0
        sleep 0.1
    done
    echo "the capture did not catch up, after $waited tries" >&2
    return 1
}

end_capture() {
    kill -TERM "$capturing"
    wait "$capturing" || true
}

# --- the rows

row_stream() {
    local row=stream end began publications
    stream_pgbk() { captured pgbk; }
    stream_peer() {
        measure stream peer pg_recvlogical -d changes -S peer --start --endpos="$end" -f /dev/null -o proto_version=1 \
            -o publication_names="$publications"
    }
    # The last segment is stored a second after its changes, which counts for little among so many.
    local changes=$((CHANGES * 3))
    note "stream changes" "$changes"
    for ((round = 1; round <= RUNS; round++)); do
        anew
        changed mixed "$changes"
        publications=$(sql -c "SELECT string_agg(quote_ident(pubname), ',') FROM pg_publication")
        if ((round % 2)); then stream_pgbk && stream_peer; else stream_peer && stream_pgbk; fi
    done
}

row_apply() {
    local row=apply kind end began
    note "apply changes" "$CHANGES"
    for kind in mixed inserts; do
        round=1
        anew
        changed "$kind" "$CHANGES"
        captured "$kind-captured"
        for ((round = 1; round <= RUNS; round++)); do
            psql -X -q -d postgres -c "DROP DATABASE IF EXISTS target" -c CHECKPOINT >>"$log" 2>&1
            measure apply "$kind" "$BENCH_PGBK" restore --at latest --to target --yes
        done
        equal
        [ "$kind" != mixed ] || parts_read
    done
    psql -X -q -d postgres -c "DROP DATABASE target"
}

# What is fast and wrong is worth nothing.
equal() {
    local each both
    for each in accounts links rare burst; do
        both=$(for db in changes target; do
            psql -X -A -t -d "$db" -c "SELECT count(*), sum(hashtextextended(t::text, 0)::numeric) FROM $each t"
        done | sort -u | wc -l)
        [ "$both" -eq 1 ] || { echo "$each is not what it was" >&2; exit 1; }
    done
}

# What is fetched for a table with a hundredth of the changes: all at one time, or one in each hundred transactions.
parts_read() {
    note "read all" "$(fetched)"
    note "read burst" "$(fetched --table burst)"
    note "read rare" "$(fetched --table rare)"
}

# fetched OPTION...: bytes of changes that a restore would read.
fetched() {
    "$BENCH_PGBK" restore --at latest --to elsewhere --dry-run --json "$@" 2>>"$log" |
        "$python" -c 'import json, sys; print(json.load(sys.stdin)["changes"]["stored_bytes"])'
}

row_memory() {
    local row=memory end began
    round=1
    anew
    sql -c "INSERT INTO accounts (n, filler) SELECT g, md5(g::text) FROM generate_series(1, $LARGE) g"
    committed
    note "memory rows" "$LARGE"
    captured pgbk
}

row_latency() {
    anew
    sql -c "CALL inserts(10000)"
    begin_capture
    "$python" "$here/benches/latency.py" bench "$SECONDS_EACH" idle >>"$sizes"
    load "$SECONDS_EACH" -R 500 >>"$log" 2>&1 &
    local loading=$!
    "$python" "$here/benches/latency.py" bench "$SECONDS_EACH" load >>"$sizes"
    wait "$loading"
    end_capture
}

# load SECONDS OPTION...: what an application does.
load() {
    pgbench -n -d changes -f "$here/benches/parts/load.sql" -c 2 -T "$@"
}

tps() { load "$SECONDS_EACH" 2>>"$log" | sed -nE 's/^tps = ([0-9]+).*/\1/p'; }

row_cost() {
    local before
    cost_without() { note "cost without $round" "$(tps)"; }
    cost_with() {
        begin_capture
        note "cost with $round" "$(tps)"
        end_capture
    }
    anew
    sql -c "CALL inserts(10000)"
    # The slot of the peer has none who reads from it.
    sql -c "SELECT pg_drop_replication_slot('peer')" >>"$log"
    in_turn cost_without cost_with
    begin_capture
    before=$(ticks)
    sleep "$SECONDS_EACH"
    note "cost idle" $((($(ticks) - before) * 1000 / $(getconf CLK_TCK) / SECONDS_EACH))
    end_capture
}

# Processor time of the capture and of the server's process that streams to it.
ticks() {
    local sender
    sender=$(sql -c "SELECT active_pid FROM pg_replication_slots WHERE slot_name = 'bench'")
    sed 's/.*) //' "/proc/$capturing/stat" "/proc/$sender/stat" | awk '{ ticks += $12 + $13 } END { print ticks }'
}

main "$@"
