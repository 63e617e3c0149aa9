# shellcheck shell=bash
# shellcheck disable=SC2154  # the benchmark and the other parts set them
# Sourced by the benchmarks: databases of a wanted size.

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

# tables NAME COUNT BYTES: so many tables with a primary key each, of so many bytes together.
tables() {
    local name=$1 count=$2 bytes=$3
    say "making the database \"$name\" of $count tables"
    createdb "$name"
    psql -X -q -d "$name" -v ON_ERROR_STOP=1 -c 'CREATE TABLE rows (id bigint, at timestamptz, kind text, payload jsonb)'
    "$python" "$here/benches/data.py" events "$bytes" 42 | psql -X -q -d "$name" -v ON_ERROR_STOP=1 -c 'COPY rows FROM STDIN'
    psql -X -q -d "$name" -v ON_ERROR_STOP=1 -v count="$count" >>"$log" <<'END'
ALTER TABLE rows ADD PRIMARY KEY (id);
ANALYZE rows;
SELECT format('CREATE TABLE events_%s AS SELECT * FROM rows WHERE id > %s AND id <= %s; ALTER TABLE events_%1$s ADD PRIMARY KEY (id)',
    n, most * (n - 1) / :count, most * n / :count) FROM generate_series(1, :count) n, (SELECT max(id) FROM rows) whole (most) \gexec
DROP TABLE rows;
CHECKPOINT;
END
    # What a first reader writes into new pages is written before anything is measured.
    printf '%s\t%s\n' "plain $name" "$(pg_dump "$name" | wc -c)" >>"$sizes"
    psql -X -q -d "$name" -c CHECKPOINT
}
