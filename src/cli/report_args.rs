//! Defines the arguments of the commands that report what ran.

use crate::cli::settings::{KeyArgs, StateArgs, StoreArgs};
use crate::cli::values::limit;
use crate::cli::whole_number::whole;
use crate::format::table_pattern::TablePattern;
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use jiff::Timestamp;
use std::time::Duration;

#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// Show this run whole
    #[arg(value_name = "ID", conflicts_with_all = ["failed", "running", "limit"])]
    pub run: Option<String>,
    /// Only runs that failed
    #[arg(long, conflicts_with = "running")]
    pub failed: bool,
    /// Only runs that are going on
    #[arg(long)]
    pub running: bool,
    /// The number of runs to show, the newest ones
    #[arg(long, value_name = "N", default_value = "20", value_parser = whole::<u16>(1..=1000))]
    pub limit: u16,
    /// One JSON document on stdout
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub state: StateArgs,
}

#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Judge these databases alone, by the age of their newest backup; they need --max-age
    #[arg(value_name = "DB", requires = "max_age", value_parser = NonEmptyStringValueParser::new())]
    pub databases: Vec<String>,
    /// Judge by the age of the newest backups and not by a scheduler, such as 26h: for a timer, cron or a CronJob
    #[arg(long, value_name = "TIME", value_parser = limit)]
    pub max_age: Option<Duration>,
    /// One JSON document on stdout
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub state: StateArgs,
}

#[derive(Debug, Args)]
pub struct LogTransactionsArgs {
    /// Database whose stored changes are shown
    #[arg(long, env = "DB_NAME", value_name = "DB", value_parser = NonEmptyStringValueParser::new())]
    pub database: Option<String>,
    /// Only transactions that change tables which match this pattern, schema.name or name as pg_dump has it; several times for several
    /// patterns
    #[arg(long, value_name = "PATTERN")]
    pub table: Vec<TablePattern>,
    /// Only transactions that committed at this time or later, such as 2026-08-22T03:15:00Z
    #[arg(long, value_name = "TIME")]
    pub since: Option<Timestamp>,
    /// Only transactions that committed at this time or before
    #[arg(long, value_name = "TIME")]
    pub until: Option<Timestamp>,
    /// The number of transactions to show, the last ones
    #[arg(long, value_name = "N", default_value = "1000", value_parser = whole::<u16>(1..=65_535))]
    pub limit: u16,
    /// One JSON document on stdout, the oldest transaction first
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub keys: KeyArgs,
    #[command(flatten)]
    pub state: StateArgs,
}
