#!/bin/sh
# Runs pgbk, as PUID and PGID where the container starts as root. Without a command it is the scheduler.
set -eu

# What Docker hands over as files may be readable by root alone: it is read before root is given up. pgbk reads the others itself.
secrets() {
    for name in DB_PASSWORD S3_ACCESS_KEY_ID S3_SECRET_ACCESS_KEY S3_SESSION_TOKEN DB_BACKUP_ENCRYPT_KEY \
        DB_BACKUP_ENCRYPT_IV ENC_PASSWORD SMTP_PASSWORD WEBHOOK_URL PING_URL; do
        eval "value=\${$name:-} file=\${${name}_FILE:-}"
        [ -z "$value" ] || continue
        [ -n "$file" ] || file=/run/secrets/$(printf %s "$name" | tr 'A-Z' 'a-z')
        [ -f "$file" ] || continue
        value=$(cat "$file")
        export "$name=$value"
        unset "${name}_FILE"
    done
}

[ $# -gt 0 ] || set -- schedule
if [ "$(id -u)" -ne 0 ]; then
    exec /usr/lib/pgbk/pgbk "$@"
fi
secrets
uid=${PUID:-10001}
gid=${PGID:-$uid}
# A volume that was made for another user, or by Docker for root; on a read-only root there may be none.
if [ -w "${STATE_DIR:-/nonexistent}" ]; then
    chown "$uid:$gid" "$STATE_DIR"
fi
exec setpriv --reuid "$uid" --regid "$gid" --clear-groups --no-new-privs /usr/lib/pgbk/pgbk "$@"
