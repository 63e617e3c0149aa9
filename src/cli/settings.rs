//! The flags that several commands share: where the server and the store are, keys, and the pipeline.

use crate::cli::output_args::OutputArgs;
use crate::cli::switch::SwitchParser;
use crate::cli::values::{limit, object_size, size, span, wait};
use crate::cli::whole_number::{MOST_KEPT, whole};
use crate::format::manifest::Format;
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};
use jiff::Span;
use std::path::PathBuf;
use std::time::Duration;

/// How databases are backed up, by hand and by schedule.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// Databases to back up, also as a list a,b; "*" is all of them
    #[arg(value_name = "DB", value_parser = NonEmptyStringValueParser::new(), env = "DB_NAME")]
    pub databases: Vec<String>,
    /// The format that pg_dump writes
    #[arg(long, env = "DUMP_FORMAT", value_enum, default_value = "plain")]
    pub format: Format,
    #[command(flatten)]
    pub extras: ExtrasArgs,
    /// More arguments for pg_dump, split as a shell would
    #[arg(long, env = "PG_DUMP_USER_ARGS", value_name = "ARGS", allow_hyphen_values = true)]
    pub pg_dump_args: Option<String>,
    /// How many connections read tables at a time; 2 when unset, or 1 on one core, and 1 for a database below 64 MiB
    #[arg(long, env = "DUMP_JOBS", value_name = "N", value_parser = whole::<u32>(1..=64))]
    pub jobs: Option<u32>,
    /// How long pg_dump may wait for a locked table; 0 waits for ever
    #[arg(long, hide_short_help = true, env = "DUMP_LOCK_TIMEOUT", value_name = "TIME", default_value = "10m", value_parser = wait)]
    pub lock_timeout: Duration,
    /// How long pg_dump may write nothing before it is stopped
    #[arg(long, hide_short_help = true, env = "DUMP_STALL_TIMEOUT", value_name = "TIME", default_value = "15m", value_parser = limit)]
    pub stall_timeout: Duration,
    /// How long the backup of one database may take before it is stopped; no limit when unset
    #[arg(long, hide_short_help = true, env = "RUN_TIMEOUT", value_name = "TIME", value_parser = limit)]
    pub run_timeout: Option<Duration>,
    #[command(flatten)]
    pub zone: ZoneArgs,
    #[command(flatten)]
    pub pipeline: PipelineArgs,
    #[command(flatten)]
    pub server: ServerArgs,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub keys: KeyArgs,
    #[command(flatten)]
    pub outputs: OutputArgs,
    #[command(flatten)]
    pub upkeep: UpkeepArgs,
    #[command(flatten)]
    pub state: StateArgs,
    #[command(flatten)]
    pub alerts: AlertArgs,
}

/// Settings of what is backed up besides databases.
#[derive(Debug, Clone, Args)]
pub struct ExtrasArgs {
    /// Back up roles and tablespaces too, once in each run (pg_dumpall --globals-only)
    #[arg(long, env = "BACKUP_GLOBALS", value_name = "0|1", value_parser = SwitchParser, hide_possible_values = true, action = clap::ArgAction::Set, default_value = "0", num_args = 0..=1, default_missing_value = "1", require_equals = true)]
    pub globals: bool,
    /// Back up these files and folders too, once in each run, with colons between them
    #[arg(long, env = "BACKUP_FILES", value_name = "PATHS")]
    pub files: Option<String>,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "State")]
