//! Two captures that write one chain.

use super::*;
use crate::base::error::hints;
use crate::base::progress::NullMonitor;
use crate::format::lsn::Lsn;
use crate::repository::chain::forged_chain::ForgedChain;
use crate::repository::made_backups::repository;
use crate::store::memory::Memory;
use crate::store::refusing_store::RefusingStore;

/// Stores the first segment of a generation, which ends here and holds nothing.
fn store(repository: &Repository, generation: &Generation, end: u64) -> Result<StoredSegment> {
    let head = DeltaHead { start: generation.start, encoding: generation.encoding };
    let writer = repository.begin_segment(generation, head, Relations::default(), None)?;
    let timelines = &TimelineHistory::new(generation.timeline, Vec::new());
    let written_at = generation.created_at;
    let facts = SegmentFacts { generation, previous: None, written_at, timelines, sequences: None };
    repository.store_segment(writer.finish(Lsn(end))?, facts, &NullMonitor)
}

#[test]
fn of_two_captures_the_second_stores_nothing_and_is_told_of_the_other() {
    let memory = Memory::default();
    let plain = repository(&memory);
    let generation = ForgedChain::begin(&plain, "20260822T031500Z-5f0c21ab").generation;
    let document = store(&plain, &generation, 0x200).unwrap().segment.key_name();
    let keys = || memory.list("").unwrap().into_iter().map(|listed| listed.key).collect::<Vec<_>>();
    let before = keys();
    let error = store(&plain, &generation, 0x300).err().unwrap();
    assert_eq!(kind(&error).exit_code(), 5);
    assert_eq!(format!("{error:#}"), format!("another capture has stored \"{document}\", which comes next here"));
    assert_eq!(hints(&error), ["one capture at a time writes the changes of a database: stop one of the two"]);
    assert_eq!(keys(), before, "the payload is gone again");

    // Whose document it is that cannot be read back, nobody knows: its payload may be this one.
    let refusing =
        RefusingStore { memory: memory.clone(), end: document.clone(), open: Some(Kind::Denied), remove: None };
    let refused = Repository { store: Arc::new(refusing), ..plain.clone() };
    let error = store(&refused, &generation, 0x300).err().unwrap();
    assert_eq!(kind(&error), Kind::Exists);
    assert!(format!("{error:#}").contains(&document), "{error:#}");
    assert_eq!(keys().len(), before.len() + 1);
}

#[test]
fn what_was_stored_while_the_share_of_its_generation_had_gone_is_taken_back() {
    let memory = Memory::default();
    let plain = repository(&memory);
    let generation = ForgedChain::begin(&plain, "20260822T031500Z-5f0c21ab").generation;
    let refused = |open| {
        let refusing =
            RefusingStore { memory: memory.clone(), end: generation.key_name(), open: Some(open), remove: None };
        store(&Repository { store: Arc::new(refusing), ..plain.clone() }, &generation, 0x200).err().unwrap()
    };
    let count = || memory.list("").unwrap().len();
    let error = refused(Kind::NotFound);
    assert_eq!(format!("{error:#}"), "the store does not hold the changes that were stored before");
    assert!(hints(&error)[0].starts_with("is the folder mounted that STORE_DIR names?"), "{error:?}");
    assert_eq!((kind(&error).exit_code(), count()), (1, 1));
    // Where the store only does not answer, the segment may stand where it belongs.
    let error = refused(Kind::Denied);
    assert_eq!((kind(&error), count()), (Kind::Denied, 3));
}
