//! Checks whether a stored backup is what its `.meta` says, at the level that was asked for.

use crate::base::error::{Fault, Kind, Result, kind};
use crate::base::progress::{Monitor, Progress};
use crate::base::variant::Variant;
use crate::base::verify_level::Level;
use crate::files::contents::ArchiveContents;
use crate::format::backup_id::BackupId;
use crate::format::manifest::lineage::Owner;
use crate::format::manifest::table_diff::TableComparison;
use crate::format::manifest::{Format, Manifest};
use crate::format::sql::schema::Differences;
use crate::pipeline::checksum::{ChunkMac, Hasher};
use crate::pipeline::drain;
use crate::pipeline::pg_archive::{Archive, Completeness};
use crate::pipeline::table_counter::TableCounter;
use crate::pipeline::verified_reader::VerifiedReader;
use crate::repository::Repository;
use crate::repository::doubletake::DoubletakeBackup;
use crate::repository::reader::BackupReader;
use crate::repository::writer::unknown_archive;
use serde::Serialize;
use std::collections::BTreeSet;
use std::io::Read;

/// The result of verifying one backup.
#[derive(Debug, Clone, Serialize)]
pub struct VerifyFinding {
    pub id: BackupId,
    #[serde(skip_serializing_if = "Variant::is_plain")]
    pub variant: Variant,
    pub level: Level,
    pub ok: bool,
    pub stored_bytes: Option<u64>,
    pub plain_bytes: Option<u64>,
    pub tables: Option<usize>,
    pub rows: Option<u64>,
    pub error: Option<String>,
    /// Result of the restore test: the scratch database, and how each table compares. `None` at other levels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof: Option<RestoreTestReport>,
    /// Says whether it is an upload, which does not count for the backups next to it.
    #[serde(skip)]
    pub upload: bool,
    /// Extensions that an archive makes; empty for other formats, or if it was not read.
    #[serde(skip)]
    pub extensions: BTreeSet<String>,
    /// Kind of `error`: damage, or what kept the backup from being checked. `None` if all is well.
    #[serde(skip)]
    pub kind: Option<Kind>,
}

/// A restore into a scratch database, and how its tables compare.
#[derive(Debug, Clone, Serialize)]
pub struct RestoreTestReport {
    pub scratch: String,
    pub seconds: f64,
    /// Says whether owners and privileges were restored too. They are left out on a server whose roles have rights.
    pub with_owners: bool,
    pub tables: Vec<TableComparison>,
    /// Properties of the database that could not be given to the copy, or were missing afterwards; empty if all is well.
    pub properties: Vec<String>,
    /// Objects that a role without SUPERUSER could not restore, with the reasons.
    pub not_tried: Vec<String>,
    /// Differences of the schema from the source's. Only compared if the same version of pg_dump wrote both.
    pub schema: Differences,
}

impl VerifyFinding {
    /// Returns a finding about which nothing is known yet.
    pub fn of(id: &BackupId, level: Level) -> VerifyFinding {
        VerifyFinding {
            id: id.clone(),
            variant: id.subject().variant(),
            level,
            ok: false,
            stored_bytes: None,
            plain_bytes: None,
            tables: None,
            rows: None,
            error: None,
            proof: None,
            upload: false,
            extensions: BTreeSet::new(),
            kind: None,
        }
    }

    pub fn describe(&mut self, manifest: &Manifest) {
        self.upload = manifest.owner() == Owner::Upload;
        self.stored_bytes = Some(manifest.stored.bytes);
        self.plain_bytes = Some(manifest.plain.bytes);
        self.tables = manifest.rows().map(|_| manifest.tables.len());
        self.rows = manifest.rows();
    }

    /// Counts the rows of a script whose document states none, because they are INSERT statements.
    pub fn count(&mut self, proof: &RestoreTestReport) {
        let stated: Vec<u64> = proof.tables.iter().filter_map(|table| Some(table.stated.as_ref()?.rows)).collect();
        if self.tables == Some(0) {
            (self.tables, self.rows) = (Some(stated.len()), Some(stated.iter().sum()));
        }
    }

    /// Adds the result: damage and another key go into the finding; any other error is returned.
    pub fn judged(self, looked: Result<()>) -> Result<VerifyFinding> {
        match looked {
            Ok(()) => Ok(VerifyFinding { ok: true, ..self }),
            Err(error) if matches!(kind(&error), Kind::Damaged | Kind::OtherKey) => {
                Ok(VerifyFinding { error: Some(format!("{error:#}")), kind: Some(kind(&error)), ..self })
            }
            Err(error) => Err(error),
        }
    }
}

