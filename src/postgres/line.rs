//! A connection on which every answer is waited for, but neither for ever nor beyond a signal or the limit of a run: a line may die
//! without a word, and something on the way may keep it open all the same.

use super::apart;
use crate::error::{Fault, Result};
use postgres::Client;

pub(super) struct Line {
    /// None once an answer has been given up, for it may still come.
    client: Option<Client>,
}

impl Line {
    pub fn new(client: Client) -> Line {
        Line { client: Some(client) }
    }

    pub fn ask<T: Send + 'static>(
        &mut self,
        question: impl FnOnce(&mut Client) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let mut client = self.client.take().ok_or_else(|| Fault::failed("the connection was given up before"))?;
        let (client, answer) = apart::ask(move || {
            let answer = question(&mut client);
            (client, answer)
        })?;
        self.client = Some(client);
        answer
    }
}
