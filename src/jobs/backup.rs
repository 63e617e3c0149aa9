//! What a run backs up: one database here, and beside it what is no database.
//!
//! A database is dumped from one snapshot, through the pipeline into the vault.

mod files;
mod globals;
mod watch;

pub use files::files;
pub use globals::globals;

use crate::error::{Fault, Kind, Result, kind};
use crate::manifest::{Compression, Encoding, Format, Manifest, Origin, ServerNote, Session, SnapshotNote};
use crate::monitor::Monitor;
use crate::postgres::control::{Control, Lock, Server};
use crate::postgres::dump;
use crate::postgres::load;
use crate::postgres::locks;
use crate::postgres::settings::Settings;
use crate::postgres::tools::{self, Tool};
use crate::process::{ChildReader, Remarks};
use crate::stream::drain;
use crate::vault::{About, Adopt, Deposit, Taking, Vault};
use jiff::Timestamp;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::time::Duration;
use watch::Watch;

const STALLED: &str = "the server may wait for a lock or be very slow; DUMP_STALL_TIMEOUT sets how long to wait";

/// What to dump and how.
#[derive(Clone)]
pub struct Plan {
    pub settings: Settings,
    pub format: Format,
    pub compression: Option<Compression>,
    /// `PG_DUMP_USER_ARGS`
    pub arguments: Vec<String>,
    pub bin_dir: Option<PathBuf>,
    /// How long pg_dump may wait for a lock on a table.
    pub lock_wait: Duration,
    /// How long pg_dump may write nothing.
    pub stall: Duration,
    /// `DUMP_SIZE_ESTIMATE`, where the server's own figure will not do.
    pub expected: Option<u64>,
    /// `BACKUP_FILES`
    pub paths: Vec<PathBuf>,
    /// `--adopt`
    pub adopt: Adopt,
    /// `--note`
    pub note: Option<String>,
}

/// So many snapshots are tried where something changes before pg_dump has read it.
const TRIES: u32 = 3;

/// Backs up one database. `now` is by this host's clock.
pub fn backup(vault: &Vault, plan: &Plan, now: Timestamp, monitor: &dyn Monitor) -> Result<Manifest> {
    let mut control = Control::open(&plan.settings)?;
    control.lock(Lock::Database)?;
    let pg_dump = tools::find("pg_dump", control.server().major, plan.bin_dir.as_deref())?;
    let expected = plan.expected.map_or_else(|| control.size(), Ok)?;
    let settings = control.for_dump()?;
    let omitted = omitted(&mut control, monitor);
    let from = Source { plan, pg_dump, settings, expected, now, omitted };
    let mut tries = 1;
    loop {
        let changed = match from.take(&mut control, vault, monitor)? {
            Taken::Whole(manifest) => return Ok(*manifest),
            Taken::Changed(names) => some_of(&names),
        };
        monitor.end();
        let what = "truncated, written anew, altered, replaced, renamed or dropped since the snapshot was taken";
        if tries == TRIES {
            return Err(Fault::failed(format!("{changed}: {what}, at each of {TRIES} tries"))
                .hint("back up when nobody changes tables, types, functions and their like; tables can be left out: PG_DUMP_USER_ARGS=--exclude-table=…")
                .into());
        }
        monitor.warn(&format!("{changed}: {what}; the dump is taken anew"));
        tries += 1;
    }
}

/// So many names are told: a schema may go with thousands of tables.
const TOLD: usize = 10;

/// The first names, and how many more there are.
fn some_of(names: &[String]) -> String {
    let told = names.iter().take(TOLD).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(TOLD) {
        0 => told,
        more => format!("{told} and {more} more"),
    }
}

/// What came of one run of pg_dump.
enum Dumped {
    Whole(Remarks),
    /// What changed, so that this dump is none of any one moment; it was ended, or is not kept.
    Changed(Vec<String>),
}

/// What came of one snapshot.
enum Taken {
    Whole(Box<Manifest>),
    /// What changed after the snapshot, and is not in the dump as it was. Nothing is stored.
    Changed(Vec<String>),
}

struct Source<'a> {
    plan: &'a Plan,
    pg_dump: Tool,
    settings: Settings,
    expected: u64,
    /// By this host's clock.
    now: Timestamp,
    /// What the dump leaves out.
    omitted: Vec<String>,
}

