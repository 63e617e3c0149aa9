# shellcheck shell=bash
# Sourced by the scripts: runs the tests. Each file of tests is a program of its own, and most of them wait for servers or for a fault to
# be over: one for each core runs at a time.

# Those of the folder `tests`, and the unit tests: each as the option that tells cargo.
test_programs() {
    printf -- '--test=%s\n' tests/*.rs | sed 's|=tests/|=|; s/\.rs$//'
    printf '%s\n' --lib --bins
}

# run_programs LOG RUN PROGRAM...
# RUN is an exported function, which is given one program. Says how each ended as it does; what all of them said is in LOG then.
run_programs() {
    local log=$1 failed=0
    export said=$1.parts run=$2
    shift 2
    export -f run_program
    rm -rf "$said"
    mkdir "$said"
    printf '%s\n' "$@" | xargs -P "$(nproc)" -I{} bash -c 'run_program "$1"' - {} || failed=1
    cat "$said"/* >"$log"
    return "$failed"
}

run_program() {
    local from=$SECONDS code=0
    "$run" "$1" >"$said/${1#--}" 2>&1 || code=$?
    echo "${1#--}: $([ "$code" -eq 0 ] && echo ok || echo FAILED) after $((SECONDS - from)) s"
    return "$code"
}

# Signals that whoever started this had ignored, as a shell's background does, would be ignored by pgbk too.
with_signals() {
    env --default-signal=HUP,INT,TERM "$@"
}
