//! Dumps a database by several connections: pg_dump says what there is, pg_restore writes the script of it, and the connections read the
//! rows, all in one snapshot.

use crate::base::cancel::{self, Cancel};
use crate::base::error::Result;
use crate::base::process::stderr_tail::StderrTail;
use crate::base::progress::Monitor;
use crate::base::threads;
use crate::format::archive::contents::DumpContents;
use crate::format::keys::digest_key::DigestKey;
use crate::format::row_block::RowPiece;
use crate::jobs::backup::plan::BackupPlan;
use crate::jobs::backup::store::STALLED;
use crate::jobs::backup::watch::SnapshotWatch;
use crate::postgres::connect::copy_connection::CopyConnection;
use crate::postgres::connect::settings::ConnectionSettings;
use crate::postgres::parallel::maker;
use crate::postgres::parallel::work::{DumpWork, tables_to_read};
use crate::postgres::session::control::{APPLICATION, Control};
use crate::postgres::tools::dump::options::{self, ScriptUse};
use crate::postgres::tools::large_objects::{self, large_objects};
use crate::postgres::tools::script::{MarkedScript, ScriptPart, script};
use crate::postgres::tools::{self, Tool};
use crate::repository::writer::BackupWriter;
use std::io::Write;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::scope;

/// A dump that is divided among connections, before it begins.
pub(crate) struct ParallelDump<'a> {
    plan: &'a BackupPlan,
    access: SnapshotAccess<'a>,
    contents: &'a DumpContents,
    pg_restore: Tool,
    work: DumpWork,
    connections: Vec<CopyConnection>,
}

/// Says how programs and connections reach the snapshot.
#[derive(Clone, Copy)]
pub(crate) struct SnapshotAccess<'a> {
    /// The name that the server gave it.
    pub name: &'a str,
    pub settings: &'a ConnectionSettings,
    pub pg_dump: &'a Tool,
}

/// A size in bytes below which there is nothing to win.
const SMALL: u64 = 64 << 20;
/// Pieces on their way to the payload, for each connection.
const AHEAD: usize = 1;

/// Returns how many connections are to read the rows; 1 is pg_dump alone. `expected` is the size of the database in bytes.
pub(crate) fn jobs(plan: &BackupPlan, expected: u64) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    match plan.jobs {
        Some(jobs) => jobs as usize,
        None if expected < SMALL => 1,
        None => cores.min(2),
    }
}

/// Says why the rows of a dump with these arguments must come from pg_dump itself. `None`: they need not.
pub(crate) fn unfit(plan: &BackupPlan) -> Option<String> {
    let given = options::read(&plan.arguments).unwrap_or_default();
    let alone = given.iter().find(|given| given.option.script() == ScriptUse::Alone);
    alone.map(|given| format!("PG_DUMP_USER_ARGS holds --{}", given.option.name))
}

impl<'a> ParallelDump<'a> {
    /// Prepares a dump of these contents. The inner error says, as the end of a sentence, why it must come from pg_dump alone.
    pub fn prepare(
        plan: &'a BackupPlan,
        jobs: usize,
        contents: &'a DumpContents,
        access: SnapshotAccess<'a>,
        control: &mut Control,
        monitor: &dyn Monitor,
    ) -> Result<std::result::Result<ParallelDump<'a>, String>> {
        let major = control.server().major;
        let Ok(pg_restore) = tools::find("pg_restore", major, plan.bin_dir.as_deref()) else {
            return Ok(Err("there is no pg_restore for it".to_owned()));
        };
        let tables = match tables_to_read(contents, &control.snapshot_tables()?) {
            Ok(tables) => tables,
            Err(why) => return Ok(Err(why)),
        };
        let connections = connections(access.settings, plan, jobs, monitor)?;
        if connections.is_empty() {
            return Ok(Err("the server gives no further connections".to_owned()));
        }
        let work = DumpWork::divide(tables, major, connections.len());
        Ok(Ok(ParallelDump { plan, access, contents, pg_restore, work, connections }))
    }

    /// Writes the script with all rows to the backup. `by_rows` is set if it fails because rows could not be read.
    pub fn write(
        self,
        watch: &mut SnapshotWatch<'_>,
        by_rows: &mut bool,
        writer: &mut BackupWriter<'_>,
        monitor: &dyn Monitor,
    ) -> Result<()> {
        let ParallelDump { plan, access, contents, pg_restore, work, connections } = self;
        let row_settings = &options::row_settings(&plan.arguments);
        let (limits, stopper) = Cancel::of_thread().stoppable();
        let count = connections.len();
        let (to, coming) = sync_channel(count * AHEAD);
        let (work, key) = (&work, &writer.row_key());
        scope(|scope| {
            // The connections end when this does, however it does.
            let _stopper = stopper;
            for (number, mut connection) in connections.into_iter().enumerate() {
                let (to, limits) = (to.clone(), limits.clone());
                threads::begin_in(scope, "rows", move || {
                    let _limits = limits.enter();
                    let read =
                        maker::begin(&mut connection, access.name, row_settings, work.locks(number), plan.lock_wait)
                            .and_then(|()| rows(&mut connection, work, number, key, &to));
                    // Nobody may be listening any more.
                    read.or_else(|error| to.send(RowMessage::Failed(error)).map_err(drop)).ok();
                })?;
            }
            drop(to);
            // While they lock and begin to read.
            let script = whole_script(&pg_restore, contents, plan, access.settings)?;
            let large_objects = Some(LargeObjects { plan, access, contents });
            let mut together = Together { coming, unlocked: count, large_objects, watch, by_rows, writer, monitor };
            together.write(&script)
        })
    }
}

