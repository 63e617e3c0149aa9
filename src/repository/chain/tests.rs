//! Chains as they were stored, and as somebody left them.

use super::*;
use crate::base::error::{Kind, hints, kind};
use crate::base::secret::Secret;
use crate::base::subject::Subject;
use crate::format::changes::delta_record::DeltaRecord;
use crate::format::keys::Key;
use crate::repository::chain::forged_chain::{DATABASE, ForgedChain};
use crate::repository::chain::transaction_log::LogQuery;
use crate::repository::made_backups;
use crate::store::memory::Memory;
use crate::store::{Store, read_small, write_small};

const FIRST: &str = "20260822T031500Z-5f0c21ab";
const SECOND: &str = "20260823T031500Z-00000001";

fn listings(repository: &Repository) -> Vec<GenerationListing> {
    repository.generations(&Subject::from(DATABASE)).unwrap()
}

/// Reads the only generation.
fn read(repository: &Repository) -> Result<SegmentChain> {
    let listings = listings(repository);
    assert_eq!(listings.len(), 1);
    repository.chain(&listings[0])
}

/// Replaces what is stored under a key.
fn replace(store: &Memory, key: &str, bytes: &[u8]) {
    store.remove(key, None).unwrap();
    write_small(store, key, bytes).unwrap();
}

fn bytes(store: &Memory, key: &str) -> Vec<u8> {
    read_small(store, key, 1 << 20).unwrap()
}

/// Reads all records of a segment, and compares them with its document.
fn read_delta(repository: &Repository, link: &ChainLink) -> Result<u64> {
    let (mut reader, mut changes) = (repository.delta(link)?, 0);
    loop {
        match reader.next_record()? {
            Some(DeltaRecord::Change { .. }) => changes += 1,
            Some(DeltaRecord::End { end }) => {
                link.compare(&reader, end)?;
                return Ok(changes);
            }
            Some(_) => {}
            None => unreachable!(),
        }
    }
}

#[test]
fn a_whole_chain_is_read_from_any_place_of_it_and_its_payloads_are_what_it_states() {
    let store = Memory::default();
    let repository = made_backups::repository(&store);
    ForgedChain::begin(&repository, FIRST).up_to(&[0x200, 0x300, 0x400]);
    let chain = read(&repository).unwrap();
    for position in [0x100, 0x1ff, 0x200, 0x3ff] {
        let span = chain.around(Lsn(position)).unwrap();
        assert_eq!((span.start(), span.end(), span.links().len()), (Lsn(0x100), Lsn(0x400), 3), "{position:x}");
    }
    let mut span = chain.around(Lsn(0x100)).unwrap();
    span.must_be_whole().unwrap();
    let between = |span: &mut ChainSpan, from, to| -> Vec<u64> {
        span.between(Lsn(from), Lsn(to)).unwrap().iter().map(|link| link.segment.start.0).collect()
    };
    assert_eq!(between(&mut span, 0x100, 0x400), [0x100, 0x200, 0x300]);
    assert_eq!(between(&mut span, 0x200, 0x300), [0x200]);
    assert_eq!(between(&mut span, 0x2ff, 0x301), [0x200, 0x300]);
    for link in span.links() {
        repository.check_stored(link).unwrap();
        assert_eq!(read_delta(&repository, link).unwrap(), 1);
    }
    let beyond = span.between(Lsn(0x100), Lsn(0x401)).err().unwrap();
    assert_eq!(kind(&beyond), Kind::NotFound);
    assert!(format!("{beyond:#}").contains("end at 0/400, before 0/401"), "{beyond:#}");
    let after = chain.around(Lsn(0x400)).err().unwrap();
    assert!(format!("{after:#}").contains("end at 0/400"), "{after:#}");
    let before = chain.around(Lsn(0xff)).err().unwrap();
    assert_eq!((kind(&before), hints(&before)), (Kind::Damaged, vec![FROM_ANOTHER]));
}

