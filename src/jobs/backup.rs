//! Backs up one database, and in its submodules what is no database: globals and files.
//!
//! A database is dumped from one snapshot, through the pipeline into the repository.

pub(crate) mod backup_facts;
pub(crate) mod files;
pub(crate) mod globals;
pub(crate) mod parallel;
pub(crate) mod plan;
pub(crate) mod store;
pub(crate) mod watch;

use crate::base::error::{Fault, Kind, Result, kind};
use crate::base::process::reader::ChildReader;
use crate::base::process::stderr_tail::StderrTail;
use crate::base::progress::{Monitor, Progress};
use crate::format::manifest::origin::Origin;
use crate::format::manifest::{Format, Manifest, SnapshotNote};
use crate::jobs::backup::backup_facts::{server_note, taking};
use crate::jobs::backup::parallel::{ParallelDump, SnapshotAccess};
use crate::jobs::backup::plan::BackupPlan;
use crate::jobs::backup::store::STALLED;
use crate::pipeline::drain;
use crate::postgres::connect::settings::ConnectionSettings;
use crate::postgres::restore::load;
use crate::postgres::session::control::{AdvisoryLock, Control};
use crate::postgres::tools::contents::{ContentsInquiry, contents};
use crate::postgres::tools::dump::{self, options};
use crate::postgres::tools::{self, Tool, lock_limit};
use crate::repository::Repository;
use crate::repository::writer::{BackupWriter, ManifestDetails};
use jiff::Timestamp;
use std::io::Write;
use watch::SnapshotWatch;

/// Number of snapshots that are tried if something changes before pg_dump has read it.
const TRIES: u32 = 3;

