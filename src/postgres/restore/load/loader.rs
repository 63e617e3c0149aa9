//! Loads a script, statement by statement.

use crate::base::error::{Fault, Result};
use crate::base::progress::Monitor;
use crate::format::sql::requirements::owner;
use crate::format::sql::splitter::{Cut, Ending, ScriptEvent};
use crate::format::sql::tokens::Tokens;
use crate::postgres::restore::load::encoding::ScriptEncoding;
use crate::postgres::restore::load::existing_objects::{ObjectState, ScriptObject};
use crate::postgres::restore::load::extension_notice::{EndStatements, is_told};
use crate::postgres::restore::load::header::Header;
use crate::postgres::restore::load::held_statements::{DividedStatements, HeldStatements};
use crate::postgres::restore::load::options::{BetweenStep, LoadOptions, LoadReport};
use crate::postgres::restore::load::parallel_load::ParallelLoad;
use crate::postgres::restore::load::privileges::StatementRest;
use crate::postgres::restore::load::session::LoadSession;
use crate::postgres::restore::load::skipped_statements::{AsideScope, Bounds, quote};
use crate::postgres::restore::load::statement_action::{StatementAction, StatementRefusal};
use crate::postgres::restore::load::{
    extension_notice, failure, load_omissions, money, privileges, script, statement_action,
};
use postgres::{Client, Transaction};
use std::io::Read;

fn check_ending(ending: Ending, options: &LoadOptions) -> Result<()> {
    let message = match ending.cut {
        Some(Cut::Statement { line }) => format!("the dump ends inside the statement that begins at line {line}"),
        Some(Cut::Rows { line }) => format!("the dump ends inside the rows of the COPY at line {line}"),
        Some(Cut::Comment { line }) => format!("the dump ends inside a comment, at line {line}"),
        None if options.require_trailer && !ending.complete => {
            "the dump does not end with pg_dump's closing comment; its end may be missing".into()
        }
        None => return Ok(()),
    };
    Err(Fault::refused(message).into())
}

/// Marks the state to return to if the next statement is set aside. Code that a statement runs cannot release or move the mark.
const MARK: &str = "SAVEPOINT pgbk";

pub const NEXT_MARK: &str = "RELEASE SAVEPOINT pgbk; SAVEPOINT pgbk";

pub const BACK_TO_MARK: &str = "ROLLBACK TO SAVEPOINT pgbk";

pub struct Loader<'a> {
    pub(crate) transaction: Transaction<'a>,
    pub(crate) options: &'a LoadOptions,
    pub(crate) session: LoadSession,
    pub(crate) encoding: ScriptEncoding,
    /// Line at which the script began a transaction of its own, which becomes part of ours; `None` outside of one.
    pub(crate) inner: Option<u64>,
    pub(crate) bounds: Option<Bounds>,
    /// Whether something was sent since the last mark.
    is_beyond_mark: bool,
    pub(crate) restoring: EndStatements,
    /// The locale that amounts of money were written by, if the server lacks it.
    pub(crate) lacking: Option<String>,
    /// The other connections; `None`: everything is one transaction.
    pub(crate) beside: Option<ParallelLoad>,
    /// Holds back what is behind the rows; `None`: all is done.
    held: Option<HeldStatements>,
    /// Comes before what is held back, within the transaction. `None`: the report has that, and somebody else does it.
    between: Option<BetweenStep>,
    pub(crate) loaded: LoadReport,
}

impl<'a> Loader<'a> {
    pub(crate) fn begin(client: &'a mut Client, options: &'a LoadOptions) -> Result<Self> {
        let lacking = money::begin(client, options.monetary.as_deref())?;
        if let Some(own) = &options.own {
            own.check(client)?;
        }
        let mut transaction =
            client.transaction().map_err(|error| failure::plain("cannot begin a transaction", &error))?;
        if let Some(prelude) = &options.prelude {
            transaction.batch_execute(prelude).map_err(|error| failure::plain("cannot empty the target", &error))?;
        }
        if let Some(own) = &options.own {
            own.begin(&mut transaction)?;
        }
        let session = LoadSession::look(&mut transaction)?;
        // The script finds its names as under psql; one of pg_dump's empties the path itself, unless a person has set one.
        transaction
            .batch_execute(&options.leave.begin())
            .map_err(|error| failure::plain("cannot begin a transaction", &error))?;
        let scope = || options.leave.scope().or(options.other_major.then_some(AsideScope::Privileges));
        let bounds = options.bounds.clone().map(Bounds::of).or_else(|| scope().map(Bounds::new));
        let mut loader = Loader {
            transaction,
            options,
            session,
            encoding: ScriptEncoding::default(),
            inner: None,
            bounds,
            is_beyond_mark: false,
            restoring: EndStatements::default(),
            lacking,
            beside: None,
            held: options.until_keys.then(HeldStatements::default),
            between: None,
            loaded: LoadReport::default(),
        };
        loader.mark_beginning()?;
        Ok(loader)
    }

