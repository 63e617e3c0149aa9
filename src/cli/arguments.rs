//! What each command takes.

use super::settings::{AlertArgs, KeyArgs, PipelineArgs, ServerArgs, StateArgs, StoreArgs};
use super::value::{Which, duration, limit, wait};
use crate::level::Level;
use crate::manifest::Format;
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Args)]
pub struct BackupArgs {
    /// Databases to back up
    #[arg(value_name = "DB", value_parser = NonEmptyStringValueParser::new(), env = "DB_NAME")]
    pub databases: Vec<String>,
    /// What pg_dump writes
    #[arg(long, env = "DUMP_FORMAT", value_enum, default_value = "plain")]
    pub format: Format,
    /// More arguments for pg_dump, split as a shell would
    #[arg(long, env = "PG_DUMP_USER_ARGS", value_name = "ARGS", allow_hyphen_values = true)]
    pub pg_dump_args: Option<String>,
    /// How long pg_dump may wait for a locked table; 0 waits for ever
    #[arg(long, hide_short_help = true, env = "DUMP_LOCK_TIMEOUT", value_name = "TIME", default_value = "10m", value_parser = wait)]
    pub lock_timeout: Duration,
    /// How long pg_dump may write nothing before it is stopped
    #[arg(long, hide_short_help = true, env = "DUMP_STALL_TIMEOUT", value_name = "TIME", default_value = "15m", value_parser = limit)]
    pub stall_timeout: Duration,
    /// One JSON document on stdout
    #[arg(long)]
    pub json: bool,
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
    pub alerts: AlertArgs,
}

#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// Backup id, or "latest"; asked for on a terminal
    #[arg(value_name = "ID|latest")]
    pub which: Option<Which>,
    /// Database that "latest" and the list are about
    #[arg(long, env = "DB_NAME", value_name = "DB", value_parser = NonEmptyStringValueParser::new())]
    pub database: Option<String>,
    /// Restore into this database, created when missing; when unset, the backup's own
    #[arg(long, value_name = "DB", value_parser = NonEmptyStringValueParser::new())]
    pub to: Option<String>,
    /// Ask nothing
    #[arg(long, short)]
    pub yes: bool,
    /// Empty the target first, in the same transaction
    #[arg(long)]
    pub clean: bool,
    /// With --clean: the target is the database that the backup was taken from, and that is meant
    #[arg(long, requires = "clean")]
    pub over_source: bool,
    /// Leave out ownership
    #[arg(long)]
    pub no_owner: bool,
    /// Leave out GRANT and REVOKE
    #[arg(long)]
    pub no_privileges: bool,
    /// Archives only: restore in parallel from a temporary file
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub jobs: u32,
    /// One JSON document on stdout
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub server: ServerArgs,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub keys: KeyArgs,
}

#[derive(Debug, Args)]
pub struct DownloadArgs {
    /// Backup id, or "latest"
    #[arg(value_name = "ID|latest", default_value = "latest")]
    pub which: Which,
    /// Database that "latest" is about
    #[arg(long, env = "DB_NAME", value_name = "DB", value_parser = NonEmptyStringValueParser::new())]
    pub database: Option<String>,
    /// File, folder (with --raw), or - for stdout; when unset, the id with .sql or .dump
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// The stored bytes and the .meta, unchanged
    #[arg(long)]
    pub raw: bool,
    /// Replace an existing file
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub keys: KeyArgs,
}

#[derive(Debug, Args)]
pub struct UploadArgs {
    /// A dump (SQL script or pg_dump archive), or - for stdin
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Database that the dump is of
    #[arg(long, env = "DB_NAME", value_name = "DB", value_parser = NonEmptyStringValueParser::new())]
    pub database: Option<String>,
    /// FILE is a stored payload or .meta, written by "download --raw"
    #[arg(long)]
    pub raw: bool,
    /// Accept a script without pg_dump's last line
    #[arg(long)]
    pub allow_incomplete: bool,
    /// One JSON document on stdout
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub pipeline: PipelineArgs,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub keys: KeyArgs,
}

#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Backup id, or "latest"
    #[arg(value_name = "ID|latest", default_value = "latest", conflicts_with = "all")]
    pub which: Which,
    /// Every backup, or every one of --database
    #[arg(long)]
    pub all: bool,
    /// How deep to look
    #[arg(long, value_enum, default_value = "content")]
    pub level: Level,
    /// Database that "latest" and --all are about
    #[arg(long, env = "DB_NAME", value_name = "DB", value_parser = NonEmptyStringValueParser::new())]
    pub database: Option<String>,
    /// One JSON document on stdout
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub keys: KeyArgs,
}

#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only this database's
    #[arg(long, value_name = "DB", value_parser = NonEmptyStringValueParser::new())]
    pub database: Option<String>,
    /// One JSON document on stdout
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub store: StoreArgs,
}

#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Databases to look at
    #[arg(value_name = "DB", value_parser = NonEmptyStringValueParser::new(), env = "DB_NAME")]
    pub databases: Vec<String>,
    /// Remove what killed runs left behind, where it is older than --older-than
    #[arg(long)]
    pub clean: bool,
    /// See --clean
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = duration)]
    pub older_than: Duration,
    /// Send a test message by every way that alerts go
    #[arg(long)]
    pub test_alerts: bool,
    /// One JSON document on stdout
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub server: ServerArgs,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub keys: KeyArgs,
    #[command(flatten)]
    pub state: StateArgs,
    #[command(flatten)]
    pub alerts: AlertArgs,
}
