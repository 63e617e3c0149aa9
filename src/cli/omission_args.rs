//! Arguments that say what a restore leaves out besides owners and privileges, and which tables it is limited to.

use crate::format::table_pattern::TablePattern;
use clap::Args;
use clap::builder::NonEmptyStringValueParser;

#[derive(Debug, Clone, Args)]
pub struct LeaveArgs {
    /// Leave out each statement, and the rows of each table, that the server refuses, name them, and exit with 1; all else is restored
    #[arg(long)]
    pub skip_failed: bool,
    /// Leave out COMMENT ON
    #[arg(long)]
    pub no_comments: bool,
    /// Leave out in which tablespaces tables and indexes lie
    #[arg(long)]
    pub no_tablespaces: bool,
    /// Do not make this extension, and leave out what belongs to it; may be said more than once
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub exclude_extension: Vec<String>,
    /// Look for names in these schemas, for functions and operators that the dump does not qualify: public,ext
    #[arg(long, value_name = "SCHEMAS", value_parser = NonEmptyStringValueParser::new())]
    pub search_path: Option<String>,
}

#[derive(Debug, Clone, Args)]
pub struct TableArgs {
    /// Only the tables, views and sequences that match this pattern, schema.name or name as pg_dump has it, with what belongs to them and what
    /// they need, beside whatever else the target holds; may be said more than once
    #[arg(long, value_name = "PATTERN")]
    pub table: Vec<TablePattern>,
    /// Only the tables in schemas that match this pattern; may be said more than once
    #[arg(long, value_name = "PATTERN")]
    pub schema: Vec<TablePattern>,
    /// Not the tables that match this pattern
    #[arg(long, value_name = "PATTERN")]
    pub exclude_table: Vec<TablePattern>,
    /// Not the rows of the tables that match this pattern
    #[arg(long, value_name = "PATTERN")]
    pub exclude_table_data: Vec<TablePattern>,
    /// Only the rows of the tables, into tables that are there
    #[arg(long, conflicts_with = "schema_only")]
    pub data_only: bool,
    /// Everything but the rows, also of a whole backup
    #[arg(long)]
    pub schema_only: bool,
}

impl TableArgs {
    /// Returns whether the restore is limited to some tables.
    pub fn limit(&self) -> bool {
        let patterns = [&self.table, &self.schema, &self.exclude_table, &self.exclude_table_data];
        patterns.iter().any(|patterns| !patterns.is_empty()) || self.data_only || self.schema_only
    }
}