    /// Has other connections do a part of it. What was done before each part is committed.
    pub(crate) fn with(self, beside: ParallelLoad) -> Self {
        Loader { beside: Some(beside), ..self }
    }

    /// Does something between the keys and the rest.
    pub(crate) fn around(self, between: Option<BetweenStep>) -> Self {
        Loader { between, ..self }
    }

    pub(crate) fn run(mut self, script: &mut dyn Read, monitor: &dyn Monitor) -> Result<LoadReport> {
        let mut script = script::Script::new(script, monitor, self.session.escapes());
        self.through(&mut script)?;
        if self.beside.as_ref().is_some_and(ParallelLoad::has_rows) {
            self.rows_beside(&mut script)?;
            self.through(&mut script)?;
        }
        let ending = script.finish(&mut |event| self.take(event).map(drop))?;
        check_ending(ending, self.options)?;
        self.keys()?;
        self.rest(monitor)?;
        self.commit()
    }

    /// Makes of what was held back that by which single rows are found, and reports the rest.
    fn keys(&mut self) -> Result<()> {
        let Some(held) = self.held.take() else { return Ok(()) };
        let DividedStatements { now, later } = held.divided();
        self.loaded.held_back = later;
        now.iter().try_for_each(|(line, text)| self.statement(*line, text))
    }

    /// Does what comes between the keys and the rest, and the rest.
    fn rest(&mut self, monitor: &dyn Monitor) -> Result<()> {
        let Some(between) = self.between.take() else { return Ok(()) };
        self.run_batch()?;
        between(&mut self.transaction)?;
        self.sent()?;
        let later = std::mem::take(&mut self.loaded.held_back);
        let mut later = later.as_slice();
        let mut script = script::Script::new(&mut later, monitor, self.session.escapes());
        self.through(&mut script)?;
        script.finish(&mut |event| self.take(event).map(drop)).map(drop)
    }

    /// Runs all that comes of the script, up to a pause or its end.
    fn through(&mut self, script: &mut script::Script<'_>) -> Result<()> {
        while let Some(header) = self.statements(script)? {
            self.run_batch()?;
            self.rows(&header, script)?;
        }
        Ok(())
    }

    /// Runs statements up to the next COPY, whose header it returns; `None` at the end of the script.
    fn statements(&mut self, script: &mut script::Script<'_>) -> Result<Option<Header>> {
        let mut header = None;
        while header.is_none() {
            let more = script.feed(&mut |event| {
                header = self.take(event)?;
                Ok(())
            })?;
            if !more {
                break;
            }
        }
        Ok(header)
    }

    fn take(&mut self, event: ScriptEvent<'_>) -> Result<Option<Header>> {
        match event {
            ScriptEvent::Statement { line, text, .. } => self.statement(line, text)?,
            ScriptEvent::Meta { line, text } => statement_action::check_meta(line, text)?,
            ScriptEvent::CopyStart { line, header, table } => {
                return Ok(Some(Header { line, text: header.to_vec(), table }));
            }
            ScriptEvent::CopyData(_) | ScriptEvent::CopyEnd { .. } => {}
        }
        Ok(None)
    }

