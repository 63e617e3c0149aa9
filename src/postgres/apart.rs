//! Work on a thread of its own, whose end is waited for, but not beyond a signal or the limit of a run: the other side may never
//! answer, and no call of the driver can be broken off.

use crate::error::{Fault, Result};
use crate::interrupt;
use crate::threads;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// The longest that a short question may take; the size of a database with very many tables takes its time.
const ANSWER: Duration = Duration::from_secs(300);
/// What a signal leaves to the work that takes away what a run has made.
const CLEARING: Duration = Duration::from_secs(30);

/// What the thread gives; once this value is gone nobody waits for it any more.
pub(super) struct Apart<T>(Receiver<T>);

impl<T: Send + 'static> Apart<T> {
    pub fn begin(work: impl FnOnce() -> T + Send + 'static) -> Apart<T> {
        let (sender, receiver) = mpsc::channel();
        // Without a thread nothing is ever sent, and the sender is gone.
        let _ = threads::begin("server", move || {
            // Nobody may be waiting by then.
            let _ = sender.send(work());
        });
        Apart(receiver)
    }

    /// What came of it, unless it takes longer than this.
    pub fn within(&self, time: Duration) -> Result<Option<T>> {
        match self.0.recv_timeout(time) {
            Ok(done) => Ok(Some(done)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => {
                Err(Fault::failed("the thread that works on it could not be started, or died").into())
            }
        }
    }

    /// Waits for the end, for a signal, or for the limit of the run.
    pub fn end(&self) -> Result<T> {
        loop {
            if let Some(done) = self.within(interrupt::TICK)? {
                return Ok(done);
            }
            interrupt::check()?;
        }
    }

    /// Waits so long for an end that should come soon, or for a signal.
    fn answer(&self, limit: Duration) -> Result<T> {
        let begun = Instant::now();
        loop {
            if let Some(answer) = self.within(interrupt::TICK)? {
                return Ok(answer);
            }
            interrupt::check()?;
            if begun.elapsed() >= limit {
                return Err(silent(limit));
            }
        }
    }

    /// The same as [`end`](Apart::end) with time left to clear up after a signal.
    pub fn see_through(&self) -> Result<T> {
        match self.end() {
            Err(_) if interrupt::check().is_err() => self.within(CLEARING)?.ok_or_else(|| silent(CLEARING)),
            ended => ended,
        }
    }
}

/// A question to a server that should be answered soon.
pub(super) fn ask<T: Send + 'static>(question: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    Apart::begin(question).answer(ANSWER)
}

fn silent(limit: Duration) -> anyhow::Error {
    Fault::failed(format!("the server gave no answer within {} seconds", limit.as_secs()))
        .hint("check the network between here and the server")
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Kind, hints, kind};

    #[test]
    fn who_gives_no_answer_is_given_up_and_named() {
        let error = Apart::begin(std::thread::park).answer(Duration::ZERO).unwrap_err();
        assert_eq!(
            (kind(&error), error.to_string().as_str()),
            (Kind::Failed, "the server gave no answer within 0 seconds")
        );
        assert_eq!(hints(&error), ["check the network between here and the server"]);
    }

    #[test]
    fn a_thread_that_dies_is_a_failure_and_no_wait() {
        let error = Apart::begin(|| panic!("as planned")).end().unwrap_err();
        assert_eq!(
            (kind(&error), error.to_string().as_str()),
            (Kind::Failed, "the thread that works on it could not be started, or died")
        );
    }
}