/// Verifies one backup. Damage is a finding; an error is what kept the backup from being checked.
pub fn verify(repository: &Repository, id: &BackupId, level: Level, monitor: &dyn Monitor) -> Result<VerifyFinding> {
    let mut finding = VerifyFinding::of(id, level);
    let looked = repository.manifest(id).and_then(|(manifest, derived_keys)| {
        finding.describe(&manifest);
        let object = repository.payload(&manifest)?;
        finding.extensions =
            deeper(BackupReader { manifest: manifest.clone(), derived_keys, object }, &manifest, level, monitor)?;
        Ok(())
    });
    finding.judged(looked)
}

/// Verifies a backup that Doubletake wrote. Only reading all of it shows anything.
pub(crate) fn verify_old(old: DoubletakeBackup, monitor: &dyn Monitor) -> Result<VerifyFinding> {
    let mut finding = VerifyFinding::of(&old.id, Level::Content);
    let looked = old.open(None, monitor).map(|opened| finding.describe(&opened.manifest));
    finding.judged(looked)
}

/// Verifies several backups. One that could not be checked is a finding too, so that it does not hide the others.
pub(crate) fn verify_all(
    repository: &Repository,
    ids: &[BackupId],
    level: Level,
    monitor: &dyn Monitor,
) -> Result<Vec<VerifyFinding>> {
    ids.iter().map(|id| among_others(id, level, verify(repository, id, level, monitor))).collect()
}

/// Turns an error into a finding, for one backup among several. A signal stays an error.
pub(crate) fn among_others(id: &BackupId, level: Level, looked: Result<VerifyFinding>) -> Result<VerifyFinding> {
    match looked {
        Err(error) if !matches!(kind(&error), Kind::Interrupted(_)) => Ok(VerifyFinding {
            error: Some(format!("{error:#}")),
            kind: Some(kind(&error)),
            ..VerifyFinding::of(id, level)
        }),
        looked => looked,
    }
}

/// Returns the extensions that an archive makes; none if it was not read.
fn deeper(opened: BackupReader, manifest: &Manifest, level: Level, monitor: &dyn Monitor) -> Result<BTreeSet<String>> {
    match level {
        Level::Meta => Ok(BTreeSet::new()),
        Level::Stored => stored(opened, monitor).map(|()| BTreeSet::new()),
        // A restore needs a server as well, and is not this job's.
        Level::Content | Level::Restore => content(opened, manifest, monitor),
    }
}

fn stored(opened: BackupReader, monitor: &dyn Monitor) -> Result<()> {
    let BackupReader { manifest, derived_keys, object } = opened;
    let tagger = ChunkMac::of(derived_keys.as_ref());
    let monitor = &Progress::begin(monitor, &format!("verify {}", manifest.id), Some(manifest.stored.bytes));
    let mut reader = VerifiedReader::new(object, manifest.chunks.clone(), tagger, &manifest.object)?;
    let mut summer = Hasher::default();
    drain(&mut reader, monitor, |bytes| {
        summer.update(bytes);
        Ok(())
    })?;
    manifest.compare_stored(summer.finish())
}

fn content(opened: BackupReader, manifest: &Manifest, monitor: &dyn Monitor) -> Result<BTreeSet<String>> {
    let monitor = &Progress::begin(monitor, &format!("verify {}", manifest.id), Some(manifest.plain.bytes));
    let mut tables = TableCounter::of(opened.derived_keys.as_ref(), opened.manifest.pgbk);
    let mut reader = opened.plain()?;
    match manifest.dump.format {
        Format::Plain => {}
        Format::Custom => return archive(&mut reader, manifest, monitor),
        Format::Tar => {
            ArchiveContents::read(&mut reader)?;
            return Ok(BTreeSet::new());
        }
    }
    drain(&mut reader, monitor, |bytes| {
        tables.update(bytes);
        Ok(())
    })?;
    let seen = tables.finish();
    if seen.tables != manifest.tables || seen.more_tables {
        return Err(Fault::damaged(format!("the tables in {} are not those that its .meta states", manifest.id)).into());
    }
    if manifest.tools.pg_dump.is_some() && !seen.complete {
        return Err(
            Fault::damaged(format!("the dump in {} is cut short: its last line is missing", manifest.id)).into()
        );
    }
    Ok(BTreeSet::new())
}

fn archive(reader: &mut dyn Read, manifest: &Manifest, monitor: &dyn Monitor) -> Result<BTreeSet<String>> {
    let mut archive = Archive::default();
    drain(reader, monitor, |bytes| {
        archive.update(bytes);
        Ok(())
    })?;
    match archive.verdict() {
        Completeness::Unknown(major, minor) => monitor.warn(&unknown_archive(&manifest.id, major, minor)),
        Completeness::Cut | Completeness::Foreign if manifest.tools.pg_dump.is_some() => {
            return Err(Fault::damaged(format!("the archive in {} is cut short: it lacks data", manifest.id)).into());
        }
        _ => {}
    }
    Ok(archive.extensions().clone())
}