    fn statement(&mut self, line: u64, text: &[u8]) -> Result<()> {
        if self.bounds.as_mut().is_some_and(|bounds| bounds.leaves_out(text)) {
            return Ok(());
        }
        if let Some(held) = &mut self.held
            && held.take(line, text)?
        {
            return Ok(());
        }
        match statement_action::of(text, self.options) {
            StatementAction::Send => self.send(line, text),
            StatementAction::Privileges if self.session.knows_maintain() => self.send(line, text),
            StatementAction::Privileges => self.without_maintain(line, text),
            StatementAction::Drop => Ok(()),
            StatementAction::Present(object) => self.make(&object, line, text),
            StatementAction::Encoding(name) => {
                self.encoding = ScriptEncoding::named(&name, line)?;
                Ok(())
            }
            // The splitter has taken in what it means.
            StatementAction::Setting(name) if self.session.conforms_always(&name) => Ok(()),
            StatementAction::Setting(name) if self.session.knows(&name) => self.send(line, text),
            StatementAction::Setting(name) => {
                self.skip(&format!("setting \"{name}\""));
                Ok(())
            }
            StatementAction::MissingTablespace(name) => {
                let tablespace = format!("tablespace \"{name}\"");
                self.skip(&tablespace);
                self.loaded.foretold.push(tablespace);
                self.send(line, b"SET default_tablespace = ''")
            }
            // Sent, the COMMIT would end the restore's own transaction, as it does under `psql -1`.
            StatementAction::Begin if self.inner.is_none() => {
                self.inner = Some(line);
                Ok(())
            }
            StatementAction::Commit if self.inner.take().is_some() => Ok(()),
            StatementAction::Begin | StatementAction::Commit => Err(StatementRefusal::Transaction.at(line)),
            StatementAction::Refuse(why) => Err(why.at(line)),
        }
    }

    /// Creates an object unless the target has it already. Notes a difference.
    fn make(&mut self, object: &ScriptObject, line: u64, text: &[u8]) -> Result<()> {
        match object.look(&mut self.transaction, line, text)? {
            ObjectState::Missing => self.send(line, text)?,
            ObjectState::Same => {}
            ObjectState::Other(why) => self.loaded.skipped.push(why),
        }
        match object {
            ScriptObject::Extension(name, _) if is_told(name) => self.tell(name, text),
            _ => Ok(()),
        }
    }

    /// Notifies an extension of the restore. In a restore test the role that made the extension has done so already.
    fn tell(&mut self, extension: &str, text: &[u8]) -> Result<()> {
        if self.options.bounds.is_some() {
            return Ok(());
        }
        match self.restoring.begin(&mut self.transaction, extension) {
            Ok(remark) => self.loaded.skipped.extend(remark),
            Err(error) if self.bounds.as_mut().is_some_and(|bounds| bounds.sets_aside(text, &error)) => {
                return self.mark(BACK_TO_MARK);
            }
            Err(error) => return Err(extension_notice::untold(extension, &error)),
        }
        self.sent()
    }

    /// Sends a statement without the privilege MAINTAIN, which this server does not know.
    fn without_maintain(&mut self, line: u64, text: &[u8]) -> Result<()> {
        let left = privileges::without_maintain(text);
        if left != StatementRest::Whole {
            self.skip("privilege MAINTAIN");
        }
        match left {
            StatementRest::Whole => self.send(line, text),
            StatementRest::Part(text) => self.send(line, &text),
            StatementRest::Nothing => Ok(()),
        }
    }

    /// Notes, once, what was left out because the server does not know it.
    fn skip(&mut self, what: &str) {
        if !self.loaded.skipped.iter().any(|skipped| skipped == what) {
            self.loaded.skipped.push(what.to_owned());
        }
    }

    fn send(&mut self, line: u64, text: &[u8]) -> Result<()> {
        match self.defer(line, text)? {
            true => Ok(()),
            false => self.send_now(line, text),
        }
    }

    pub(crate) fn send_now(&mut self, line: u64, text: &[u8]) -> Result<()> {
        let in_utf8_server = self.session.in_utf8();
        let worded = self.session.worded(text);
        let text = &*worded;
        self.mark_before(text)?;
        let mut ran = self.encoding.run(&mut self.transaction, in_utf8_server, text);
        if ran.as_ref().is_err_and(failure::is_about_a_name) && self.finds(text)? {
            ran = Ok(());
        }
        if let Err(error) = ran {
            return match self.bounds.as_mut().is_some_and(|bounds| bounds.sets_aside(text, &error)) {
                true => self.mark(BACK_TO_MARK),
                false => Err(failure::of_statement(line, text, &error)),
            };
        }
        self.session.after(text, &mut self.transaction)?;
        self.note_session(line, text);
        if self.options.bounds.is_some() {
            self.loaded.schema.take(line, text);
            self.loaded.inserted.take(text);
        }
        self.sent()?;
        self.loaded.statements += 1;
        Ok(())
    }