#[test]
fn what_is_missing_or_replaced_ends_the_part_before_it_and_is_named() {
    type Deed = fn(&Memory, &ForgedChain<'_>);
    let deeds: [(&str, Deed, &str); 5] = [
        (
            "missing",
            |store, chain| store.remove(&chain.document(1), None).unwrap(),
            "0000000000000200.meta\" is missing",
        ),
        (
            "another's under its name",
            |store, chain| replace(store, &chain.document(1), &bytes(store, &chain.document(2))),
            "it belongs to another segment",
        ),
        (
            "cut short",
            |store, chain| {
                let whole = bytes(store, &chain.document(1));
                replace(store, &chain.document(1), &whole[..whole.len() / 2]);
            },
            "0000000000000200.meta",
        ),
        (
            "without what came before",
            |store, chain| {
                let other = Memory::default();
                let repository = made_backups::repository(&other);
                let mut forged = ForgedChain::begin(&repository, FIRST);
                forged.add(Lsn(0x200), Lsn(0x300), None);
                replace(store, &chain.document(1), &bytes(&other, &forged.document(0)));
            },
            "does not continue the chain of segments, which ends at 0/200",
        ),
        (
            "overlapping",
            |_, chain| {
                let mut forged = ForgedChain { segments: Vec::new(), generation: chain.generation.clone(), ..*chain };
                forged.add(Lsn(0x180), Lsn(0x280), None);
            },
            "0000000000000180.meta\" does not continue the chain of segments, which ends at 0/200",
        ),
    ];
    for (what, deed, told) in deeds {
        let store = Memory::default();
        let repository = made_backups::repository(&store);
        let chain = ForgedChain::begin(&repository, FIRST).up_to(&[0x200, 0x300, 0x400]);
        deed(&store, &chain);
        let chain = read(&repository).unwrap();
        let mut span = chain.around(Lsn(0x100)).unwrap();
        assert_eq!(span.end(), Lsn(0x200), "{what}");
        assert_eq!(span.between(Lsn(0x100), Lsn(0x200)).unwrap().len(), 1, "{what}");
        let error = span.between(Lsn(0x100), Lsn(0x201)).err().unwrap();
        assert!(format!("{error:#}").contains(told), "{what}: {error:#}");
        assert_eq!(kind(&error), Kind::Damaged, "{what}");
        if what != "overlapping" {
            // What comes behind it follows something else, and is not taken for its continuation.
            assert_eq!(chain.around(Lsn(0x300)).unwrap().start(), Lsn(0x300), "{what}");
        } else {
            assert!(chain.around(Lsn(0x190)).is_err());
        }
    }
}

#[test]
fn documents_of_another_key_and_of_another_generation_are_refused() {
    let store = Memory::default();
    let repository = made_backups::repository(&store);
    let chain = ForgedChain::begin(&repository, FIRST).up_to(&[0x200, 0x300]);
    let other_key = Key::raw(&Secret::new("11".repeat(32).as_str()), None).unwrap();
    let strangers = Memory::default();
    let stranger = Repository { key: Some(other_key), ..made_backups::repository(&strangers) };
    let theirs = ForgedChain::begin(&stranger, FIRST).up_to(&[0x200, 0x300]);
    let foreign = Memory::default();
    let own = made_backups::repository(&foreign);
    let second = ForgedChain::begin(&own, SECOND).up_to(&[0x200, 0x300]);
    for bytes in [bytes(&strangers, &theirs.document(1)), bytes(&foreign, &second.document(1))] {
        replace(&store, &chain.document(1), &bytes);
        let read = read(&repository).unwrap();
        let mut span = read.around(Lsn(0x100)).unwrap();
        assert_eq!(span.end(), Lsn(0x200));
        assert!(span.must_be_whole().is_err());
        assert!(read.around(Lsn(0x200)).is_err());
    }
    replace(&store, &chain.generation.key_name(), &bytes(&strangers, &theirs.generation.key_name()));
    assert!(read(&repository).is_err());
    store.remove(&chain.generation.key_name(), None).unwrap();
    let error = read(&repository).err().unwrap();
    assert!(format!("{error:#}").contains("gen.meta\" is missing"), "{error:#}");
}

#[test]
fn a_payload_that_is_missing_or_changed_is_named_before_anything_of_it_is_decrypted() {
    let store = Memory::default();
    let repository = made_backups::repository(&store);
    let forged = ForgedChain::begin(&repository, FIRST).up_to(&[0x200, 0x300]);
    let chain = read(&repository).unwrap();
    let span = chain.around(Lsn(0x100)).unwrap();
    let link = &span.links()[1];
    let (key, whole) = (&link.segment.object, bytes(&store, &forged.segments[1].0.object));
    let mut changed = whole.clone();
    changed[20] ^= 1;
    let first = bytes(&store, &forged.segments[0].0.object);
    for bytes in [changed, whole[..whole.len() - 16].to_vec(), first] {
        replace(&store, key, &bytes);
        let (stored, read) = (repository.check_stored(link), read_delta(&repository, link));
        for error in [stored.unwrap_err(), read.unwrap_err()] {
            assert_eq!(kind(&error), Kind::Damaged, "{error:#}");
            assert!(format!("{error:#}").contains(key.as_str()), "{error:#}");
        }
    }
    store.remove(key, None).unwrap();
    let error = repository.check_stored(link).unwrap_err();
    assert!(format!("{error:#}").contains("of the changes from 0/200 is missing"), "{error:#}");
    repository.check_stored(&span.links()[0]).unwrap();
}

#[test]
fn a_payload_that_is_whole_and_not_the_one_that_its_document_states_is_damage() {
    let store = Memory::default();
    let repository = made_backups::repository(&store);
    ForgedChain::begin(&repository, FIRST).up_to(&[0x200, 0x300]);
    let listing = listings(&repository).remove(0);
    // Whoever has the key can seal such documents.
    let stated = |change: fn(&mut Segment)| {
        let mut link = repository.link(&listing, Lsn(0x200), &listing.segments[&Lsn(0x200)]).unwrap();
        change(&mut link.segment);
        link
    };
    let object = stated(|_| {}).segment.object;
    let other_sum = repository.check_stored(&stated(|segment| segment.stored.blake2b[0] ^= 1)).unwrap_err();
    let other_start = repository.delta(&stated(|segment| segment.start = Lsn(0x280))).err().unwrap();
    for (error, told, from) in [
        (other_sum, "does not have the BLAKE2b that its .meta states", "0/200"),
        (other_start, "starts elsewhere than its .meta states", "0/280"),
    ] {
        assert_eq!(kind(&error).exit_code(), 3);
        assert_eq!(format!("{error:#}"), format!("\"{object}\" {told}"));
        assert_eq!(hints(&error), [format!("what came before it can be restored: --at {from}")]);
    }
}

#[test]
fn a_chain_that_has_not_begun_or_is_broken_is_told_to_a_restore_a_log_and_a_capture() {
    let store = Memory::default();
    let repository = made_backups::repository(&store);
    let empty = ForgedChain::begin(&repository, FIRST);
    let error = read(&repository).unwrap().around(Lsn(0x180)).err().unwrap();
    assert_eq!(kind(&error).exit_code(), 4);
    let told = format!("\"{}\" holds no segment: no changes have been stored yet", empty.folder().prefix());
    assert_eq!(format!("{error:#}"), told);
    assert!(hints(&error)[0].contains("whether a capture runs"), "{error:?}");

    let chain = empty.up_to(&[0x200, 0x300, 0x400]);
    let subject = Subject::from(DATABASE);
    assert_eq!(repository.chain_tail(&subject).unwrap().unwrap().end, Lsn(0x400));
    store.remove(&chain.document(1), None).unwrap();
    let error = repository.chain_tail(&subject).unwrap_err();
    assert_eq!(kind(&error).exit_code(), 3);
    let told = format!("\"{}\" does not continue the chain of segments, which ends at 0/200", chain.document(2));
    assert_eq!(format!("{error:#}"), told);
    assert_eq!(hints(&error), ["\"pgbk capture --new-generation\" begins a new chain; take a backup after it"]);

    // The log passes over a generation that cannot be read, and says so.
    let second = ForgedChain::begin(&repository, SECOND).up_to(&[0x200]);
    let query = LogQuery { most: 10, ..LogQuery::default() };
    replace(&store, &chain.generation.key_name(), b"{}");
    let log = repository.transactions(&subject, &query).unwrap();
    assert!(log.broken.len() == 1 && log.broken[0].contains(&chain.generation.key_name()), "{:?}", log.broken);
    assert_eq!((log.transactions.len(), log.transactions[0].generation), (1, second.generation.id));
}

#[test]
fn generations_are_listed_at_once_and_a_stranger_among_the_objects_is_passed_over() {
    let store = Memory::default();
    let repository = made_backups::repository(&store);
    ForgedChain::begin(&repository, SECOND).up_to(&[0x200]);
    ForgedChain::begin(&repository, FIRST).up_to(&[0x200, 0x300]);
    write_small(&store, "@changes/shop/note", b"x").unwrap();
    write_small(&store, "@changes/shopping/20260822T031500Z-5f0c21ab/gen.meta", b"x").unwrap();
    let found = listings(&repository);
    let counts: Vec<_> =
        found.iter().map(|one| (one.folder.generation.to_string(), one.segments.len(), one.last())).collect();
    assert_eq!(counts, [(FIRST.to_owned(), 2, Some(Lsn(0x200))), (SECOND.to_owned(), 1, Some(Lsn(0x100)))]);
    assert!(found.iter().all(|one| one.payloads.len() == one.segments.len()));
}
