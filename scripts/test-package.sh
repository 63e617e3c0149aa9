#!/usr/bin/env bash
# The package: `cargo deb` makes it, and a system of its own, in a folder, installs it, updates it, removes it and purges it. As root on
# Debian or Ubuntu. Leaves nothing but .test/package.
#   PACKAGE_PROFILE=release     how pgbk is built; what is shipped is built with "dist", which takes long
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
own=$here/.test/package
log=$own/log
root=$own/root
# shellcheck source=scripts/packages.sh
. "$here/scripts/packages.sh"

main() {
    cd "$here"
    rm -rf "$own"
    mkdir -p "$own"
    : >"$log"
    trap finish EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    local needs=()
    mapfile -t needs < <(missing_packages debootstrap libssl-dev pkg-config)
    [ ${#needs[@]} -eq 0 ] || install_packages "$log" "${needs[@]}"
    export PATH=$here/.test/cargo/bin:$PATH:/usr/sbin:/sbin
    cargo deb --version >/dev/null 2>&1 || cargo install --quiet --locked --root "$here/.test/cargo" cargo-deb@3.8.0 >>"$log" 2>&1

    step "make the package" make
    step "make a system of its own" system
    step "install" installs
    step "an update keeps the settings" updates
    step "removal leaves the settings, purging nothing" removes
    echo "the package is good"
}

finish() {
    local code=$?
    [ "$code" -eq 0 ] || { tail -n 30 "$log" >&2; echo "the whole output: $log" >&2; }
    ! mountpoint -q "$root/proc" || as_root umount "$root/proc"
    as_root rm -rf "$root"
}

step() {
    echo "== $1"
    "$2" >>"$log" 2>&1 || { echo "FAILED: $1" >&2; exit 1; }
}

# As a condition a function does not end at the first command that fails.
make() {
    # What is shipped is packed tighter, which takes minutes.
    cargo deb --fast --locked --profile "${PACKAGE_PROFILE:-release}" --output "$own/pgbk.deb" || return
    dpkg-deb --info "$own/pgbk.deb" && dpkg-deb --contents "$own/pgbk.deb"
}

system() {
    local release
    release=$(. /etc/os-release && echo "$VERSION_CODENAME") || return
    as_root debootstrap --variant=minbase "$release" "$root" || return
    as_root mount -t proc proc "$root/proc" || return
    # A small system may leave these out, and then nobody sees whether the package has them.
    as_root rm -f "$root/etc/dpkg/dpkg.cfg.d/docker" "$root/etc/dpkg/dpkg.cfg.d/excludes"
    as_root cp "$own/pgbk.deb" "$root/root/pgbk.deb"
}

inside() {
    as_root env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive chroot "$root" "$@"
}

# Everything that is there but what a package manager writes down of itself.
files() {
    as_root find "$root" -xdev \( -path "$root/proc" -o -path "$root/var/lib/dpkg" -o -path "$root/var/lib/apt" -o -path "$root/var/cache" \
        -o -path "$root/var/log" -o -path "$root/root" \) -prune -o -print | sort
}

installs() {
    # What pgbk needs is there beforehand, so that only pgbk's own files come and go.
    inside apt-get update || return
    # shellcheck disable=SC2046,SC2086
    inside apt-get install -y --no-install-recommends $(dpkg-deb --field "$own/pgbk.deb" Depends | sed 's/([^)]*)//g; s/,/ /g') || return
    files >"$own/before"
    inside apt-get install -y --no-install-recommends /root/pgbk.deb || return
    inside pgbk --version || return
    inside pgbk completions bash | cmp - "$root/usr/share/bash-completion/completions/pgbk" || return
    [ "$(stat -c '%a %U' "$root/etc/pgbk/pgbk.env")" = "600 root" ] || return
    local page
    for page in man/*.1; do
        gzip -dc "$root/usr/share/man/man1/$(basename "$page").gz" | cmp - "$page" || return
    done
    local unit
    for unit in pgbk.service pgbk.timer; do
        cmp "packaging/$unit" "$(find "$root/lib/" "$root/usr/lib" -path "*systemd/system/$unit" | head -n 1)" || return
    done
    # Installed is not started, and not at the next start either.
    [ -z "$(find "$root/etc/systemd/system" -name 'pgbk*')" ] || return
    # What is in the file is what pgbk takes: it looks for the server that the file names.
    local said
    said=$(inside sh -c 'set -a; . /etc/pgbk/pgbk.env; set +a; STORE_DIR=/root/store STATE_DIR=/root/state pgbk backup shop' 2>&1) && return 1
    echo "$said"
    grep -q '127.0.0.1' <<<"$said"
}

updates() {
    as_root sh -c "echo 'DB_NAME=mine' >>'$root/etc/pgbk/pgbk.env'" || return
    inside dpkg --install --force-confdef /root/pgbk.deb || return
    grep -q '^DB_NAME=mine$' "$root/etc/pgbk/pgbk.env"
}

removes() {
    inside apt-get remove -y pgbk || return
    [ ! -e "$root/usr/bin/pgbk" ] && [ -e "$root/etc/pgbk/pgbk.env" ] || return
    inside apt-get purge -y pgbk || return
    files >"$own/after"
    diff "$own/before" "$own/after"
}

main "$@"
