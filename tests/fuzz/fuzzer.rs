//! libFuzzer's own program: `FUZZ_TARGET` names what it feeds. Built and run by scripts/fuzz.sh.

#![no_main]
// The entry that libFuzzer calls has to have a name of its own.
#![allow(unsafe_code)]

mod targets;

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use targets::{TARGETS, Target};

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").expect("FUZZ_TARGET is not set");
    TARGETS.iter().find(|(target, _)| *target == name).expect("FUZZ_TARGET names no target").1
});

fuzz_target!(|data: &[u8]| TARGET(data));
