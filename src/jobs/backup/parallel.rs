//! Dumps a database by several connections: pg_dump says what there is, pg_restore writes the script of it, and the connections read the
//! rows, all in one snapshot. The rows of tables that nothing is changed in are read once for the plain and the anonymised backup.

use crate::base::cancel::Cancel;
use crate::base::error::{Fault, Result, sqlstate};
use crate::base::progress::Monitor;
use crate::format::archive::contents::DumpContents;
use crate::jobs::backup::anonymised_copy::AnonymisedCopy;
use crate::jobs::backup::plan::BackupPlan;
use crate::jobs::backup::row_readers::{ReaderOf, ReadingRules, RowMessage, RowReaders, connections};
use crate::jobs::backup::watch::SnapshotWatch;
use crate::postgres::connect::settings::ConnectionSettings;
use crate::postgres::parallel::item::{RowOutputs, TableToRead};
use crate::postgres::parallel::script_piece::{OutputPiece, RowKeys};
use crate::postgres::parallel::work::{DumpWork, tables_to_read};
use crate::postgres::session::control::Control;
use crate::postgres::tools::dump::options::{self, ScriptUse};
use crate::postgres::tools::large_objects::{self, large_objects};
use crate::postgres::tools::script::script;
use crate::postgres::tools::{self, Tool};
use crate::repository::writer::BackupWriter;
use postgres::error::SqlState;
use std::collections::{BTreeSet, HashMap};
use std::io::Write;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::scope;

/// Says what is divided among connections.
#[derive(Clone, Copy)]
pub(crate) struct DumpSetup<'a> {
    pub plan: &'a BackupPlan,
    /// How many connections read rows.
    pub jobs: usize,
    pub snapshot: &'a str,
    pub settings: &'a ConnectionSettings,
    pub pg_dump: &'a Tool,
    pub contents: &'a DumpContents,
}

/// A dump that is divided among connections, before it begins.
pub(crate) struct ParallelDump<'a> {
    setup: DumpSetup<'a>,
    pg_restore: Tool,
    readers: Vec<RowReaders>,
}

/// The backups that a dump is written to.
pub(crate) struct DumpWriters<'a, 'w> {
    /// `None`: the plain one is written already.
    pub plain: Option<&'a mut BackupWriter<'w>>,
    pub copy: Option<&'a mut AnonymisedCopy<'w>>,
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
    /// Prepares a dump for the plain backup, and for the anonymised one if there is one. The inner error says, as the end of a sentence,
    /// why it must come from pg_dump alone.
    pub fn prepare(
        setup: DumpSetup<'a>,
        control: &mut Control,
        copy: Option<&mut AnonymisedCopy<'_>>,
        monitor: &dyn Monitor,
    ) -> Result<std::result::Result<ParallelDump<'a>, String>> {
        let DumpSetup { plan, jobs, settings, contents, .. } = setup;
        let major = control.server().major;
        let Ok(pg_restore) = tools::find("pg_restore", major, plan.bin_dir.as_deref()) else {
            return Ok(Err("there is no pg_restore for it".to_owned()));
        };
        let sources = match control.snapshot_tables() {
            Err(error) if is_awaited(&error) => return Ok(Err(format!("a large table is locked ({error:#})"))),
            sources => sources?,
        };
        let mut tables = match tables_to_read(contents, &sources) {
            Ok(tables) => tables,
            Err(why) => return Ok(Err(why)),
        };
        let connections = connections(settings, plan, jobs, monitor)?;
        if connections.is_empty() {
            return Ok(Err("the server gives no further connections".to_owned()));
        }
        let copied = copy.and_then(|copy| {
            copy.attempt(|copy| {
                let chosen = copy.choose(contents, &sources, monitor)?;
                copy_readers(&setup, share(&mut tables, chosen), major, copy, monitor)
            })
        });
        let work = DumpWork::divide(tables, major, connections.len());
        let mut readers = vec![RowReaders { work: Arc::new(work), connections, reader: ReaderOf::Plain }];
        readers.extend(copied.flatten());
        Ok(Ok(ParallelDump { setup, pg_restore, readers }))
    }

    /// Prepares a dump for the anonymised backup alone.
    pub fn prepare_copy(
        setup: DumpSetup<'a>,
        control: &mut Control,
        copy: &mut AnonymisedCopy<'_>,
        monitor: &dyn Monitor,
    ) -> Result<ParallelDump<'a>> {
        let major = control.server().major;
        let pg_restore = tools::find("pg_restore", major, setup.plan.bin_dir.as_deref())?;
        let tables = copy.choose(setup.contents, &control.snapshot_tables()?, monitor)?;
        let readers = copy_readers(&setup, tables, major, copy, monitor)?.into_iter().collect();
        Ok(ParallelDump { setup, pg_restore, readers })
    }

    /// Has all connections read in the snapshot, with their tables locked. One has every lock before the others ask for theirs, and these
    /// do not wait: somebody who waits for one of the tables waits for the dump, so what waits behind them waits for ever.
    pub fn lock(&mut self, mut copy: Option<&mut AnonymisedCopy<'_>>) -> Result<()> {
        let ParallelDump { setup: DumpSetup { plan, snapshot, .. }, readers, .. } = self;
        let works: Vec<Arc<DumpWork>> = readers.iter().map(|readers| Arc::clone(&readers.work)).collect();
        let all: BTreeSet<&str> = works.iter().flat_map(|work| work.all_locks()).collect();
        let all: Vec<&str> = all.into_iter().collect();
        let mut all = Some(&*all);
        for mut reading in std::mem::take(readers) {
            match reading.lock(plan, snapshot, all.take()) {
                Ok(()) => readers.push(reading),
                Err(error) => match copy.as_mut().filter(|_| reading.is_of_copy() && !is_awaited(&error)) {
                    Some(copy) => copy.fail(error),
                    None => return Err(error),
                },
            }
        }
        Ok(())
    }

    /// Writes the script with all rows to the backups. `by_rows` is set if it fails because rows could not be read.
    pub fn write(
        self,
        watch: &mut SnapshotWatch<'_>,
        by_rows: &mut bool,
        mut writers: DumpWriters<'_, '_>,
        monitor: &dyn Monitor,
    ) -> Result<()> {
        let ParallelDump { setup, pg_restore, readers } = self;
        let (limits, stopper) = Cancel::of_thread().stoppable();
        let count = readers.iter().map(|readers| readers.connections.len()).sum::<usize>();
        let (to, coming) = sync_channel(count.max(1) * AHEAD);
        let keys = &writers.row_keys();
        let limits = &limits;
        scope(|scope| {
            // The connections end when this does, however it does.
            let _stopper = stopper;
            for readers in readers {
                readers.begin(scope, ReadingRules { keys, limits }, &to)?;
            }
            drop(to);
            // While they begin to read.
            let scripts = writers.scripts(&pg_restore, &setup)?;
            let mut together = Together { setup, coming, watch, by_rows, writers, monitor };
            together.write(scripts)
        })
    }
}

