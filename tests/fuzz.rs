//! Anything at all, for some seconds: mutations of the corpus. For longer, and led by coverage: `scripts/fuzz.sh`.

mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use support::proof;
use support::random::Random;
use targets::{TARGETS, Target};

/// Of each target, in a run of all tests and in a proof.
const SECONDS: (usize, usize) = (4, 10);
const LONGEST: usize = 1 << 16;
/// What readers stumble over, beside single bytes.
const WORDS: &[&[u8]] = &[
    b"\\.\n",
    b"COPY t (a) FROM stdin;\n",
    b"$$",
    b"$a$",
    b"E'\\'",
    b"/*",
    b"*/",
    b"--",
    b";",
    b"\\restrict x\n",
    b"BEGIN ATOMIC",
    b"\0",
    b"\xff\xff\xff\xff",
    b"\n",
    b"\"",
    b"{",
    b"[",
    b"null",
    b"-1",
    b"1e999",
    b"18446744073709551616",
    b"*/0",
    b"L",
    b"60",
    b"@daily",
    b" = ",
    b":",
    b"\\\\",
    b"%2F",
    b"../",
    b"-20260822T031500Z",
    b".meta",
    b"\xc3\xbc",
    b"COMMIT;\n-- end 0/208\n",
    b"BEGIN;\n",
    b"-- relation 5 d \"public\".\"t\" (\"id\" 23 -1 key)\n",
    b"U&\"",
    b"\0\0\0\x05",
];

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{folder:?} is empty");
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// One to eight small changes.
fn mutated(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = seeds[random.below(seeds.len())].clone();
    for _ in 0..=random.below(8) {
        let at = random.below(bytes.len() + 1);
        let end = (at + random.below(64)).min(bytes.len());
        match random.below(7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 if at < bytes.len() => bytes[at] = random.below(256) as u8,
            2 => drop(bytes.drain(at..end)),
            3 => drop(bytes.splice(at..at, WORDS[random.below(WORDS.len())].iter().copied())),
            4 => {
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
            5 => bytes.truncate(at),
            _ => {
                let other = &seeds[random.below(seeds.len())];
                let from = random.below(other.len() + 1);
                let until = (from + random.below(256)).min(other.len());
                bytes.splice(at..end, other[from..until].iter().copied());
            }
        }
    }
    bytes.truncate(LONGEST);
    bytes
}

/// What made it fall is kept, so that it can become a test.
fn survives(name: &str, target: Target, bytes: &[u8]) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| target(bytes))) {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{name}"));
        std::fs::write(&path, bytes).unwrap();
        eprintln!("{name}: the input is in {path:?}");
        std::panic::resume_unwind(panic);
    }
}

fn fuzz(name: &str) {
    let (_, target) = TARGETS.iter().find(|(target, _)| *target == name).unwrap();
    let seeds = corpus(name);
    seeds.iter().for_each(|seed| survives(name, *target, seed));
    let mut random = Random::new(&format!("fuzz {name}"));
    let end = Instant::now() + Duration::from_secs(proof::size(SECONDS.0, SECONDS.1) as u64);
    let mut tried = seeds.len();
    while Instant::now() < end {
        survives(name, *target, &mutated(&seeds, &mut random));
        tried += 1;
    }
    proof::counted("inputs", name, tried, 0);
}

macro_rules! targets {
    ($($test:ident: $name:literal,)*) => {
        $(#[test] fn $test() { fuzz($name); })*

        #[test]
        fn every_target_has_its_test() {
            let tested = [$($name),*];
            let targets: Vec<_> = TARGETS.iter().map(|(name, _)| *name).collect();
            assert_eq!(tested[..], targets);
        }
    };
}

targets! {
    any_meta_is_read_or_refused: "meta",
    any_dump_is_split_alike_in_any_pieces: "script",
    any_schedule_is_kept_or_refused: "schedule",
    any_list_of_headers_is_taken_or_refused: "headers",
    any_name_has_one_spelling_or_none: "names",
    any_archive_is_judged_alike_in_any_pieces: "archive",
    any_backup_of_doubletake_is_read_or_refused: "doubletake",
    any_message_of_a_server_is_written_so_that_it_is_read_or_refused: "pgoutput",
    any_delta_is_read_alike_in_any_pieces: "delta",
}
