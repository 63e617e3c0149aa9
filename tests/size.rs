//! Sizes: around the limits of an upload in parts, beyond what one request can hold, and memory that does not grow with them.

use blake2b_simd::State;
use pgbk::base::error::{Kind, hints, kind};
use pgbk::store::s3::S3;
use pgbk::store::s3::settings::S3Settings;
use pgbk::store::{PutOptions, Store};
use std::io::Write;
use std::process::{Command, Stdio};
use support::pgbk::pgbk;
use support::proof;
use support::s3::seaweedfs;

const PART: u64 = 5 << 20;

fn store(part_size: Option<u64>, part_limit: u32) -> S3 {
    let bucket = seaweedfs().bucket("size");
    S3::open(S3Settings { part_size, part_limit, ..seaweedfs().settings(&bucket) }).expect("open")
}

/// So many bytes that repeat nowhere near a part's size, a mebibyte at a time.
fn stream(mut bytes: u64, take: &mut dyn FnMut(&[u8])) {
    let mut block = vec![0; 1 << 20];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for word in block.chunks_exact_mut(8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        word.copy_from_slice(&state.to_le_bytes());
    }
    for number in 0_u64.. {
        if bytes == 0 {
            return;
        }
        block[..8].copy_from_slice(&number.to_le_bytes());
        let count = bytes.min(block.len() as u64);
        take(&block[..count as usize]);
        bytes -= count;
    }
}

/// Stores so much, reads it back, and compares; gives the ETag, which tells the number of parts.
fn comes_back(store: &S3, bytes: u64) -> String {
    let key = format!("size/{bytes}");
    let mut sent = State::new();
    let mut upload = store.create(&key, &PutOptions { expected: bytes, ..PutOptions::default() }).expect("create");
    stream(bytes, &mut |block| {
        sent.update(block);
        upload.write_all(block).expect("write");
    });
    let receipt = upload.commit().expect("commit");
    assert_eq!(receipt.bytes, bytes);
    let object = store.open(&key, None).expect("open");
    assert_eq!((object.info().bytes, &object.info().etag), (bytes, &receipt.etag));
    let mut got = State::new();
    for from in (0..bytes).step_by(16 << 20) {
        got.update(&object.read(from..bytes.min(from + (16 << 20))).expect("read"));
    }
    assert_eq!(got.finalize(), sent.finalize(), "{bytes} bytes");
    store.remove(&key, None).expect("remove");
    receipt.etag.expect("an ETag")
}

/// As the ETag of an upload in parts tells it.
fn parts(etag: &str) -> u64 {
    etag.split_once('-').map_or(1, |(_, parts)| parts.parse().expect("a number of parts"))
}

#[test]
fn objects_of_exactly_so_many_parts_and_of_one_byte_more_or_less_come_back() {
    let store = store(Some(PART), 10_000);
    let sizes = [1, PART - 1, PART, PART + 1, 4 * PART - 1, 4 * PART, 4 * PART + 1];
    for bytes in sizes {
        assert_eq!(parts(&comes_back(&store, bytes)), bytes.div_ceil(PART), "{bytes}");
    }
    proof::counted("parts", "sizes around whole parts", sizes.len(), 0);
}

#[test]
fn the_last_part_that_the_host_takes_is_used_and_not_one_more() {
    let store = store(Some(PART), 4);
    assert_eq!(parts(&comes_back(&store, 4 * PART)), 4);
    let mut upload =
        store.create("size/over", &PutOptions { expected: 4 * PART, ..PutOptions::default() }).expect("create");
    let mut outcome = Ok(());
    stream(5 * PART, &mut |block| {
        if outcome.is_ok() {
            outcome = upload.write_all(block);
        }
    });
    let error = match outcome {
        Ok(()) => upload.commit().map(|_| ()).expect_err("five parts of four"),
        Err(error) => {
            drop(upload);
            error.into()
        }
    };
    assert_eq!(kind(&error), Kind::Failed, "{error:#}");
    assert!(hints(&error).iter().any(|hint| hint.contains("S3_PART_SIZE")), "{error:#}: {:?}", hints(&error));
    assert!(store.list("").expect("list").is_empty() && store.unfinished("").expect("unfinished").is_empty());
    proof::counted("parts", "the limit of parts", 1, 1);
}

/// 5 GiB is the most that one request may hold, and where sizes of 32 bits have long been left behind.
#[test]
fn more_than_one_request_can_hold_comes_back() {
    let bytes = proof::size(120 << 20, (5 << 30) + 123) as u64;
    let parts = parts(&comes_back(&store(None, 10_000), bytes));
    assert!(parts > 1 && parts <= 10_000, "{parts}");
    proof::counted("parts", &format!("a stream of {bytes} bytes in {parts} parts"), 1, 0);
}

/// The largest resident size in KiB of an upload of so much text from a pipe, within so much address space.
fn largest(bytes: usize, compress: &str, limit: &str) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let row = "1\tof no interest, but as long as a row of a table is that somebody reads now and then, with a word or two more";
    let end = r"\\.\n\n\n--\n-- PostgreSQL database dump complete\n--\n";
    let copy = "COPY public.t (id, words) FROM stdin;";
    let rows = bytes / (row.len() + 1);
    let dump = format!("echo '{copy}'; yes '{row}' | head -n {rows}; printf -- '{end}'");
    let mut source =
        Command::new("sh").args(["-c", &dump]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let run =
        pgbk(["upload", "-", "--database", "large", "--json", "--compress", compress]).key().directory(folder.path());
    let mut command = run.command_by(&["/usr/bin/time", "-f", "%M", "prlimit", limit]);
    let output = command.stdin(source.stdout.take().unwrap()).output().unwrap();
    source.wait().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let made: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(made["tables"][0]["rows"], rows, "{made:#}");
    said.trim_end().lines().last().and_then(|line| line.parse().ok()).unwrap_or_else(|| panic!("no size in {said}"))
}

#[test]
fn memory_does_not_grow_with_the_dump() {
    let (small, large) = (proof::size(100 << 20, 500 << 20), proof::size(300 << 20, 20 << 30));
    let (one, other) = (largest(small, "zstd", "--as=unlimited"), largest(large, "zstd", "--as=unlimited"));
    eprintln!("{small} bytes: {one} KiB; {large} bytes: {other} KiB");
    // How far its threads come apart decides how many of its buffers are ever in use; what grew with the dump would take more.
    assert!(other <= one + (16 << 10), "{small} bytes take {one} KiB, and {large} bytes {other} KiB");
    proof::counted("memory", &format!("{one} KiB for {small} bytes, {other} KiB for {large} bytes"), 2, 0);
}

#[test]
fn a_quarter_of_a_gibibyte_of_address_space_is_enough() {
    let kib = largest(proof::size(200 << 20, 5 << 30), "gzip", "--as=268435456");
    proof::counted("memory", &format!("{kib} KiB within 256 MiB of address space"), 1, 0);
}
