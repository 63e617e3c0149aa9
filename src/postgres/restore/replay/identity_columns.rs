//! Columns that are `GENERATED ALWAYS AS IDENTITY`, which no `UPDATE` gives a value: while changes are replayed they are `BY DEFAULT`.

use crate::base::error::Result;
use crate::format::sql::object_name::{ObjectName, TableName};
use crate::postgres::connect::errors::explain;
use crate::postgres::session::cell::cell;
use crate::postgres::session::query::rows;
use postgres::{GenericClient, SimpleQueryRow};
use std::collections::BTreeSet;

/// Query for the names of the tables with such columns, and the beginnings of the statements that alter these, where the role may. A partition
/// has its parent's.
const COLUMNS: &str = "
    SELECT n.nspname, c.relname, pg_catalog.format('ALTER TABLE %I.%I ALTER COLUMN %I SET GENERATED ', n.nspname, c.relname, a.attname)
    FROM pg_catalog.pg_attribute a
    JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE a.attidentity = 'a' AND NOT a.attisdropped AND c.relkind IN ('r', 'p') AND NOT c.relispartition
      AND pg_catalog.pg_has_role(c.relowner, 'USAGE') AND n.nspname NOT IN ('pg_catalog', 'information_schema')";

/// The columns of one database that are altered meanwhile.
#[derive(Debug)]
pub(crate) struct IdentityColumns(Vec<String>);

impl IdentityColumns {
    /// Lets the columns take any value: those of these tables. `None`: all of the database.
    pub fn relax(client: &mut impl GenericClient, tables: Option<&BTreeSet<TableName>>) -> Result<IdentityColumns> {
        let name = |row: &SimpleQueryRow, at| ObjectName::new(cell(row, at)?.as_bytes());
        let is_meant = |row: &SimpleQueryRow| {
            let table = name(row, 0).zip(name(row, 1)).map(|(schema, name)| TableName { schema, name });
            tables.is_none_or(|tables| table.is_some_and(|table| tables.contains(&table)))
        };
        let found = rows(client, COLUMNS)?;
        let meant = found.iter().filter(|row| is_meant(row)).filter_map(|row| cell(row, 2));
        let columns = IdentityColumns(meant.map(str::to_owned).collect());
        columns.alter(client, "BY DEFAULT")?;
        Ok(columns)
    }

    /// Makes the columns what they were.
    pub fn restore(&self, client: &mut impl GenericClient) -> Result<()> {
        self.alter(client, "ALWAYS")
    }

    fn alter(&self, client: &mut impl GenericClient, how: &str) -> Result<()> {
        let statements: Vec<String> = self.0.iter().map(|column| format!("{column}{how}")).collect();
        client.batch_execute(&statements.join("; ")).map_err(|error| explain(&error))
    }
}
