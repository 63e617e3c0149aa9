//! Tests what is found in stored changes that somebody has spoilt, and what keeps them from being looked at.

use super::*;
use crate::base::error::{Kind, hints, kind};
use crate::base::progress::{NullMonitor, RecordingMonitor};
use crate::base::secret::Secret;
use crate::format::changes::segment_name::GenerationObject;
use crate::format::keys::Key;
use crate::format::manifest::base_alignment::BaseAlignment;
use crate::format::transaction_snapshot::TransactionSnapshot;
use crate::repository::chain::forged_chain::{DATABASE, ForgedChain};
use crate::repository::made_backups::{put_base, repository};
use crate::store::memory::Memory;
use crate::store::refusing_store::RefusingStore;
use crate::store::{Store, write_small};
use std::sync::Arc;

const FIRST: &str = "20260822T031500Z-5f0c21ab";
const SECOND: &str = "20260823T031500Z-00000001";

fn base(repository: &Repository, second: i64, generation: &str) -> String {
    let snapshot = TransactionSnapshot::of_text("7:9:7").unwrap();
    let changes = BaseAlignment::new(generation.parse().unwrap(), snapshot, (Lsn(0x180), Lsn(0x180)));
    put_base(repository, (DATABASE, second), Some("1"), &[], changes).id.to_string()
}

fn verified(repository: &Repository, monitor: &dyn Monitor) -> Result<Vec<ChainFinding>> {
    let (server, depth) = (ServerIdentity::Named("42".to_owned()), ChainDepth { segments: Level::Meta, proof: None });
    verify_changes(repository, &Subject::from(DATABASE), &server, depth, monitor)
}

fn refusing(repository: &Repository, memory: &Memory, end: &str, open: Kind) -> Repository {
    let store = RefusingStore { memory: memory.clone(), end: end.to_owned(), open: Some(open), remove: None };
    Repository { store: Arc::new(store), ..repository.clone() }
}

#[test]
fn a_generation_without_its_document_and_one_of_which_nothing_is_left_are_damage_and_are_named() {
    let store = Memory::default();
    let repository = repository(&store);
    let chain = ForgedChain::begin(&repository, FIRST).up_to(&[0x200, 0x300]);
    let name = chain.folder().key(&GenerationObject::Generation);
    store.remove(&name, None).unwrap();
    write_small(&store, &name, b"{}").unwrap();
    let lost = base(&repository, 1, SECOND);
    let found = verified(&repository, &NullMonitor).unwrap();
    let [spoilt, gone] = &found[..] else { panic!("{found:#?}") };
    for finding in &found {
        assert_eq!((finding.ok, finding.kind.map(Kind::exit_code)), (false, Some(3)), "{finding:#?}");
    }
    assert!(spoilt.errors[0].contains(&name), "{spoilt:#?}");
    let told = format!("the changes of generation {SECOND} are missing: nothing can be replayed behind {lost}");
    assert_eq!(gone.errors, [told]);
}

#[test]
fn of_several_servers_one_must_be_meant() {
    let store = Memory::default();
    let repository = repository(&store);
    ForgedChain::begin(&repository, FIRST).up_to(&[0x200]);
    ForgedChain::begin_on(&repository, SECOND, 43).up_to(&[0x200]);
    let error = verified(&repository, &NullMonitor).unwrap_err();
    let told = "several servers have stored changes of \"shop\" here: 43, 7301234567890123456";
    assert_eq!((kind(&error).exit_code(), format!("{error:#}").as_str()), (2, told));
    assert_eq!(
        hints(&error),
        ["connect to the one that you mean (DB_HOST, DB_PORT): its own changes are verified then"]
    );
}

#[test]
fn a_store_that_does_not_let_documents_be_read_is_no_damage() {
    let store = Memory::default();
    let repository = repository(&store);
    let chain = ForgedChain::begin(&repository, FIRST).up_to(&[0x200, 0x300]);
    let id = base(&repository, 1, FIRST);
    for document in [chain.document(1), format!("{id}.meta")] {
        let error = verified(&refusing(&repository, &store, &document, Kind::Denied), &NullMonitor).unwrap_err();
        assert_eq!(kind(&error), Kind::Denied, "{document}");
        assert!(format!("{error:#}").contains(&document), "{document}: {error:#}");
    }
}

#[test]
fn a_base_that_goes_meanwhile_counts_no_more_and_one_that_cannot_be_trusted_is_named() {
    let store = Memory::default();
    let repository = repository(&store);
    ForgedChain::begin(&repository, FIRST).up_to(&[0x200, 0x300]);
    let own = base(&repository, 1, FIRST);
    let stranger =
        Repository { key: Some(Key::raw(&Secret::new("11".repeat(32).as_str()), None).unwrap()), ..repository.clone() };
    let other = base(&stranger, 2, FIRST);
    let monitor = RecordingMonitor::new(&NullMonitor);
    let found = verified(&repository, &monitor).unwrap();
    assert_eq!(found[0].bases.iter().map(ToString::to_string).collect::<Vec<_>>(), [own.as_str()]);
    assert!(found[0].ok, "{found:#?}");
    let warnings = monitor.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].starts_with(&format!("{other} is not counted as a base: ")), "{warnings:?}");

    let gone = refusing(&repository, &store, &format!("{own}.meta"), Kind::NotFound);
    let found = verified(&gone, &NullMonitor).unwrap();
    assert!(found[0].bases.is_empty() && found[0].ok, "{found:#?}");
}
