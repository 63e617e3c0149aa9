#!/bin/sh
# pgbk reads its settings and secrets itself, as root where the container starts as root, and goes on as PUID and PGID.
PUID=${PUID:-10001} exec /usr/lib/pgbk/pgbk "${@:-schedule}"
