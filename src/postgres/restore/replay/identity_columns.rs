//! Columns that are `GENERATED ALWAYS AS IDENTITY`, which no `UPDATE` gives a value: while changes are replayed they are `BY DEFAULT`.

use crate::base::error::Result;
use crate::postgres::connect::errors::explain;
use crate::postgres::session::query::column;
use postgres::Client;

/// Query for the beginnings of the statements that alter such columns. A partition has its parent's.
const COLUMNS: &str = "
    SELECT pg_catalog.format('ALTER TABLE %I.%I ALTER COLUMN %I SET GENERATED ', n.nspname, c.relname, a.attname)
    FROM pg_catalog.pg_attribute a
    JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE a.attidentity = 'a' AND NOT a.attisdropped AND c.relkind IN ('r', 'p') AND NOT c.relispartition
      AND n.nspname NOT IN ('pg_catalog', 'information_schema')";

/// The columns of one database that are altered meanwhile.
#[derive(Debug)]
pub(crate) struct IdentityColumns(Vec<String>);

impl IdentityColumns {
    /// Lets the columns take any value.
    pub fn relax(client: &mut Client) -> Result<IdentityColumns> {
        let columns = IdentityColumns(column(client, COLUMNS)?);
        columns.alter(client, "BY DEFAULT")?;
        Ok(columns)
    }

    /// Makes the columns what they were.
    pub fn restore(&self, client: &mut Client) -> Result<()> {
        self.alter(client, "ALWAYS")
    }

    fn alter(&self, client: &mut Client, how: &str) -> Result<()> {
        let statements: Vec<String> = self.0.iter().map(|column| format!("{column}{how}")).collect();
        client.batch_execute(&statements.join("; ")).map_err(|error| explain(&error))
    }
}
