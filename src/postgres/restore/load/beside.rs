//! The part of a load by several connections that the one which runs the script does: it puts off what can run at a time, commits, and has
//! the others do it.

use crate::base::error::{Fault, Kind, Result, hints, kind};
use crate::postgres::restore::load::build_batch::BuildTask;
use crate::postgres::restore::load::loader::Loader;
use crate::postgres::restore::load::setting_statement::{changes_session, sets_tablespace};
use crate::postgres::restore::load::side_connection::{SessionStatement, SideSession, on_each};
use crate::postgres::restore::load::{build_runner, failure, script, table_rows};
use std::sync::atomic::Ordering;

/// Ends the transaction and begins one like it.
const GO_ON: &str = "COMMIT AND CHAIN";

impl Loader<'_> {
    /// Puts a statement off, or else runs what was put off before it. Returns false if the statement is to be run now.
    pub(crate) fn defer(&mut self, line: u64, text: &[u8]) -> Result<bool> {
        if self.beside.is_none() || sets_tablespace(text) {
            return Ok(false);
        }
        if self.inner.is_none() && self.session.is_steady(text) && self.batch(line, text) {
            return Ok(true);
        }
        self.run_batch()?;
        Ok(self.inner.is_none() && self.session.is_steady(text) && self.batch(line, text))
    }

    fn batch(&mut self, line: u64, text: &[u8]) -> bool {
        let text = self.session.worded(text);
        self.beside
            .as_mut()
            .is_some_and(|beside| beside.batch.add(line, &text, &self.encoding, beside.tablespace.as_ref()))
    }

    /// Notes a statement that has run if it changes the session.
    pub(crate) fn note_session(&mut self, line: u64, text: &[u8]) {
        let Some(beside) = &mut self.beside else { return };
        if sets_tablespace(text) {
            beside.tablespace = Some(text.to_vec());
        } else if changes_session(text) {
            let statement = SessionStatement { line, text: text.to_vec(), encoding: self.encoding.clone() };
            beside.session.push(statement);
        }
    }

    /// Runs what was put off.
    pub(crate) fn run_batch(&mut self) -> Result<()> {
        let Some(beside) = &mut self.beside else { return Ok(()) };
        if beside.batch.is_empty() {
            return Ok(());
        }
        if let Some(BuildTask { line, text, .. }) = beside.batch.take_single() {
            return self.send_now(line, &text);
        }
        self.commit_so_far()?;
        let Some(beside) = &mut self.beside else { return Ok(()) };
        let schedule = beside.batch.schedule(&beside.sizes);
        let session =
            SideSession { options: self.options, statements: &beside.session, in_utf8: self.session.in_utf8() };
        let report = build_runner::run(&mut beside.sides, schedule, &session, &beside.stopped)?;
        self.loaded.statements += report.statements;
        self.loaded.unqualified.extend(report.unqualified);
        self.begin_anew()
    }

    /// Has the other connections load the rows that do not come in the script, which has come to where they were.
    pub(crate) fn rows_beside(&mut self, script: &mut script::Script<'_>) -> Result<()> {
        if !script.is_between() || self.inner.is_some() {
            return Err(Fault::damaged("the .meta states rows in the middle of a statement of the dump").into());
        }
        self.run_batch()?;
        self.commit_so_far()?;
        let Some(beside) = &mut self.beside else { return Ok(()) };
        let session =
            SideSession { options: self.options, statements: &beside.session, in_utf8: self.session.in_utf8() };
        let encoding = &self.encoding;
        let loaded = on_each(&mut beside.sides, &beside.stopped, |side| {
            side.follow(&session)?;
            table_rows::load_tables(side, encoding)
        })
        .map_err(in_another_order)?;
        for part in loaded {
            self.loaded.statements += part.statements;
            self.loaded.skipped.extend(part.skipped);
            self.loaded.tables.extend(part.tables);
        }
        script.skip_lines(beside.lines.load(Ordering::Relaxed));
        self.begin_anew()
    }

    /// Commits, so that other connections see what was made and may lock it.
    fn commit_so_far(&mut self) -> Result<()> {
        self.session.still_in(&mut self.transaction)?;
        self.transaction.batch_execute(GO_ON).map_err(|error| failure::plain("cannot commit what was restored", &error))
    }

    /// Prepares the transaction that goes on.
    fn begin_anew(&mut self) -> Result<()> {
        self.session.renumber(&mut self.transaction)?;
        self.mark_beginning()
    }
}

/// Adds to a refusal of rows that they may want to come after those of another table.
fn in_another_order(error: anyhow::Error) -> anyhow::Error {
    if kind(&error) != Kind::Refused {
        return error;
    }
    let next = "--single-transaction loads table after table, in the order of the dump";
    let hints: Vec<&str> = hints(&error).into_iter().chain([next]).collect();
    Fault::like(&error, format!("{error:#}")).hint(hints.join("; ")).into()
}
