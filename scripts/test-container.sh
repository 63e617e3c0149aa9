#!/usr/bin/env bash
# The image and compose.example.yml on a real container engine: builds, starts, lets the scheduler run, backs up and restores by
# `docker exec`, stops in the middle of a dump, starts again, and takes the database away. Uses the engine that is there; where there
# is none, Debian's, started for the time of the test. Leaves no container, network or volume.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
own=$here/.test/container
log=$own/log
# shellcheck source=scripts/packages.sh
. "$here/scripts/packages.sh"
# shellcheck source=scripts/images.sh
. "$here/scripts/images.sh"
# shellcheck source=scripts/containers.sh
. "$here/scripts/containers.sh"

failed=()
passed=0

main() {
    cd "$here"
    mkdir -p "$own"
    : >"$log"
    trap finish EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM

    echo "== what is needed"
    tools
    engine
    base_images
    echo "== the image"
    build
    echo "== the tests"
    check "the example comes up as it stands, and pgbk is alive in it" comes_up
    check "docker exec backups pgbk backup" backs_up_by_hand
    check "docker exec -it backups pgbk restore asks, and restores" restores_by_prompt
    check "pgbk in the container is no root, and can write nowhere but its volume" has_no_rights
    check "secrets come from files" reads_secret_files
    check "what is due is backed up" backs_up_when_due
    check "docker stop in mid-dump ends it in 8 seconds and leaves nothing" stops_in_mid_dump
    check "what was missed meanwhile is caught up" catches_up
    check "no zombies" has_no_zombies
    check "health goes red when the database is gone, and green after" turns_red_and_green
    verdict
}

# check NAME COMMAND
# In a shell of its own, where the first command that fails is the end; as a condition it would not be.
check() {
    local name=$1 from=$SECONDS code
    shift
    set +e
    (set -euo pipefail; "$@") >>"$log" 2>&1
    code=$?
    set -e
    if [ "$code" -eq 0 ]; then
        passed=$((passed + 1))
        echo "ok      $name ($((SECONDS - from)) s)"
    else
        failed+=("$name")
        echo "FAILED  $name ($((SECONDS - from)) s)"
        tail -n 15 "$log" | sed 's/^/        /'
    fi
}

