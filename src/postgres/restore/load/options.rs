//! Options of a load, and its result.

use crate::base::error::Result;
use crate::format::sql::columns::TableColumns;
use crate::format::sql::inserted::InsertCounter;
use crate::format::sql::schema::Schema;
use crate::postgres::properties::own_properties::OwnProperties;
use crate::postgres::restore::load::load_omissions::LoadOmissions;
use crate::postgres::restore::load::skipped_statements::{PreparedObjects, UntriedStatements};
use postgres::Transaction;

/// A step that is done within the transaction of a load, once rows and keys are there.
pub(crate) type BetweenStep = Box<dyn FnOnce(&mut Transaction<'_>) -> Result<()> + Send>;

#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// Leaves everything to the connected role: no `ALTER … OWNER TO`, no `SET SESSION AUTHORIZATION`.
    pub no_owner: bool,
    /// Leaves out `GRANT`, `REVOKE` and `ALTER DEFAULT PRIVILEGES`.
    pub no_privileges: bool,
    /// Refuses, before the commit, a script without the closing comment that `pg_dump` writes.
    pub require_trailer: bool,
    /// The `lc_monetary` that the dump was written by; `None` if it is not known.
    pub monetary: Option<String>,
    /// Statements to run first, in the same transaction: they empty a target that is not empty.
    pub prelude: Option<String>,
    /// Statements that let others in, run last; `None`: nobody was kept out.
    pub opens: Option<String>,
    /// The properties that the database itself is given; `None` if the backup states none.
    pub own: Option<OwnProperties>,
    /// Objects made before a restore test, whose role may not do everything: what it may not do is set aside. `None` in a restore.
    pub bounds: Option<PreparedObjects>,
    /// Everything else that is left out because a person wants it so.
    pub leave: LoadOmissions,
    /// Search path for a statement whose names are not found without one; `None`: such a statement is refused.
    pub source_path: Option<String>,
    /// Whether the server has another major version than the script.
    pub other_major: bool,
    /// Whether only that is done behind the rows by which single rows are found. The rest is in the report.
    pub until_keys: bool,
}

#[derive(Debug, Clone, Default)]
pub struct LoadReport {
    /// Statements sent, COPY included.
    pub statements: u64,
    /// Rows per COPY block, in the script's order, as the server counted them.
    pub tables: Vec<(String, u64)>,
    /// Things that were left out or found different, in words, such as settings that the server does not know.
    pub skipped: Vec<String>,
    /// Those of `skipped` that were known before the load: people have been told of them.
    pub foretold: Vec<String>,
    /// The script of what was not done because of [`LoadOptions::until_keys`].
    pub held_back: Vec<u8>,
    /// Beginnings of statements that name something which only the source's search path finds.
    pub unqualified: Vec<String>,
    /// Names of the properties that the database itself was given.
    pub given: Vec<String>,
    /// Statements and rows that a role made for a restore test could not load, or that a person wanted set aside.
    pub untried: UntriedStatements,
    /// In a restore test: the columns of each table's rows, in the script's order.
    pub columns: TableColumns,
    /// In a restore test: the objects that the statements have made.
    pub schema: Schema,
    /// In a restore test: the rows that INSERT statements have added.
    pub inserted: InsertCounter,
}
