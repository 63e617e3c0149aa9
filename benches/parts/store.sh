# shellcheck shell=bash
# shellcheck disable=SC2154  # the benchmark and the other parts set them
# Sourced by the benchmarks: an S3 server on loopback, and a bucket of its own for every run.

start_store() {
    local port names name at ports=()
    port=$("$python" -c '
import random, socket
while True:
    first = random.randrange(16000, 31000)
    try:
        held = [socket.create_server(("127.0.0.1", first + n)) for n in range(10)]
    except OSError:
        continue
    print(first)
    break')
    names=(master.port master.port.grpc volume.port volume.port.grpc filer.port filer.port.grpc
        s3.port s3.port.grpc s3.port.iceberg s3.port.lance)
    for at in "${!names[@]}"; do
        name=${names[$at]}
        ports+=("-$name=$((port + at))")
    done
    mkdir "$work/weed"
    cat >"$work/s3.json" <<'END'
{"identities": [{"name": "bench", "credentials": [{"accessKey": "bench", "secretKey": "benchsecret"}],
  "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}
END
    (cd "$work" && exec weed server -dir="$work/weed" -ip=127.0.0.1 -ip.bind=127.0.0.1 "${ports[@]}" -filer -s3 \
        -s3.config="$work/s3.json" -master.volumeSizeLimitMB=1024 -volume.max=200 -master.telemetry=false) >>"$log" 2>&1 &
    weed=$!
    endpoint=http://127.0.0.1:$((port + 6))
    cat >"$work/aws" <<END
[default]
region = us-east-1
s3 =
    multipart_chunksize = ${PART_MB}MB
END
    export AWS_CONFIG_FILE=$work/aws AWS_ACCESS_KEY_ID=bench AWS_SECRET_ACCESS_KEY=benchsecret AWS_ENDPOINT_URL=$endpoint
    local waited
    for waited in {1..60}; do
        kill -0 "$weed" 2>/dev/null || break
        if fresh_bucket && echo ready | aws s3 cp --quiet - "s3://$bucket/ready" 2>>"$log"; then
            return
        fi
        sleep 1
    done
    tail -n 20 "$log" >&2
    echo "SeaweedFS did not start, after $waited s" >&2
    return 1
}

# A bucket of its own for every run: with a bucket its disk space goes at once, with an object only some time later.
fresh_bucket() {
    drop_bucket
    buckets=$((${buckets:-0} + 1))
    bucket=bench-$buckets
    aws s3 mb "s3://$bucket" >>"$log" 2>&1
}

drop_bucket() {
    [ -z "${bucket:-}" ] || aws s3 rb --force "s3://$bucket" >>"$log" 2>&1 || true
    bucket=
}
