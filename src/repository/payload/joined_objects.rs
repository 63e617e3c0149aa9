//! Reads several objects as one: the bytes of all of them, put after each other.

use crate::base::error::Result;
use crate::base::threads;
use crate::format::manifest::payload_objects::{StatedObject, StatedPayload};
use crate::repository::payload::payload_object::{READERS, open};
use crate::store::keys::check_range;
use crate::store::{Info, Object, Store};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Most objects that are open at the same time: each may take a file of this process.
const MOST_OPEN: usize = 64;

/// An object that was opened, with its place among the others.
type OpenObject = (usize, Arc<dyn Object>);

pub(crate) struct JoinedObjects {
    store: Arc<dyn Store>,
    payload: StatedPayload,
    info: Info,
    /// Those that were opened last, the latest behind.
    open: Mutex<VecDeque<OpenObject>>,
}

impl JoinedObjects {
    /// Opens each of the objects, to see that it is there in its stated size.
    pub fn open(store: Arc<dyn Store>, payload: StatedPayload) -> Result<JoinedObjects> {
        let numbered: Vec<(usize, &StatedObject)> = payload.objects.iter().enumerate().collect();
        let opened = threads::each(&numbered, READERS, |(index, stated)| {
            let object: Arc<dyn Object> = Arc::from(open(store.as_ref(), &payload, stated)?);
            Ok((*index < MOST_OPEN).then_some((*index, object)))
        })?;
        let info = Info { bytes: payload.bytes(), etag: None, version: None, modified: None };
        Ok(JoinedObjects { store, payload, info, open: Mutex::new(opened.into_iter().flatten().collect()) })
    }

    /// Returns an object, opened again if need be.
    fn object(&self, index: usize) -> Result<Arc<dyn Object>> {
        let known = self.opened().iter().find(|(open, _)| *open == index).map(|(_, object)| Arc::clone(object));
        if let Some(object) = known {
            return Ok(object);
        }
        let object: Arc<dyn Object> =
            Arc::from(open(self.store.as_ref(), &self.payload, &self.payload.objects[index])?);
        let mut opened = self.opened();
        opened.push_back((index, Arc::clone(&object)));
        if opened.len() > MOST_OPEN {
            opened.pop_front();
        }
        Ok(object)
    }

    fn opened(&self) -> MutexGuard<'_, VecDeque<OpenObject>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the indexes of the objects that hold these bytes.
    fn indexes(&self, range: &Range<u64>) -> Range<usize> {
        let size = self.payload.object_size().max(1);
        (range.start / size) as usize..(range.end.div_ceil(size) as usize).min(self.payload.objects.len())
    }

    /// Returns which bytes of an object are within the range.
    fn within(&self, index: usize, range: &Range<u64>) -> Range<u64> {
        let begin = index as u64 * self.payload.object_size();
        range.start.saturating_sub(begin)..(range.end - begin).min(self.payload.objects[index].bytes)
    }
}

impl Object for JoinedObjects {
    fn info(&self) -> &Info {
        &self.info
    }

    fn read(&self, range: Range<u64>) -> Result<Vec<u8>> {
        check_range(&self.payload.objects[0].key, &range, self.info.bytes)?;
        let mut indexes = self.indexes(&range);
        let Some(first) = indexes.next() else { return Ok(Vec::new()) };
        let mut bytes = self.object(first)?.read(self.within(first, &range))?;
        for index in indexes {
            bytes.extend(self.object(index)?.read(self.within(index, &range))?);
        }
        Ok(bytes)
    }

    fn keys(&self, range: &Range<u64>) -> Vec<&str> {
        self.payload.objects[self.indexes(range)].iter().map(|object| object.key.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repository::payload::tests::{SIZE, stored};

    #[test]
    fn every_range_across_the_edges_is_that_of_the_payload() {
        for objects in [1, 2, 3] {
            for last in [1, SIZE - 1, SIZE] {
                let (repository, manifest, payload) = stored((objects - 1) * SIZE + last);
                let opened = repository.payload(&manifest).unwrap();
                let bytes = payload.len() as u64;
                assert_eq!(opened.info().bytes, bytes);
                for start in 0..=bytes {
                    for end in start..=bytes {
                        let expected = &payload[start as usize..end as usize];
                        assert!(opened.read(start..end).unwrap() == expected, "{objects} {last} {start}..{end}");
                    }
                }
                assert!(opened.read(0..bytes + 1).is_err());
            }
        }
    }

    #[test]
    fn an_object_that_is_no_longer_open_is_opened_again() {
        let (repository, manifest, payload) = stored(SIZE * (MOST_OPEN as u64 + 8));
        let opened = repository.payload(&manifest).unwrap();
        for _ in 0..2 {
            for at in 0..payload.len() as u64 {
                assert!(opened.read(at..at + 1).unwrap() == payload[at as usize..][..1], "{at}");
            }
        }
    }

    #[test]
    fn the_objects_of_a_range_are_named() {
        let (repository, manifest, _) = stored(3 * SIZE);
        let opened = repository.payload(&manifest).unwrap();
        let key = |number| format!("{}.part000{number}", manifest.object);
        assert_eq!(opened.keys(&(SIZE..2 * SIZE)), [key(2)]);
        assert_eq!(opened.keys(&(SIZE - 1..SIZE + 1)), [manifest.object.clone(), key(2)]);
        assert_eq!(opened.keys(&(2 * SIZE - 1..3 * SIZE)), [key(2), key(3)]);
    }
}
