//! A connection on which every answer is waited for, but neither for ever nor beyond a signal or the limit of a run: a line may die
//! without a word, and something on the way may keep it open all the same.

use crate::error::{Fault, Result};
use crate::interrupt;
use postgres::Client;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

/// The longest that a short question may take; the size of a database with very many tables takes its time.
const ANSWER: Duration = Duration::from_secs(300);

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
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let answer = question(&mut client);
            // Nobody waits any more after the limit or a signal.
            let _ = sender.send((client, answer));
        });
        let begun = Instant::now();
        loop {
            match receiver.recv_timeout(interrupt::TICK) {
                Ok((client, answer)) => {
                    self.client = Some(client);
                    return answer;
                }
                Err(RecvTimeoutError::Disconnected) => return Err(Fault::failed("the asking thread died").into()),
                Err(RecvTimeoutError::Timeout) => interrupt::check()?,
            }
            if begun.elapsed() >= ANSWER {
                let text = format!("the server gave no answer within {} seconds", ANSWER.as_secs());
                return Err(Fault::failed(text).hint("check the network between here and the server").into());
            }
        }
    }
}
