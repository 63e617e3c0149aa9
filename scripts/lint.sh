#!/bin/sh
# Stands before rustc in a build of the tests: clippy's compiler, which compiles as rustc does, and takes each warning for an error. So one
# build tells the lints and makes the programs.
case " $* " in
    *' --test '*) ;;
    # Clippy reads the library where it is compiled with its own tests. A second time would take as long as half a compilation.
    *' src/lib.rs '*' --crate-type lib '*) exec "$@" -D warnings ;;
    # Tests start pgbk thousands of times. At a fixed address, a start takes two thirds of the time.
    *' src/main.rs '*' --crate-type bin '*) set -- "$@" -C relocation-model=static ;;
esac
exec clippy-driver "$@" -D warnings
