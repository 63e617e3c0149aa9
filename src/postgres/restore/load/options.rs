//! Options of a load, and its result.

use crate::format::sql::columns::Columns;
use crate::format::sql::inserted::Inserted;
use crate::format::sql::schema::Schema;
use crate::postgres::properties::own::Own;
use crate::postgres::restore::load::aside::{Prepared, Untried};
use crate::postgres::restore::load::leave::Leave;

#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Leaves everything to the connected role: no `ALTER … OWNER TO`, no `SET SESSION AUTHORIZATION`.
    pub no_owner: bool,
    /// Leaves out `GRANT`, `REVOKE` and `ALTER DEFAULT PRIVILEGES`.
    pub no_privileges: bool,
    /// Refuses, before the commit, a script that does not end as `pg_dump` ends it.
    pub require_trailer: bool,
    /// The `lc_monetary` that the dump was written by; None where nobody knows.
    pub monetary: Option<String>,
    /// Run first, in the same transaction: what empties a target that is not empty.
    pub prelude: Option<String>,
    /// The properties that the database itself is to have; `None` where the backup knows none.
    pub own: Option<Own>,
    /// Where the role was made for a proof: what it may not do is set aside.
    pub bounds: Option<Prepared>,
    /// The other things that are left out because a person said so.
    pub leave: Leave,
    /// The server is of another major version than the script's.
    pub other_major: bool,
}

#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// Statements sent, COPY included.
    pub statements: u64,
    /// Rows per COPY block, in the script's order, as the server counted them.
    pub tables: Vec<(String, u64)>,
    /// Statements that were left out because the server does not know them.
    pub skipped: Vec<String>,
    /// The properties that the database itself was given.
    pub given: Vec<String>,
    /// Statements that a role made for a restore test could not run.
    pub untried: Untried,
    /// In a proof: the columns of each table's rows, as the script orders them.
    pub columns: Columns,
    /// In a proof: what the statements have made.
    pub schema: Schema,
    /// In a proof: the rows that they have added.
    pub inserted: Inserted,
}