/// Returns whether this is the error of a connection that does not wait for a lock, or of one that was in a deadlock with somebody.
pub(crate) fn is_awaited(error: &anyhow::Error) -> bool {
    let codes = [SqlState::LOCK_NOT_AVAILABLE, SqlState::T_R_DEADLOCK_DETECTED];
    sqlstate(error).is_some_and(|code| codes.iter().any(|known| known.code() == code))
}

/// Marks the tables that both backups read alike, and returns those that the anonymised one reads by itself.
fn share(tables: &mut [TableToRead], copied: Vec<TableToRead>) -> Vec<TableToRead> {
    let (own, same): (Vec<TableToRead>, Vec<TableToRead>) =
        copied.into_iter().partition(|table| table.select.is_some());
    let mut same: HashMap<String, RowOutputs> =
        same.into_iter().map(|table| (table.source.name, table.outputs)).collect();
    for table in tables {
        table.outputs.anonymised = same.remove(&table.source.name).and_then(|outputs| outputs.anonymised);
    }
    own
}

/// Returns the connections that read tables for the anonymised backup alone; `None` if there is none to read.
fn copy_readers(
    setup: &DumpSetup<'_>,
    tables: Vec<TableToRead>,
    major: u32,
    copy: &AnonymisedCopy<'_>,
    monitor: &dyn Monitor,
) -> Result<Option<RowReaders>> {
    if tables.is_empty() {
        return Ok(None);
    }
    let settings = setup.settings.with_session(&copy.recipe.session);
    let wanted = setup.jobs.min(tables.len().max(1));
    let connections = connections(&settings, setup.plan, wanted, monitor)?;
    if connections.is_empty() {
        return Err(Fault::failed("the server gives no connections to read its rows by").into());
    }
    let work = DumpWork::divide(tables, major, connections.len());
    Ok(Some(RowReaders { work: Arc::new(work), connections, reader: ReaderOf::Anonymised(copy.over()) }))
}

/// A script before its rows, from there to its large objects, and behind these.
type ScriptParts = [Vec<u8>; 3];

impl DumpWriters<'_, '_> {
    fn row_keys(&self) -> RowKeys {
        RowKeys {
            plain: self.plain.as_ref().and_then(|writer| writer.row_key()),
            anonymised: self.copy.as_ref().and_then(|copy| copy.row_key()),
        }
    }

