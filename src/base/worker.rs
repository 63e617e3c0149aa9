//! Runs a closure on its own thread and waits for it until it ends, a signal arrives or the run's time is over. Needed because the
//! other side may never answer, and the driver's calls cannot be cancelled.

use crate::base::error::{Fault, Result};
use crate::base::shown::many;
use crate::base::{cancel, threads};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Longest wait for a short query. The size of a database with very many tables takes a while.
const ANSWER: Duration = Duration::from_secs(300);
/// Time left after a signal for the work that removes what a run has made.
const CLEARING: Duration = Duration::from_secs(30);

/// The result of a thread's work, which may be waited for. Dropping it does not stop the thread.
pub(crate) struct Worker<T>(Receiver<T>);

impl<T: Send + 'static> Worker<T> {
    pub fn begin(work: impl FnOnce() -> T + Send + 'static) -> Worker<T> {
        let (sender, receiver) = mpsc::channel();
        // Without a thread nothing is ever sent, and the sender is gone.
        let _ = threads::begin("server", move || {
            // Nobody may be waiting by then.
            let _ = sender.send(work());
        });
        Worker(receiver)
    }

    /// Returns the result, or `None` if there is none within this time. It is an error if the thread could not be started, or
    /// panicked.
    pub fn within(&self, time: Duration) -> Result<Option<T>> {
        match self.0.recv_timeout(time) {
            Ok(done) => Ok(Some(done)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => {
                Err(Fault::failed("the thread that works on it could not be started, or died").into())
            }
        }
    }

    /// Waits for the result. A signal or the end of the run's time is an error.
    pub fn end(&self) -> Result<T> {
        loop {
            if let Some(done) = self.within(cancel::TICK)? {
                return Ok(done);
            }
            cancel::check()?;
        }
    }

    /// Waits for the result for at most `limit`. A signal, the end of the run's time or of `limit` is an error.
    fn answer(&self, limit: Duration) -> Result<T> {
        let begun = Instant::now();
        loop {
            if let Some(answer) = self.within(cancel::TICK)? {
                return Ok(answer);
            }
            cancel::check()?;
            if begun.elapsed() >= limit {
                return Err(silent(limit));
            }
        }
    }

    /// Waits like [`end`](Worker::end), but after a signal gives the work some more time to clear up.
    pub fn see_through(&self) -> Result<T> {
        match self.end() {
            Err(_) if cancel::check().is_err() => self.within(CLEARING)?.ok_or_else(|| silent(CLEARING)),
            ended => ended,
        }
    }
}

/// Runs a short query on its own thread and waits for its answer for at most five minutes.
pub(crate) fn ask<T: Send + 'static>(question: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    Worker::begin(question).answer(ANSWER)
}

fn silent(limit: Duration) -> anyhow::Error {
    Fault::failed(format!("the server gave no answer within {}", many(limit.as_secs(), "second")))
        .hint("check the network between here and the server")
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::{Kind, hints, kind};

    #[test]
    fn who_gives_no_answer_is_given_up_and_named() {
        let error = Worker::begin(std::thread::park).answer(Duration::ZERO).unwrap_err();
        assert_eq!(
            (kind(&error), error.to_string().as_str()),
            (Kind::Failed, "the server gave no answer within 0 seconds")
        );
        assert_eq!(hints(&error), ["check the network between here and the server"]);
    }

    #[test]
    fn a_thread_that_dies_is_a_failure_and_no_wait() {
        let error = Worker::begin(|| panic!("as planned")).end().unwrap_err();
        assert_eq!(
            (kind(&error), error.to_string().as_str()),
            (Kind::Failed, "the thread that works on it could not be started, or died")
        );
    }
}
