#!/bin/sh
# Stands before rustc in a build of the tests: clippy's compiler, which compiles as rustc does, and takes each warning for an error. So one
# build tells the lints and makes the programs.
exec clippy-driver "$@" -D warnings
