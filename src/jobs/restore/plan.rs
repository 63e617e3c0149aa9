//! The plan of a restore.

use crate::postgres::connect::settings::ConnectionSettings;
use crate::postgres::properties::own_properties::OwnProperties;
use crate::postgres::restore::load::load_omissions::LoadOmissions;
use crate::postgres::scratch::loader::ScratchLoader;
use std::path::PathBuf;

/// Holds what was decided before the restore starts.
#[derive(Clone)]
pub struct RestorePlan {
    pub settings: ConnectionSettings,
    pub database: String,
    pub clean: bool,
    /// Allows `clean` for the database that the backup was taken from.
    pub over_source: bool,
    pub no_owner: bool,
    pub no_privileges: bool,
    /// Says what else is left out.
    pub leave: LoadOmissions,
    /// Properties that the database itself is to have; `None` if the backup holds none.
    pub own: Option<OwnProperties>,
    /// Allows the database to be made with another locale than its source has.
    pub any_locale: bool,
    /// Number of connections that load a script; `None` is chosen by its size.
    pub jobs: Option<u32>,
    /// Number of processes with which `pg_restore` loads an archive; 1 for a script.
    pub processes: u32,
    /// Whether only that is done behind the rows by which single rows are found, because changes are replayed next.
    pub until_keys: bool,
    /// Whether the target must hold nothing, because changes are replayed in it.
    pub into_new: bool,
    /// Whether everything is to be one transaction.
    pub single_transaction: bool,
    /// Role made for a restore test: the restore runs with its rights, and what it may not do is set aside. `None` for any other restore.
    pub loader: Option<ScratchLoader>,
    pub bin_dir: Option<PathBuf>,
}

/// Describes what a restore will do besides loading the dump, for the user to read before it starts.
#[derive(Debug, Default)]
pub struct RestoreOutlook {
    /// Descriptions of the properties that the database will be given.
    pub given: Vec<String>,
    /// Warnings of what will not be as it was.
    pub warnings: Vec<String>,
    /// Says that the backup holds no properties, as uploads and older backups do not; `None` if it does.
    pub unknown: Option<&'static str>,
}
