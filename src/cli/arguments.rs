//! Defines the arguments of each command.

use crate::base::verify_level::Level;
use crate::cli::base_args::BaseArgs;
use crate::cli::capture_args::CaptureOptionArgs;
use crate::cli::omission_args::{LeaveArgs, TableArgs};
use crate::cli::output_args::VariantArgs;
use crate::cli::settings::{
    AlertArgs, ExtrasArgs, KeyArgs, PipelineArgs, RetentionArgs, RunArgs, ScratchArgs, ServerArgs, StateArgs,
    StoreArgs, ZoneArgs,
};
use crate::cli::switch::SwitchParser;
use crate::cli::values::{BackupChoice, ListenAddresses, duration, listen, note};
use crate::cli::whole_number::whole;
use crate::format::backup_id::BackupId;
use crate::format::manifest::origin::Origins;
use crate::format::restore_point::RestorePoint;
use crate::format::table_pattern::TablePattern;
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Args)]
pub struct BackupArgs {
    /// Go on with the backups that another server made of the same database, after a move or pg_upgrade; =IDENTIFIER where several did
    #[arg(long, value_name = "IDENTIFIER", num_args = 0..=1, default_missing_value = "", require_equals = true)]
    pub adopt: Option<String>,
    /// Tell people and monitors of this run, though a person at a terminal starts it
    #[arg(long)]
    pub alert: bool,
    /// Words that stand beside it in the list
    #[arg(long, value_name = "TEXT", value_parser = note)]
    pub note: Option<String>,
    /// One JSON document on stdout
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub run: RunArgs,
}

#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// Backup id, or "latest"; asked for on a terminal
    #[arg(value_name = "ID|latest")]
    pub which: Option<BackupChoice>,
    /// Restore what Doubletake wrote under this key below S3_FOLDER, such as backup.sql.xz.enc, which nobody sealed
    #[arg(long, value_name = "KEY", conflicts_with = "which")]
    pub object: Option<String>,
    /// Restore a whole server: roles and tablespaces where there is a backup of them, then the newest backup of every database, or of
    /// those that --database names
    #[arg(long, conflicts_with_all = ["which", "object", "to", "files", "table", "schema", "exclude_table", "exclude_table_data",
        "data_only", "schema_only", "variant"])]
    pub all: bool,
    /// The server to restore with --all, by its system identifier, where several servers have backups here
    #[arg(long, value_name = "SERVER", requires = "all", conflicts_with_all = ["which", "object", "to", "files"], value_parser = NonEmptyStringValueParser::new())]
    pub from: Option<String>,
    /// Database that "latest" and the list are about
    #[arg(long, env = "DB_NAME", value_name = "DB", value_parser = NonEmptyStringValueParser::new())]
    pub database: Option<String>,
    /// The backups that "latest" is chosen among
    #[arg(long, value_name = "WHAT", value_enum, default_value = "backup")]
    pub origin: Origins,
    /// Restore into this database, created when missing; when unset, the backup's own
    #[arg(long, value_name = "DB", value_parser = NonEmptyStringValueParser::new())]
    pub to: Option<String>,
    /// Restore to this moment: a base and the changes that were stored since then, into a new database; with --table the tables alone, also
    /// beside what a database holds. A time has its offset, such as 2026-08-22T03:15:00Z; "pgbk log" shows times and positions
    #[arg(long, value_name = "TIME|LSN|latest", conflicts_with_all = ["object", "all", "files", "clean", "skip_failed",
        "exclude_extension", "search_path", "single_transaction", "schema_only", "variant", "origin"])]
    pub at: Option<RestorePoint>,
    /// Restore by a journal that a capture wrote or mailed: a file with it, or - for stdin; the latest state comes back, or that of --at
    #[arg(long, value_name = "FILE|-", conflicts_with_all = ["which", "object", "all", "files", "clean", "skip_failed",
        "exclude_extension", "search_path", "single_transaction", "schema_only", "variant", "origin"])]
    pub journal: Option<PathBuf>,
    /// Restore files that BACKUP_FILES named, to where they came from
    #[arg(long, conflicts_with_all = ["object", "to", "clean", "no_owner", "no_privileges", "no_properties", "any_locale", "jobs",
        "single_transaction", "dry_run", "skip_failed", "no_comments", "no_tablespaces", "exclude_extension", "search_path", "table", "schema", "exclude_table",
        "exclude_table_data", "data_only", "schema_only", "variant"])]
    pub files: bool,
    /// The folder to put files below with --files, made when missing
    #[arg(long, value_name = "DIR", requires = "files")]
    pub into: Option<PathBuf>,
    /// Ask nothing
    #[arg(long, short)]
    pub yes: bool,
    /// Empty the target first, in the same transaction
    #[arg(long)]
    pub clean: bool,
    /// Confirm, with --clean, that the target is the database that the backup was taken from
    #[arg(long, requires = "clean")]
    pub over_source: bool,
    /// Leave out ownership
    #[arg(long)]
    pub no_owner: bool,
    /// Leave out GRANT and REVOKE
    #[arg(long)]
    pub no_privileges: bool,
    /// Leave out what belongs to the database itself: its owner, privileges, settings, comment and limits
    #[arg(long)]
    pub no_properties: bool,
    /// Make the database with the server's locale where the source's is not installed
    #[arg(long)]
    pub any_locale: bool,
    #[command(flatten)]
    pub leave: LeaveArgs,
    #[command(flatten)]
    pub limits: TableArgs,
    /// How many connections load into a new or empty database; 2 when unset, or 1 on one core, and 1 for a small one or an archive
    #[arg(long, value_name = "N", value_parser = whole::<u32>(1..=256))]
    pub jobs: Option<u32>,
    /// Load by one connection, in one transaction
    #[arg(long, conflicts_with = "jobs")]
    pub single_transaction: bool,
    /// Show what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// One JSON document on stdout
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub server: ServerArgs,
    #[command(flatten)]
    pub variant: VariantArgs,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub keys: KeyArgs,
    #[command(flatten)]
    pub state: StateArgs,
}

