//! Connections beside the one that runs a script. Each has a session like the script's, and commits what it does.

use crate::base::cancel::TICK;
use crate::base::error::{Fault, Result};
use crate::base::progress::Monitor;
use crate::base::threads;
use crate::base::worker::Worker;
use crate::postgres::connect::Canceller;
use crate::postgres::connect::settings::ConnectionSettings;
use crate::postgres::connect::several::open_several;
use crate::postgres::restore::load::encoding::ScriptEncoding;
use crate::postgres::restore::load::options::LoadOptions;
use crate::postgres::restore::load::script_pipe::ScriptReceiver;
use crate::postgres::restore::load::{failure, money};
use postgres::Client;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread::scope;

/// The last commit of a restore waits for the disk, and with it all before it.
const NO_WAIT: &str = "SET synchronous_commit = off";
/// How many ticks pass before a statement is cancelled once more: a request that comes between two statements has no effect.
const AGAIN: u32 = 5;

/// A statement of the script that changes its session.
#[derive(Debug, Clone)]
pub(crate) struct SessionStatement {
    pub line: u64,
    pub text: Vec<u8>,
    pub encoding: ScriptEncoding,
}

/// Holds what all sessions beside the script's have in common.
pub(crate) struct SideSession<'a> {
    pub options: &'a LoadOptions,
    pub statements: &'a [SessionStatement],
    /// Whether the database holds UTF-8.
    pub in_utf8: bool,
}

pub struct SideConnection {
    pub(crate) client: Client,
    pub(crate) cancel: Canceller,
    /// The rows that this connection is to load.
    pub(crate) rows: Option<ScriptReceiver>,
    /// Number of the script's statements that have made its session like the script's. `None`: nothing has run here.
    ran: Option<usize>,
    /// The statement that has set the tablespace here; `None`: none has.
    pub(crate) tablespace: Option<Vec<u8>>,
}

/// Opens as many connections as are wanted, or fewer, which people are told.
pub fn open_sides(
    settings: &ConnectionSettings,
    application: &str,
    wanted: usize,
    monitor: &dyn Monitor,
) -> Result<Vec<SideConnection>> {
    let open = open_several(wanted, "load", monitor, || settings.connect(application))?;
    let side = |client| {
        let cancel = settings.canceller(&client)?;
        Ok(SideConnection { client, cancel, rows: None, ran: None, tablespace: None })
    };
    open.into_iter().map(side).collect()
}

impl SideConnection {
    /// Makes the session like the script's.
    pub(crate) fn follow(&mut self, session: &SideSession<'_>) -> Result<()> {
        let failed = |error: postgres::Error| failure::plain("cannot prepare a connection", &error);
        let ran = match self.ran {
            Some(ran) => ran,
            None => self.begin(session.options).map(|()| 0)?,
        };
        let mut transaction = self.client.transaction().map_err(failed)?;
        for SessionStatement { line, text, encoding } in session.statements.get(ran..).unwrap_or_default() {
            encoding
                .run(&mut transaction, session.in_utf8, text)
                .map_err(|error| failure::of_statement(*line, text, &error))?;
        }
        transaction.commit().map_err(failed)?;
        self.ran = Some(session.statements.len());
        Ok(())
    }

    /// Does what the load has done before the first statement of the script.
    fn begin(&mut self, options: &LoadOptions) -> Result<()> {
        let failed = |error: postgres::Error| failure::plain("cannot prepare a connection", &error);
        // Whether the server has the locale is judged where the load ends.
        money::begin(&mut self.client, options.monetary.as_deref())?;
        let mut transaction = self.client.transaction().map_err(failed)?;
        if let Some(own) = &options.own {
            own.begin(&mut transaction)?;
        }
        transaction.batch_execute(&options.leave.begin()).map_err(failed)?;
        transaction.batch_execute(NO_WAIT).map_err(failed)?;
        transaction.commit().map_err(failed)
    }
}

/// Runs `work` on all connections at a time, and returns the results. After the first error, or once `stopped` is set, what the others do
/// is cancelled; that error is returned.
pub(crate) fn on_each<T: Send>(
    sides: &mut [SideConnection],
    stopped: &AtomicBool,
    work: impl Fn(&mut SideConnection) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let mut cancels: Vec<Option<Canceller>> = sides.iter().map(|side| Some(Arc::clone(&side.cancel))).collect();
    let (to, ended) = channel();
    scope(|scope| {
        for (number, side) in sides.iter_mut().enumerate() {
            let (to, work) = (to.clone(), &work);
            let begun = threads::begin_in(scope, "load", move || {
                // Nobody may be waiting any more.
                let _ = to.send((number, work(side)));
            });
            // Those that have begun end by themselves.
            begun.inspect_err(|_| stopped.store(true, Ordering::Relaxed))?;
        }
        drop(to);
        let (mut done, mut failed, mut ticks) = (Vec::new(), None, 0);
        loop {
            match ended.recv_timeout(TICK) {
                Ok((number, result)) => {
                    cancels[number] = None;
                    match result {
                        Ok(result) => done.push(result),
                        Err(error) => {
                            stopped.store(true, Ordering::Relaxed);
                            failed.get_or_insert(error);
                        }
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if stopped.load(Ordering::Relaxed) {
                if ticks % AGAIN == 0 {
                    cancel_all(&cancels);
                }
                ticks += 1;
            }
        }
        match failed {
            Some(error) => Err(error),
            None if done.len() == cancels.len() && !stopped.load(Ordering::Relaxed) => Ok(done),
            None => Err(Fault::failed("the load was stopped").into()),
        }
    })
}

/// Cancels what these connections do, on threads of their own: a silent server does not hear it.
fn cancel_all(cancels: &[Option<Canceller>]) {
    for cancel in cancels.iter().flatten().cloned() {
        let _cancelling = Worker::begin(move || cancel());
    }
}
