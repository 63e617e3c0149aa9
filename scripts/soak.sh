#!/usr/bin/env bash
# An hour of the example in a hurry: a run every 20 s, changes captured meanwhile, a proof of both every 10 minutes, the container
# restarted every 5 minutes, the database restarted once and the store away for two minutes. A witness notes a moment each second, and every
# 5 minutes one of them is restored. Afterwards every run that was due is accounted for, and so is the recoverable point of each minute; every
# outage was told once, and nothing is left over.
#   SOAK_MINUTES=60
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
own=$here/.test/soak
log=$own/log
# shellcheck source=scripts/packages.sh
. "$here/scripts/packages.sh"
# shellcheck source=scripts/images.sh
. "$here/scripts/images.sh"
# shellcheck source=scripts/containers.sh
. "$here/scripts/containers.sh"

minutes=${SOAK_MINUTES:-60}
project=pgbksoak

main() {
    cd "$here"
    mkdir -p "$own"
    rm -f "$own"/*.log "$own"/*.json "$own/override.yml" "$own/port"
    : >"$log"
    trap 'kill "${receiver:-}" "${witness:-}" 2>/dev/null || true; finish' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM

    tools
    engine
    base_images
    build
    start >>"$log" 2>&1
    soak
    evidence
    python3 scripts/soak.py "$own"
}

start() {
    up_with up --detach db s3
    await 60 sql 'SELECT 1'
    sql "CREATE TABLE orders AS SELECT n AS id, md5(n::text) AS note FROM generate_series(1, 200000) n; ALTER TABLE orders ADD PRIMARY KEY (id)"
    sql "CREATE TABLE moments (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp())"
    witness &
    witness=$!
    local gateway
    gateway=$(docker network inspect "${project}_default" --format '{{(index .IPAM.Config 0).Gateway}}')
    python3 scripts/soak.py receive "$gateway" "$own" &
    receiver=$!
    await 10 test -s "$own/port"
    {
        printf 'services:\n  backups:\n    environment:\n'
        printf '      CRON_SCHEDULE: "*/20 * * * * *"\n      SCHEDULE_RETRY: 5s\n      KEEP_LAST: "30"\n      LOG_FORMAT: json\n'
        printf '      VERIFY_SCHEDULE: "30 */10 * * * *"\n      CAPTURE_INTERVAL: 2s\n      CAPTURE_WAL_LIMIT: 1G\n'
        printf '      WEBHOOK_URL: http://%s:%s/hook\n' "$gateway" "$(cat "$own/port")"
    } >"$own/override.yml"
    up_with up --detach
}

# A moment each second, and changes of other rows. Where the database is away it goes on as soon as it is there.
witness() {
    while sleep 1; do
        sql "INSERT INTO moments DEFAULT VALUES;
            UPDATE orders SET note = md5(random()::text) WHERE id % 2000 = (SELECT max(id) FROM moments) % 2000" 2>/dev/null || true
    done
}

# Restores a moment of some minutes ago, and says what was found in it.
restores_a_moment() {
    local moment
    # Between two that were noted.
    moment=$(sql "SELECT at - interval '0.4 s' FROM moments WHERE at < now() - interval '90 s' ORDER BY at DESC LIMIT 1")
    if pgbk restore --at "$moment" --to moment --yes >>"$log" 2>&1; then
        [ "$(sql 'SELECT count(*), max(id) FROM moments' moment)" = "$(sql "SELECT count(*), max(id) FROM moments WHERE at <= '$moment'")" ] &&
            event moment-same || event moment-differs
        sql 'DROP DATABASE moment' postgres
    else
        event moment-refused
    fi
}

# What happens when, in seconds from the start.
soak() {
    local begun=$SECONDS end=$((minutes * 60)) second restart=300 moment=240 db=$((minutes * 20)) away=$((minutes * 35)) back
    back=$((away + 120))
    event begun
    while second=$((SECONDS - begun)) && [ "$second" -lt "$end" ]; do
        if [ "$second" -ge "$restart" ]; then
            restart=$((restart + 300))
            event down
            docker restart "$(container backups)" >>"$log" 2>&1
            event up
        elif [ "$db" -gt 0 ] && [ "$second" -ge "$db" ]; then
            db=0
            event db-restart
            docker restart "$(container db)" >>"$log" 2>&1
        elif [ "$away" -gt 0 ] && [ "$second" -ge "$away" ]; then
            away=0
            event s3-away
            docker stop "$(container s3)" >>"$log" 2>&1
        elif [ "$away" -eq 0 ] && [ "$back" -gt 0 ] && [ "$second" -ge "$back" ]; then
            back=0
            docker start "$(docker ps -aq --filter "label=com.docker.compose.project=$project" --filter 'label=com.docker.compose.service=s3')" >>"$log" 2>&1
            event s3-back
        fi
        if [ "$second" -ge "$moment" ]; then
            moment=$((moment + 300))
            restores_a_moment
        fi
        memory
        capture
        sleep 5
    done
    event ended
}

event() { echo "$(date +%s.%N) $1" | tee -a "$own/events.log"; }

# Of pgbk itself, in KiB: anonymous memory of every process of it.
memory() {
    local id
    id=$(container backups)
    docker exec "$id" sh -c 'for p in /proc/[0-9]*; do [ "$(cat $p/comm 2>/dev/null)" != pgbk ] || grep ^RssAnon $p/status; done' 2>/dev/null |
        awk -v now="$(date +%s)" '{ sum += $2 } END { if (sum) print now, sum }' >>"$own/memory.log" || true
}

# How far the capture is, and how much of its log the server keeps for it.
capture() {
    local now
    now=$(date +%s)
    pgbk status --json 2>/dev/null | python3 -c '
import json, sys
for one in json.load(sys.stdin)["captures"]:
    print(sys.argv[1], one["lag_seconds"], one["retained_bytes"])' "$now" >>"$own/capture.log" 2>/dev/null || true
}

evidence() {
    await 60 idle
    pgbk history --json --limit 1000 >"$own/history.json"
    pgbk doctor --json >"$own/doctor.json" || true
    pgbk verify --all --json >"$own/verify.json"
    pgbk verify --changes --database shop --level restore --json >"$own/changes.json"
    docker stop "$(container backups)" >>"$log" 2>&1
}

idle() { [ "$(pgbk history --running --json | python3 -c 'import json, sys; print(len(json.load(sys.stdin)))')" -eq 0 ]; }

main "$@"
