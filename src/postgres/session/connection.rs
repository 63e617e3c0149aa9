//! A connection whose every query has a deadline, and ends at a signal. A peer that vanished without closing the socket would
//! otherwise block for ever, the more so if something between the two keeps the socket open.

use crate::base::error::{Fault, Result};
use crate::base::worker::{self, Worker};
use postgres::Client;
use std::time::Duration;

/// Longest wait for the connection to close; a healthy server closes it at once.
const LEAVE: Duration = Duration::from_secs(2);

pub(crate) struct TimedConnection {
    /// `None` once an answer was given up, because it may still arrive; every later query is an error.
    client: Option<Client>,
}

impl TimedConnection {
    pub fn new(client: Client) -> TimedConnection {
        TimedConnection { client: Some(client) }
    }

    pub fn ask<T: Send + 'static>(
        &mut self,
        question: impl FnOnce(&mut Client) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let mut client = self.client.take().ok_or_else(|| Fault::failed("the connection was given up before"))?;
        let (client, answer) = worker::ask(move || {
            let answer = question(&mut client);
            (client, answer)
        })?;
        self.client = Some(client);
        answer
    }
}

impl Drop for TimedConnection {
    /// Closes the connection on another thread: the driver would wait for ever for a server that owes it an answer.
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            let _ = Worker::begin(move || drop(client)).within(LEAVE);
        }
    }
}