verdict() {
    echo "== result"
    echo "$passed passed, ${#failed[@]} failed"
    [ ${#failed[@]} -eq 0 ]
}

comes_up() {
    rm -f "$own/override.yml"
    up_with up --detach
    await 60 sql 'SELECT 1'
    sql "CREATE TABLE orders AS SELECT n AS id, md5(n::text) AS note FROM generate_series(1, 20000) n"
    await 60 pgbk list
    [ "$(backups)" -eq 0 ]
    pgbk schedule --next 1
}

backs_up_by_hand() {
    pgbk backup --json | tee "$own/first.json"
    [ "$(backups)" -eq 1 ]
    pgbk verify latest --level content
}

restores_by_prompt() {
    cat >"$own/restore.exp" <<'END'
set timeout 60
spawn docker exec -it [lindex $argv 0] pgbk restore --to shop_copy
expect {
    "newest first" { send "\r" }
    -re {[Ww]hich} { send "\r" }
    timeout { exit 9 }
}
expect {
    -re {[Tt]ype} { send "shop_copy\r" }
    timeout { exit 8 }
}
expect eof
lassign [wait] pid spawnid os code
exit $code
END
    expect "$own/restore.exp" "$(container backups)"
    [ "$(sql 'SELECT count(*), max(note) FROM orders' shop_copy)" = "$(sql 'SELECT count(*), max(note) FROM orders')" ]
}

has_no_rights() {
    local id
    id=$(container backups)
    [ "$(docker exec "$id" sh -c 'grep ^Uid: /proc/1/status' | awk '{ print $2 $3 $4 $5 }')" = 10001100011000110001 ]
    [ "$(docker exec "$id" sh -c 'grep ^CapEff: /proc/1/status' | awk '{ print $2 }')" = 0000000000000000 ]
    if docker exec "$id" touch /usr/bin/new; then return 1; fi
    # What is asked for by docker exec is no root either.
    pgbk history >/dev/null
    docker exec --user 10001 "$id" find /var/lib/pgbk -not -uid 10001 | tee "$own/foreign"
    [ ! -s "$own/foreign" ]
}

# A file that only root can read, as Docker hands secrets over.
reads_secret_files() {
    install -m 600 /dev/null "$own/password"
    printf 'change-me\n' >"$own/password"
    docker run --rm --network "${project}_default" --volume "$own/password:/run/secrets/db_password:ro" \
        --env DB_HOST=db --env DB_NAME=shop --env DB_USER=postgres --env STORE_DIR=/var/lib/pgbk/store pgbk backup
    docker run --rm --user 4711:4711 --read-only --tmpfs /tmp --network "${project}_default" --env DB_PASSWORD=change-me \
        --env DB_HOST=db --env DB_NAME=shop --env DB_USER=postgres --env STATE_DIR=/tmp/state --env STORE_DIR=/tmp/store pgbk backup
}

backs_up_when_due() {
    scheduled '*/5 * * * * *'
    await 60 has_runs 2 'done' schedule
    [ "$(runs failed schedule)" -eq 0 ]
}

stops_in_mid_dump() {
    local id begun took before
    id=$(container backups)
    docker exec --detach --user postgres "$(container db)" psql -Xq -d shop -c 'BEGIN; LOCK TABLE orders; SELECT pg_sleep(3600)'
    await 60 has_runs 1 running schedule
    await 60 waits_for_the_table
    begun=$(date +%s%N)
    docker stop "$id"
    took=$((($(date +%s%N) - begun) / 1000000))
    echo "docker stop took $took ms"
    [ "$took" -lt 8000 ]
    [ "$(docker inspect --format '{{.State.ExitCode}}' "$id")" -eq 143 ]
    sql "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(3600)%' AND pid <> pg_backend_pid()"
    # Nothing of it is in the store, and nobody is connected any more.
    await 30 nobody_is_connected
    docker run --rm --network "${project}_default" --env-file <(example_settings) pgbk doctor --json | tee "$own/doctor.json"
    python3 -c 'import json, sys; d = json.load(open(sys.argv[1])); print([f for f in d["findings"] if f["what"] == "leftovers"]); sys.exit(any(f["what"] == "leftovers" and f["status"] != "ok" for f in d["findings"]))' "$own/doctor.json"
}

waits_for_the_table() { [ "$(sql "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'orders'::regclass")" -gt 0 ]; }
nobody_is_connected() { [ "$(sql "SELECT count(*) FROM pg_stat_activity WHERE application_name IN ('pgbk', 'pg_dump')")" -eq 0 ]; }

catches_up() {
    local before
    scheduled '*/20 * * * * *'
    await 60 has_runs 1 'done' schedule catch-up
    docker stop "$(container backups)"
    before=$(date +%s)
    # Until one was due that nobody began.
    await 60 passed_a_mark "$before"
    docker start "$(docker ps -aq --filter "label=com.docker.compose.project=$project" --filter 'label=com.docker.compose.service=backups')"
    await 60 has_runs 1 'done' catch-up
}

passed_a_mark() { [ $(($(date +%s) / 20)) -gt $(($1 / 20)) ]; }

has_no_zombies() {
    scheduled '* * * * * *'
    await 60 has_runs 5 'done' schedule
    docker exec "$(container backups)" sh -c 'for each in /proc/[0-9]*/stat; do cat $each; done' 2>/dev/null | tee "$own/processes"
    if grep ') Z ' "$own/processes"; then return 1; fi
}

turns_red_and_green() {
    local db
    printf 'services:\n  backups:\n    environment:\n      CRON_SCHEDULE: "*/5 * * * * *"\n      HEALTH_GRACE: 5s\n' >"$own/override.yml"
    printf '    healthcheck:\n      interval: 2s\n      timeout: 10s\n      retries: 1\n      start_period: 1s\n' >>"$own/override.yml"
    up_with up --detach
    db=$(container db)
    await 60 is_health healthy
    docker stop "$db"
    await 60 is_health unhealthy
    docker start "$db"
    await 60 is_health healthy
}

is_health() { [ "$(docker inspect --format '{{.State.Health.Status}}' "$(container backups)")" = "$1" ]; }

main "$@"
