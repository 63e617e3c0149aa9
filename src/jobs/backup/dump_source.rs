//! Dumps a database from one snapshot into the backups that are made of it.

use crate::base::error::{Fault, Kind, Result, kind};
use crate::base::process::reader::ChildReader;
use crate::base::process::stderr_tail::StderrTail;
use crate::base::progress::{Monitor, NullMonitor};
use crate::format::archive::contents::DumpContents;
use crate::format::manifest::Format;
use crate::jobs::backup::anonymised_copy::AnonymisedCopy;
use crate::jobs::backup::parallel::{self, DumpSetup, DumpWriters, ParallelDump};
use crate::jobs::backup::plan::BackupPlan;
use crate::jobs::backup::store::STALLED;
use crate::jobs::backup::watch::SnapshotWatch;
use crate::pipeline::drain;
use crate::postgres::connect::settings::ConnectionSettings;
use crate::postgres::session::control::Control;
use crate::postgres::tools::contents::contents;
use crate::postgres::tools::dump::{self, options};
use crate::postgres::tools::{Tool, lock_limit};
use crate::repository::writer::BackupWriter;
use std::io::Write;
use std::time::Duration;

/// Number of snapshots that are tried if something changes before pg_dump has read it.
pub(crate) const TRIES: u32 = 3;

/// Longest wait for the locks of pg_dump for the table of contents, beside one that has them all. Who waits for one of these tables waits
/// for the dump, so behind them is no use in waiting.
const BESIDE: Duration = Duration::from_secs(2);
/// Most names in one message: a schema may be dropped with thousands of tables.
const TOLD: usize = 10;

/// The result of one run of pg_dump.
pub(crate) enum DumpResult {
    /// Holds the warnings of pg_dump, and the table of contents; `None`: there is none.
    Whole(StderrTail, Option<Vec<u8>>),
    /// Says, as the beginning of a sentence, why the dump must begin anew in another snapshot. It was ended, or is not kept.
    Anew(String),
}

/// Holds what a database is dumped by.
pub(crate) struct DumpSource<'a> {
    pub plan: &'a BackupPlan,
    pub pg_dump: Tool,
    pub settings: ConnectionSettings,
    /// Size of the database in bytes.
    pub expected: u64,
}

