//! Holds the runtime that a host's requests work on, and lets everything else wait for it.

use crate::base::cancel::{self, TICK};
use crate::base::error::Result;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::time::timeout;

/// How long a request that must not be cut in two may go on after a signal, and how long parts may take to end before an
/// abort.
pub(crate) const GRACE: Duration = Duration::from_secs(5);

/// Time limit of an abort with all its attempts. It is short because the program is about to exit.
pub(crate) const ABORT_LIMIT: Duration = Duration::from_secs(15);

pub(crate) struct Waiter {
    /// Taken only by `drop`.
    runtime: Option<Runtime>,
    handle: Handle,
}

impl Waiter {
    /// Starts the runtime. Its threads have this name.
    pub fn start(name: &str) -> Result<Waiter> {
        let runtime = Builder::new_multi_thread().worker_threads(2).thread_name(name).enable_all().build()?;
        let handle = runtime.handle().clone();
        Ok(Waiter { runtime: Some(runtime), handle })
    }

    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Waits for the work. A signal ends the wait with an error.
    pub fn wait<T>(&self, work: impl Future<Output = T>) -> Result<T> {
        self.until(work, Duration::ZERO)
    }

    /// Waits for the work. A signal leaves it a little time to end, because nobody could know afterwards whether it
    /// had been done.
    pub fn wait_out<T>(&self, work: impl Future<Output = T>) -> Result<T> {
        self.until(work, GRACE)
    }

    /// Waits for the work whatever signals come, for cleaning up. `None`: the limit is over.
    pub fn clean_up<T>(&self, work: impl Future<Output = T>, limit: Duration) -> Option<T> {
        self.handle.block_on(async { timeout(limit, work).await.ok() })
    }

    fn until<T>(&self, work: impl Future<Output = T>, grace: Duration) -> Result<T> {
        cancel::check()?;
        self.handle.block_on(async {
            let mut work = pin!(work);
            loop {
                if let Ok(done) = timeout(TICK, &mut work).await {
                    return Ok(done);
                }
                if let Err(interrupted) = cancel::check() {
                    return timeout(grace, work).await.map_err(|_| interrupted);
                }
            }
        })
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A name that takes long to look up must not hold up the exit.
            runtime.shutdown_background();
        }
    }
}
