//! Arguments that say what a restore leaves out besides owners and privileges.

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
