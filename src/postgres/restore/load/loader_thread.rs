//! Loads a script on a thread of its own, while this one reads it. The other thread may wait for the server for as long as a
//! statement takes; this one makes sure that a signal or the run's time limit ends both soon.

use crate::base::cancel;
use crate::base::error::{Result, into_io};
use crate::base::progress::{Monitor, NullMonitor};
use crate::base::worker::Worker;
use crate::postgres::connect::Canceller;
use crate::postgres::connect::settings::ConnectionSettings;
use crate::postgres::restore::load::options::{BetweenStep, LoadOptions, LoadReport};
use crate::postgres::restore::load::parallel_load::ParallelLoad;
use crate::postgres::restore::load::script_pipe::{ScriptSender, pipe};
use crate::postgres::restore::load::side_connection::SideConnection;
use crate::postgres::restore::load::{load_around, load_in_parallel};
use postgres::Client;
use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

const BUFFER: usize = 256 << 10;
/// Number of buffers between the threads, which limits the memory.
const IN_FLIGHT: usize = 4;
/// Number of buffers of rows for each connection. They are larger.
const ROWS_IN_FLIGHT: usize = 2;
/// Time that the server has after a signal to cancel its statement and roll back.
const GRACE: Duration = Duration::from_secs(2);

/// Runs [`load`] on this connection, and closes it afterwards.
pub fn run(
    client: Client,
    settings: &ConnectionSettings,
    script: &mut dyn Read,
    options: LoadOptions,
    monitor: &dyn Monitor,
) -> Result<LoadReport> {
    run_around(client, settings, script, (options, None), monitor)
}

/// Runs [`load`] on this connection with something in between, and closes it afterwards.
pub fn run_around(
    mut client: Client,
    settings: &ConnectionSettings,
    script: &mut dyn Read,
    (options, between): (LoadOptions, Option<BetweenStep>),
    monitor: &dyn Monitor,
) -> Result<LoadReport> {
    let cancel = settings.canceller(&client)?;
    let (sender, mut receiver) = pipe(IN_FLIGHT, Arc::default());
    let loading = Worker::begin(move || load_around(&mut client, &mut receiver, &options, between, &NullMonitor));
    let fed = hand_over(script, &sender, monitor);
    ended(&loading, fed, sender, vec![cancel], "the database is as it was, or restored whole where the end was reached")
}

/// Says what several connections load, and how.
pub struct ParallelPlan {
    pub options: LoadOptions,
    /// The connections beside the first.
    pub sides: Vec<SideConnection>,
    /// Bytes of the rows of each table, by which the largest is dealt with first.
    pub sizes: HashMap<String, u64>,
    /// Whether the rows of tables come by pipes of their own, and not in the script.
    pub rows_beside: bool,
}

/// The ends of the pipes to the connections that load.
pub struct LoadPipes {
    pub script: ScriptSender,
    /// One for each connection beside the first; none if the rows come in the script.
    pub rows: Vec<ScriptSender>,
    /// Lines of the rows, which the script is without. Set before the script goes on behind its pause.
    pub lines: Arc<AtomicU64>,
}

/// Loads a script by several connections, and closes them afterwards: not in one transaction. `feed` sends the script, with a pause where
/// its rows have been cut out, and the rows.
pub fn run_in_parallel(
    mut client: Client,
    settings: &ConnectionSettings,
    plan: ParallelPlan,
    feed: impl FnOnce(&mut LoadPipes) -> Result<()>,
) -> Result<LoadReport> {
    let mut cancels = vec![settings.canceller(&client)?];
    cancels.extend(plan.sides.iter().map(|side| Arc::clone(&side.cancel)));
    let stopped = Arc::new(AtomicBool::new(false));
    let ParallelPlan { options, mut sides, sizes, rows_beside } = plan;
    let (script, mut receiver) = pipe(IN_FLIGHT, Arc::clone(&stopped));
    let mut rows = Vec::new();
    for side in sides.iter_mut().filter(|_| rows_beside) {
        let (sender, receiver) = pipe(ROWS_IN_FLIGHT, Arc::clone(&stopped));
        side.rows = Some(receiver);
        rows.push(sender);
    }
    let lines = Arc::new(AtomicU64::new(0));
    let parallel = ParallelLoad::new(sides, sizes, Arc::clone(&stopped), Arc::clone(&lines));
    let loading = Worker::begin(move || load_in_parallel(&mut client, parallel, &mut receiver, &options));
    let mut pipes = LoadPipes { script, rows, lines };
    let fed = feed(&mut pipes).inspect_err(|_| stopped.store(true, Ordering::Relaxed));
    let LoadPipes { script, rows, .. } = pipes;
    drop(rows);
    let ended = ended(&loading, fed, script, cancels, "the database holds a part of it, or all");
    stopped.store(true, Ordering::Relaxed);
    ended
}

/// Waits for the end of the load. An error of `fed`, or one that comes meanwhile, is a signal or the end of the run's time: what the
/// connections do is cancelled then. `left` says what may be left of it if the server does not answer.
fn ended(
    loading: &Worker<Result<LoadReport>>,
    fed: Result<()>,
    script: ScriptSender,
    cancels: Vec<Canceller>,
    left: &str,
) -> Result<LoadReport> {
    let stopped = match fed.and_then(|()| {
        script.end();
        loading.end()
    }) {
        Ok(loaded) => return loaded,
        Err(stopped) => stopped,
    };
    drop(script);
    let _cancelling: Vec<Worker<()>> = cancels.into_iter().map(|cancel| Worker::begin(move || cancel())).collect();
    match loading.within(GRACE) {
        // It was past stopping.
        Ok(Some(Ok(loaded))) => Ok(loaded),
        Ok(None) => Err(stopped.context(format!("the server gives no answer any more: {left}"))),
        _ => Err(stopped),
    }
}

/// Sends a script to the loading thread, to its end or until that thread stops. An error is a signal or the end of the run's time.
pub fn hand_over(script: &mut dyn Read, to: &ScriptSender, monitor: &dyn Monitor) -> Result<()> {
    while let Some(mut buffer) = to.buffer()? {
        buffer.resize(BUFFER, 0);
        match read(script, &mut buffer) {
            Ok(0) => break,
            Ok(length) => {
                buffer.truncate(length);
                monitor.advance(length as u64);
                if !to.piece(buffer) {
                    break;
                }
            }
            Err(error) => {
                to.failed(error);
                break;
            }
        }
    }
    Ok(())
}

fn read(script: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match script.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => cancel::check().map_err(into_io)?,
            read => return read,
        }
    }
}
