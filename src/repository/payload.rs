//! The payload of a backup in its store: one object, or several if the store takes none that is as large.
//!
//! Only what is here and below knows how many they are. For all others the payload is one row of bytes.

pub(crate) mod joined_objects;
pub(crate) mod payload_object;
pub(crate) mod payload_upload;
pub(crate) mod stored_payload;

use crate::base::error::Result;
use crate::base::progress::Monitor;
use crate::base::threads;
use crate::format::manifest::Manifest;
use crate::format::manifest::payload_objects::{StatedObject, StatedPayload};
use crate::repository::Repository;
use crate::store::{Object, Store, remove_for_good};
use joined_objects::JoinedObjects;
use payload_object::{READERS, open};
use std::sync::Arc;

impl Repository {
    /// Opens the payload of an authenticated manifest. An object of it that is missing, or of another size, is damage.
    pub fn payload(&self, manifest: &Manifest) -> Result<Box<dyn Object>> {
        let payload = manifest.payload();
        match payload.objects.as_slice() {
            [only] => open(self.store.as_ref(), &payload, only),
            _ => Ok(Box::new(JoinedObjects::open(Arc::clone(&self.store), payload)?)),
        }
    }

    /// Returns key and version of each object of a payload, as they are in the store. An object that is missing, or of another size, is
    /// damage.
    pub(crate) fn payload_versions(&self, manifest: &Manifest) -> Result<Vec<(String, Option<String>)>> {
        let payload = manifest.payload();
        threads::each(&payload.objects, READERS, |stated| {
            let object = open(self.store.as_ref(), &payload, stated)?;
            Ok((stated.key.clone(), object.info().version.clone()))
        })
    }

    /// Takes back objects that were just stored. What cannot be removed is told.
    pub(crate) fn rollback(&self, keys: &[String], monitor: &dyn Monitor) {
        take_back(self.store.as_ref(), keys, monitor);
    }
}

/// Removes all objects of a payload for good. One that cannot be removed does not keep the others; the first error is returned.
pub(crate) fn remove(store: &dyn Store, payload: &StatedPayload) -> Result<()> {
    let removed = |object: &StatedObject| remove_for_good(store, &object.key, object.version.as_deref());
    payload.objects.iter().map(removed).fold(Ok(()), Result::and)
}

/// Removes objects that were just stored. What cannot be removed is told.
fn take_back(store: &dyn Store, keys: &[String], monitor: &dyn Monitor) {
    for key in keys.iter().rev() {
        if let Err(error) = store.remove(key, None) {
            monitor.warn(&format!("\"{key}\" is left behind and could not be removed: {error:#}"));
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::base::error::{Kind, kind};
    use crate::base::progress::NullMonitor;
    use crate::format::backup_id::BackupId;
    use crate::format::manifest::Format;
    use crate::format::manifest::further_object::FurtherObject;
    use crate::repository::writer::ManifestDetails;
    use crate::store::memory::Memory;
    use crate::store::write_small;
    use std::io::Write;

    pub(crate) const SIZE: u64 = 5;

    /// Stores a payload of so many bytes in objects of [`SIZE`]. The manifest states nothing else of it.
    pub(crate) fn stored(bytes: u64) -> (Repository, Manifest, Vec<u8>) {
        let repository = Repository::without_key(Arc::new(Memory::default()));
        let id: BackupId = "shop-20260822T031500Z".parse().unwrap();
        let mut writer = repository.begin(id.into(), Format::Plain, None, 0).unwrap();
        let payload: Vec<u8> = (0..bytes).map(|at| (at * 31 % 251) as u8).collect();
        writer.write_all(&payload).unwrap();
        let mut manifest = writer.finish(ManifestDetails::default(), &NullMonitor).unwrap();
        repository.store.remove(&manifest.object, None).unwrap();
        manifest.further_objects = payload.chunks(SIZE as usize).skip(1).map(further).collect();
        for (object, bytes) in manifest.payload().objects.iter().zip(payload.chunks(SIZE as usize)) {
            write_small(repository.store.as_ref(), &object.key, bytes).unwrap();
        }
        (repository, manifest, payload)
    }

    fn further(bytes: &[u8]) -> FurtherObject {
        FurtherObject { bytes: bytes.len() as u64, version_id: None }
    }

    #[test]
    fn an_object_that_is_missing_or_cut_short_is_told_by_its_name() {
        for number in [1, 2, 3] {
            let (repository, manifest, _) = stored(3 * SIZE);
            let key = manifest.payload().keys()[number - 1].clone();
            for (found, text) in [(None, "is missing"), (Some(b"four"), "has 4 bytes; its .meta states 5")] {
                repository.store.remove(&key, None).unwrap();
                found.iter().for_each(|bytes| drop(write_small(repository.store.as_ref(), &key, *bytes).unwrap()));
                for error in [
                    repository.payload(&manifest).map(|_| ()).unwrap_err(),
                    repository.payload_versions(&manifest).map(|_| ()).unwrap_err(),
                ] {
                    let said = format!("{error:#}");
                    assert!(said.contains(&format!("\"{key}\"")) && said.contains(text), "{said}");
                    assert_eq!(kind(&error), Kind::Damaged);
                }
            }
        }
    }

    #[test]
    fn sizes_that_no_payload_is_divided_into_are_refused() {
        let (_, manifest, _) = stored(3 * SIZE);
        let whole = |sizes: &[u64]| {
            let further_objects = sizes.iter().map(|bytes| FurtherObject { bytes: *bytes, version_id: None }).collect();
            Manifest { further_objects, ..manifest.clone() }.has_whole_objects()
        };
        for sizes in [&[][..], &[5, 5], &[7], &[1], &[6, 3]] {
            assert!(whole(sizes), "{sizes:?}");
        }
        for sizes in [&[0][..], &[15], &[16], &[8], &[5, 0], &[5, 6], &[4, 5], &[1, 1], &[u64::MAX, u64::MAX], &[5; 3]]
        {
            assert!(!whole(sizes), "{sizes:?}");
        }
    }

    #[test]
    fn removing_a_payload_leaves_none_of_its_objects() {
        let (repository, manifest, _) = stored(3 * SIZE);
        remove(repository.store.as_ref(), &manifest.payload()).unwrap();
        let left = repository.store.list("").unwrap();
        assert_eq!(left.into_iter().map(|listed| listed.key).collect::<Vec<_>>(), [manifest.meta_key()]);
    }
}