pub struct StateArgs {
    /// Where pgbk remembers runs, the newest 1000, and keys derived from a password; when unset /var/lib/pgbk if it can be written to, else ~/.local/state/pgbk
    #[arg(long, env = "STATE_DIR", value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Server")]
pub struct ServerArgs {
    /// Host name, address or socket directory
    #[arg(long, env = "DB_HOST", value_name = "HOST")]
    pub host: Option<String>,
    #[arg(long, env = "DB_PORT", value_name = "PORT", value_parser = whole::<u16>(1..=65_535), help = "Port; 5432 when unset")]
    pub port: Option<u16>,
    /// User name
    #[arg(long, env = "DB_USER", value_name = "USER")]
    pub user: Option<String>,
    /// Look for pg_dump and pg_restore here only
    #[arg(long, hide_short_help = true, env = "PG_BIN_DIR", value_name = "DIR")]
    pub pg_bin_dir: Option<PathBuf>,
}

/// Where a backup is restored to prove it.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Scratch database")]
pub struct ScratchArgs {
    /// Where --level restore makes its scratch database: on the server (another one with --scratch-host), or on one that pgbk starts itself
    #[arg(long, env = "VERIFY_SCRATCH", value_name = "WHERE", value_enum, default_value = "server")]
    pub scratch: ScratchPlace,
    /// Host of another server for it; its password is in VERIFY_DB_PASSWORD
    #[arg(long, env = "VERIFY_DB_HOST", value_name = "HOST", value_parser = NonEmptyStringValueParser::new())]
    pub scratch_host: Option<String>,
    /// Port of that server; 5432 when unset
    #[arg(long, hide_short_help = true, env = "VERIFY_DB_PORT", value_name = "PORT", value_parser = whole::<u16>(1..=65_535), requires = "scratch_host")]
    pub scratch_port: Option<u16>,
    /// User name on that server; when unset as on the server that is backed up
    #[arg(long, hide_short_help = true, env = "VERIFY_DB_USER", value_name = "USER", requires = "scratch_host")]
    pub scratch_user: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ScratchPlace {
    /// On the server that is backed up, or that of --scratch-host
    Server,
    /// On a server of its own, in a private temporary folder (TMPDIR): needs PostgreSQL's server programs
    Cluster,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Store")]
pub struct StoreArgs {
    /// Keep backups in this directory, unless an S3 bucket is set
    #[arg(long, env = "STORE_DIR", value_name = "DIR")]
    pub store_dir: Option<PathBuf>,
    /// Largest object that the store takes, 8M or more: a larger payload becomes several objects. When unset 5T on S3, and no limit in a directory
    #[arg(long, hide_short_help = true, env = "MAX_OBJECT_SIZE", value_name = "SIZE", value_parser = object_size)]
    pub max_object_size: Option<u64>,
    /// Host of the S3 service (https), or its URL; AWS when unset
    #[arg(long, env = "S3_HOST_BASE", value_name = "HOST|URL")]
    pub s3_host_base: Option<String>,
    /// Region of the bucket
    #[arg(long, env = "S3_REGION", value_name = "REGION")]
    pub s3_region: Option<String>,
    /// Keep backups in this S3 bucket
    #[arg(long, env = "S3_BUCKET", value_name = "BUCKET")]
    pub s3_bucket: Option<String>,
    /// Folder in the bucket
    #[arg(long, env = "S3_FOLDER", value_name = "FOLDER")]
    pub s3_folder: Option<String>,
    /// Keep every backup as a new version of objects of this name, in a bucket that keeps versions
    #[arg(long, hide_short_help = true, env = "S3_OBJECT_NAME", value_name = "NAME")]
    pub s3_object_name: Option<String>,
    /// Where the bucket stands in addresses: in the path, or before the host's name; found out when unset
    #[arg(long, hide_short_help = true, env = "S3_ADDRESSING", value_name = "HOW", value_parser = ["path", "virtual"], ignore_case = true)]
    pub s3_addressing: Option<String>,
    /// Certificates (PEM) to trust beside the system's
    #[arg(long, hide_short_help = true, env = "S3_CA_FILE", value_name = "FILE")]
    pub s3_ca_file: Option<PathBuf>,
    /// Headers for the requests that create objects: key:value pairs split at a backslash
    #[arg(long, hide_short_help = true, env = "S3_REQUEST_HEADERS", value_name = "HEADERS")]
    pub s3_request_headers: Option<String>,
    /// Storage class of the payloads, such as STANDARD_IA; a .meta stays in the bucket's usual one
    #[arg(long, hide_short_help = true, env = "S3_STORAGE_CLASS", value_name = "CLASS")]
    pub s3_storage_class: Option<String>,
    /// Ask the host to encrypt what it stores
    #[arg(long, hide_short_help = true, env = "S3_SSE", value_name = "HOW", value_parser = ["AES256", "aws:kms"])]
    pub s3_sse: Option<String>,
    /// The key for aws:kms; when unset the bucket's
    #[arg(long, hide_short_help = true, env = "S3_SSE_KMS_KEY_ID", value_name = "ID")]
    pub s3_sse_kms_key_id: Option<String>,
    /// Lock every backup against deletion (Object Lock)
    #[arg(long, hide_short_help = true, env = "S3_OBJECT_LOCK_MODE", value_name = "MODE", value_parser = ["GOVERNANCE", "COMPLIANCE"], ignore_case = true)]
    pub s3_object_lock_mode: Option<String>,
    /// For so many days
    #[arg(long, hide_short_help = true, env = "S3_OBJECT_LOCK_DAYS", value_name = "DAYS", value_parser = whole::<u32>(1..=36_500))]
    pub s3_object_lock_days: Option<u32>,
    /// Send Content-MD5 even where DB_BACKUP_VERIFY is 0
    #[arg(long, hide_short_help = true, env = "S3_MD5_REQUIRED", value_name = "0|1", value_parser = SwitchParser, hide_possible_values = true, action = clap::ArgAction::Set, default_value = "0")]
    pub s3_md5_required: bool,
    /// Size of a part; computed from the size of the dump when unset
    #[arg(long, hide_short_help = true, env = "S3_PART_SIZE", value_name = "SIZE", value_parser = size)]
    pub s3_part_size: Option<u64>,
    /// Parts being sent at the same time
    #[arg(long, hide_short_help = true, env = "S3_PARTS_IN_FLIGHT", value_name = "N", default_value = "4", value_parser = whole::<u16>(1..=64))]
    pub s3_parts_in_flight: u16,
    /// The most parts that the host allows in one upload
    #[arg(long, hide_short_help = true, env = "S3_PART_LIMIT", value_name = "N", default_value = "10000", value_parser = whole::<u32>(1..=10_000))]
    pub s3_part_limit: u32,
    /// Limit of one request with all its retries
    #[arg(long, hide_short_help = true, env = "S3_TIMEOUT", value_name = "TIME", default_value = "5m", value_parser = limit)]
    pub s3_timeout: Duration,
    /// How often a request is tried
    #[arg(long, hide_short_help = true, env = "S3_ATTEMPTS", value_name = "N", default_value = "5", value_parser = whole::<u32>(1..=100))]
    pub s3_attempts: u32,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Keys")]
pub struct KeyArgs {
    /// Keys decrypt and seal, but new backups are not encrypted
    #[arg(long, env = "NO_ENCRYPT", value_name = "0|1", value_parser = SwitchParser, hide_possible_values = true, action = clap::ArgAction::Set, default_value = "0", num_args = 0..=1, default_missing_value = "1", require_equals = true)]
    pub no_encrypt: bool,
    /// Accept backups that no key has sealed although a key is set
    #[arg(long)]
    pub allow_unauthenticated: bool,
    /// Check what was stored; a restore always checks
    #[arg(long = "check", env = "DB_BACKUP_VERIFY", value_name = "0|1", value_parser = SwitchParser, hide_possible_values = true, action = clap::ArgAction::Set, default_value = "1")]
    pub check: bool,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Retention")]
pub struct RetentionArgs {
    /// Keep the newest N backups
    #[arg(long, env = "KEEP_LAST", value_name = "N", value_parser = whole::<u32>(0..=MOST_KEPT))]
    pub keep_last: Option<u32>,
    /// Another name for KEEP_LAST, which wins
    #[arg(long, hide_short_help = true, env = "MAX_FULL_BACKUPS", value_name = "N", value_parser = whole::<u32>(0..=MOST_KEPT))]
    pub max_full_backups: Option<u32>,
    /// Keep the newest backup of each of the last N hours that have one
    #[arg(long, env = "KEEP_HOURLY", value_name = "N", value_parser = whole::<u32>(0..=MOST_KEPT))]
    pub keep_hourly: Option<u32>,
    /// Keep the newest of each of N days
    #[arg(long, env = "KEEP_DAILY", value_name = "N", value_parser = whole::<u32>(0..=MOST_KEPT))]
    pub keep_daily: Option<u32>,
    /// Keep the newest of each of N ISO weeks
    #[arg(long, env = "KEEP_WEEKLY", value_name = "N", value_parser = whole::<u32>(0..=MOST_KEPT))]
    pub keep_weekly: Option<u32>,
    /// Keep the newest of each of N months
    #[arg(long, env = "KEEP_MONTHLY", value_name = "N", value_parser = whole::<u32>(0..=MOST_KEPT))]
    pub keep_monthly: Option<u32>,
    /// Keep the newest of each of N years
    #[arg(long, env = "KEEP_YEARLY", value_name = "N", value_parser = whole::<u32>(0..=MOST_KEPT))]
    pub keep_yearly: Option<u32>,
    /// Keep what is not older than that, counted from the newest backup, such as 12h, 7d, 3mo
    #[arg(long, env = "KEEP_WITHIN", value_name = "TIME", value_parser = span)]
    pub keep_within: Option<Span>,
    /// Keep the bases by which every moment of so much time can be restored from captured changes, counted from the newest base, such as 7d
    #[arg(long, env = "KEEP_CAPTURE", value_name = "TIME", value_parser = span)]
    pub keep_capture: Option<Span>,
    /// Keep N in any case, where the rules above keep fewer
    #[arg(long, env = "KEEP_MINIMUM", value_name = "N", value_parser = whole::<u32>(0..=MOST_KEPT))]
    pub keep_minimum: Option<u32>,
}

impl RetentionArgs {
    /// Whether anything of it is set.
    pub fn any(&self) -> bool {
        let counts = [
            self.keep_last,
            self.max_full_backups,
            self.keep_hourly,
            self.keep_daily,
            self.keep_weekly,
            self.keep_monthly,
            self.keep_yearly,
            self.keep_minimum,
        ];
        self.keep_within.is_some() || self.keep_capture.is_some() || counts.iter().any(Option::is_some)
    }
}

/// Settings of what follows a backup.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Retention")]
pub struct UpkeepArgs {
    #[command(flatten)]
    pub retention: RetentionArgs,
    /// Tag the newest backups lifecycle=monthly, weekly or hourly, for the host's own rules
    #[arg(long, env = "AUTO_LIFECYCLE_POLICY_TAGS", value_name = "0|1", value_parser = SwitchParser, hide_possible_values = true, action = clap::ArgAction::Set, default_value = "0", num_args = 0..=1, default_missing_value = "1", require_equals = true)]
    pub lifecycle_tags: bool,
}

#[derive(Debug, Clone, Args)]
pub struct ZoneArgs {
    /// Time zone of schedules, hours, days, weeks and months; UTC when unset
    #[arg(long, env = "TZ", value_name = "ZONE")]
    pub time_zone: Option<String>,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Pipeline")]
pub struct PipelineArgs {
    /// Compression: 0 (none), 1 (xz), xz, zstd or gzip
    #[arg(long, env = "DB_BACKUP_COMPRESS", value_name = "METHOD", default_value = "0")]
    pub compress: String,
    /// Compression level; when unset xz 4, zstd 3, gzip 6
    #[arg(long, env = "DB_BACKUP_COMPRESS_LEVEL", value_name = "LEVEL", value_parser = whole::<u32>(0..=19))]
    pub compress_level: Option<u32>,
    /// Size of the dump to plan for, such as 500G, where the server's figure is too small
    #[arg(long, hide_short_help = true, env = "DUMP_SIZE_ESTIMATE", value_name = "SIZE", value_parser = size)]
    pub size_estimate: Option<u64>,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Alerts")]
pub struct AlertArgs {
    /// Send mail through this server
    #[arg(long, env = "SMTP_HOST", value_name = "HOST", value_parser = NonEmptyStringValueParser::new())]
    pub smtp_host: Option<String>,
    /// Port of the mail server; when unset 587, for tls 465, for none 25
    #[arg(long, hide_short_help = true, env = "SMTP_PORT", value_name = "PORT", value_parser = whole::<u16>(1..=65_535))]
    pub smtp_port: Option<u16>,
    /// How mail is protected on its way to the server; starttls when unset, on port 465 tls
    #[arg(long, hide_short_help = true, env = "SMTP_SECURITY", value_name = "HOW", value_enum)]
    pub smtp_security: Option<MailSecurity>,
    /// Log in to the mail server as this user
    #[arg(long, hide_short_help = true, env = "SMTP_USER", value_name = "USER")]
    pub smtp_user: Option<String>,
    /// Whether mail is sent
    #[arg(long, hide_short_help = true, env = "SMTP_ENABLED", value_name = "0|1", value_parser = SwitchParser, hide_possible_values = true, action = clap::ArgAction::Set, default_value = "1")]
    pub smtp_enabled: bool,
    /// Recipients of mail, with commas between them
    #[arg(long, env = "MAIL_TO", value_name = "ADDRESSES")]
    pub mail_to: Option<String>,
    /// Sender of mail; SMTP_USER when unset and an address
    #[arg(long, hide_short_help = true, env = "MAIL_FROM", value_name = "ADDRESS")]
    pub mail_from: Option<String>,
    /// Put this before every subject
    #[arg(long, hide_short_help = true, env = "MAIL_SUBJECT_PREFIX", value_name = "TEXT")]
    pub mail_subject_prefix: Option<String>,
    /// Certificates (PEM) to trust beside the system's, for mail and webhooks
    #[arg(long, hide_short_help = true, env = "ALERT_CA_FILE", value_name = "FILE")]
    pub alert_ca_file: Option<PathBuf>,
    /// How long the end of a run waits for alerts to be delivered
    #[arg(long, hide_short_help = true, env = "ALERT_TIMEOUT", value_name = "TIME", default_value = "30s", value_parser = limit)]
    pub alert_timeout: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MailSecurity {
    Starttls,
    Tls,
    None,
}
