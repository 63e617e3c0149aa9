//! What must hold for any input.

use pgbk::base::error::{Kind, kind};
use pgbk::base::progress::NullMonitor;
use pgbk::base::secret::Secret;
use pgbk::format::backup_id::BackupId;
use pgbk::format::keys::Key;
use pgbk::format::manifest::seal::SealedManifest;
use pgbk::format::manifest::{Compression, Format, Manifest, Method};
use pgbk::repository::Repository;
use pgbk::repository::writer::ManifestDetails;
use pgbk::store::memory::Memory;
use proptest::prelude::*;
use std::io::{Read, Write};
use std::sync::Arc;

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

fn raw_key(iv: Option<&str>) -> Key {
    Key::raw(&Secret::new(KEY), iv).unwrap()
}

fn repository(key: Option<Key>, encrypt: bool) -> Repository {
    Repository {
        store: Arc::new(Memory::default()),
        variant: Default::default(),
        key,
        encrypt,
        verify: true,
        allow_unauthenticated: false,
    }
}

/// Writes the bytes in pieces of these lengths, over and over.
fn store(
    repository: &Repository,
    bytes: &[u8],
    pieces: &[usize],
    format: Format,
    compression: Option<Compression>,
) -> Manifest {
    let id: BackupId = "shop-20260822T031500Z".parse().unwrap();
    let mut writer = repository.begin(id.into(), format, compression, 0).unwrap();
    let mut rest = bytes;
    for length in pieces.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at((*length).min(rest.len()));
        writer.write_all(piece).unwrap();
        rest = after;
    }
    writer.finish(ManifestDetails::default(), &NullMonitor).unwrap()
}

fn fetch(repository: &Repository, id: &BackupId) -> Vec<u8> {
    let mut bytes = Vec::new();
    repository.open(id).unwrap().plain().unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

/// Short and long, empty, repetitive and random: what makes codecs and blocks behave differently.
fn dumps() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..70),
        (any::<u8>(), 0usize..400_000).prop_map(|(byte, length)| vec![byte; length]),
        (any::<u64>(), 0usize..400_000).prop_map(|(seed, length)| noise(seed, length)),
        "(COPY public\\.t \\(a\\) FROM stdin;\n([a-z\\\\]{0,8}\n){0,20}(\\\\\\.\n)?|[^\u{0}]{0,20}){0,8}"
            .prop_map(String::into_bytes),
    ]
}

fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed | 1;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 56) as u8
    })
    .take(length)
    .collect()
}

fn methods() -> impl Strategy<Value = Option<Compression>> {
    proptest::sample::select(vec![
        None,
        Some(Compression { method: Method::Xz, level: 0 }),
        Some(Compression { method: Method::Zstd, level: 1 }),
        Some(Compression { method: Method::Gzip, level: 1 }),
    ])
}

fn formats() -> impl Strategy<Value = Format> {
    proptest::sample::select(vec![Format::Plain, Format::Custom, Format::Tar])
}

fn pieces() -> impl Strategy<Value = Vec<usize>> {
    proptest::collection::vec(prop_oneof![1usize..40, 1usize..200_000], 1..5).prop_map(|mut pieces| {
        // A hundred thousand single bytes would test nothing more than a few of them do.
        pieces.push(100_000);
        pieces
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_in_any_pieces_come_back(
        bytes in dumps(),
        pieces in pieces(),
        method in methods(),
        format in formats(),
        mode in 0..4,
    ) {
        let repository = match mode {
            0 => repository(None, true),
            1 => repository(Some(raw_key(None)), true),
            2 => repository(Some(raw_key(Some("000102030405060708090a0b0c0d0e0f"))), true),
            _ => repository(Some(raw_key(None)), false),
        };
        let bytes = of_format(format, bytes);
        let manifest = store(&repository, &bytes, &pieces, format, method);
        prop_assert_eq!(manifest.plain.bytes, bytes.len() as u64);
        prop_assert!(fetch(&repository, &manifest.id) == bytes);
    }
}

proptest! {
    // The derivation is slow on purpose.
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 3, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_come_back_by_password(bytes in dumps(), pieces in pieces(), method in methods(), word in "\\PC{1,20}") {
        let repository = repository(Some(Key::Password(Secret::new(word))), true);
        let bytes = of_format(Format::Custom, bytes);
        let manifest = store(&repository, &bytes, &pieces, Format::Custom, method);
        prop_assert!(fetch(&repository, &manifest.id) == bytes);
    }
}

/// An archive that does not begin as one is refused.
fn of_format(format: Format, bytes: Vec<u8>) -> Vec<u8> {
    match format {
        Format::Plain | Format::Tar => bytes,
        Format::Custom => [b"PGDMP".as_slice(), &bytes].concat(),
    }
}

/// A real document, sealed with the raw key or without one.
fn document(keyed: bool) -> Vec<u8> {
    let repository = repository(keyed.then(|| raw_key(None)), true);
    let text = b"COPY public.t (a) FROM stdin;\n1\n\\.\n";
    let manifest = store(&repository, text, &[text.len()], Format::Plain, None);
    repository.store.open(&manifest.meta_key(), None).and_then(|object| object.read(0..object.info().bytes)).unwrap()
}

#[derive(Debug, Clone)]
enum Change {
    Flip(u8),
    Insert(Vec<u8>),
    Cut(usize),
    Repeat(usize),
}

fn changes() -> impl Strategy<Value = Change> {
    prop_oneof![
        (1..=255u8).prop_map(Change::Flip),
        proptest::sample::select(vec!["null", "-1", "{}", "[[", "1e999", "\"", "\\u0000", "99999999999999999999", ","])
            .prop_map(|text| Change::Insert(text.as_bytes().to_vec())),
        proptest::collection::vec(any::<u8>(), 1..9).prop_map(Change::Insert),
        (1usize..200).prop_map(Change::Cut),
        (1usize..200).prop_map(Change::Repeat),
    ]
}

fn changed(document: &[u8], at: usize, change: &Change) -> Vec<u8> {
    let at = at % document.len();
    let (before, after) = document.split_at(at);
    match change {
        Change::Flip(mask) => [before, &[after[0] ^ mask], &after[1..]].concat(),
        Change::Insert(bytes) => [before, bytes, after].concat(),
        Change::Cut(length) => [before, &after[(*length).min(after.len())..]].concat(),
        Change::Repeat(length) => [before, &after[..(*length).min(after.len())], after].concat(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = SealedManifest::parse("x.meta", bytes);
    }

    #[test]
    fn a_changed_document_is_never_authentic(at in any::<usize>(), change in changes(), keyed in any::<bool>()) {
        use std::sync::LazyLock;
        static DOCUMENTS: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| [document(false), document(true)]);
        let document = &DOCUMENTS[usize::from(keyed)];
        let key = keyed.then(|| raw_key(None));
        prop_assert!(SealedManifest::parse("x.meta", document.clone()).unwrap().authenticate(key.as_ref(), false).is_ok());
        let other = changed(document, at, &change);
        prop_assume!(&other != document);
        let outcome = SealedManifest::parse("x.meta", other).and_then(|sealed| sealed.authenticate(key.as_ref(), false));
        match outcome {
            Ok(_) => prop_assert!(false, "accepted"),
            // A version from the future is no damage, nor is the name of another key; and nothing of it was believed.
            Err(error) => {
                let refused = matches!(kind(&error), Kind::Damaged | Kind::OtherKey | Kind::Failed | Kind::Usage);
                prop_assert!(refused, "{error:#}");
            }
        }
    }
}