impl DumpSource<'_> {
    /// Writes the dump to the backup, by several connections where that is possible and there is something to win, else by pg_dump
    /// alone. The anonymised backup is written beside it if it can be; otherwise it waits for [`DumpSource::copy`].
    pub fn dump<'w>(
        &self,
        control: &mut Control,
        snapshot: &str,
        number: u32,
        writer: &mut BackupWriter<'w>,
        copy: Option<&mut AnonymisedCopy<'w>>,
        monitor: &dyn Monitor,
    ) -> Result<DumpResult> {
        let plan = self.plan;
        // pg_dump alone has its locks soonest: it is the last that is tried.
        let jobs = parallel::jobs(plan, self.expected);
        if plan.format == Format::Plain && number < TRIES && jobs > 1 {
            match self.by_several(jobs, control, snapshot, writer, copy, monitor)? {
                Ok(result) => return Ok(result),
                Err(why) => monitor.info(&format!("the rows come from pg_dump in one stream: {why}")),
            }
        }
        self.by_pg_dump(plan.format, control, snapshot, number, writer, monitor)
    }

    /// Has several connections read the rows. The inner error says, as the end of a sentence, why that is not possible; then nothing has
    /// been written.
    fn by_several<'w>(
        &self,
        jobs: usize,
        control: &mut Control,
        snapshot: &str,
        writer: &mut BackupWriter<'w>,
        mut copy: Option<&mut AnonymisedCopy<'w>>,
        monitor: &dyn Monitor,
    ) -> Result<std::result::Result<DumpResult, String>> {
        let DumpSource { plan, settings, pg_dump, .. } = self;
        let encoding = control.server().encoding.clone();
        if let Some(why) = parallel::unfit(plan) {
            return Ok(Err(why));
        }
        let (contents, remarks) = match self.contents(snapshot, &encoding, plan.lock_wait) {
            Ok(told) => told,
            Err(error) => return judged(SnapshotWatch::new(control), Err(error), true).map(Ok),
        };
        let setup = DumpSetup { plan, jobs, snapshot, settings, pg_dump, contents: &contents };
        let mut prepared = match ParallelDump::prepare(setup, control, copy.as_deref_mut(), monitor)? {
            Ok(prepared) => prepared,
            Err(why) => return Ok(Err(why)),
        };
        let mut watch = SnapshotWatch::new(control);
        let mut by_rows = false;
        match prepared.lock(copy.as_deref_mut()) {
            Err(error) if parallel::is_awaited(&error) => return Ok(Ok(awaited(&error))),
            Err(error) => return judged(watch, Err(error), true).map(Ok),
            Ok(()) => {}
        }
        let dumped = prepared.write(&mut watch, &mut by_rows, DumpWriters { plain: Some(writer), copy }, monitor);
        judged(watch, dumped.map(|()| (remarks, Some(contents.bytes()))), by_rows).map(Ok)
    }

    /// Runs pg_dump and writes its output to the backup. `number` says how many snapshots have been tried, with this one.
    pub fn by_pg_dump(
        &self,
        format: Format,
        control: &mut Control,
        snapshot: &str,
        number: u32,
        writer: &mut BackupWriter<'_>,
        monitor: &dyn Monitor,
    ) -> Result<DumpResult> {
        let DumpSource { plan, pg_dump, settings, .. } = self;
        let encoding = &control.server().encoding.clone();
        let arguments = dump::arguments(format, snapshot, encoding, plan.lock_wait, &plan.arguments)?;
        // Pinned to the server that knows the snapshot: a host name may stand for several.
        let environment = settings.child_environment()?;
        // An archive has its own.
        let mut is_asked = format != Format::Plain;
        let (mut contents, mut unknown) = (None, None);
        let child = ChildReader::spawn(&pg_dump.path, &arguments, &environment, plan.stall)?;
        let mut child = child.when_stalled(STALLED);
        let mut watch = SnapshotWatch::new(control);
        let mut by_dump = true;
        let dumped = child.through(|dump| {
            drain(dump, monitor, |bytes| {
                watch.piece()?;
                if !std::mem::replace(&mut is_asked, true) {
                    // With its first piece the dump has all its locks: neither it nor anybody else waits for this one's.
                    match self.contents(snapshot, encoding, BESIDE) {
                        Ok((told, _)) => contents = Some(told.bytes()),
                        // It tells no SQLSTATE, but the statement.
                        Err(error) if number < TRIES && format!("{error:#}").contains("LOCK TABLE") => {
                            unknown = Some(error);
                            return Err(Fault::failed("the table of contents is not known").into());
                        }
                        Err(error) => monitor.warn(&format!(
                            "single tables cannot be restored from this backup, only all of it: {error:#}"
                        )),
                    }
                }
                writer.write_all(bytes).inspect_err(|_| by_dump = false)?;
                monitor.stored(writer.stored());
                Ok(())
            })
        });
        // Where it was ended by pgbk, the server may not answer either.
        let by_itself = by_dump && child.has_exited();
        // Its locks go with it.
        drop(child);
        if let Some(error) = unknown {
            return Ok(awaited(&error));
        }
        judged(watch, dumped.map(|((), remarks)| (remarks, contents)), by_itself)
    }

    /// Writes the anonymised backup by itself, in the snapshot that is still held.
    pub fn copy(
        &self,
        control: &mut Control,
        snapshot: &str,
        copy: &mut AnonymisedCopy<'_>,
        monitor: &dyn Monitor,
    ) -> Result<()> {
        let DumpSource { plan, settings, pg_dump, .. } = self;
        let encoding = control.server().encoding.clone();
        let (contents, _) = self.contents(snapshot, &encoding, plan.lock_wait).map_err(lock_limit::of_dump)?;
        let jobs = parallel::jobs(plan, self.expected);
        let setup = DumpSetup { plan, jobs, snapshot, settings, pg_dump, contents: &contents };
        let mut prepared = ParallelDump::prepare_copy(setup, control, copy, monitor)?;
        prepared.lock(None).map_err(lock_limit::of_dump)?;
        let mut watch = SnapshotWatch::new(control);
        let writers = DumpWriters { plain: None, copy: Some(copy) };
        let written = prepared.write(&mut watch, &mut false, writers, &NullMonitor);
        let changed = match &written {
            Ok(()) => watch.changed_meanwhile()?,
            Err(_) => watch.changed(true),
        };
        if !changed.is_empty() {
            let told = format!("{}: changed since the snapshot was taken", some_of(&changed));
            return Err(Fault::failed(told).into());
        }
        written
    }

    /// Asks pg_dump what it would dump. It waits for a lock no longer than `wait`; zero waits for ever.
    fn contents(&self, snapshot: &str, encoding: &str, wait: Duration) -> Result<(DumpContents, StderrTail)> {
        let DumpSource { plan, pg_dump, settings, .. } = self;
        let wait = if plan.lock_wait.is_zero() { wait } else { wait.min(plan.lock_wait) };
        let extra = options::of_contents(&plan.arguments);
        let arguments = dump::arguments(Format::Custom, snapshot, encoding, wait, &extra)?;
        contents(&pg_dump.path, &arguments, &settings.child_environment()?, plan.stall)
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
        let what = "truncated, written anew, altered, replaced, renamed or dropped since the snapshot was taken";
        return Ok(DumpResult::Anew(format!("{}: {what}", some_of(&changed))));
    }
    match dumped {
        // Where pg_dump has locked its tables in another order than somebody else. It tells no SQLSTATE.
        Err(error) if by_itself && format!("{error:#}").contains("deadlock detected") => Ok(awaited(&error)),
        dumped => {
            let (remarks, contents) = dumped.map_err(lock_limit::of_dump)?;
            Ok(DumpResult::Whole(remarks, contents))
        }
    }
}

/// Returns the result of a dump that was in the way of somebody, who has waited for one of its tables and goes first now.
fn awaited(error: &anyhow::Error) -> DumpResult {
    DumpResult::Anew(format!("a session waits for a table that is being dumped, and goes first: {error:#}"))
}

/// Joins the first names, and says how many more there are.
fn some_of(names: &[String]) -> String {
    let told = names.iter().take(TOLD).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(TOLD) {
        0 => told,
        more => format!("{told} and {more} more"),
    }
}
