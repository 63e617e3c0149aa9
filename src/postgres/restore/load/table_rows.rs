//! Loads the rows of tables that come by a pipe of their own, and commits them.
//!
//! A table whose rows all come here is emptied first, though it is empty: then the server may write the rows as if they had been there
//! for long (COPY … FREEZE), which spares it work now, when it checks foreign keys, and when it would freeze them later.

use crate::base::error::{Fault, Result};
use crate::base::progress::NullMonitor;
use crate::format::sql::splitter::ScriptEvent;
use crate::format::sql::tokens::Tokens;
use crate::postgres::restore::load::encoding::ScriptEncoding;
use crate::postgres::restore::load::failure;
use crate::postgres::restore::load::header::Header;
use crate::postgres::restore::load::rows;
use crate::postgres::restore::load::script::Script;
use crate::postgres::restore::load::script_pipe::{RowsOfTable, ScriptReceiver};
use crate::postgres::restore::load::side_connection::SideConnection;
use postgres::Transaction;
use std::sync::Arc;

/// Tables that are loaded in one transaction at most: each takes locks of the server to its end.
const TABLES: usize = 32;
/// Rows after which a transaction ends.
const ROWS: u64 = 100_000;

/// Counts what was loaded.
#[derive(Debug, Default)]
pub(crate) struct LoadedRows {
    /// Rows of each table; one may be there several times.
    pub tables: Vec<(String, u64)>,
    /// Things that were found different.
    pub skipped: Vec<String>,
    pub statements: u64,
}

/// Query whether a table is the dump's own, plain, and without a page. An extension fills its tables itself.
const IS_NEW: &str = "
    SELECT c.relkind OPERATOR(pg_catalog.=) 'r' AND pg_catalog.pg_relation_size(c.oid) OPERATOR(pg_catalog.=) 0
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
                         AND d.objid OPERATOR(pg_catalog.=) c.oid AND d.deptype OPERATOR(pg_catalog.=) 'e')
    FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) pg_catalog.to_regclass($1)::pg_catalog.oid";

/// Loads all that comes by the connection's pipe.
pub(crate) fn load_tables(side: &mut SideConnection, encoding: &ScriptEncoding) -> Result<LoadedRows> {
    let mut loaded = LoadedRows::default();
    let Some(mut pipe) = side.rows.take() else { return Ok(loaded) };
    let failed = |error: postgres::Error| failure::plain("cannot load rows", &error);
    let mut next = pipe.next_table()?;
    while next.is_some() {
        let mut transaction = side.client.transaction().map_err(failed)?;
        let (mut tables, mut rows) = (0, 0);
        while let Some(of) = next.take_if(|_| tables < TABLES && rows < ROWS) {
            rows += table(&mut transaction, &of, &mut pipe, encoding, &mut loaded)?;
            tables += 1;
            next = pipe.next_table()?;
        }
        transaction.commit().map_err(failed)?;
    }
    Ok(loaded)
}

/// Loads the rows of one table up to the pause of the pipe, and returns how many they are.
fn table(
    transaction: &mut Transaction<'_>,
    of: &RowsOfTable,
    pipe: &mut ScriptReceiver,
    encoding: &ScriptEncoding,
    loaded: &mut LoadedRows,
) -> Result<u64> {
    let mut script = Script::new(pipe, &NullMonitor, Arc::default());
    let (mut all, mut freezes) = (0, None);
    while let Some(header) = header(&mut script, &of.table)? {
        let plain = encoding.copy(transaction, &header, false)?;
        let freezes = match freezes {
            Some(freezes) => freezes,
            None => *freezes.insert(of.is_whole && is_emptied(transaction, &header, &plain)?),
        };
        let query = if freezes { encoding.copy(transaction, &header, true)? } else { plain };
        let sent = rows::send(transaction, &query, &header, &mut script);
        let whole = sent.and_then(|sent| rows::whole(transaction, &header, sent)).map_err(|refused| refused.error)?;
        loaded.skipped.extend(whole.remark);
        loaded.statements += 1;
        all += whole.rows;
    }
    loaded.tables.push((of.table.clone(), all));
    Ok(all)
}

/// Returns the next COPY. `None`: there is none any more. Anything else is not what the `.meta` says.
fn header(script: &mut Script<'_>, table: &str) -> Result<Option<Header>> {
    let (mut header, mut is_other) = (None, false);
    let mut more = true;
    while header.is_none() && more && !is_other {
        more = script.feed(&mut |event| {
            match event {
                ScriptEvent::CopyStart { header: text, table, .. } => {
                    header = Some(Header { line: Header::UNKNOWN, text: text.to_vec(), table });
                }
                ScriptEvent::Statement { .. } | ScriptEvent::Meta { .. } => is_other = true,
                ScriptEvent::CopyData(_) | ScriptEvent::CopyEnd { .. } => {}
            }
            Ok(())
        })?;
    }
    is_other |= header.as_ref().is_some_and(|header: &Header| header.table != table);
    match is_other || header.is_none() && !script.is_between() {
        true => Err(Fault::damaged(format!("the .meta states another place for the rows of table {table}")).into()),
        false => Ok(header),
    }
}

/// Empties a table that is new, so that its rows may be frozen. Returns false if it is not, or the server does not let it be.
fn is_emptied(transaction: &mut Transaction<'_>, header: &Header, query: &str) -> Result<bool> {
    let failed = |error: postgres::Error| failure::of_statement(header.line, &header.text, &error);
    let found = transaction.query_opt(IS_NEW, &[&header.table]);
    let is_new = found.and_then(|row| row.map(|row| row.try_get::<_, bool>(0)).transpose()).map_err(failed)?;
    let mut tokens = Tokens::new(query.as_bytes());
    tokens.accept(&["copy"]);
    let name = tokens.take_name().map(String::from_utf8_lossy);
    let Some(name) = name.filter(|_| is_new == Some(true) && ScriptEncoding::takes_options(query)) else {
        return Ok(false);
    };
    transaction.batch_execute("SAVEPOINT pgbk_empty").map_err(failed)?;
    let is_emptied = match transaction.batch_execute(&format!("TRUNCATE ONLY {name}")) {
        // A role that may add rows need not be one that may remove them.
        Err(error) if failure::is_refusal(&error) => {
            transaction.batch_execute("ROLLBACK TO SAVEPOINT pgbk_empty").map_err(failed)?;
            false
        }
        emptied => emptied.map(|()| true).map_err(failed)?,
    };
    transaction.batch_execute("RELEASE SAVEPOINT pgbk_empty").map_err(failed)?;
    Ok(is_emptied)
}
