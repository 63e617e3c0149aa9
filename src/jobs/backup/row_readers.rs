//! The connections that read the rows of a dump, and the threads that they are read on.

use crate::base::cancel::Cancel;
use crate::base::error::Result;
use crate::base::progress::Monitor;
use crate::base::threads;
use crate::jobs::backup::plan::BackupPlan;
use crate::jobs::backup::store::STALLED;
use crate::postgres::connect::copy_connection::CopyConnection;
use crate::postgres::connect::settings::ConnectionSettings;
use crate::postgres::connect::several::open_several;
use crate::postgres::parallel::maker::{self, LockWait};
use crate::postgres::parallel::script_piece::{OutputPiece, RowKeys};
use crate::postgres::parallel::work::DumpWork;
use crate::postgres::session::control::APPLICATION;
use crate::postgres::tools::dump::options;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::thread::Scope;

/// Connections that share the work of reading some tables.
pub(crate) struct RowReaders {
    pub work: Arc<DumpWork>,
    pub connections: Vec<CopyConnection>,
    /// The backup that they read for. What goes wrong with it is no reason to end the other.
    pub reader: ReaderOf,
}

/// Says what connections read for.
#[derive(Clone)]
pub(crate) enum ReaderOf {
    /// The plain backup, and the anonymised one where its rows are the same.
    Plain,
    /// The anonymised backup alone. The mark is set once nobody wants its rows any more.
    Anonymised(Arc<AtomicBool>),
}

/// Passes what the connections read to the thread that writes.
pub(crate) enum RowMessage {
    Piece(OutputPiece),
    /// A connection of the plain backup has failed.
    Failed(anyhow::Error),
    /// A connection of the anonymised backup has failed.
    CopyFailed(anyhow::Error),
}

/// Opens as many connections as are wanted, or fewer, which people are told.
pub(crate) fn connections(
    settings: &ConnectionSettings,
    plan: &BackupPlan,
    wanted: usize,
    monitor: &dyn Monitor,
) -> Result<Vec<CopyConnection>> {
    let connect = || settings.open_for_copy(APPLICATION, plan.stall);
    let open = open_several(wanted, "read the tables", monitor, connect)?;
    Ok(open.into_iter().map(|connection| connection.when_stalled(STALLED)).collect())
}

/// Says how rows are read, whichever connection does.
#[derive(Clone, Copy)]
pub(crate) struct ReadingRules<'a> {
    pub keys: &'a RowKeys,
    pub limits: &'a Cancel,
}

impl RowReaders {
    /// Has each connection read in the snapshot, and lock what it reads. The first one waits, and locks `all`; `None`: none waits.
    pub fn lock(&mut self, plan: &BackupPlan, snapshot: &str, mut all: Option<&[&str]>) -> Result<()> {
        let settings = options::row_settings(&plan.arguments);
        for (number, connection) in self.connections.iter_mut().enumerate() {
            match all.take() {
                Some(all) => maker::begin(connection, snapshot, &settings, all, LockWait::Within(plan.lock_wait))?,
                None => maker::begin(connection, snapshot, &settings, &self.work.locks(number), LockWait::Never)?,
            }
        }
        Ok(())
    }

    /// Returns whether they read for the anonymised backup alone.
    pub fn is_of_copy(&self) -> bool {
        matches!(self.reader, ReaderOf::Anonymised(_))
    }

    /// Begins to read, on a thread for each connection.
    pub fn begin<'scope>(
        self,
        scope: &'scope Scope<'scope, '_>,
        rules: ReadingRules<'scope>,
        to: &SyncSender<RowMessage>,
    ) -> Result<()> {
        for (number, connection) in self.connections.into_iter().enumerate() {
            let (to, limits) = (to.clone(), rules.limits.clone());
            let (work, reader) = (Arc::clone(&self.work), self.reader.clone());
            threads::begin_in(scope, "rows", move || {
                let _limits = limits.enter();
                let read = rows(connection, rules.keys, (&work, number), &reader, &to);
                let failed = |error| match reader {
                    ReaderOf::Plain => RowMessage::Failed(error),
                    ReaderOf::Anonymised(_) => RowMessage::CopyFailed(error),
                };
                // Nobody may be listening any more.
                read.or_else(|error| to.send(failed(error)).map_err(drop)).ok();
            })?;
        }
        Ok(())
    }
}

/// Reads what one connection is to read.
fn rows(
    mut connection: CopyConnection,
    keys: &RowKeys,
    (work, number): (&DumpWork, usize),
    reader: &ReaderOf,
    to: &SyncSender<RowMessage>,
) -> Result<()> {
    let is_wanted = || match reader {
        ReaderOf::Plain => true,
        ReaderOf::Anonymised(over) => !over.load(Ordering::Relaxed),
    };
    let mut hand_on = |piece| is_wanted() && to.send(RowMessage::Piece(piece)).is_ok();
    maker::read(&mut connection, work, number, keys, &mut hand_on)
}