#[derive(Debug, Args)]
pub struct DownloadArgs {
    /// Backup id, or "latest"
    #[arg(value_name = "ID|latest", default_value = "latest")]
    pub which: BackupChoice,
    /// The key below S3_FOLDER of a backup that Doubletake wrote, such as backup.sql.xz.enc, which nobody sealed
    #[arg(long, value_name = "KEY", conflicts_with_all = ["which", "raw"])]
    pub object: Option<String>,
    /// Database that "latest" is about
    #[arg(long, env = "DB_NAME", value_name = "DB", value_parser = NonEmptyStringValueParser::new())]
    pub database: Option<String>,
    /// The backups that "latest" is chosen among
    #[arg(long, value_name = "WHAT", value_enum, default_value = "backup")]
    pub origin: Origins,
    /// File, folder (with --raw), or - for stdout; when unset, the id with .sql or .dump
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// The stored bytes and the .meta, unchanged
    #[arg(long)]
    pub raw: bool,
    /// Only the rows of the tables that match this pattern, schema.name or name as pg_dump has it; several times for several patterns
    #[arg(long, value_name = "PATTERN", conflicts_with_all = ["raw", "object"])]
    pub table: Vec<TablePattern>,
    /// The rows as CSV with a line of names, instead of SQL; of one table
    #[arg(long, requires = "table")]
    pub csv: bool,
    /// Replace an existing file
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub server: ServerArgs,
    #[command(flatten)]
    pub variant: VariantArgs,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub keys: KeyArgs,
    #[command(flatten)]
    pub state: StateArgs,
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
    /// Accept a dump that seems to be cut short
    #[arg(long)]
    pub allow_incomplete: bool,
    /// Words that stand beside it in the list
    #[arg(long, value_name = "TEXT", conflicts_with = "raw", value_parser = note)]
    pub note: Option<String>,
    /// One JSON document on stdout
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub pipeline: PipelineArgs,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub keys: KeyArgs,
    #[command(flatten)]
    pub state: StateArgs,
}

#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Backup id, or "latest"
    #[arg(value_name = "ID|latest", default_value = "latest", conflicts_with = "all")]
    pub which: BackupChoice,
    /// Every backup, or every one of --database; DB_NAME does not limit it
    #[arg(long)]
    pub all: bool,
    /// The key below S3_FOLDER of a backup that Doubletake wrote, such as backup.sql.xz.enc; it is always read whole
    #[arg(long, value_name = "KEY", conflicts_with_all = ["which", "all", "level"])]
    pub object: Option<String>,
    /// The changes of a database that pgbk capture has stored, from the oldest base on, instead of backups. With --level restore the newest
    /// base is compared with the base before it and the changes between them
    #[arg(long, conflicts_with_all = ["which", "all", "object", "variant", "origin"])]
    pub changes: bool,
    /// How deep to look
    #[arg(long, value_enum, default_value = "content")]
    pub level: Level,
    /// Database that "latest", --all and --changes are about
    #[arg(long, env = "DB_NAME", value_name = "DB", value_parser = NonEmptyStringValueParser::new())]
    pub database: Option<String>,
    /// Tell people and monitors of this run, though a person at a terminal starts it
    #[arg(long)]
    pub alert: bool,
    /// The backups that "latest" is chosen among
    #[arg(long, value_name = "WHAT", value_enum, default_value = "backup")]
    pub origin: Origins,
    /// One JSON document on stdout
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub scratch: ScratchArgs,
    #[command(flatten)]
    pub server: ServerArgs,
    #[command(flatten)]
    pub variant: VariantArgs,
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
pub struct ListArgs {
    /// The tables of this backup, with their rows and the size of these in the dump
    #[arg(value_name = "ID", conflicts_with = "database")]
    pub id: Option<BackupId>,
    /// Only this database's
    #[arg(long, value_name = "DB", value_parser = NonEmptyStringValueParser::new())]
    pub database: Option<String>,
    /// One JSON document on stdout, oldest first
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub variant: VariantArgs,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub state: StateArgs,
}

