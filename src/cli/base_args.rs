//! The arguments that say when a base is taken behind which changes are captured.

use crate::cli::switch::SwitchParser;
use crate::cli::values::{pause, size};
use crate::cli::whole_number::whole;
use clap::Args;
use std::time::Duration;

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Bases")]
pub struct BaseArgs {
    /// Take bases while changes are captured: the first one, and a new one whenever one is due
    #[arg(long = "bases", env = "CAPTURE_BASES", value_name = "0|1", value_parser = SwitchParser, hide_possible_values = true, action = clap::ArgAction::Set, default_value = "1")]
    pub is_on: bool,
    /// How old the newest base may become before the next one is taken, such as 24h, 7d or 06:00; unset: 24h, and beside a
    /// schedule no limit, as its backups are bases
    #[arg(long = "base-every", env = "CAPTURE_BASE_EVERY", value_name = "TIME", value_parser = pause)]
    pub every: Option<Duration>,
    /// Another name for CAPTURE_BASE_EVERY
    #[arg(long, hide_short_help = true, env = "MAX_DURATION_SINCE_LAST_FULL_BACKUP", value_name = "TIME", value_parser = pause)]
    pub max_duration_since_last_full_backup: Option<Duration>,
    /// After how many bytes of stored changes the next base is taken; no limit when unset
    #[arg(id = "base_bytes", long = "base-bytes", env = "CAPTURE_BASE_BYTES", value_name = "SIZE", value_parser = size)]
    pub bytes: Option<u64>,
    /// After how many changed rows the next base is taken; no limit when unset
    #[arg(long = "base-changes", env = "CAPTURE_BASE_CHANGES", value_name = "N", value_parser = whole::<u64>(1..=u64::MAX))]
    pub changes: Option<u64>,
}
