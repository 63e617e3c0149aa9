# shellcheck shell=bash
# shellcheck disable=SC2154  # the benchmark and the other parts set them
# Sourced by the benchmarks: the other tools, settled on the same store, the same part size, and keys of their own.

peers() {
    RCLONE_CONFIG_VAULT_PASSWORD=$(rclone obscure "$key")
    RESTIC_PASSWORD=$key
    export RESTIC_PASSWORD RESTIC_CACHE_DIR=$work/cache RESTIC_PACK_SIZE=$PART_MB
    export RCLONE_CONFIG=$work/rclone.conf RCLONE_CONFIG_STORE_TYPE=s3 RCLONE_CONFIG_STORE_PROVIDER=Other \
        RCLONE_CONFIG_STORE_ENV_AUTH=true RCLONE_CONFIG_STORE_ENDPOINT=$endpoint RCLONE_CONFIG_STORE_REGION=us-east-1 \
        RCLONE_CONFIG_VAULT_TYPE=crypt RCLONE_CONFIG_VAULT_PASSWORD RCLONE_S3_CHUNK_SIZE=${PART_MB}Mi
    : >"$RCLONE_CONFIG"
}

# in_flight N: so many parts on their way at a time, for all of them.
in_flight() {
    parts=$1
    export S3_PARTS_IN_FLIGHT=$parts RCLONE_S3_UPLOAD_CONCURRENCY=$parts
    aws configure set default.s3.max_concurrent_requests "$parts"
}

# What a repository is made with is not measured: it is made once, and this measures what comes every night.
fresh_repository() {
    rm -rf "$RESTIC_CACHE_DIR"
    export RESTIC_REPOSITORY=s3:$endpoint/$bucket/restic
    restic init --repository-version 2 >>"$log" 2>&1
}

tools() {
    printf '%s\n' "$("$BENCH_PGBK" --version)" "$(pg_dump --version)" "$(zstd --version | grep -o 'v[0-9][0-9.]*' | sed 's/^/zstd /')" \
        "$(openssl version | cut -d' ' -f1-2)" "$(aws --version 2>&1 | cut -d' ' -f1)" "$(restic version | cut -d' ' -f1-2)" \
        "$(rclone version | head -n 1)" "SeaweedFS 4.48"
}
