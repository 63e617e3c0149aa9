//! Names for backups that tests put into a folder by themselves.

use jiff::{SignedDuration, Timestamp};
use pgbk::format::backup_id::BackupId;
use std::path::Path;

/// Returns the id of the first second from now on that nobody has: several within one second take the next ones.
pub fn free(folder: &Path, database: &str) -> BackupId {
    let seconds = (0..).map(|ahead| Timestamp::now() + SignedDuration::from_secs(ahead));
    let mut ids = seconds.map(|at| BackupId::new(database, at));
    ids.find(|id| !folder.join(id.meta_key()).exists()).expect("a free second")
}
