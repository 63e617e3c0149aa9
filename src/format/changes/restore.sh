#!/bin/sh
# Restores a base and the changes behind it without pgbk: sh, coreutils, awk, openssl, zstd (or xz, gzip) and psql are enough.
#
#   sh restore.sh BASE.meta DATABASE [POSITION]
#
# This file stands beside the segments of a generation, in the folder @changes/<database>/<generation> of the store. The payload of the base
# stands beside its .meta. DATABASE is there already and is empty; psql finds its server by PGHOST and the like, and its user is a superuser,
# so that neither triggers nor foreign keys act again on changes that have had their effects. With a POSITION in the server's log (such as
# 16/B374D848) only transactions are replayed that committed before it.
#
# DB_BACKUP_ENCRYPT_KEY holds the key, or ENC_PASSWORD_FILE names the file with the password. openssl takes a key as an argument only: other
# users of this host can see it while the script runs. Stored bytes are compared with their sums; seals are checked by pgbk alone. psql does
# not look at how many rows a statement changes, as pgbk does. Sequences are set behind the rows, as the first segment at or behind the
# moment says. One of which that is not sure is set to where it is needed by its rows.
set -eu
umask 077
LC_ALL=C
export LC_ALL

fail() {
    echo "restore.sh: $*" >&2
    exit 1
}

[ $# -eq 2 ] || [ $# -eq 3 ] || fail "usage: sh restore.sh BASE.meta DATABASE [POSITION]"
[ -r "$1" ] || fail "cannot read $1"
base=$(cd -- "$(dirname -- "$1")" && pwd)/$(basename -- "$1")
database=$2
position=${3:-}
cd -- "$(dirname -- "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# A value at the top of a document (object), or one level deep (encryption iv). Documents are always printed with one member on a line.
value() {
    if [ $# -eq 2 ]; then
        sed -n "s/^  \"$2\": //p" "$1"
    else
        sed -n "/^  \"$2\": {\$/,/^  }/s/^    \"$3\": //p" "$1"
    fi | sed 's/,$//; s/^"\(.*\)"$/\1/; s/^null$//'
}

# The stored bytes of a payload, which may be several objects.
stored() {
    payload=$(dirname -- "$1")/$(basename -- "$(value "$1" object)")
    cat -- "$payload" || : > "$work/failed"
    for part in "$payload".part[0-9]*; do
        [ ! -e "$part" ] || cat -- "$part" || : > "$work/failed"
    done
}

check() {
    sum=$(stored "$1" | b2sum | cut -d ' ' -f 1)
    [ ! -e "$work/failed" ] && [ "$sum" = "$(value "$1" stored blake2b)" ] ||
        fail "the payload of $1 is missing or damaged: its BLAKE2b is not the one in the .meta"
    case $(value "$1" encryption cipher):$(value "$1" key mode) in
        :*) ;;
        aes-256-cbc:raw) [ -n "${DB_BACKUP_ENCRYPT_KEY:-}" ] || fail "DB_BACKUP_ENCRYPT_KEY is not set" ;;
        aes-256-cbc:password) [ -r "${ENC_PASSWORD_FILE:-}" ] || fail "ENC_PASSWORD_FILE names no file that can be read" ;;
        *) fail "$1 names an encryption that this script does not know" ;;
    esac
    case $(value "$1" compression method) in
        '' | xz | zstd | gzip) ;;
        *) fail "$1 names a compression that this script does not know" ;;
    esac
}

decrypt() {
    case $(value "$1" encryption cipher):$(value "$1" key mode) in
        :*) cat ;;
        aes-256-cbc:raw)
            openssl enc -d -aes-256-cbc -K "$DB_BACKUP_ENCRYPT_KEY" -iv "$(value "$1" encryption iv)" ;;
        *)
            openssl enc -d -aes-256-cbc -pbkdf2 -iter "$(value "$1" key iterations)" -md sha256 \
                -pass "file:$ENC_PASSWORD_FILE" ;;
    esac || : > "$work/failed"
}

decompress() {
    case $(value "$1" compression method) in
        '') cat ;;
        xz) xz -dc ;;
        zstd) zstd -dcq ;;
        gzip) gzip -dc ;;
    esac || : > "$work/failed"
}

# The plain text of a payload. What fails on the way leaves a file named failed.
plain() {
    stored "$1" | decrypt "$1" | decompress "$1"
}

run() {
    psql -X -q -v ON_ERROR_STOP=1 -d "$database" "$@"
}

