//! Defines the arguments of `pgbk anonymise`.

use crate::cli::output_args::AnonymiseSettings;
use crate::cli::settings::ServerArgs;
use clap::Args;
use clap::builder::NonEmptyStringValueParser;

#[derive(Debug, Args)]
pub struct AnonymiseArgs {
    /// Database whose columns are looked at
    #[arg(value_name = "DB", env = "DB_NAME", value_parser = NonEmptyStringValueParser::new())]
    pub database: Option<String>,
    /// List each column with its rule, and check that the rules fit; change and store nothing
    #[arg(long, required = true)]
    pub check: bool,
    /// One JSON document on stdout, with the query for each table
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub settings: AnonymiseSettings,
    #[command(flatten)]
    pub server: ServerArgs,
}
