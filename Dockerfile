# pgbk, PostgreSQL's client programs, and nothing else that runs.
#   docker build -t pgbk .
#   docker build -t pgbk --build-arg PG_MAJOR=17 .    for servers up to that version, with the programs that Debian itself has
# The newest: pg_dump reads servers of its own version and of all before, back to 9.2.
ARG PG_MAJOR=19
ARG RUST_IMAGE=rust:1-slim-trixie
ARG BASE_IMAGE=debian:trixie-slim

FROM ${RUST_IMAGE} AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends build-essential pkg-config libssl-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
# Cargo wants to know of the tests' own package, and builds nothing of it.
COPY tests/support/Cargo.toml tests/support/
# What pgbk is built from in a layer of its own: it changes less often than pgbk.
RUN mkdir src && touch src/lib.rs && echo 'fn main() {}' >src/main.rs && cargo build --locked --profile dist && rm -r src
COPY src src
RUN touch src/lib.rs src/main.rs && cargo build --locked --profile dist

# The programs out of their package: the package itself would bring Perl.
FROM ${BASE_IMAGE} AS client
ARG PG_MAJOR
WORKDIR /client
RUN find /usr/lib -name '*.so*' | sort >before \
    && apt-get update \
    && if ! apt-cache show "postgresql-client-$PG_MAJOR" >/dev/null 2>&1; then \
        apt-get install -y --no-install-recommends postgresql-common ca-certificates \
        && /usr/share/postgresql-common/pgdg/apt.postgresql.org.sh -y; \
    fi \
    && apt-get install -y --no-install-recommends libpq5 libreadline8t64 \
    && apt-get download "postgresql-client-$PG_MAJOR" \
    && dpkg-deb --extract postgresql-client-*.deb package \
    && bin=usr/lib/postgresql/$PG_MAJOR/bin \
    && mkdir -p "root/$bin" root/usr/bin \
    && for program in pg_dump pg_dumpall pg_restore psql; do \
        cp "package/$bin/$program" "root/$bin/" && ln -s "/$bin/$program" "root/usr/bin/$program" || exit 1; \
    done \
    # With the libraries that the base image does not have.
    && ldd "root/$bin"/* | awk '$3 ~ "^/" { print $3 }' | sed 's,^/lib,/usr/lib,' | sort -u | comm -13 before - >libraries \
    && while read -r library; do cp --parents -L "$library" root || exit 1; done <libraries

FROM ${BASE_IMAGE}
ARG PG_MAJOR
LABEL org.opencontainers.image.title="pgbk" \
    org.opencontainers.image.description="Backs up PostgreSQL to any S3-compatible store, restores it, and proves that it can; with the client programs of PostgreSQL ${PG_MAJOR}" \
    postgresql.client="${PG_MAJOR}" \
    org.opencontainers.image.licenses="MIT OR Apache-2.0"
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates tzdata libssl3t64 \
    && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/* \
    && groupadd --gid 10001 pgbk \
    && useradd --uid 10001 --gid 10001 --home-dir /var/lib/pgbk --no-create-home --shell /usr/sbin/nologin pgbk \
    && install -d -o pgbk -g pgbk -m 700 /var/lib/pgbk
COPY --from=client /client/root /
COPY --from=build /src/target/dist/pgbk /usr/lib/pgbk/pgbk
# Also what `docker exec … pgbk` finds: whoever comes as root goes on as PUID and PGID.
COPY entrypoint.sh /usr/local/bin/pgbk
ENV STATE_DIR=/var/lib/pgbk PUID=10001 PGID=10001
VOLUME /var/lib/pgbk
HEALTHCHECK --interval=1m --timeout=10s --start-period=1m CMD ["/usr/local/bin/pgbk", "status"]
ENTRYPOINT ["/usr/local/bin/pgbk"]
CMD ["schedule"]
