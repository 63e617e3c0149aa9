//! The facts that decide how a new backup is named.

use crate::base::subject::Subject;
use crate::format::backup_id::BackupId;
use crate::format::manifest::lineage::Claims;
use crate::format::manifest::origin::Origin;
use crate::repository::catalog::CatalogEntry;
use jiff::Timestamp;
use std::collections::BTreeSet;

/// Facts about a backup that are known before it begins.
#[derive(Debug)]
pub struct NewBackup<'a> {
    pub subject: Subject,
    pub origin: Origin,
    /// System identifier of the server; `None` if the role may not read it, or there is no server.
    pub server: Option<&'a str>,
    /// Time of the backup by the server's clock, or by this host's if there is no server.
    pub taken_at: Timestamp,
    /// Time by this host's clock.
    pub now: Timestamp,
    pub adopt: &'a Adoption,
}

/// Holds the backups that a new one continues.
#[derive(Debug, Default)]
pub(crate) struct Predecessors {
    /// Backup of the series that was made last, among those that are not dated ahead of now.
    pub id: Option<BackupId>,
    /// Backup with the newest date, which is another one if a clock fell back.
    pub newest: Option<BackupId>,
    /// Backup of the series that was made last, among those that are dated ahead of now.
    pub ahead: Option<BackupId>,
    /// Highest sequence that the series has reached; 0 for a new series, `None` if its documents may not be read.
    pub sequence: Option<u64>,
    pub adopted: BTreeSet<String>,
    /// Backups of other series. The new one must not be plain text if one of these is encrypted: a series that is adopted; uploads, if
    /// there is no backup yet; backups, if the new one is an upload.
    pub beside: Vec<BackupId>,
}

impl Predecessors {
    pub fn go_on(&mut self, entry: &CatalogEntry, claims: &Claims) {
        if self.id.is_none() || Some(claims.sequence) > self.sequence {
            self.id = Some(entry.id.clone());
        }
        self.newest = self.newest.take().max(Some(entry.id.clone()));
        self.sequence = self.sequence.max(Some(claims.sequence));
    }
}

/// Says whether the series continues that of another server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Adoption {
    #[default]
    No,
    /// Continues the only other series.
    Only,
    /// Continues the series of the server with this system identifier.
    This(String),
}