#[derive(Debug, Args)]
pub struct PruneArgs {
    /// Databases whose backups are looked at, also as a list a,b; "*" is all that have backups
    #[arg(value_name = "DB", value_parser = NonEmptyStringValueParser::new(), env = "DB_NAME")]
    pub databases: Vec<String>,
    /// Show what would go and what stays, and why; remove nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Go on where more than half of the backups would go
    #[arg(long)]
    pub force: bool,
    /// Remove what killed runs left behind, where it is older than a day
    #[arg(long)]
    pub orphans: bool,
    /// Prune the backups of this server, by its system identifier, instead of those of DB_HOST; "all" is every server's, each by itself,
    /// "none" what names no server
    #[arg(long = "server", value_name = "IDENTIFIER|all|none", value_parser = NonEmptyStringValueParser::new())]
    pub whose: Option<String>,
    #[command(flatten)]
    pub zone: ZoneArgs,
    /// One JSON document on stdout
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub server: ServerArgs,
    #[command(flatten)]
    pub variant: VariantArgs,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub keys: KeyArgs,
    #[command(flatten)]
    pub retention: RetentionArgs,
    #[command(flatten)]
    pub state: StateArgs,
}

#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Databases to look at, also as a list a,b; "*" is all of them
    #[arg(value_name = "DB", value_parser = NonEmptyStringValueParser::new(), env = "DB_NAME")]
    pub databases: Vec<String>,
    /// Remove what killed runs left behind, where it is older than --older-than
    #[arg(long)]
    pub clean: bool,
    /// See --clean
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = duration)]
    pub older_than: Duration,
    /// Remove this .meta, whose payload is missing; doctor names such
    #[arg(long, value_name = "KEY", value_parser = NonEmptyStringValueParser::new())]
    pub remove_meta: Vec<String>,
    /// Miss no longer the backups that are missed now: it is known why they are gone
    #[arg(long)]
    pub forget_missing: bool,
    /// Make STORE_DIR with everything that it is in, and let it hold no backups yet: a new place, not a share that is not mounted
    #[arg(long)]
    pub make_store: bool,
    /// Send a test message by every way that alerts go
    #[arg(long)]
    pub test_alerts: bool,
    /// One JSON document on stdout
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub extras: ExtrasArgs,
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
pub struct ScheduleArgs {
    /// When: as in a crontab, 6 fields with seconds, 7 with years, or @daily and the like. Several are separated
    /// by ";", and "EXPR = a,b" is for these databases alone
    #[arg(long, env = "CRON_SCHEDULE", value_name = "SCHEDULE", default_value = "0 */6 * * *")]
    pub schedule: String,
    /// When the newest backup of each database is proven by a restore (verify --level restore), in the same form; never when unset
    #[arg(long, env = "VERIFY_SCHEDULE", value_name = "SCHEDULE")]
    pub verify_schedule: Option<String>,
    /// Run at the start what was missed while the scheduler was down
    #[arg(long, env = "SCHEDULE_CATCH_UP", value_name = "0|1", value_parser = SwitchParser, hide_possible_values = true, action = clap::ArgAction::Set, default_value = "1")]
    pub catch_up: bool,
    /// Begin each run up to so much later, at random
    #[arg(long, env = "SCHEDULE_JITTER", value_name = "TIME", default_value = "0", value_parser = duration)]
    pub jitter: Duration,
    /// Pause before what failed is tried again, doubled each time up to 1h, until the next run is due; 0 never tries again
    #[arg(long, env = "SCHEDULE_RETRY", value_name = "TIME", default_value = "1m", value_parser = duration)]
    pub retry: Duration,
    /// Show the next N runs, and do nothing
    #[arg(long, value_name = "N", value_parser = whole::<u16>(1..=1000))]
    pub next: Option<u16>,
    /// Wait for the first run that is due, do it, and end as "pgbk backup" would
    #[arg(long, conflicts_with = "next")]
    pub once: bool,
    /// Print one JSON document on stdout, with --next
    #[arg(long, requires = "next")]
    pub json: bool,
    /// Serve a status page, /metrics for Prometheus and /healthz at this address, such as 127.0.0.1:9187; :9187 is every address
    #[arg(long, env = "LISTEN", value_name = "ADDR", value_parser = listen)]
    pub listen: Option<ListenAddresses>,
    /// How much later than it is due a backup may be done before that is unhealthy
    #[arg(long, env = "HEALTH_GRACE", value_name = "TIME", default_value = "1h", value_parser = duration)]
    pub health_grace: Duration,
    /// Capture the changes of each database that is backed up, too, beside the schedule
    #[arg(long, env = "CAPTURE", value_name = "0|1", value_parser = SwitchParser, hide_possible_values = true, action = clap::ArgAction::Set, default_value = "0")]
    pub capture: bool,
    // Its own have no heading, and would take over that of whatever stands before it.
    #[command(flatten)]
    pub run: RunArgs,
    #[command(flatten)]
    pub scratch: ScratchArgs,
    #[command(flatten)]
    pub capture_options: CaptureOptionArgs,
    #[command(flatten)]
    pub bases: BaseArgs,
}
