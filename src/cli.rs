//! The command line: names, help and defaults. No logic.

use crate::jobs::verify::Level;
use crate::manifest::{BackupId, Format};
use clap::builder::BoolishValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use std::path::PathBuf;
use std::time::Duration;

const EXIT_CODES: &str = "\
Exit codes: 0 done · 1 failed · 2 usage or settings · 3 backup damaged or not authentic · 4 not found ·
5 busy (another run holds the lock) · 130/143 interrupted";

const SECRETS: &str = "\
Secrets come from the environment only, each also as NAME_FILE or as a Docker secret under /run/secrets:
  DB_PASSWORD  S3_ACCESS_KEY_ID  S3_SECRET_ACCESS_KEY  S3_SESSION_TOKEN
  DB_BACKUP_ENCRYPT_KEY (64 hex digits, \"openssl rand -hex 32\")  DB_BACKUP_ENCRYPT_IV (optional)  ENC_PASSWORD
PGPASSWORD, PGPASSFILE, PGSERVICE, PGSSLMODE and the other libpq variables work as they do for psql.";

fn after(examples: &str) -> String {
    format!("Examples:\n{examples}\n\n{SECRETS}\n\n{EXIT_CODES}")
}

/// Backs up PostgreSQL to S3 or a directory, restores it, and proves that it can
#[derive(Debug, Parser)]
#[command(name = "pgbk", version, max_term_width = 110, after_help = after("  \
  STORE_DIR=./backups pgbk backup shop
  pgbk list
  pgbk restore latest --to shop_copy
  pgbk verify --all --level content"))]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub log: LogArgs,
}