/// Returns the script of all that is dumped.
fn whole_script(
    pg_restore: &Tool,
    contents: &DumpContents,
    plan: &BackupPlan,
    settings: &ConnectionSettings,
) -> Result<MarkedScript> {
    let all = contents.entries.iter().map(|entry| entry.number).collect();
    script(pg_restore, contents, &all, &options::of_script(&plan.arguments), &settings.child_environment()?)
}

/// Opens as many connections as are wanted, or fewer, which people are told.
fn connections(
    settings: &ConnectionSettings,
    plan: &BackupPlan,
    wanted: usize,
    monitor: &dyn Monitor,
) -> Result<Vec<CopyConnection>> {
    let mut open = Vec::new();
    while open.len() < wanted {
        match settings.open_for_copy(APPLICATION, plan.stall) {
            Ok(connection) => open.push(connection.when_stalled(STALLED)),
            Err(error) => {
                // What a signal kept from connecting is no limit of the server.
                cancel::check()?;
                monitor.warn(&format!("{} of {wanted} connections read the tables: {error:#}", open.len()));
                break;
            }
        }
    }
    Ok(open)
}

/// Passes what the connections read to the thread that writes.
enum RowMessage {
    /// One more connection has locked its tables.
    Locked,
    Piece(RowPiece),
    Failed(anyhow::Error),
}

/// Reads what one connection is to read, once it has locked its tables.
fn rows(
    connection: &mut CopyConnection,
    work: &DumpWork,
    number: usize,
    key: &DigestKey,
    to: &SyncSender<RowMessage>,
) -> Result<()> {
    to.send(RowMessage::Locked).ok();
    maker::read(connection, work, number, key, &mut |piece| to.send(RowMessage::Piece(piece)).is_ok())
}

/// The large objects of a dump, which pg_dump reads.
struct LargeObjects<'a> {
    plan: &'a BackupPlan,
    access: SnapshotAccess<'a>,
    contents: &'a DumpContents,
}

impl LargeObjects<'_> {
    /// Passes the statements that fill them to `write`, and returns the warnings of pg_dump.
    fn read(&self, write: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<StderrTail> {
        let LargeObjects { plan, access, contents } = self;
        let encoding = contents.encoding().unwrap_or_default();
        let arguments = large_objects::arguments(access.name, encoding, &plan.arguments);
        large_objects(&access.pg_dump.path, &arguments, &access.settings.child_environment()?, plan.stall, write)
    }
}

/// Puts script and rows together.
struct Together<'a, 'w, 's> {
    coming: Receiver<RowMessage>,
    /// Number of connections that have not locked their tables yet.
    unlocked: usize,
    /// `None` once they have been written.
    large_objects: Option<LargeObjects<'a>>,
    watch: &'a mut SnapshotWatch<'s>,
    by_rows: &'a mut bool,
    writer: &'a mut BackupWriter<'w>,
    monitor: &'a dyn Monitor,
}

impl Together<'_, '_, '_> {
    /// Writes the script, with all rows in the place of the first ones.
    fn write(&mut self, script: &MarkedScript) -> Result<()> {
        for part in &script.0 {
            match part {
                ScriptPart::Text(text) => {
                    self.writer.write_all(text)?;
                    self.shown(text.len());
                }
                // All connections have ended when this returns, and in other places there is nothing more to come.
                ScriptPart::Data(number) => {
                    self.rows()?;
                    self.large_objects(*number)?;
                }
            }
        }
        self.rows()
    }

    fn rows(&mut self) -> Result<()> {
        while let Ok(message) = self.coming.recv() {
            match message {
                RowMessage::Locked => self.unlocked -= 1,
                RowMessage::Piece(piece) => {
                    self.writer.rows(&piece)?;
                    self.shown(piece.text.len());
                }
                RowMessage::Failed(error) => {
                    *self.by_rows = true;
                    return Err(error);
                }
            }
            // With its locks each connection has the tables as they are now: whatever has changed before is found now.
            if self.unlocked == 0 {
                self.watch.piece()?;
            }
        }
        Ok(())
    }

    /// Writes all large objects if the entry with this number is the first one of them: pg_dump makes all before it fills any.
    fn large_objects(&mut self, number: i64) -> Result<()> {
        let Some(objects) = self.large_objects.take_if(|objects| objects.contents.is_large_objects(number)) else {
            return Ok(());
        };
        *self.by_rows = true;
        let remarks = objects.read(&mut |text| {
            self.watch.piece()?;
            self.writer.write_all(text).inspect_err(|_| *self.by_rows = false)?;
            self.shown(text.len());
            Ok(())
        })?;
        *self.by_rows = false;
        remarks.tell(self.monitor);
        Ok(())
    }

    fn shown(&self, bytes: usize) {
        self.monitor.advance(bytes as u64);
        self.monitor.stored(self.writer.stored());
    }
}
