//! Orphans, which killed runs leave in a store: uploads that were never finished, and payloads without a `.meta`.

use crate::base::error::{Fault, Kind, Result, kind};
use crate::base::progress::Monitor;
use crate::format::backup_id::BackupId;
use crate::format::manifest::META_LIMIT;
use crate::store::{ObjectInfo, PendingUpload, Store, read_small, remove_for_good};
use jiff::Timestamp;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::time::Duration;

/// Prefix of the objects that `doctor` writes to see what the store can do.
pub(crate) const PROBE: &str = ".pgbk-doctor-";

#[derive(Debug, Default)]
pub struct Orphans {
    pub unfinished: Vec<PendingUpload>,
    /// Payloads without a `.meta`, and probes that `doctor` could not remove.
    pub orphans: Vec<ObjectInfo>,
    /// Each `.meta` without a payload. No run leaves one: something else removed the payload. Nothing here
    /// removes such a document unless its key is named.
    pub bare: Vec<ObjectInfo>,
}

/// The members of a `.meta` that say where its payload is.
#[derive(Deserialize)]
struct PayloadName {
    object: String,
    version_id: Option<String>,
}

impl Orphans {
    /// Finds the orphans in a listing. `unfinished` are the pending uploads of the same place.
    pub fn of(mut orphans: Vec<ObjectInfo>, unfinished: Vec<PendingUpload>) -> Orphans {
        let payloads: BTreeSet<BackupId> =
            orphans.iter().filter_map(|object| BackupId::of_payload_key(&object.key)).collect();
        let is_bare =
            |object: &&ObjectInfo| BackupId::of_meta_key(&object.key).is_some_and(|id| !payloads.contains(&id));
        let bare = orphans.iter().filter(is_bare).cloned().collect();
        let backups: BTreeSet<BackupId> =
            orphans.iter().filter_map(|object| BackupId::of_meta_key(&object.key)).collect();
        orphans.retain(|object| {
            object.key.starts_with(PROBE)
                || BackupId::of_any_payload_key(&object.key).is_some_and(|id| !backups.contains(&id))
        });
        Orphans { unfinished, orphans, bare }
    }

    pub fn is_empty(&self) -> bool {
        self.unfinished.is_empty() && self.orphans.is_empty()
    }

    pub fn keys(&self) -> Vec<&str> {
        let unfinished = self.unfinished.iter().map(|upload| upload.key.as_str());
        unfinished.chain(self.orphans.iter().map(|object| object.key.as_str())).collect()
    }

    pub fn count(&self) -> usize {
        self.unfinished.len() + self.orphans.len()
    }

    /// Keeps only orphans of at least this age. Younger ones, or those of unknown age, may belong to a backup that is being made.
    pub fn older_than(self, age: Duration, now: Timestamp) -> Orphans {
        self.by_age(age, now).0
    }

    /// Splits the orphans into those of at least this age, and those that are younger or of unknown age.
    pub fn by_age(self, age: Duration, now: Timestamp) -> (Orphans, Orphans) {
        let old = |time: Option<Timestamp>| {
            time.is_some_and(|time| now.as_second().saturating_sub(time.as_second()) >= age.as_secs() as i64)
        };
        let (unfinished, begun) = self.unfinished.into_iter().partition(|upload| old(upload.started));
        let (orphans, made) = self.orphans.into_iter().partition(|object| old(object.modified));
        let (bare, fresh) = self.bare.into_iter().partition(|object| old(object.modified));
        (Orphans { unfinished, orphans, bare }, Orphans { unfinished: begun, orphans: made, bare: fresh })
    }

    /// Removes uploads and payloads, and returns the payloads that the store refuses to delete.
    pub fn remove(&self, store: &dyn Store, monitor: &dyn Monitor) -> Result<Vec<ObjectInfo>> {
        for upload in &self.unfinished {
            store.discard(upload)?;
            monitor.note(&format!("removed the unfinished upload of \"{}\"", upload.key));
        }
        let mut left = Vec::new();
        for object in &self.orphans {
            let modified = object.modified.map_or("an unknown time".to_owned(), |time| time.to_string());
            match remove_for_good(store, &object.key, None) {
                Err(error) if kind(&error) == Kind::Denied => {
                    monitor.warn(&format!("{error:#}"));
                    left.push(object.clone());
                }
                removed => {
                    removed?;
                    monitor.note(&format!("removed \"{}\", a payload without .meta, of {modified}", object.key));
                }
            }
        }
        Ok(left)
    }

    /// Removes the `.meta` with this key, which must be one without a payload. Refuses if the payload still exists as a version.
    pub fn remove_bare(&mut self, store: &dyn Store, key: &str) -> Result<()> {
        let Some(at) = self.bare.iter().position(|object| object.key == key) else {
            return Err(Fault::usage(format!("\"{key}\" is not a .meta whose payload is missing"))
                .hint("\"pgbk doctor\" names those; a backup that is whole goes by \"pgbk prune\"")
                .into());
        };
        // A payload that is hidden, not removed, can still be restored by the version that the document names.
        let names = serde_json::from_slice::<PayloadName>(&read_small(store, key, META_LIMIT)?).ok();
        if let Some(PayloadName { object, version_id }) = names
            && store.open(&object, version_id.as_deref()).is_ok()
        {
            return Err(Fault::failed(format!(
                "the payload of \"{key}\" is still there as a version: nothing is removed"
            ))
            .hint("\"pgbk verify\" and \"pgbk restore\" find it by its version")
            .into());
        }
        remove_for_good(store, key, None)?;
        self.bare.remove(at);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::progress::NullMonitor;
    use crate::store::memory::Memory;
    use crate::store::refusing_store::RefusingStore;
    use crate::store::write_small;

    #[test]
    fn a_payload_that_may_not_be_removed_is_left_and_named_and_any_other_trouble_ends_it() {
        let keys = ["a/a-20260101T000000Z.sql", "a/a-20260102T000000Z.sql", "a/a-20260103T000000Z.sql"];
        for (refusal, expected, left) in [
            (None, Ok(Vec::new()), vec![]),
            (Some(Kind::Denied), Ok(vec![keys[1]]), vec![keys[1]]),
            (Some(Kind::Failed), Err(Kind::Failed), vec![keys[1], keys[2]]),
        ] {
            let memory = Memory::default();
            keys.iter().for_each(|key| drop(write_small(&memory, key, b"x").unwrap()));
            let store = RefusingStore { memory, end: keys[1].to_owned(), open: None, remove: refusal };
            let orphans = Orphans::of(store.list("").unwrap(), Vec::new());
            assert_eq!(orphans.keys(), keys);
            let removed = orphans.remove(&store, &NullMonitor);
            let removed = removed.map(|left| left.into_iter().map(|object| object.key).collect::<Vec<_>>());
            assert_eq!(
                removed.map_err(|error| kind(&error)),
                expected.map(|keys| keys.into_iter().map(str::to_owned).collect())
            );
            let found: Vec<String> = store.list("").unwrap().into_iter().map(|listed| listed.key).collect();
            assert_eq!(found, left);
        }
    }
}