    /// Marks the state where a transaction begins, if anything in it may be taken back alone.
    pub(crate) fn mark_beginning(&mut self) -> Result<()> {
        self.is_beyond_mark = false;
        match self.bounds.is_some() || self.options.source_path.is_some() {
            true => self.mark(MARK),
            false => Ok(()),
        }
    }

    /// Marks the state after something was sent, or notes that the mark lies before it.
    pub(crate) fn sent(&mut self) -> Result<()> {
        self.is_beyond_mark = self.bounds.is_none();
        if self.is_beyond_mark { Ok(()) } else { self.mark(NEXT_MARK) }
    }

    /// Marks the state before a statement that may be run once more.
    fn mark_before(&mut self, text: &[u8]) -> Result<()> {
        if self.is_beyond_mark && self.options.source_path.is_some() && may_name_more(text) {
            self.mark(NEXT_MARK)?;
            self.is_beyond_mark = false;
        }
        Ok(())
    }

    /// Runs a statement whose names were not found once more, with the search path of the source, and returns whether it went through.
    fn finds(&mut self, text: &[u8]) -> Result<bool> {
        let Some(path) = self.options.source_path.as_deref().filter(|_| !self.is_beyond_mark) else { return Ok(false) };
        let failed = |error: postgres::Error| failure::plain("cannot set the search path", &error);
        self.mark(BACK_TO_MARK)?;
        let query = "SELECT pg_catalog.current_setting('search_path')";
        let before: String = self.transaction.query_one(query, &[]).and_then(|row| row.try_get(0)).map_err(failed)?;
        self.transaction.batch_execute(&load_omissions::set_path(path)).map_err(failed)?;
        if self.encoding.run(&mut self.transaction, self.session.in_utf8(), text).is_err() {
            return Ok(false);
        }
        self.transaction.batch_execute(&load_omissions::set_path(&before)).map_err(failed)?;
        self.loaded.unqualified.push(quote(text));
        Ok(true)
    }

    pub(crate) fn mark(&mut self, statement: &str) -> Result<()> {
        self.transaction.batch_execute(statement).map_err(|error| failure::plain("cannot go on", &error))
    }

    fn commit(mut self) -> Result<LoadReport> {
        self.run_batch()?;
        if let Some(line) = self.inner {
            return Err(
                Fault::refused(format!("the dump does not end the transaction that it begins at line {line}")).into()
            );
        }
        self.transaction
            .batch_execute("SELECT pg_catalog.set_config('search_path', '', true)")
            .map_err(|error| failure::plain("cannot end the transaction", &error))?;
        self.session.still_in(&mut self.transaction)?;
        std::mem::take(&mut self.restoring).end(&mut self.transaction)?;
        if let Some(opens) = &self.options.opens {
            self.transaction.batch_execute(opens).map_err(|error| failure::plain("cannot let others in", &error))?;
        }
        if let Some(own) = &self.options.own {
            let done = own.finish(&mut self.transaction)?;
            self.loaded.given = done.given;
            self.loaded.skipped.extend(done.skipped);
        }
        match self.bounds.take() {
            Some(bounds) if bounds.is_meant() => {
                self.loaded.skipped.extend(bounds.untried.lines("the table is an extension's that was left out"));
            }
            bounds => self.loaded.untried = bounds.map(|bounds| bounds.untried).unwrap_or_default(),
        }
        if let Some(locale) = &self.lacking {
            money::check(&mut self.transaction, locale)?;
        }
        self.transaction.commit().map_err(|error| failure::plain("cannot commit what was restored", &error))?;
        Ok(self.loaded)
    }
}

/// Returns whether a statement may name something without its schema: the text of an expression or a function's body. Owners,
/// settings, privileges, comments and rows, which most statements are about, do not.
fn may_name_more(text: &[u8]) -> bool {
    let mut tokens = Tokens::new(text);
    match tokens.next() {
        Some(verb) if verb.is("create") || verb.is("refresh") => true,
        Some(verb) if verb.is("alter") => owner(tokens).is_none(),
        _ => false,
    }
}
