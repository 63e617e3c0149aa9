//! A connection that reads tables by `COPY … TO STDOUT`. The rows do not pass through the driver, which takes twice the time for
//! them.

use crate::base::cancel;
use crate::base::error::{Fault, Result};
use crate::postgres::connect::errors::explain;
use crate::postgres::connect::plan::{self, ConnectPlan};
use crate::postgres::connect::settings::ConnectionSettings;
use crate::postgres::connect::transport::copied_rows::TakenRows;
use crate::postgres::connect::transport::copy_driver::CopyDriver;
use crate::postgres::connect::transport::copy_session::{CopySession, SessionStep};
use crate::postgres::session::cell::{cell, rows_of};
use anyhow::Context;
use postgres::SimpleQueryRow;
use std::time::{Duration, Instant};

/// Runs queries, and reads rows of COPY piece by piece. Every wait ends at a signal, at the end of the run's time, and once the
/// server has sent nothing for too long; then the connection is of no more use.
pub(crate) struct CopyConnection {
    session: CopySession,
    /// The server, for messages.
    at: String,
    /// Longest wait for a byte.
    stall: Duration,
    /// A hint about what to do after a stall.
    advice: Option<&'static str>,
}

/// Says what has come of a query that copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CopyStep {
    /// Whole rows of one statement, each with its line end.
    Rows,
    /// The rows of one statement are over.
    End,
    /// The query is over.
    Done,
}

impl CopyConnection {
    /// Adds a hint to the error of a stall.
    pub fn when_stalled(self, advice: &'static str) -> CopyConnection {
        CopyConnection { advice: Some(advice), ..self }
    }

    /// Runs statements that copy nothing and returns the rows of all of them. A value is `None` if it is NULL.
    pub fn query(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>> {
        self.begin(sql, false)?;
        loop {
            if let SessionStep::Answered(answer) = self.wait(&mut Vec::new())? {
                return Ok(rows_of(answer).map(|row| values(&row)).collect());
            }
        }
    }

    /// Begins a query of one or several `COPY … TO STDOUT`; the first [`next`](Self::next) sends it.
    pub fn copy(&mut self, sql: &str) -> Result<()> {
        self.begin(sql, true)
    }

    /// Waits for what comes next of the query that copies, and appends whole rows to `rows`. Rows go from hand to hand without a copy
    /// of their bytes if `rows` is empty.
    pub fn next(&mut self, rows: &mut Vec<u8>) -> Result<CopyStep> {
        if !self.session.is_busy() {
            return Err(Fault::failed(format!("no query runs on the connection to {}", self.at)).into());
        }
        Ok(match self.wait(rows)? {
            SessionStep::Copied(TakenRows::Rows) => CopyStep::Rows,
            SessionStep::Copied(TakenRows::End) => CopyStep::End,
            SessionStep::Answered(_) => CopyStep::Done,
        })
    }

    fn begin(&mut self, sql: &str, copies: bool) -> Result<()> {
        if self.session.is_busy() {
            let message = format!("the query before on the connection to {} was not read to its end", self.at);
            return Err(Fault::failed(message).into());
        }
        self.session.begin(sql, copies);
        Ok(())
    }

    fn wait(&mut self, rows: &mut Vec<u8>) -> Result<SessionStep> {
        let (mut heard, mut since) = (self.session.heard(), Instant::now());
        loop {
            cancel::check()?;
            if let Some(step) = self.session.step(rows, cancel::TICK) {
                return step.map_err(|error| explain(&error));
            }
            let now = self.session.heard();
            if now > heard {
                (heard, since) = (now, Instant::now());
            } else if since.elapsed() >= self.stall {
                return Err(self.stalled().into());
            }
        }
    }

    fn stalled(&self) -> Fault {
        let fault = Fault::failed(format!("{} sent nothing for {} s", self.at, self.stall.as_secs_f64()));
        match self.advice {
            Some(advice) => fault.hint(advice),
            None => fault,
        }
    }
}

fn values(row: &SimpleQueryRow) -> Vec<Option<String>> {
    (0..row.len()).map(|index| cell(row, index).map(str::to_owned)).collect()
}

impl ConnectionSettings {
    /// Connects like [`open`](Self::open), for reading tables. No wait for a byte is longer than `stall`.
    pub(crate) fn open_for_copy(&self, application: &str, stall: Duration) -> Result<CopyConnection> {
        let driver = CopyDriver::new().context("cannot prepare a connection")?;
        let opened = plan::by(&ConnectPlan::of(self, application, driver)?)?;
        Ok(CopyConnection { session: opened.client, at: opened.endpoint.to_string(), stall, advice: None })
    }
}

#[cfg(test)]
mod tests;