impl Source<'_> {
    fn take(&self, control: &mut Control, vault: &Vault, monitor: &dyn Monitor) -> Result<Taken> {
        let Source { plan, pg_dump, expected, .. } = self;
        let snapshot = control.snapshot()?;
        let properties = control.properties();
        if let Err(error) = &properties {
            monitor.warn(&format!(
                "what belongs to the database itself (owner, privileges, settings, locale) is not in the backup: {error:#}"
            ));
        }
        let server = server_note(control.server())?;
        let taking = taking(plan, plan.settings.database(), Some(&server), snapshot.taken_at, self.now);
        let name = vault.name(&taking, monitor)?;
        monitor.names(&name.id.to_string());
        monitor.begin(&format!("backup {}", name.id), Some(*expected));
        let mut deposit = vault.begin(name, plan.format, plan.compression, *expected)?;
        let warnings = match self.dump(control, &snapshot.name, &mut deposit, monitor)? {
            Dumped::Whole(remarks) => self.omitted.iter().cloned().chain(remarks.tell(monitor)).collect(),
            Dumped::Changed(names) => return Ok(Taken::Changed(names)),
        };
        control.alive()?;

        let about = About {
            server: Some(server),
            properties: properties.ok(),
            pg_dump: Some(pg_dump.version.clone()),
            arguments: plan.arguments.clone(),
            snapshot: Some(SnapshotNote { snapshot: snapshot.pg_snapshot, lsn: snapshot.lsn }),
            taken_at: Some(snapshot.taken_at),
            origin: Some(Origin::Backup),
            note: plan.note.clone(),
            must_be_whole: true,
            warnings,
        };
        let manifest = deposit.finish(about, monitor)?;
        monitor.end();
        if plan.format == Format::Plain && plan.arguments.is_empty() && manifest.tables.is_empty() {
            monitor.warn(&format!("\"{}\" holds no tables: is it the database that is meant?", manifest.database));
        }
        explain(&manifest, monitor);
        Ok(Taken::Whole(Box::new(manifest)))
    }

    /// Runs pg_dump into the deposit.
    fn dump(
        &self,
        control: &mut Control,
        snapshot: &str,
        deposit: &mut Deposit<'_>,
        monitor: &dyn Monitor,
    ) -> Result<Dumped> {
        let Source { plan, pg_dump, settings, .. } = self;
        let encoding = &control.server().encoding;
        let arguments = dump::arguments(plan.format, snapshot, encoding, plan.lock_wait, &plan.arguments)?;
        // Pinned to the server that knows the snapshot: a host name may stand for several.
        let environment = settings.child_environment()?;
        let child = ChildReader::spawn(&pg_dump.path, &arguments, &environment, plan.stall)?;
        let mut child = child.when_stalled(STALLED);
        let mut watch = Watch::new(control);
        let mut by_dump = true;
        let dumped = child.through(|dump| {
            drain(dump, monitor, |bytes| {
                watch.piece()?;
                deposit.write_all(bytes).inspect_err(|_| by_dump = false)?;
                monitor.stored(deposit.stored());
                Ok(())
            })
        });
        // Where it was ended by pgbk, the server may not answer either.
        let by_itself = by_dump && child.has_exited();
        // Its locks go with it.
        drop(child);
        let failed = dumped.as_ref().is_err_and(|error| by_itself && kind(error) == Kind::Failed);
        let changed = if dumped.is_ok() { watch.changed_meanwhile()? } else { watch.changed(failed) };
        if !changed.is_empty() {
            return Ok(Dumped::Changed(changed));
        }
        dumped.map(|((), remarks)| Dumped::Whole(remarks)).map_err(locks::of_dump)
    }
}

/// Warns of what the dump will leave out without a word of pg_dump's, and returns it for the document.
fn omitted(control: &mut Control, monitor: &dyn Monitor) -> Vec<String> {
    let omitted = control
        .omitted(false)
        .unwrap_or_else(|error| vec![format!("what the dump leaves out cannot be told: {error:#}")]);
    omitted.iter().for_each(|what| monitor.warn(what));
    omitted
}

/// Says that a restore manages what pg_dump warns of in tables of an extension that is told of restores.
fn explain(manifest: &Manifest, monitor: &dyn Monitor) {
    let circular = manifest.warnings.iter().any(|warning| warning.contains("circular foreign-key"));
    if let Some(extension) = manifest.requires.extensions.iter().find(|name| circular && load::is_told(name)) {
        monitor.info(&format!(
            "circular keys are as they should be in the tables of the extension \"{extension}\": a restore by pgbk tells it, and fills them"
        ));
    }
}

/// Hands the dump to the store, to its end.
fn store(dump: &mut dyn Read, deposit: &mut Deposit<'_>, monitor: &dyn Monitor) -> Result<()> {
    drain(dump, monitor, |bytes| {
        deposit.write_all(bytes)?;
        monitor.stored(deposit.stored());
        Ok(())
    })
}

/// What names a backup and gives it its place in its series.
fn taking<'a>(
    plan: &'a Plan,
    database: &'a str,
    server: Option<&'a ServerNote>,
    taken_at: Timestamp,
    now: Timestamp,
) -> Taking<'a> {
    let server = server.and_then(|server| server.system_identifier.as_deref());
    Taking { database, origin: Origin::Backup, server, taken_at, now, adopt: &plan.adopt }
}

fn server_note(server: &Server) -> Result<ServerNote> {
    let encoding = Encoding::named(&server.encoding).ok_or_else(|| {
        Fault::failed(format!("the server has an encoding that pgbk does not know: {:?}", server.encoding))
    })?;
    Ok(ServerNote {
        version: server.version.clone(),
        version_num: server.version_num,
        encoding,
        system_identifier: server.system_identifier.clone(),
        timeline: server.timeline,
        in_recovery: server.in_recovery,
        session: Session::of(server.session.clone()),
    })
}
