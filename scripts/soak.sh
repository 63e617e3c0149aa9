#!/usr/bin/env bash
# An hour of the example in a hurry: a run every 20 s, the container restarted every 5 minutes, the database restarted once and the
# store away for two minutes. Afterwards every run that was due is accounted for, every outage was told once, and nothing is left over.
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
    rm -f "$own"/*.log "$own"/*.json "$own/override.yml"
    : >"$log"
    trap 'kill "${receiver:-}" 2>/dev/null || true; finish' EXIT
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
    sql "CREATE TABLE orders AS SELECT n AS id, md5(n::text) AS note FROM generate_series(1, 200000) n"
    local gateway
    gateway=$(docker network inspect "${project}_default" --format '{{(index .IPAM.Config 0).Gateway}}')
    python3 scripts/soak.py receive "$gateway" "$own" &
    receiver=$!
    await 10 test -s "$own/port"
    {
        printf 'services:\n  backups:\n    environment:\n'
        printf '      CRON_SCHEDULE: "*/20 * * * * *"\n      SCHEDULE_RETRY: 5s\n      KEEP_LAST: "20"\n      LOG_FORMAT: json\n'
        printf '      WEBHOOK_URL: http://%s:%s/hook\n' "$gateway" "$(cat "$own/port")"
    } >"$own/override.yml"
    up_with up --detach
}

# What happens when, in seconds from the start.
soak() {
    local begun=$SECONDS end=$((minutes * 60)) second restart=300 db=$((minutes * 20)) away=$((minutes * 35)) back
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
        memory
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

evidence() {
    await 60 idle
    pgbk history --json --limit 1000 >"$own/history.json"
    pgbk doctor --json >"$own/doctor.json" || true
    pgbk verify --all --json >"$own/verify.json"
    docker stop "$(container backups)" >>"$log" 2>&1
}

idle() { [ "$(pgbk history --running --json | python3 -c 'import json, sys; print(len(json.load(sys.stdin)))')" -eq 0 ]; }

main "$@"