/// Backs up one database. `now` is the time by this host's clock.
pub fn backup(repository: &Repository, plan: &BackupPlan, now: Timestamp, monitor: &dyn Monitor) -> Result<Manifest> {
    let mut control = Control::open(&plan.settings)?;
    control.lock(AdvisoryLock::Database)?;
    let pg_dump = tools::find("pg_dump", control.server().major, plan.bin_dir.as_deref())?;
    let expected = plan.expected.map_or_else(|| control.size(), Ok)?;
    let settings = control.for_dump()?;
    let omitted = omitted(&mut control, monitor);
    let from = DumpSource { plan, pg_dump, settings, expected, now, omitted };
    let mut tries = 1;
    loop {
        let changed = match from.take(&mut control, repository, tries, monitor)? {
            SnapshotResult::Whole(manifest) => return Ok(*manifest),
            SnapshotResult::Changed(names) => some_of(&names),
        };
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

/// Most names in one message: a schema may be dropped with thousands of tables.
const TOLD: usize = 10;

/// Joins the first names, and says how many more there are.
fn some_of(names: &[String]) -> String {
    let told = names.iter().take(TOLD).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(TOLD) {
        0 => told,
        more => format!("{told} and {more} more"),
    }
}

/// The result of one run of pg_dump.
enum DumpResult {
    /// Holds the warnings of pg_dump, and the table of contents; `None`: there is none.
    Whole(StderrTail, Option<Vec<u8>>),
    /// Names of what changed: this dump shows no single moment. It was ended, or is not kept.
    Changed(Vec<String>),
}

/// The result of one snapshot.
enum SnapshotResult {
    Whole(Box<Manifest>),
    /// Names of what changed after the snapshot, so that the dump does not have it as it was. Nothing is stored.
    Changed(Vec<String>),
}

struct DumpSource<'a> {
    plan: &'a BackupPlan,
    pg_dump: Tool,
    settings: ConnectionSettings,
    expected: u64,
    /// Time by this host's clock.
    now: Timestamp,
    /// Descriptions of what the dump leaves out.
    omitted: Vec<String>,
}

impl DumpSource<'_> {
    /// Dumps one snapshot. `number` says how many have been tried, with this one.
    fn take(
        &self,
        control: &mut Control,
        repository: &Repository,
        number: u32,
        monitor: &dyn Monitor,
    ) -> Result<SnapshotResult> {
        let DumpSource { plan, pg_dump, expected, .. } = self;
        let snapshot = control.snapshot()?;
        let properties = control.properties();
        if let Err(error) = &properties {
            monitor.warn(&format!(
                "what belongs to the database itself (owner, privileges, settings, locale) is not in the backup: {error:#}"
            ));
        }
        let server = server_note(control.server())?;
        let taking = taking(plan, plan.settings.database().into(), Some(&server), snapshot.taken_at, self.now);
        let name = repository.name(&taking, monitor)?;
        monitor.names(&name.id.to_string());
        let monitor = &Progress::begin(monitor, &format!("backup {}", name.id), Some(*expected));
        let mut writer = repository.begin(name, plan.format, plan.compression, *expected)?;
        let (warnings, contents) = match self.dump(control, &snapshot.name, number, &mut writer, monitor)? {
            DumpResult::Whole(remarks, contents) => {
                (self.omitted.iter().cloned().chain(remarks.tell(monitor)).collect(), contents)
            }
            DumpResult::Changed(names) => return Ok(SnapshotResult::Changed(names)),
        };
        control.alive()?;

        let about = ManifestDetails {
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
            contents,
        };
        let manifest = writer.finish(about, monitor)?;
        if plan.format == Format::Plain && plan.arguments.is_empty() && manifest.tables.is_empty() {
            monitor.warn(&format!("\"{}\" holds no tables: is it the database that is meant?", manifest.subject));
        }
        explain(&manifest, monitor);
        Ok(SnapshotResult::Whole(Box::new(manifest)))
    }

    /// Writes the dump to the backup, by several connections where that is possible and there is something to win, else by pg_dump
    /// alone.
    fn dump(
        &self,
        control: &mut Control,
        snapshot: &str,
        number: u32,
        writer: &mut BackupWriter<'_>,
        monitor: &dyn Monitor,
    ) -> Result<DumpResult> {
        let plan = self.plan;
        // pg_dump alone has its locks soonest: it is the last that is tried.
        let jobs = parallel::jobs(plan, self.expected);
        if plan.format == Format::Plain && number < TRIES && jobs > 1 {
            match self.by_several(jobs, control, snapshot, writer, monitor)? {
                Ok(result) => return Ok(result),
                Err(why) => monitor.info(&format!("the rows come from pg_dump in one stream: {why}")),
            }
        }
        self.by_pg_dump(control, snapshot, writer, monitor)
    }

    /// Has several connections read the rows. The inner error says, as the end of a sentence, why that is not possible; then nothing has
    /// been written.
    fn by_several(
        &self,
        jobs: usize,
        control: &mut Control,
        snapshot: &str,
        writer: &mut BackupWriter<'_>,
        monitor: &dyn Monitor,
    ) -> Result<std::result::Result<DumpResult, String>> {
        let DumpSource { plan, pg_dump, settings, .. } = self;
        let encoding = control.server().encoding.clone();
        if let Some(why) = parallel::unfit(plan) {
            return Ok(Err(why));
        }
        let extra = options::of_contents(&plan.arguments);
        let arguments = dump::arguments(Format::Custom, snapshot, &encoding, plan.lock_wait, &extra)?;
        let told = contents(&pg_dump.path, &arguments, &settings.child_environment()?, plan.stall);
        let (contents, remarks) = match told {
            Ok(told) => told,
            Err(error) => return judged(SnapshotWatch::new(control), Err(error), true).map(Ok),
        };
        let access = SnapshotAccess { name: snapshot, settings, pg_dump };
        let prepared = match ParallelDump::prepare(plan, jobs, &contents, access, control, monitor)? {
            Ok(prepared) => prepared,
            Err(why) => return Ok(Err(why)),
        };
        let mut watch = SnapshotWatch::new(control);
        let mut by_rows = false;
        let dumped = prepared.write(&mut watch, &mut by_rows, writer, monitor);
        judged(watch, dumped.map(|()| (remarks, Some(contents.bytes()))), by_rows).map(Ok)
    }

    /// Runs pg_dump and writes its output to the backup.
    fn by_pg_dump(
        &self,
        control: &mut Control,
        snapshot: &str,
        writer: &mut BackupWriter<'_>,
        monitor: &dyn Monitor,
    ) -> Result<DumpResult> {
        let DumpSource { plan, pg_dump, settings, .. } = self;
        let encoding = &control.server().encoding;
        let arguments = dump::arguments(plan.format, snapshot, encoding, plan.lock_wait, &plan.arguments)?;
        // Pinned to the server that knows the snapshot: a host name may stand for several.
        let environment = settings.child_environment()?;
        let mut inquiry = self.inquiry(snapshot, encoding)?;
        let mut contents = None;
        let child = ChildReader::spawn(&pg_dump.path, &arguments, &environment, plan.stall)?;
        let mut child = child.when_stalled(STALLED);
        let mut watch = SnapshotWatch::new(control);
        let mut by_dump = true;
        let dumped = child.through(|dump| {
            drain(dump, monitor, |bytes| {
                // What both have read by now is the same, or the watch finds it.
                contents = contents.take().or_else(|| told(inquiry.take()?, monitor));
                watch.piece()?;
                writer.write_all(bytes).inspect_err(|_| by_dump = false)?;
                monitor.stored(writer.stored());
                Ok(())
            })
        });
        // Where it was ended by pgbk, the server may not answer either.
        let by_itself = by_dump && child.has_exited();
        // Their locks go with them.
        drop((child, inquiry));
        judged(watch, dumped.map(|((), remarks)| (remarks, contents)), by_itself)
    }

    /// Asks for the table of contents, beside the dump. `None`: the dump is an archive, which has one.
    fn inquiry(&self, snapshot: &str, encoding: &str) -> Result<Option<ContentsInquiry>> {
        let DumpSource { plan, pg_dump, settings, .. } = self;
        if plan.format != Format::Plain {
            return Ok(None);
        }
        let extra = options::of_contents(&plan.arguments);
        let arguments = dump::arguments(Format::Custom, snapshot, encoding, plan.lock_wait, &extra)?;
        ContentsInquiry::begin(pg_dump.path.clone(), arguments, settings.child_environment()?, plan.stall).map(Some)
    }
}

