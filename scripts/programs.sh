# shellcheck shell=bash
# Sourced by the scripts: runs the tests. Each file of the folder `tests` runs in a process of its own, with servers of its own; most of
# them wait for servers or for a fault to be over: one more than there are cores runs at a time.

# The unit tests, and the files of the folder `tests`, without what leads there. Those that take longest begin, so that none of them is
# left alone at the end.
test_programs() {
    local first='majors missed network proven failure store prune documents kill round_trip'
    printf '%s\n' $first
    printf '%s\n' --lib --bins
    printf '%s\n' tests/*.rs | sed 's|^tests/||; s/\.rs$//' | grep -vxE "fast|servers|heavy|${first// /|}"
}

# list_tests FILE CARGO...
# Writes all tests below `tests` into FILE, which run_programs needs: the program of Cargo's that holds a test, and its name. CARGO is the
# command that would run them.
list_tests() {
    local binary
    export listed=$1
    shift
    : >"$listed"
    for binary in fast servers heavy; do
        "$@" --test "$binary" -- --list --format terse | sed -n "s/: test\$//; t found; b; :found; s/^/$binary /p" >>"$listed" || return
    done
}

# selected PROGRAM CARGO...
# Runs one of the programs by CARGO. A file without tests is an error.
selected() {
    local program=$1 binary
    local -a names
    shift
    if [[ $program == --* ]]; then
        "$@" "$program"
    else
        mapfile -t names < <(sed -n "s/^[a-z]* \($program::\)/\1/p" "$listed")
        [ ${#names[@]} -gt 0 ] || { echo "tests/$program.rs has no test" >&2; return 1; }
        binary=$(sed -n "s/ $program::.*//p" "$listed" | head -n 1)
        "$@" --test "$binary" -- --exact "${names[@]}"
    fi
}

# run_programs LOG RUN PROGRAM...
# RUN is an exported function, which is given one program. Says how each ended as it does; what all of them said is in LOG then, each
# behind a line "== PROGRAM".
run_programs() {
    local log=$1 failed=0
    export said=$1.parts run=$2
    shift 2
    export -f run_program selected
    rm -rf "$said"
    mkdir "$said"
    printf '%s\n' "$@" | xargs -P "$(($(nproc) + 1))" -I{} bash -c 'run_program "$1"' - {} || failed=1
    cat "$said"/* >"$log"
    return "$failed"
}

run_program() {
    local from=$SECONDS code=0 name=${1#--}
    echo "== $name" >"$said/$name"
    "$run" "$1" >>"$said/$name" 2>&1 || code=$?
    echo "$name: $([ "$code" -eq 0 ] && echo ok || echo FAILED) after $((SECONDS - from)) s"
    return "$code"
}

# Signals that whoever started this had ignored, as a shell's background does, would be ignored by pgbk too.
with_signals() {
    env --default-signal=HUP,INT,TERM "$@"
}
