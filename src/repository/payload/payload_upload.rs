//! Writes a payload. What one object has no room for goes into the next.
//!
//! An object that is full is handed over to the store, but appears only when all are committed. So a backup that fails on the way leaves
//! nothing, even in a bucket that locks what is stored.

use crate::base::error::{Fault, Result, into_io};
use crate::base::progress::Monitor;
use crate::format::manifest::further_object::MOST_OBJECTS;
use crate::format::manifest::payload_objects::object_key;
use crate::repository::payload::take_back;
use crate::store::{ObjectKind, PutOptions, PutResult, Store, Upload};
use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest time for which waiting objects are discarded one after the other.
const DISCARD_LIMIT: Duration = Duration::from_secs(60);

pub(crate) struct PayloadUpload {
    store: Arc<dyn Store>,
    key: String,
    /// Most bytes of one object. `None`: all are for the first one.
    largest: Option<u64>,
    full: FullObjects,
    current: Box<dyn Upload>,
    /// Bytes that the current object has room for.
    room: u64,
}

impl PayloadUpload {
    /// Begins the first object, which has the payload's key. `expected`: the size of the payload to plan for, in bytes.
    pub fn begin(store: &Arc<dyn Store>, key: &str, expected: u64, largest: Option<u64>) -> Result<PayloadUpload> {
        let expected = largest.map_or(expected, |largest| expected.min(planned(largest)));
        let (store, key) = (Arc::clone(store), key.to_owned());
        let current = store.create(&key, &creation(expected))?;
        Ok(PayloadUpload {
            store,
            key,
            largest,
            full: FullObjects::default(),
            current,
            room: largest.unwrap_or(u64::MAX),
        })
    }

    fn append(&mut self, bytes: &[u8]) -> Result<usize> {
        if self.room == 0 && !bytes.is_empty() {
            self.begin_next()?;
        }
        let room = usize::try_from(self.room).unwrap_or(usize::MAX);
        let taken = self.current.write(&bytes[..bytes.len().min(room)])?;
        if self.largest.is_some() {
            self.room -= taken as u64;
        }
        Ok(taken)
    }

    fn begin_next(&mut self) -> Result<()> {
        let Some(largest) = self.largest else { return Ok(()) };
        let number = self.full.0.len() + 2;
        if number > MOST_OBJECTS {
            return Err(Fault::failed(format!("\"{}\" needs more than {MOST_OBJECTS} objects", self.key))
                .hint("set MAX_OBJECT_SIZE to a larger size")
                .into());
        }
        self.current.close()?;
        let next = self.store.create(&object_key(&self.key, number), &creation(planned(largest)))?;
        self.full.0.push_back(std::mem::replace(&mut self.current, next));
        self.room = largest;
        Ok(())
    }

    /// Makes all objects visible, the first one first. If one of them fails, those before it are taken back.
    pub fn commit(self, monitor: &dyn Monitor) -> Result<Vec<PutResult>> {
        let PayloadUpload { store, key, mut full, current, .. } = self;
        full.0.push_back(current);
        let (mut receipts, mut keys) = (Vec::new(), Vec::new());
        while let Some(upload) = full.0.pop_front() {
            let committed = upload.commit().inspect_err(|_| take_back(store.as_ref(), &keys, monitor));
            receipts.push(committed?);
            keys.push(object_key(&key, receipts.len()));
        }
        Ok(receipts)
    }
}

impl Write for PayloadUpload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.append(bytes).map_err(into_io)
    }

    /// Does nothing: what has been written is sent when there is enough of it.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The objects that wait for the commit. Dropping this discards them.
#[derive(Default)]
struct FullObjects(VecDeque<Box<dyn Upload>>);

impl Drop for FullObjects {
    /// Ends in time although a host answers none of many requests: what is not discarded by then is left to it, as that of a killed run.
    fn drop(&mut self) {
        let begun = Instant::now();
        for upload in self.0.drain(..) {
            if begun.elapsed() > DISCARD_LIMIT {
                std::mem::forget(upload);
            }
        }
    }
}

fn creation(expected: u64) -> PutOptions {
    PutOptions { expected, purpose: ObjectKind::Payload, ..PutOptions::default() }
}

/// Returns the expected size by which an object of this size still fits: it may be four times as large.
fn planned(largest: u64) -> u64 {
    largest.div_ceil(4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::{Kind, hints, kind};
    use crate::base::progress::NullMonitor;
    use crate::store::memory::Memory;
    use crate::store::write_small;

    fn keys(memory: &Memory) -> Vec<String> {
        memory.list("").unwrap().into_iter().map(|listed| listed.key).collect()
    }

    fn begun(memory: &Memory, bytes: &[u8]) -> PayloadUpload {
        let store: Arc<dyn Store> = Arc::new(memory.clone());
        let mut upload = PayloadUpload::begin(&store, "a/x", 0, Some(10)).unwrap();
        upload.write_all(bytes).unwrap();
        upload
    }

    #[test]
    fn no_object_is_empty_or_larger_than_the_limit() {
        for (bytes, sizes) in [(0, vec![0]), (9, vec![9]), (10, vec![10]), (11, vec![10, 1]), (30, vec![10, 10, 10])] {
            let memory = Memory::default();
            let receipts = begun(&memory, &vec![7; bytes]).commit(&NullMonitor).unwrap();
            assert_eq!(receipts.iter().map(|receipt| receipt.bytes).collect::<Vec<_>>(), sizes);
            let listed: Vec<u64> = memory.list("").unwrap().into_iter().map(|listed| listed.bytes).collect();
            assert_eq!(listed, sizes);
        }
    }

    #[test]
    fn a_payload_of_more_objects_than_there_are_names_for_is_refused_and_leaves_nothing() {
        let memory = Memory::default();
        let store: Arc<dyn Store> = Arc::new(memory.clone());
        let mut upload = PayloadUpload::begin(&store, "a/x", 0, Some(1)).unwrap();
        upload.write_all(&[7; MOST_OBJECTS]).unwrap();
        let error = anyhow::Error::from(upload.write_all(b"1").unwrap_err());
        assert_eq!(error.to_string(), format!("\"a/x\" needs more than {MOST_OBJECTS} objects"));
        assert_eq!(hints(&error), ["set MAX_OBJECT_SIZE to a larger size"]);
        drop(upload);
        assert!(keys(&memory).is_empty() && memory.unfinished("").unwrap().is_empty());
    }

    #[test]
    fn nothing_is_visible_before_the_commit_and_nothing_is_left_without_it() {
        let memory = Memory::default();
        let upload = begun(&memory, &[7; 35]);
        assert_eq!((keys(&memory).len(), memory.unfinished("").unwrap().len()), (0, 4));
        drop(upload);
        assert_eq!((keys(&memory).len(), memory.unfinished("").unwrap().len()), (0, 0));
    }

    #[test]
    fn objects_before_one_that_cannot_be_committed_are_taken_back() {
        let memory = Memory::default();
        let upload = begun(&memory, &[7; 35]);
        write_small(&memory, "a/x.part0003", b"another's").unwrap();
        assert_eq!(kind(&upload.commit(&NullMonitor).unwrap_err()), Kind::Exists);
        assert_eq!(keys(&memory), ["a/x.part0003"]);
        assert!(memory.unfinished("").unwrap().is_empty());
    }
}
