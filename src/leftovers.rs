//! What killed runs leave in a store: uploads never finished, and payloads without a `.meta`.

use crate::error::{Kind, Result, kind};
use crate::manifest::BackupId;
use crate::monitor::Monitor;
use crate::store::{Listed, Store, Unfinished, remove_for_good};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::time::Duration;

/// What `doctor` writes to see what the store can do begins so.
pub const PROBE: &str = ".pgbk-doctor-";

#[derive(Debug, Default)]
pub struct Leftovers {
    pub unfinished: Vec<Unfinished>,
    /// Payloads without a `.meta`, and probes that stayed.
    pub orphans: Vec<Listed>,
}

impl Leftovers {
    pub fn find(store: &dyn Store, prefix: &str) -> Result<Leftovers> {
        let mut orphans = store.list(prefix)?;
        let backups: BTreeSet<BackupId> =
            orphans.iter().filter_map(|object| BackupId::of_meta_key(&object.key)).collect();
        orphans.retain(|object| {
            object.key.starts_with(PROBE)
                || BackupId::of_payload_key(&object.key).is_some_and(|id| !backups.contains(&id))
        });
        Ok(Leftovers { unfinished: store.unfinished(prefix)?, orphans })
    }

    pub fn is_empty(&self) -> bool {
        self.unfinished.is_empty() && self.orphans.is_empty()
    }

    pub fn keys(&self) -> Vec<&str> {
        let unfinished = self.unfinished.iter().map(|upload| upload.key.as_str());
        unfinished.chain(self.orphans.iter().map(|object| object.key.as_str())).collect()
    }

    /// Without what is younger than that, or of unknown age: a backup that is being made has such things in the store too.
    pub fn older_than(mut self, age: Duration, now: Timestamp) -> Leftovers {
        let old = |time: Option<Timestamp>| {
            time.is_some_and(|time| now.as_second().saturating_sub(time.as_second()) >= age.as_secs() as i64)
        };
        self.unfinished.retain(|upload| old(upload.started));
        self.orphans.retain(|object| old(object.modified));
        self
    }

    /// Removes them and gives the number of those that are gone. One that the store does not let go is left.
    pub fn remove(&self, store: &dyn Store, monitor: &dyn Monitor) -> Result<usize> {
        for upload in &self.unfinished {
            store.discard(upload)?;
            monitor.note(&format!("removed the unfinished upload of \"{}\"", upload.key));
        }
        let mut removed = self.unfinished.len();
        for object in &self.orphans {
            let modified = object.modified.map_or("an unknown time".to_owned(), |time| time.to_string());
            match remove_for_good(store, &object.key, None) {
                Ok(()) => {
                    monitor.note(&format!("removed \"{}\", a payload without .meta, of {modified}", object.key));
                    removed += 1;
                }
                Err(error) if kind(&error) == Kind::Denied => monitor.warn(&format!("{error:#}")),
                Err(error) => return Err(error),
            }
        }
        Ok(removed)
    }
}
