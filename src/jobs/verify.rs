//! Whether a stored backup is what its `.meta` says, as deep as asked.

use crate::error::{Fault, Kind, Result, kind};
use crate::files::Contents;
use crate::level::Level;
use crate::manifest::compared::Compared;
use crate::manifest::{BackupId, Format, Manifest, Owner};
use crate::monitor::Monitor;
use crate::script::Differences;
use crate::stream::archive::{Archive, Verdict};
use crate::stream::drain;
use crate::stream::tables::Tables;
use crate::stream::tally::{Summer, Tagger};
use crate::stream::verified::VerifiedReader;
use crate::vault::doubletake::OldBackup;
use crate::vault::{Opened, Vault, unknown_archive};
use serde::Serialize;
use std::collections::BTreeSet;
use std::io::Read;

/// What was found of one backup.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    pub id: BackupId,
    pub level: Level,
    pub ok: bool,
    pub stored_bytes: Option<u64>,
    pub plain_bytes: Option<u64>,
    pub tables: Option<usize>,
    pub rows: Option<u64>,
    pub error: Option<String>,
    /// With a restore: where to, and what became of each table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
    /// Whether it was made of a file, and so stands for none of the backups beside it.
    #[serde(skip)]
    pub upload: bool,
    /// Of an archive that was read: the extensions that it makes.
    #[serde(skip)]
    pub extensions: BTreeSet<String>,
    /// Why not: damage, or what kept the look from happening.
    #[serde(skip)]
    pub kind: Option<Kind>,
}

/// A restore into a scratch database, and how its tables compare.
#[derive(Debug, Clone, Serialize)]
pub struct Proof {
    pub scratch: String,
    pub seconds: f64,
    /// Whether owners and privileges were restored too. Where roles have rights they are left out.
    pub with_owners: bool,
    pub tables: Vec<Compared>,
    /// What belongs to the database itself and could not be given to the copy, or was not there afterwards; nothing when all was.
    pub properties: Vec<String>,
    /// What a role without SUPERUSER could not be asked to restore, with the reasons.
    pub not_tried: Vec<String>,
    /// How the schema differs from the source's, where the same version of pg_dump has written both.
    pub schema: Differences,
}

impl Finding {
    /// Before anything is known.
    pub fn of(id: &BackupId, level: Level) -> Finding {
        Finding {
            id: id.clone(),
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

    /// Counts the rows of a script whose document states none, for they are statements.
    pub fn count(&mut self, proof: &Proof) {
        let stated: Vec<u64> = proof.tables.iter().filter_map(|table| Some(table.stated.as_ref()?.rows)).collect();
        if self.tables == Some(0) {
            (self.tables, self.rows) = (Some(stated.len()), Some(stated.iter().sum()));
        }
    }

    /// With what the look came to.
    pub fn judged(self, looked: Result<()>) -> Result<Finding> {
        match looked {
            Ok(()) => Ok(Finding { ok: true, ..self }),
            Err(error) if matches!(kind(&error), Kind::Damaged | Kind::OtherKey) => {
                Ok(Finding { error: Some(format!("{error:#}")), kind: Some(kind(&error)), ..self })
            }
            Err(error) => Err(error),
        }
    }
}

/// Looks at one backup. Damage is a finding; an error is what kept the look from happening.
pub fn verify(vault: &Vault, id: &BackupId, level: Level, monitor: &dyn Monitor) -> Result<Finding> {
    let mut finding = Finding::of(id, level);
    let looked = vault.manifest(id).and_then(|(manifest, working)| {
        finding.describe(&manifest);
        let object = vault.payload(&manifest)?;
        finding.extensions = deeper(Opened { manifest: manifest.clone(), working, object }, &manifest, level, monitor)?;
        Ok(())
    });
    finding.judged(looked)
}

/// Looks at a backup that Doubletake wrote. Only reading it whole tells anything.
pub fn verify_old(old: OldBackup, monitor: &dyn Monitor) -> Result<Finding> {
    let mut finding = Finding::of(&old.id, Level::Content);
    let looked = old.open(None, monitor).map(|opened| finding.describe(&opened.manifest));
    finding.judged(looked)
}

/// Looks at each of several backups. One that could not be looked at is a finding too, so that it does not hide the others.
pub fn verify_all(vault: &Vault, ids: &[BackupId], level: Level, monitor: &dyn Monitor) -> Result<Vec<Finding>> {
    ids.iter().map(|id| among_others(id, level, verify(vault, id, level, monitor))).collect()
}

/// What is an error where one backup is looked at, among several is a finding; a signal stays one.
pub fn among_others(id: &BackupId, level: Level, looked: Result<Finding>) -> Result<Finding> {
    match looked {
        Err(error) if !matches!(kind(&error), Kind::Interrupted(_)) => {
            Ok(Finding { error: Some(format!("{error:#}")), kind: Some(kind(&error)), ..Finding::of(id, level) })
        }
        looked => looked,
    }
}

/// Returns the extensions that an archive makes, where it was read.
fn deeper(opened: Opened, manifest: &Manifest, level: Level, monitor: &dyn Monitor) -> Result<BTreeSet<String>> {
    match level {
        Level::Meta => Ok(BTreeSet::new()),
        Level::Stored => stored(opened, monitor).map(|()| BTreeSet::new()),
        // A restore needs a server as well, and is not this job's.
        Level::Content | Level::Restore => content(opened, manifest, monitor),
    }
}

fn stored(opened: Opened, monitor: &dyn Monitor) -> Result<()> {
    let Opened { manifest, working, object } = opened;
    let tagger = Tagger::of(working.as_ref());
    monitor.begin(&format!("verify {}", manifest.id), Some(manifest.stored.bytes));
    let mut reader = VerifiedReader::new(object, manifest.chunks.clone(), tagger, &manifest.object)?;
    let mut summer = Summer::default();
    drain(&mut reader, monitor, |bytes| {
        summer.update(bytes);
        Ok(())
    })?;
    monitor.end();
    if summer.finish() != manifest.stored {
        return Err(
            Fault::damaged(format!("\"{}\" does not have the BLAKE2b that its .meta states", manifest.object)).into()
        );
    }
    Ok(())
}

fn content(opened: Opened, manifest: &Manifest, monitor: &dyn Monitor) -> Result<BTreeSet<String>> {
    monitor.begin(&format!("verify {}", manifest.id), Some(manifest.plain.bytes));
    let mut tables = Tables::of(opened.working.as_ref());
    let mut reader = opened.plain()?;
    match manifest.dump.format {
        Format::Plain => {}
        Format::Custom => return archive(&mut reader, manifest, monitor),
        Format::Tar => {
            Contents::read(&mut reader)?;
            monitor.end();
            return Ok(BTreeSet::new());
        }
    }
    drain(&mut reader, monitor, |bytes| {
        tables.update(bytes);
        Ok(())
    })?;
    monitor.end();
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
    monitor.end();
    match archive.verdict() {
        Verdict::Unknown(major, minor) => monitor.warn(&unknown_archive(&manifest.id, major, minor)),
        Verdict::Cut | Verdict::Foreign if manifest.tools.pg_dump.is_some() => {
            return Err(Fault::damaged(format!("the archive in {} is cut short: it lacks data", manifest.id)).into());
        }
        _ => {}
    }
    Ok(archive.extensions().clone())
}