replay() {
    PGOPTIONS="${PGOPTIONS:-} -c session_replication_role=replica -c synchronous_commit=off" run "$@"
}

# Positions are compared as texts of 17 signs, which awk takes for no number.
functions='
    function place(position, half) {
        split(position, half, "/")
        return "x" substr("00000000" half[1], length(half[1]) + 1) substr("00000000" half[2], length(half[2]) + 1)
    }
    function digits(word, at, number) {
        number = 0
        for (at = 1; at <= length(word); at++) number = number * 16 + index("0123456789ABCDEF", substr(word, at, 1)) - 1
        return number
    }
    function plain_text(quoted) {
        sub(/",?$/, "", quoted)
        gsub(/\\"/, "\"", quoted)
        gsub(/\\\\/, "\\", quoted)
        return quoted
    }
    function text(line) {
        sub(/^[^:]*: "/, "", line)
        return plain_text(line)
    }
    function fail(why) {
        print "restore.sh: " why > "/dev/stderr"
        failed = 1
        exit 1
    }
'

generation=$(value "$base" changes generation)
[ -n "$generation" ] || fail "$base is of no base: no changes can be replayed behind it"
[ "$generation" = "$(value gen.meta id)" ] || fail "$base is a base of generation $generation, and this folder is another one's"
[ "$(value "$base" dump format)" != custom ] || fail "$base is of an archive, which psql cannot restore"
after=$(value "$base" changes after_lsn)
snapshot=$(value "$base" changes snapshot)

# The segments behind the base, which must follow each other, and the tables that they do not cover.
awk -v after="$after" -v taken="$(value "$base" snapshot lsn)" -v position="$position" "$functions"'
    # The place 64 MiB before, where the commits begin that the base may not hold.
    function before(from_here, number, high) {
        number = digits(substr(from_here, 2)) - 67108864
        if (number < 0) number = 0
        high = int(number / 4294967296)
        return sprintf("x%08X%08X", high, number - high * 4294967296)
    }
    function segment(at) {
        if (name == "") return
        if (place(end) <= from || position != "" && place(start) >= place(position)) return
        if (name != substr(place(start), 2) ".meta") fail(name " is of another place than its name")
        if (count > 0 && place(start) != place(last)) fail("the changes from " last " to " start " are in no segment here")
        if (count == 0 && place(start) > place(after)) fail("the changes from " after " to " start " are in no segment here")
        count++
        last = end
        print "segment " name " " end
        for (at = 1; at <= breaks; at++) if (place(places[at]) >= place(after)) print "break " places[at] " " tables[at]
    }
    BEGIN {
        from = before(taken != "" && place(taken) < place(after) ? place(taken) : place(after))
        if (position != "" && place(position) < place(after)) fail("the base is from behind " position ": take an older one")
    }
    FNR == 1 { segment(); name = FILENAME; breaks = 0; within = 0 }
    /^  "start": / { start = text($0) }
    /^  "end": / { end = text($0) }
    /^  "breaks": \[/ { within = 1 }
    /^  \]/ { within = 0 }
    within && /^      "table": / { tables[++breaks] = text($0) }
    within && /^      "from": / { places[breaks] = text($0) }
    END {
        if (failed) exit 1
        segment()
        if (failed) exit 1
        if (position != "" && place(position) > place(after) && (count == 0 || place(last) < place(position)))
            fail("the segments here end at " (count ? last : after) ", before " position)
    }
' ????????????????.meta > "$work/plan"

[ "$(run -At -c "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'")" = 0 ] || fail "database $database is not empty"
replay -c 'SELECT' > "$work/asked" || fail "the user of psql must be a superuser"

check "$base"
sed -n 's/^segment \([^ ]*\) .*/\1/p' "$work/plan" | while read -r name; do check "$name"; done
sed -n 's/^break \([^ ]*\) \(.*\)/restore.sh: changes of table \2 are not replayed from \1 on/p' "$work/plan" >&2

plain "$base" | run > "$work/said"
[ ! -e "$work/failed" ] || fail "$base could not be read to its end: drop database $database"
run -At -c "SELECT format('ALTER TABLE %I.%I ALTER COLUMN %I SET GENERATED ', n.nspname, c.relname, a.attname)
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE a.attidentity = 'a' AND NOT a.attisdropped AND c.relkind IN ('r', 'p') AND NOT c.relispartition
    AND n.nspname NOT IN ('pg_catalog', 'information_schema')" > "$work/identities"
sed 's/$/BY DEFAULT;/' "$work/identities" | run

sed -n 's/^segment //p' "$work/plan" | while read -r name end; do
    plain "$name" > "$work/delta"
    [ ! -e "$work/failed" ] || fail "the payload of $name could not be read to its end: drop database $database"
    awk -v after="$after" -v snapshot="$snapshot" -v position="$position" -v end="$end" "$functions"'
        # Whether the base sees a transaction, of whose number the stream has the lower half.
        function sees(xid, ahead) {
            ahead = xid - next_xid % 4294967296
            if (ahead >= 2147483648) ahead -= 4294967296
            if (ahead < -2147483648) ahead += 4294967296
            xid = next_xid + ahead
            return xid < 0 || xid < next_xid && !(sprintf("%.0f", xid) in running)
        }
        # Whether a line changes this table alone.
        function changes(line, table) {
            return index(line, "INSERT INTO " table " ") == 1 || index(line, "COPY " table " ") == 1 ||
                index(line, "UPDATE ONLY " table " ") == 1 || index(line, "DELETE FROM ONLY " table " ") == 1 ||
                line == "TRUNCATE ONLY " table ";" || line == "TRUNCATE ONLY " table " RESTART IDENTITY;"
        }
        function skipped(line, table) {
            for (table in broken) {
                if (place(commit) < broken[table]) continue
                if (changes(line, table)) return 1
                if (index(line, "TRUNCATE ") == 1 && index(line, "ONLY " table)) fail("one statement empties " table " and others: " line)
            }
            return 0
        }
        BEGIN {
            split(snapshot, parts, ":")
            next_xid = parts[2] + 0
            count = split(parts[3], list, ",")
            for (at = 1; at <= count; at++) running[list[at]] = 1
        }
        FILENAME != ARGV[2] {
            if ($1 != "break") next
            from = place($2)
            table = substr($0, length($1) + length($2) + 3)
            if (!(table in broken) || from < broken[table]) broken[table] = from
            next
        }
        copying {
            if (applies && !skips) print
            if ($0 == "\\.") copying = 0
            next
        }
        /^-- tx / {
            commit = $4
            within = 1
            applies = !(place(commit) < place(after) && sees($3)) && (position == "" || place(commit) < place(position))
            next
        }
        /^-- end / { within = 0; next }
        /^-- pgbk delta end / { ended = $5; next }
        within {
            skips = skipped($0)
            if (/^COPY .* FROM stdin;$/) copying = 1
            if (!applies || skips) next
            print
            if ($0 == "BEGIN;") print "SET CONSTRAINTS ALL DEFERRED;"
            next
        }
        { print }
        END {
            if (failed) exit 1
            if (ended != end) fail("the payload of the changes up to " end " ends elsewhere")
        }
    ' "$work/plan" "$work/delta" > "$work/script" || fail "segment $name cannot be replayed: drop database $database"
    replay -f "$work/script" || fail "segment $name cannot be replayed: drop database $database"
done
sed 's/$/ALWAYS;/' "$work/identities" | run

# What each sequence is set to: what the first sample at or behind the position says, and the one before it if the position lies between.
cat > "$work/sequences" << 'END_OF_FUNCTION'
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
CREATE FUNCTION pg_temp.pgbk_set(name text, last bigint, called boolean, before bigint, before_called boolean, sure boolean)
RETURNS void LANGUAGE plpgsql AS $function$
DECLARE
    one pg_catalog.pg_sequence;
    way numeric;
    part record;
    lasts bigint[] := ARRAY[last, before];
    calls boolean[] := ARRAY[called, before_called];
    goal bigint := last;
    goal_called boolean := called;
BEGIN
    SELECT * INTO one FROM pg_catalog.pg_sequence WHERE seqrelid = pg_catalog.to_regclass(name);
    IF one.seqrelid IS NULL THEN
        RAISE WARNING 'sequence % is not set: the base does not have it', name;
        RETURN;
    END IF;
    way := pg_catalog.sign(one.seqincrement::numeric);
    IF NOT sure OR way * before * 2 + before_called::integer > way * last * 2 + called::integer THEN
        IF NOT sure THEN
            EXECUTE pg_catalog.format('SELECT last_value AS last, is_called AS called FROM %s', name) INTO part;
            lasts := lasts || part.last;
            calls := calls || part.called;
        END IF;
        -- The columns that take their values from it. Behind its end it could give nothing.
        FOR part IN
            SELECT pg_catalog.format(CASE WHEN one.seqincrement < 0 THEN 'SELECT min(%I) FROM %I.%I WHERE %1$I > $1'
                                     ELSE 'SELECT max(%I) FROM %I.%I WHERE %1$I < $2' END, a.attname, n.nspname, c.relname) AS query
            FROM (SELECT d.refobjid AS relid, d.refobjsubid AS number FROM pg_catalog.pg_depend d
                  WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = one.seqrelid
                    AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype IN ('a', 'i')
                  UNION
                  SELECT f.adrelid, f.adnum FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_attrdef f ON f.oid = d.objid
                  WHERE d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass
                    AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = one.seqrelid) u
                 JOIN pg_catalog.pg_class c ON c.oid = u.relid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                 JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = u.number
            WHERE a.atttypid IN (20, 21, 23) AND c.relkind IN ('r', 'p')
        LOOP
            EXECUTE part.query INTO goal USING one.seqmin, one.seqmax;
            lasts := lasts || goal;
            calls := calls || true;
        END LOOP;
        SELECT u.value, u.given INTO goal, goal_called FROM unnest(lasts, calls) u (value, given)
        WHERE u.value IS NOT NULL ORDER BY way * u.value * 2 + u.given::integer DESC LIMIT 1;
    END IF;
    IF goal NOT BETWEEN one.seqmin AND one.seqmax THEN
        RAISE WARNING 'sequence % is not set: in the base it cannot be %', name, goal;
    ELSIF goal IS NOT NULL THEN
        PERFORM pg_catalog.setval(one.seqrelid::pg_catalog.regclass, goal, goal_called);
    END IF;
END $function$;
END_OF_FUNCTION
cut=$(for cut in ????????????????.cut.meta; do [ ! -e "$cut" ] || echo "$cut"; done | tail -n 1)
awk -v after="$after" -v position="$position" -v cut="$cut" "$functions"'
    # Takes what a sample says of a sequence, such as: 16390 "public"."t_id_seq" 42 called
    function take(line, oid, state, value) {
        oid = state = line
        sub(/ .*/, "", oid)
        sub(/^.* /, "", state)
        sub(/^[^ ]* /, "", line)
        sub(/ [^ ]*$/, "", line)
        if (state ~ /called$/) {
            value = line
            sub(/^.* /, "", value)
            sub(/ [^ ]*$/, "", line)
            value = "\047" value "\047, " (state == "called" ? "true" : "false")
        }
        if (state == "gone" && place(end) <= place(after)) {
            delete names[oid]
            delete values[oid]
            return
        }
        if (!(oid in names)) list[++count] = oid
        if (!(oid in names) || place(end) <= place(after)) names[oid] = line
        states[oid] = state
        if (value == "") return
        before[oid] = position != "" && place(position) < place(end) && values[oid] != "" ? values[oid] : "NULL, NULL"
        values[oid] = value
    }
    function set(oid, name, is_sure) {
        if (!(oid in names) || names[oid] in told) return
        name = names[oid]
        told[name] = 1
        if (name ~ /^U&"/ || name ~ /\.U&"/) {
            print "restore.sh: sequence " name " is as in the base: set it by hand" > "/dev/stderr"
            return
        }
        gsub(/\047/, "\047\047", name)
        is_sure = is_sampled && states[oid] ~ /called$/ ? "true" : "false"
        print "SELECT pg_temp.pgbk_set(\047" name "\047, " (values[oid] == "" ? "NULL, NULL" : values[oid]) ", " \
            (values[oid] == "" ? "NULL, NULL" : before[oid]) ", " is_sure ");"
    }
    FNR == 1 {
        if (is_sampled && position != "") exit
        within = listed = is_sampled = 0
        is_chain = FILENAME == cut || "x" FILENAME >= "x" cut
    }
    !is_chain { next }
    /^  "start": / { end = text($0) }
    /^  "end": / { end = text($0) }
    /^  "sequences": [{]/ {
        within = 1
        is_sampled = position == "" || place(end) >= place(position)
    }
    /^  [}]/ { within = 0 }
    within && /^    "changed": \[/ { listed = 1 }
    /^    \]/ { listed = 0 }
    listed && /^      "/ {
        line = $0
        sub(/^ *"/, "", line)
        take(plain_text(line))
    }
    END { for (at = 1; at <= count; at++) set(list[at]) }
' ${cut:+"$cut"} ????????????????.meta >> "$work/sequences"
replay -At -f "$work/sequences" > "$work/said" || fail "the sequences cannot be set: drop database $database"
echo "restore.sh: database $database holds the base and $(grep -c '^segment ' "$work/plan" || :) segments${position:+ up to $position}" >&2
