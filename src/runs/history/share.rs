//! Detects a folder that earlier runs stored backups in, and that holds none of them now: most likely a share that is not mounted.

use crate::base::error::{Fault, Kind, Result, kind};
use crate::format::backup_id::BackupId;
use crate::format::run_record::Record;
use crate::store::Store;
use crate::store::capabilities::Medium;
use crate::store::directory::{MARK, NOT_MOUNTED};
use std::collections::BTreeSet;

/// Refuses a folder that holds none of the backups that these runs stored there. A folder with a mark may be empty.
pub fn look(store: &dyn Store, records: &[Record]) -> Result<()> {
    if store.capabilities().medium != Medium::Folder {
        return Ok(());
    }
    let location = store.location();
    let stored = records.iter().flat_map(Record::stored);
    let ids: BTreeSet<&BackupId> =
        stored.filter(|backup| backup.location == location).map(|backup| &backup.id).collect();
    // Where one cannot be looked for, the run itself will tell why.
    let is_missing = |key: &str| store.open(key, None).is_err_and(|error| kind(&error) == Kind::NotFound);
    if ids.is_empty() || !ids.iter().rev().all(|id| is_missing(&id.meta_key())) || !is_missing(MARK) {
        return Ok(());
    }
    let text = match ids.len() {
        1 => format!("\"{location}\" does not hold the backup that was stored there before"),
        known => format!("\"{location}\" holds none of the {known} backups that were stored there before"),
    };
    Err(Fault::failed(text).hint(NOT_MOUNTED).into())
}
