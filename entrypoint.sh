#!/bin/sh
# Runs pgbk; without a command it is the scheduler. pgbk reads its settings and secrets itself, as root where the container starts as
# root, and then goes on as PUID and PGID.
set -eu

[ $# -gt 0 ] || set -- schedule
export PUID="${PUID:-10001}"
exec /usr/lib/pgbk/pgbk "$@"
