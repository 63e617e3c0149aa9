//! Damage and forgery: every kind of it is refused before a byte of it reaches anything.

mod bomb;
mod forgery;
mod restoring;
mod sample;

use pgbk::base::error::{Kind, hints, kind};
use pgbk::base::progress::NullMonitor;
use pgbk::base::secret::Secret;
use pgbk::base::verify_level::Level;
use pgbk::format::backup_id::BackupId;
use pgbk::format::keys::Key;
use pgbk::format::manifest::{Compression, Format, Manifest, Method};
use pgbk::jobs::verify::verify;
use pgbk::repository::writer::ManifestDetails;
use pgbk::store::memory::Memory;
use pgbk::store::{Store, write_small};
use sample::{Sample, backup, database, raw_key, read, repository, without_seal};
use std::cell::Cell;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};
use support::cluster::cluster;
use support::pgbk::{ENC_PASSWORD, KEY, OTHER_KEY, Outcome, Pgbk, pgbk};
use support::proof;
use support::random::Random;

const CHUNK: usize = 1 << 20;

thread_local! {
    /// What was refused so far in a test, each of which has a thread of its own.
    static REFUSED: Cell<usize> = const { Cell::new(0) };
}

fn count_one() {
    REFUSED.set(REFUSED.get() + 1);
}

fn tell(area: &str, what: &str) {
    let refused = REFUSED.take();
    assert!(refused > 0, "{what}: nothing was tried");
    proof::counted(area, what, 0, refused);
}

/// Must fail as damage, and give nothing out beyond what lies before the damaged chunk.
fn refused(what: &str, damaged: &Sample, undamaged_chunks: usize) {
    let (given, outcome) = damaged.read();
    let error = outcome.expect_err(what);
    let version = format!("{error:#}").contains("has format version");
    // A bit of the check id makes it another key's.
    assert!(matches!(kind(&error), Kind::Damaged | Kind::OtherKey) || version, "{what}: {error:#}");
    assert!(given.len() <= undamaged_chunks * CHUNK, "{what}: {} bytes came out", given.len());
    assert!(damaged.plain.starts_with(&given), "{what}: something else than the dump came out");
    count_one();
}

fn flip(bytes: &mut [u8], random: &mut Random) -> String {
    let (at, bit) = (random.below(bytes.len()), random.below(8));
    bytes[at] ^= 1 << bit;
    format!("bit {bit} of byte {at}")
}

fn flips(sample: &Sample, payload: usize, meta: usize, random: &mut Random) {
    for _ in 0..payload {
        let mut damaged = sample.clone();
        let what = flip(&mut damaged.payload, random);
        let chunk = damaged.payload.iter().zip(&sample.payload).position(|(one, other)| one != other).unwrap() / CHUNK;
        refused(&format!("{what} of the payload"), &damaged, chunk);
    }
    for _ in 0..meta {
        let mut damaged = sample.clone();
        let what = flip(&mut damaged.meta, random);
        refused(&format!("{what} of the .meta"), &damaged, 0);
    }
}

/// Every length that is a multiple of 16, and every one of the last 64.
fn lengths(whole: usize) -> impl Iterator<Item = usize> {
    (0..whole).filter(move |length| length % 16 == 0 || length + 64 >= whole)
}

fn truncations(sample: &Sample) -> usize {
    let mut count = 0;
    for length in lengths(sample.payload.len()) {
        let damaged = Sample { payload: sample.payload[..length].to_vec(), ..sample.clone() };
        refused(&format!("a payload cut to {length} bytes"), &damaged, 0);
        count += 1;
    }
    for length in lengths(sample.meta.len()) {
        let damaged = Sample { meta: sample.meta[..length].to_vec(), ..sample.clone() };
        refused(&format!("a .meta cut to {length} bytes"), &damaged, 0);
        count += 1;
    }
    count
}

#[test]
fn every_one_of_a_thousand_flipped_bits_is_noticed_with_a_raw_key() {
    let mut random = Random::new("flips with a raw key");
    flips(&Sample::keyed(), proof::size(300, 2_400), proof::size(300, 2_000), &mut random);
    let several = Sample::of_several_chunks();
    assert!(several.payload.len() > 2 * CHUNK, "{}", several.payload.len());
    flips(&several, proof::size(100, 600), 0, &mut random);
    tell("flips", "with a raw key");
}

#[test]
fn every_flipped_bit_is_noticed_with_a_password() {
    // Each look derives the key anew, which takes its time.
    let each = proof::size(25, 50);
    flips(&Sample::with_password(), each, each, &mut Random::new("flips with a password"));
    tell("flips", "with a password");
}

#[test]
fn every_flipped_bit_is_noticed_without_a_key() {
    let each = proof::size(500, 2_450);
    flips(&Sample::without_key(), each, each, &mut Random::new("flips without a key"));
    tell("flips", "without a key");
}

#[test]
fn every_truncation_is_noticed() {
    for sample in [Sample::keyed(), Sample::without_key()] {
        assert!(truncations(&sample) > 1000);
    }
    tell("forgeries", "truncations");
}

/// The size is checked first, so the tags get their turn where the `.meta` itself states the shorter size.
#[test]
fn a_truncation_that_the_meta_agrees_with_is_noticed_by_the_tags() {
    let sample = Sample::keyed();
    for length in lengths(sample.payload.len()).step_by(7) {
        let shorter = sample.resealed(|manifest| manifest.stored.bytes = length as u64);
        let damaged = Sample { payload: sample.payload[..length].to_vec(), ..shorter };
        refused(&format!("a payload and a size of {length} bytes"), &damaged, 0);
    }
    tell("forgeries", "truncations that the .meta agrees with");
}

#[test]
fn appended_bytes_are_noticed() {
    for (count, sample) in [(1, Sample::keyed()), (16, Sample::keyed()), (CHUNK, Sample::of_several_chunks())] {
        let mut longer = sample.clone();
        longer.payload.extend(std::iter::repeat_n(0x5a, count));
        refused("a longer payload", &longer, 0);
        let mut longer = sample.clone();
        longer.meta.extend(std::iter::repeat_n(b' ', count));
        refused("a longer .meta", &longer, 0);
    }
    tell("forgeries", "appended bytes");
}

#[test]
fn swapped_chunks_are_noticed_at_the_first_of_them() {
    let sample = Sample::of_several_chunks();
    let mut swapped = sample.clone();
    let (first, rest) = swapped.payload.split_at_mut(CHUNK);
    first.swap_with_slice(&mut rest[..CHUNK]);
    refused("chunks 0 and 1 swapped", &swapped, 0);
    let mut doubled = sample;
    doubled.payload.copy_within(0..CHUNK, CHUNK);
    refused("chunk 0 in the place of chunk 1", &doubled, 1);
    tell("forgeries", "swapped chunks");
}
