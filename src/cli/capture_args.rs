//! The arguments of `pgbk capture`.

use crate::cli::base_args::BaseArgs;
use crate::cli::settings::{AlertArgs, KeyArgs, PipelineArgs, ServerArgs, StateArgs, StoreArgs};
use crate::cli::switch::SwitchParser;
use crate::cli::values::{limit, size};
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use std::time::Duration;

#[derive(Debug, Args)]
pub struct CaptureArgs {
    /// The database whose changes are captured
    #[arg(value_name = "DB", value_parser = NonEmptyStringValueParser::new(), env = "DB_NAME")]
    pub databases: Vec<String>,
    /// Make publications and slot, begin a generation, and end
    #[arg(long, group = "what")]
    pub setup: bool,
    /// Drop slot and publications; what is stored stays
    #[arg(long, group = "what")]
    pub teardown: bool,
    /// Show what is stored, and what the server keeps for the capture
    #[arg(long, group = "what")]
    pub status: bool,
    /// Show the statements of --setup, and change nothing
    #[arg(long, group = "what")]
    pub print_sql: bool,
    /// Begin a new chain, where the one in the store cannot go on; take a backup after it
    #[arg(long, conflicts_with_all = ["teardown", "status", "print_sql"])]
    pub new_generation: bool,
    /// One JSON document on stdout, for --status and --print-sql
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub bases: BaseArgs,
    #[command(flatten)]
    pub pipeline: PipelineArgs,
    #[command(flatten)]
    pub server: ServerArgs,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub keys: KeyArgs,
    #[command(flatten)]
    pub state: StateArgs,
    #[command(flatten)]
    pub options: CaptureOptionArgs,
    #[command(flatten)]
    pub alerts: AlertArgs,
}

/// The settings of captures, whichever command starts them.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Capture of changes")]
pub struct CaptureOptionArgs {
    /// How long a segment waits for more changes before it is stored
    #[arg(long, env = "CAPTURE_INTERVAL", value_name = "TIME", default_value = "60s", value_parser = limit)]
    pub interval: Duration,
    /// After how many bytes of changes, before compression, a segment is stored
    #[arg(long, env = "CAPTURE_BYTES", value_name = "SIZE", default_value = "16M", value_parser = size)]
    pub bytes: u64,
    /// Name of the replication slot; when unset pgbk_ and the name of the database
    #[arg(long, env = "CAPTURE_SLOT", value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub slot: Option<String>,
    /// How much of its log the server may keep for the slot before it is dropped; when unset a quarter of max_slot_wal_keep_size, or 10G
    #[arg(long, env = "CAPTURE_WAL_LIMIT", value_name = "SIZE", value_parser = size)]
    pub wal_limit: Option<u64>,
    /// Keep a journal: a small sealed text that says all that is needed to restore the latest state, beside the segments and in STATE_DIR
    #[arg(long, env = "JOURNAL", value_name = "0|1", value_parser = SwitchParser, hide_possible_values = true, action = clap::ArgAction::Set, default_value = "0", num_args = 0..=1, default_missing_value = "1", require_equals = true)]
    pub journal: bool,
    /// Keep a journal and mail it when it has changed, as alerts are mailed
    #[arg(long, env = "JOURNAL_MAIL", value_name = "0|1", value_parser = SwitchParser, hide_possible_values = true, action = clap::ArgAction::Set, default_value = "0", num_args = 0..=1, default_missing_value = "1", require_equals = true)]
    pub journal_mail: bool,
    /// Least time between two mails of a journal
    #[arg(long, env = "JOURNAL_EVERY", value_name = "TIME", default_value = "10m", value_parser = limit)]
    pub journal_every: Duration,
    /// How old the newest moment that can be restored may be before that is unhealthy; when unset 5m, or twice CAPTURE_INTERVAL
    #[arg(long, env = "CAPTURE_LAG_LIMIT", value_name = "TIME", value_parser = limit)]
    pub lag_limit: Option<Duration>,
}
