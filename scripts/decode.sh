#!/usr/bin/env bash
# Writes the dump of a backup to stdout without pgbk: openssl, xz, zstd, gzip and b2sum are enough.
#
#   scripts/decode.sh shop-20260822T031500Z.meta > shop.sql
#
# The payload has to stand beside the .meta, under the name that it has in the store. If it is several objects there, all of them, or one
# file that holds all. DB_BACKUP_ENCRYPT_KEY holds the key, or
# ENC_PASSWORD_FILE names the file with the password. openssl takes a raw key as an argument only: other users of this host can see it
# while the script runs.
#
# The stored bytes are compared with the .meta before anything is written, and without a key the dump while it is: with a key (from
# format 2 on) the digest of the dump is keyed, and pgbk checks it. Whoever could change the payload could change the .meta as well,
# which only pgbk itself would notice.
set -euo pipefail

fail() {
    echo "decode.sh: $*" >&2
    exit 1
}

[ $# -eq 1 ] || fail "usage: decode.sh FILE.meta > DUMP"
meta=$1
[ -r "$meta" ] || fail "cannot read $meta"

# A value one level deep (encryption iv), or at the top (object). The document is always printed the same way, one member to a line.
value() {
    if [ $# -eq 1 ]; then
        sed -n "s/^  \"$1\": \"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}\$/\1/p" "$meta"
    else
        sed -n "/^  \"$1\": {\$/,/^  }/s/^    \"$2\": \"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}\$/\1/p" "$meta"
    fi
}

sum() {
    b2sum | cut -d ' ' -f 1
}

case $(value pgbk) in 1 | 2 | 3) ;; *) fail "$meta has another format than this script reads" ;; esac
object=$(value object)
payload=$(dirname -- "$meta")/${object##*/}
[ -r "$payload" ] || fail "cannot read $payload, the payload of $meta"
# A payload of several objects has as many entries more. Without the first of these the file is taken for the whole payload.
further=$(sed -n '/^  "further_objects": \[$/,/^  \]/p' "$meta" | grep -c '"bytes"' || true)
[ -e "$payload.part0002" ] || further=0
for ((number = 2; number <= further + 1; number++)); do
    part=$payload.part$(printf %04d "$number")
    [ -r "$part" ] || fail "cannot read $part, a part of the payload of $meta"
done
stored() {
    cat -- "$payload"
    for ((number = 2; number <= further + 1; number++)); do
        cat -- "$payload.part$(printf %04d "$number")"
    done
}
[ "$(stored | sum)" = "$(value stored blake2b)" ] || fail "$payload is damaged: its BLAKE2b is not the one in $meta"

decrypt() {
    case $(value encryption cipher):$(value key mode) in
        :*) cat ;;
        aes-256-cbc:raw)
            openssl enc -d -aes-256-cbc -K "${DB_BACKUP_ENCRYPT_KEY:?is not set}" -iv "$(value encryption iv)" ;;
        aes-256-cbc:password)
            openssl enc -d -aes-256-cbc -pbkdf2 -iter "$(value key iterations)" -md sha256 \
                -pass "file:${ENC_PASSWORD_FILE:?is not set}" ;;
        *) fail "unknown encryption" ;;
    esac
}

decompress() {
    case $(value compression method) in
        '') cat ;;
        xz) xz -dc ;;
        zstd) zstd -dcq ;;
        gzip) gzip -dc ;;
        *) fail "unknown compression" ;;
    esac
}

if [ "$(value pgbk)" != 1 ] && [ -n "$(value key mode)" ]; then
    stored | decrypt | decompress
    exit
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkfifo "$work/plain"
sum < "$work/plain" > "$work/sum" &
stored | decrypt | decompress | tee "$work/plain"
wait $!
[ "$(cat "$work/sum")" = "$(value plain blake2b)" ] || fail "the dump is damaged: its BLAKE2b is not the one in $meta"