/// Returns what came of a dump: its warnings and its table of contents, or the names of what has changed since the snapshot. `by_itself`
/// says that an error is the dump's own, of which a change may be the reason.
fn judged(
    watch: SnapshotWatch<'_>,
    dumped: Result<(StderrTail, Option<Vec<u8>>)>,
    by_itself: bool,
) -> Result<DumpResult> {
    let failed = dumped.as_ref().is_err_and(|error| by_itself && kind(error) == Kind::Failed);
    let changed = if dumped.is_ok() { watch.changed_meanwhile()? } else { watch.changed(failed) };
    if !changed.is_empty() {
        return Ok(DumpResult::Changed(changed));
    }
    let (remarks, contents) = dumped.map_err(lock_limit::of_dump)?;
    Ok(DumpResult::Whole(remarks, contents))
}

/// Returns the table of contents. `None`: pg_dump did not write one, and people are told what that means.
fn told(inquiry: ContentsInquiry, monitor: &dyn Monitor) -> Option<Vec<u8>> {
    match inquiry.end() {
        Ok(contents) => Some(contents.bytes()),
        Err(error) => {
            monitor.warn(&format!("single tables cannot be restored from this backup, only all of it: {error:#}"));
            None
        }
    }
}

/// Warns of what the dump leaves out although pg_dump does not say so, and returns these warnings for the manifest.
fn omitted(control: &mut Control, monitor: &dyn Monitor) -> Vec<String> {
    let omitted = control
        .omitted(false)
        .unwrap_or_else(|error| vec![format!("what the dump leaves out cannot be told: {error:#}")]);
    omitted.iter().for_each(|what| monitor.warn(what));
    omitted
}

/// Explains pg_dump's warning of circular keys if the tables belong to an extension that pgbk prepares for a restore.
fn explain(manifest: &Manifest, monitor: &dyn Monitor) {
    let circular = manifest.warnings.iter().any(|warning| warning.contains("circular foreign-key"));
    if let Some(extension) =
        manifest.requires.extensions.iter().find(|name| circular && load::extension_notice::is_told(name))
    {
        monitor.info(&format!(
            "circular keys are as they should be in the tables of the extension \"{extension}\": a restore by pgbk tells it, and fills them"
        ));
    }
}
