//! The plan of one backup.

use crate::format::manifest::{Compression, Format};
use crate::jobs::backup::outputs::FurtherOutputs;
use crate::postgres::connect::settings::ConnectionSettings;
use crate::repository::new_backup::Adoption;
use std::path::PathBuf;
use std::time::Duration;

/// Says what to dump and how.
#[derive(Clone)]
pub struct BackupPlan {
    pub settings: ConnectionSettings,
    pub format: Format,
    pub compression: Option<Compression>,
    /// `PG_DUMP_USER_ARGS`: further arguments for pg_dump.
    pub arguments: Vec<String>,
    pub bin_dir: Option<PathBuf>,
    /// `DUMP_JOBS`: how many connections read tables at a time; `None` leaves it to the number of cores and the size of the database.
    pub jobs: Option<u32>,
    /// Longest time that pg_dump may wait for a lock on a table.
    pub lock_wait: Duration,
    /// Longest time that pg_dump may write nothing.
    pub stall: Duration,
    /// `DUMP_SIZE_ESTIMATE` in bytes; `None`: the server is asked for its own figure.
    pub expected: Option<u64>,
    /// `BACKUP_FILES`: the files and folders to back up.
    pub paths: Vec<PathBuf>,
    /// The backups that are made of a database beside the plain one.
    pub outputs: FurtherOutputs,
    /// `--adopt`: whether the series continues that of another server.
    pub adopt: Adoption,
    /// `--note`: text that is kept with the backup.
    pub note: Option<String>,
}
