//! Tests what keeps the beginning of a chain from going.

use super::*;
use crate::base::error::hints;
use crate::repository::chain::forged_chain::{DATABASE, ForgedChain};
use crate::repository::made_backups::repository;
use crate::store::memory::Memory;
use crate::store::refusing_store::RefusingStore;
use std::sync::Arc;

fn listing(repository: &Repository) -> GenerationListing {
    repository.generations(&Subject::from(DATABASE)).unwrap().remove(0)
}

#[test]
fn a_cut_that_another_removal_has_written_is_as_good_and_that_of_another_chain_is_none() {
    let store = Memory::default();
    let repository = repository(&store);
    ForgedChain::begin(&repository, "20260822T031500Z-5f0c21ab").up_to(&[0x200, 0x300, 0x400]);
    let removal = repository.removable(&listing(&repository), Some(Lsn(0x300))).unwrap();
    let cut = removal.cut.unwrap();
    assert_eq!((removal.begin, cut.start), (Some(Lsn(0x300)), Lsn(0x300)));
    repository.write_cut(&cut).unwrap();
    repository.write_cut(&cut).unwrap();
    let previous = PreviousSegment { seal: [7; 32], ..cut.previous };
    let error = repository.write_cut(&ChainCut { previous, ..cut.clone() }).unwrap_err();
    assert_eq!(kind(&error).exit_code(), 3);
    let told = format!("{error:#}");
    assert!(told.contains(&cut.key_name()) && told.contains("nothing of the chain was removed"), "{told}");
    assert!(hints(&error)[0].starts_with("\"pgbk verify --changes\" says whether"), "{error:?}");
}

#[test]
fn what_the_store_does_not_let_be_read_is_no_reason_to_keep_less_and_is_told() {
    let store = Memory::default();
    let plain = repository(&store);
    let chain = ForgedChain::begin(&plain, "20260822T031500Z-5f0c21ab").up_to(&[0x200, 0x300, 0x400]);
    let refused = |open| {
        let store = RefusingStore { memory: store.clone(), end: chain.document(1), open: Some(open), remove: None };
        let repository = Repository { store: Arc::new(store), ..plain.clone() };
        repository.removable(&listing(&repository), Some(Lsn(0x400)))
    };
    let error = refused(Kind::Denied).unwrap_err();
    assert_eq!((kind(&error), format!("{error:#}").contains(&chain.document(1))), (Kind::Denied, true));
    // One that is gone ends what can go, as one that is damaged does.
    let removal = refused(Kind::NotFound).unwrap();
    assert_eq!((removal.begin, removal.fault.as_ref().map(kind)), (Some(Lsn(0x200)), Some(Kind::NotFound)));
}
