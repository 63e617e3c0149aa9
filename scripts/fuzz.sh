#!/usr/bin/env bash
# Feeds what reads foreign bytes with mutations that libFuzzer leads by coverage: the corpus in tests/fuzz/corpus, and what it found
# before in .test/fuzz. Two targets at a time. An input that makes one fall is kept there too, and its path printed.
#   FUZZ_SECONDS=1800     for each target     FUZZ_TARGETS="meta script …"   those of tests/fuzz/targets.rs
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
own=$here/.test/fuzz
seconds=${FUZZ_SECONDS:-1800}
read -ra targets <<<"${FUZZ_TARGETS:-$(cd "$here/tests/fuzz/corpus" && echo *)}"

main() {
    cd "$here"
    mkdir -p "$own"
    build
    local target failed=0
    for target in "${targets[@]}"; do
        while [ "$(jobs -rp | wc -l)" -ge 2 ]; do
            wait -n || failed=1
        done
        fuzz "$target" &
    done
    while [ -n "$(jobs -rp)" ]; do
        wait -n || failed=1
    done
    return "$failed"
}

# Coverage of pgbk alone: only its own crate goes through the wrapper, so everything else is as the tests have built it.
build() {
    printf '#!/bin/sh\nexec "$@" %s\n' "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares" >"$own/rustc"
    chmod 755 "$own/rustc"
    RUSTC_WORKSPACE_WRAPPER=$own/rustc cargo build --locked --features fuzz --example fuzzer
}

fuzz() {
    local target=$1 found=$own/$1 log=$own/$1.log code=0
    mkdir -p "$found"
    FUZZ_TARGET=$target "${CARGO_TARGET_DIR:-target}/debug/examples/fuzzer" "$found" "tests/fuzz/corpus/$target" -max_total_time="$seconds" \
        -max_len=65536 -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$own/$target-" >"$log" 2>&1 || code=$?
    if [ "$code" -ne 0 ]; then
        grep -E 'panicked|ERROR|Test unit written' "$log" | tail -n 5 || tail -n 5 "$log"
        echo "$target: FAILED (the whole output: $log)"
        return 1
    fi
    local inputs
    inputs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    echo "$target: $inputs inputs in $seconds s, $(find "$found" -type f | wc -l) kept for their coverage, none made it fall"
    if [ -n "${PGBK_PROVE:-}" ]; then
        printf '{"what": "%s", "passed": %s, "refused": 0, "seconds": %s}\n' "$target" "$inputs" "$seconds" >>"$PGBK_PROVE/fuzz.jsonl"
    fi
}

main "$@"
