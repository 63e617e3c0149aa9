//! A connection on which every answer is waited for, but neither for ever nor beyond a signal or the limit of a run: a line may die
//! without a word, and something on the way may keep it open all the same.

use crate::base::error::{Fault, Result};
use crate::base::worker::{self, Worker};
use postgres::Client;
use std::time::Duration;

/// A server that is well takes leave at once.
const LEAVE: Duration = Duration::from_secs(2);

pub(crate) struct TimedConnection {
    /// None once an answer has been given up, for it may still come.
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
    /// The driver would wait without end for a server that owes it something.
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            let _ = Worker::begin(move || drop(client)).within(LEAVE);
        }
    }
}
