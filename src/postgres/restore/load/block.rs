//! Loads one COPY block of a script: sends its rows to the table, or skips them if there is no table for them.

use crate::base::error::Result;
use crate::format::sql::columns::columns;
use crate::postgres::restore::load::header::Header;
use crate::postgres::restore::load::loader::{BACK_TO_MARK, Loader};
use crate::postgres::restore::load::renamed_tables::renamed;
use crate::postgres::restore::load::rows::{self, RowRefusal};
use crate::postgres::restore::load::{failure, script};

impl Loader<'_> {
    /// Notes rows that the server refused, skips the rest of them, and goes on. Returns the error instead if refused rows end the
    /// restore.
    fn without_rows(&mut self, header: &Header, script: &mut script::Script<'_>, refused: RowRefusal) -> Result<()> {
        let RowRefusal { error, ended, by_server } = refused;
        if !(by_server && self.bounds.as_mut().is_some_and(|bounds| bounds.sets_rows_aside(&header.table, &error))) {
            return Err(error);
        }
        self.mark(BACK_TO_MARK)?;
        if !ended {
            rows::skip(header, script)?;
        }
        Ok(())
    }

    /// Returns whether the next rows have no table, or one that the role must not fill. Their rows have been skipped then.
    fn passes_over(&mut self, header: &Header, script: &mut script::Script<'_>) -> Result<bool> {
        let (Some(bounds), transaction) = (&mut self.bounds, &mut self.transaction) else { return Ok(false) };
        let is_there = || {
            let row = transaction.query_one("SELECT pg_catalog.to_regclass($1) IS NOT NULL", &[&header.table]);
            row.and_then(|row| row.try_get(0)).map_err(|error| failure::of_statement(header.line, &header.text, &error))
        };
        if !bounds.skips(&header.table, is_there)? {
            return Ok(false);
        }
        let rows = rows::skip(header, script)?;
        bounds.passed_over(&header.table, rows);
        Ok(true)
    }

    pub(crate) fn rows(&mut self, header: &Header, script: &mut script::Script<'_>) -> Result<()> {
        if self.passes_over(header, script)? {
            return Ok(());
        }
        if self.options.bounds.is_some() {
            self.loaded.columns.insert(header.table.clone(), columns(&header.text));
        }
        let renamed = if self.session.takes_any_bytes() && str::from_utf8(&header.text).is_err() {
            renamed(&header.text)
        } else {
            None
        };
        let query = match &renamed {
            None => self.encoding.copy(&mut self.transaction, header, false)?,
            Some(renamed) => {
                self.rename(header, &renamed.before)?;
                let header = Header { line: header.line, text: renamed.copy.clone(), table: header.table.clone() };
                self.encoding.copy(&mut self.transaction, &header, false)?
            }
        };
        let sent = rows::send(&mut self.transaction, &query, header, script);
        let whole = match sent.and_then(|sent| rows::whole(&mut self.transaction, header, sent)) {
            Ok(whole) => whole,
            Err(refused) => return self.without_rows(header, script, refused),
        };
        if let Some(renamed) = renamed {
            self.rename(header, &renamed.after)?;
        }
        self.sent()?;
        self.loaded.statements += 1;
        self.loaded.skipped.extend(whole.remark);
        self.loaded.tables.push((header.table.clone(), whole.rows));
        Ok(())
    }

    /// Runs statements whose names are bytes and not UTF-8.
    fn rename(&mut self, header: &Header, statements: &[Vec<u8>]) -> Result<()> {
        for statement in statements {
            let done = self.encoding.run(&mut self.transaction, false, statement);
            done.map_err(|error| failure::of_statement(header.line, statement, &error))?;
        }
        Ok(())
    }
}