    /// Returns the scripts of both backups; that of one that is not made is empty.
    fn scripts(&mut self, pg_restore: &Tool, setup: &DumpSetup<'_>) -> Result<[ScriptParts; 2]> {
        let all = || setup.contents.entries.iter().map(|entry| entry.number).collect();
        let plain = self.plain.as_ref().map(|_| whole_script(pg_restore, setup, &all())).transpose()?;
        let copy = self.copy.as_mut().and_then(|copy| {
            copy.attempt(|copy| {
                let wanted = copy.wanted()?.clone();
                whole_script(pg_restore, setup, &wanted)
            })
        });
        Ok([plain.unwrap_or_default(), copy.unwrap_or_default()])
    }
}

/// Returns the script of these entries.
fn whole_script(pg_restore: &Tool, setup: &DumpSetup<'_>, wanted: &BTreeSet<i64>) -> Result<ScriptParts> {
    let DumpSetup { plan, settings, contents, .. } = setup;
    let arguments = options::of_script(&plan.arguments);
    let script = script(pg_restore, contents, wanted, &arguments, &settings.child_environment()?)?;
    Ok(script.around_data(|number| contents.is_large_objects(number)))
}

/// Puts scripts and rows together.
struct Together<'a, 'w, 's> {
    setup: DumpSetup<'a>,
    coming: Receiver<RowMessage>,
    watch: &'a mut SnapshotWatch<'s>,
    by_rows: &'a mut bool,
    writers: DumpWriters<'a, 'w>,
    monitor: &'a dyn Monitor,
}

impl Together<'_, '_, '_> {
    /// Writes the scripts, with all rows in the place of the first ones.
    fn write(&mut self, scripts: [ScriptParts; 2]) -> Result<()> {
        let [[before, between, behind], [copy_before, copy_between, copy_behind]] = scripts;
        // With their locks the connections have the tables as they are now: whatever has changed before is found now.
        self.watch.piece()?;
        self.text(&before, &copy_before)?;
        // All connections have ended when this returns.
        self.rows()?;
        self.text(&between, &copy_between)?;
        self.large_objects()?;
        self.text(&behind, &copy_behind)?;
        if let Some(copy) = &mut self.writers.copy {
            copy.written();
        }
        Ok(())
    }

    fn text(&mut self, plain: &[u8], copied: &[u8]) -> Result<()> {
        if let Some(writer) = &mut self.writers.plain {
            writer.write_all(plain)?;
        }
        if let Some(copy) = &mut self.writers.copy {
            copy.text(copied);
        }
        self.shown(plain.len());
        Ok(())
    }

    fn rows(&mut self) -> Result<()> {
        while let Ok(message) = self.coming.recv() {
            match message {
                RowMessage::Piece(piece) => self.piece(piece)?,
                RowMessage::Failed(error) => {
                    *self.by_rows = true;
                    return Err(error);
                }
                RowMessage::CopyFailed(error) => {
                    if let Some(copy) = &mut self.writers.copy {
                        copy.fail(error);
                    }
                }
            }
            self.watch.piece()?;
        }
        Ok(())
    }

    fn piece(&mut self, piece: OutputPiece) -> Result<()> {
        let DumpWriters { plain, copy } = &mut self.writers;
        let (bytes, mut shared) = (piece.piece.text.len(), None);
        let is_copied = piece.anonymised.is_some() && copy.as_ref().is_some_and(|copy| copy.is_wanted());
        if let Some(writer) = plain.as_mut().filter(|_| piece.is_plain) {
            match is_copied {
                true => shared = writer.share_rows(&piece.piece)?,
                false => writer.rows(&piece.piece)?,
            }
        }
        let is_plain = piece.is_plain;
        if let Some(copy) = copy.as_mut().filter(|_| is_copied) {
            copy.rows(piece, shared);
        }
        if is_plain {
            self.shown(bytes);
        }
        Ok(())
    }

    /// Has pg_dump write all large objects of the plain backup, in the place of the first ones: it makes all before it fills any.
    fn large_objects(&mut self) -> Result<()> {
        let DumpSetup { plan, snapshot, settings, pg_dump, contents, .. } = self.setup;
        let has_objects = contents.entries.iter().any(|entry| contents.is_large_objects(entry.number));
        let Some(writer) = self.writers.plain.as_mut().filter(|_| has_objects) else { return Ok(()) };
        let arguments = large_objects::arguments(snapshot, contents.encoding().unwrap_or_default(), &plan.arguments);
        let (watch, by_rows, monitor) = (&mut *self.watch, &mut *self.by_rows, self.monitor);
        *by_rows = true;
        let written =
            large_objects(&pg_dump.path, &arguments, &settings.child_environment()?, plan.stall, &mut |text| {
                watch.piece()?;
                writer.write_all(text).inspect_err(|_| *by_rows = false)?;
                monitor.advance(text.len() as u64);
                monitor.stored(writer.stored());
                Ok(())
            });
        written?.tell(monitor);
        *by_rows = false;
        Ok(())
    }

    fn shown(&self, bytes: usize) {
        if let Some(writer) = &self.writers.plain {
            self.monitor.advance(bytes as u64);
            self.monitor.stored(writer.stored());
        }
    }
}