#[derive(Debug, Clone, Args)]
pub struct LogArgs {
    /// How log lines look
    #[arg(long, global = true, env = "LOG_FORMAT", value_enum, default_value = "text", help_heading = "Output")]
    pub log_format: LogFormat,
    /// Which log lines are shown
    #[arg(long, global = true, env = "LOG_LEVEL", value_enum, default_value = "info", help_heading = "Output")]
    pub log_level: LogLevel,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Dump databases into the store
    #[command(after_help = after("  \
  pgbk backup
  pgbk backup shop --compress zstd
  docker exec backups pgbk backup"))]
    Backup(BackupArgs),
    /// Restore a backup into a database
    #[command(after_help = after("  \
  pgbk restore
  pgbk restore latest --to shop_copy --yes
  pgbk restore shop-20260822T031500Z --clean"))]
    Restore(RestoreArgs),
    /// Write a backup's dump to a file, ready for an editor
    #[command(after_help = after("  \
  pgbk download latest -o shop.sql
  pgbk download latest -o - | less
  pgbk download shop-20260822T031500Z --raw -o ./copy/"))]
    Download(DownloadArgs),
    /// Make a backup of an existing dump
    #[command(after_help = after("  \
  pgbk upload shop.sql --database shop
  pg_dump shop | pgbk upload - --database shop
  pgbk upload --raw copy/shop-20260822T031500Z.meta"))]
    Upload(UploadArgs),
    /// Prove that stored backups are whole
    #[command(after_help = after("  \
  pgbk verify latest
  pgbk verify --all --level stored --json"))]
    Verify(VerifyArgs),
    /// Show what is stored
    #[command(after_help = after("  \
  pgbk list
  pgbk list --database shop --json"))]
    List(ListArgs),
    /// Check settings, server, tools and store, with a remedy for each finding
    #[command(after_help = after("  \
  pgbk doctor
  pgbk doctor --clean"))]
    Doctor(DoctorArgs),
    /// Print the completion script for a shell
    #[command(after_help = format!("Examples:\n  pgbk completions bash > /etc/bash_completion.d/pgbk\n\n{EXIT_CODES}"))]
    Completions {
        #[arg(value_enum)]
        shell: Shell,
    },
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Server")]
pub struct ServerArgs {
    /// Host name, address or socket directory
    #[arg(long, env = "DB_HOST", value_name = "HOST")]
    pub host: Option<String>,
    #[arg(long, env = "DB_PORT", value_name = "PORT", help = "Port [default: 5432]")]
    pub port: Option<u16>,
    /// User name
    #[arg(long, env = "DB_USER", value_name = "USER")]
    pub user: Option<String>,
    /// Look for pg_dump and pg_restore here only
    #[arg(long, env = "PG_BIN_DIR", value_name = "DIR")]
    pub pg_bin_dir: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Store")]
pub struct StoreArgs {
    /// Keep backups in this directory, unless S3 is set
    #[arg(long, env = "STORE_DIR", value_name = "DIR")]
    pub store_dir: Option<PathBuf>,
    /// Host of the S3 service (https), or a URL; AWS when unset
    #[arg(long, env = "S3_HOST_BASE", value_name = "HOST|URL")]
    pub s3_host_base: Option<String>,
    /// Region
    #[arg(long, env = "S3_REGION", value_name = "REGION")]
    pub s3_region: Option<String>,
    /// Bucket
    #[arg(long, env = "S3_BUCKET", value_name = "BUCKET")]
    pub s3_bucket: Option<String>,
    /// Folder in the bucket
    #[arg(long, env = "S3_FOLDER", value_name = "FOLDER")]
    pub s3_folder: Option<String>,
    /// Certificates (PEM) to trust beside the system's
    #[arg(long, env = "S3_CA_FILE", value_name = "FILE")]
    pub s3_ca_file: Option<PathBuf>,
    /// Headers for the requests that create objects: key:value pairs split at a backslash
    #[arg(long, env = "S3_REQUEST_HEADERS", value_name = "HEADERS")]
    pub s3_request_headers: Option<String>,
    /// Send Content-MD5 even where DB_BACKUP_VERIFY is 0
    #[arg(long, env = "S3_MD5_REQUIRED", value_name = "0|1", value_parser = BoolishValueParser::new(), action = clap::ArgAction::Set, default_value = "0")]
    pub s3_md5_required: bool,
    /// Size of a part; computed from the size of the dump when unset
    #[arg(long, env = "S3_PART_SIZE", value_name = "SIZE", value_parser = size)]
    pub s3_part_size: Option<u64>,
    /// Parts being sent at the same time
    #[arg(long, env = "S3_PARTS_IN_FLIGHT", value_name = "N", default_value = "4", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub s3_parts_in_flight: u16,
    /// The most parts that the host allows in one upload
    #[arg(long, env = "S3_PART_LIMIT", value_name = "N", default_value = "10000", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub s3_part_limit: u32,
    /// Limit of one request with all its retries
    #[arg(long, env = "S3_TIMEOUT", value_name = "TIME", default_value = "5m", value_parser = duration)]
    pub s3_timeout: Duration,
    /// How often a request is tried
    #[arg(long, env = "S3_ATTEMPTS", value_name = "N", default_value = "5", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub s3_attempts: u32,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Keys")]
pub struct KeyArgs {
    /// Keys decrypt and seal, but new backups are not encrypted
    #[arg(long, env = "NO_ENCRYPT", value_name = "0|1", value_parser = BoolishValueParser::new(), action = clap::ArgAction::Set, default_value = "0", num_args = 0..=1, default_missing_value = "1", require_equals = true)]
    pub no_encrypt: bool,
    /// Accept backups that no key has sealed although a key is set
    #[arg(long)]
    pub allow_unauthenticated: bool,
    /// Read back what was stored, and verify before a restore
    #[arg(long = "check", env = "DB_BACKUP_VERIFY", value_name = "0|1", value_parser = BoolishValueParser::new(), action = clap::ArgAction::Set, default_value = "1")]
    pub check: bool,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Pipeline")]
pub struct PipelineArgs {
    /// 0 or none, 1 or xz, zstd, gzip
    #[arg(long, env = "DB_BACKUP_COMPRESS", value_name = "METHOD", default_value = "0")]
    pub compress: String,
    /// Compression level [default: xz 4, zstd 3, gzip 6]
    #[arg(long, env = "DB_BACKUP_COMPRESS_LEVEL", value_name = "LEVEL")]
    pub compress_level: Option<u32>,
    /// Size of the dump to plan for, such as 500G, where the server's figure is too small
    #[arg(long, env = "DUMP_SIZE_ESTIMATE", value_name = "SIZE", value_parser = size)]
    pub size_estimate: Option<u64>,
}

#[derive(Debug, Args)]
pub struct BackupArgs {
    /// Databases
    #[arg(value_name = "DB", env = "DB_NAME")]
    pub databases: Vec<String>,
    /// plain: an SQL script; custom: an archive for pg_restore
    #[arg(long, env = "DUMP_FORMAT", value_enum, default_value = "plain")]
    pub format: Format,
    /// More arguments for pg_dump, split as a shell would
    #[arg(long, env = "PG_DUMP_USER_ARGS", value_name = "ARGS", allow_hyphen_values = true)]
    pub pg_dump_args: Option<String>,
    /// How long pg_dump may wait for a locked table
    #[arg(long, env = "DUMP_LOCK_TIMEOUT", value_name = "TIME", default_value = "10m", value_parser = duration)]
    pub lock_timeout: Duration,
    /// How long pg_dump may write nothing before it is stopped
    #[arg(long, env = "DUMP_STALL_TIMEOUT", value_name = "TIME", default_value = "15m", value_parser = duration)]
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
}

#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// Backup id, or "latest"; asked for on a terminal
    #[arg(value_name = "ID|latest")]
    pub which: Option<Which>,
    /// Database that "latest" and the list are about
    #[arg(long, env = "DB_NAME", value_name = "DB")]
    pub database: Option<String>,
    /// Restore into this database, created when missing [default: the backup's own]
    #[arg(long, value_name = "DB")]
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
    #[arg(long, env = "DB_NAME", value_name = "DB")]
    pub database: Option<String>,
    /// File, folder (with --raw), or - for stdout [default: the id with .sql or .dump]
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
    #[arg(long, env = "DB_NAME", value_name = "DB")]
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
    #[arg(long, env = "DB_NAME", value_name = "DB")]
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
    #[arg(long, value_name = "DB")]
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
    #[arg(value_name = "DB", env = "DB_NAME")]
    pub databases: Vec<String>,
    /// Remove what killed runs left behind, where it is older than --older-than
    #[arg(long)]
    pub clean: bool,
    /// See --clean
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = duration)]
    pub older_than: Duration,
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

/// Which backup is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    Latest,
    Id(BackupId),
}

impl std::str::FromStr for Which {
    type Err = crate::error::Fault;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "latest" { Ok(Which::Latest) } else { text.parse().map(Which::Id) }
    }
}

/// A number with an optional K, M, G or T (powers of 1,024).
fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_lowercase().trim_end_matches('b').trim_end_matches('i') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return Err("a size looks like 64M, 500G or 1T".into()),
    };
    let number: u64 = digits.parse().map_err(|_| "a size looks like 64M, 500G or 1T".to_owned())?;
    number.checked_mul(1 << shift).ok_or_else(|| "too large".into())
}

/// A number of seconds, or with a unit such as 90s, 15m, 24h.
fn duration(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(Duration::from_secs(seconds));
    }
    let signed: jiff::SignedDuration = text.parse().map_err(|_| "a time looks like 90s, 15m or 24h".to_owned())?;
    signed.try_into().map_err(|_| "a time cannot be negative".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn sizes_and_times_have_units() {
        assert_eq!(size("64M"), Ok(64 << 20));
        assert_eq!(size("1TiB"), Ok(1 << 40));
        assert!(size("many").is_err() && size("99999999T").is_err() && size("5X").is_err());
        assert_eq!(duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert!(duration("-1s").is_err() && duration("soon").is_err());
    }
}
