# shellcheck shell=bash disable=SC2154
# Sourced by test-container.sh and soak.sh: the engine, and compose.example.yml running on it under a name of its own. The script that
# sources this has `here`, `own`, a folder, and `log`.

project=pgbktest

tools() {
    local needs=()
    mapfile -t needs < <(missing_packages debootstrap expect python3-venv)
    command -v docker >/dev/null || needs+=(docker.io)
    if command -v docker >/dev/null && docker compose version >/dev/null 2>&1; then
        compose=(docker compose)
    else
        compose=(docker-compose)
        command -v docker-compose >/dev/null || needs+=(docker-compose)
    fi
    [ ${#needs[@]} -eq 0 ] || { echo "installing ${needs[*]}"; install_packages "$log" "${needs[@]}"; }
}

# The machine's engine, else one of our own that ends with this script.
engine() {
    if docker info >/dev/null 2>&1; then
        echo "the engine of this machine: $(docker version --format '{{.Server.Version}}')"
        return
    fi
    command -v dockerd >/dev/null || [ -x /usr/sbin/dockerd ] || install_packages "$log" docker.io
    export DOCKER_HOST=unix://$own/docker.sock
    as_root env PATH="$PATH:/usr/sbin:/sbin" dockerd --data-root "$own/docker" --exec-root "$own/exec" --pidfile "$own/dockerd.pid" \
        --host "$DOCKER_HOST" >"$own/dockerd.log" 2>&1 &
    daemon=1
    await 60 docker info || { tail -n 20 "$own/dockerd.log" >&2; return 1; }
    echo "an engine of our own: $(docker version --format '{{.Server.Version}}')"
}

finish() {
    local code=$?
    trap - EXIT
    if [ -n "${compose:-}" ]; then
        up_with down --volumes --timeout 2 >>"$log" 2>&1 || true
    fi
    if [ -n "${daemon:-}" ]; then
        as_root kill "$(cat "$own/dockerd.pid")" 2>/dev/null || true
        wait || true
    fi
    exit "$code"
}

build() {
    local from=$SECONDS begun
    # What Debian itself has: other versions come from another server, which may not be reached here.
    docker build --tag pgbk --build-arg PG_MAJOR=17 . >>"$log" 2>&1 || { tail -n 30 "$log" >&2; return 1; }
    begun=$(date +%s%N)
    docker run --rm pgbk --version
    echo "built in $((SECONDS - from)) s; $(docker image inspect --format '{{.Size}}' pgbk | awk '{ printf "%.0f", $1 / 1e6 }') MB;" \
        "\`docker run --rm pgbk --version\` takes $((($(date +%s%N) - begun) / 1000000)) ms"
}

# await SECONDS COMMAND...
await() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || { echo "not within its time: $*"; return 1; }
        sleep 0.2
    done
}

# The example as it stands, and what a test changes of it.
up_with() {
    local files=(--file compose.example.yml)
    [ ! -e "$own/override.yml" ] || files+=(--file "$own/override.yml")
    "${compose[@]}" --project-name "$project" "${files[@]}" "$@"
}

container() { up_with ps -q "$1"; }
pgbk() { docker exec "$(container backups)" pgbk "$@"; }
sql() { docker exec --user postgres "$(container db)" psql -XqAt -v ON_ERROR_STOP=1 -d "${2:-shop}" -c "$1"; }
runs() { pgbk history --json --limit 1000 | python3 -c 'import json, sys; print(sum(r["state"] == sys.argv[1] and r["cause"] in sys.argv[2:] for r in json.load(sys.stdin)))' "$@"; }
has_runs() { [ "$(runs "${@:2}")" -ge "$1" ]; }
backups() { pgbk list --json | python3 -c 'import json, sys; print(len(json.load(sys.stdin)))'; }

# Those of the example's `backups`.
example_settings() {
    docker inspect --format '{{range .Config.Env}}{{println .}}{{end}}' "$(docker ps -aq --filter "label=com.docker.compose.project=$project" --filter 'label=com.docker.compose.service=backups')" |
        grep -E '^(DB_|S3_)'
}

scheduled() {
    printf 'services:\n  backups:\n    environment:\n      CRON_SCHEDULE: "%s"\n' "$1" >"$own/override.yml"
    up_with up --detach
}
