//! The flags that several commands share: where the server and the store are, keys, and the pipeline.

use super::value::{limit, size};
use clap::builder::{BoolishValueParser, NonEmptyStringValueParser};
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Server")]
pub struct ServerArgs {
    /// Host name, address or socket directory
    #[arg(long, env = "DB_HOST", value_name = "HOST")]
    pub host: Option<String>,
    #[arg(long, env = "DB_PORT", value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..), help = "Port; 5432 when unset")]
    pub port: Option<u16>,
    /// User name
    #[arg(long, env = "DB_USER", value_name = "USER")]
    pub user: Option<String>,
    /// Look for pg_dump and pg_restore here only
    #[arg(long, hide_short_help = true, env = "PG_BIN_DIR", value_name = "DIR")]
    pub pg_bin_dir: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Store")]
pub struct StoreArgs {
    /// Keep backups in this directory, unless an S3 bucket is set
    #[arg(long, env = "STORE_DIR", value_name = "DIR")]
    pub store_dir: Option<PathBuf>,
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
    /// Certificates (PEM) to trust beside the system's
    #[arg(long, hide_short_help = true, env = "S3_CA_FILE", value_name = "FILE")]
    pub s3_ca_file: Option<PathBuf>,
    /// Headers for the requests that create objects: key:value pairs split at a backslash
    #[arg(long, hide_short_help = true, env = "S3_REQUEST_HEADERS", value_name = "HEADERS")]
    pub s3_request_headers: Option<String>,
    /// Send Content-MD5 even where DB_BACKUP_VERIFY is 0
    #[arg(long, hide_short_help = true, env = "S3_MD5_REQUIRED", value_name = "0|1", value_parser = BoolishValueParser::new(), hide_possible_values = true, action = clap::ArgAction::Set, default_value = "0")]
    pub s3_md5_required: bool,
    /// Size of a part; computed from the size of the dump when unset
    #[arg(long, hide_short_help = true, env = "S3_PART_SIZE", value_name = "SIZE", value_parser = size)]
    pub s3_part_size: Option<u64>,
    /// Parts being sent at the same time
    #[arg(long, hide_short_help = true, env = "S3_PARTS_IN_FLIGHT", value_name = "N", default_value = "4", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub s3_parts_in_flight: u16,
    /// The most parts that the host allows in one upload
    #[arg(long, hide_short_help = true, env = "S3_PART_LIMIT", value_name = "N", default_value = "10000", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub s3_part_limit: u32,
    /// Limit of one request with all its retries
    #[arg(long, hide_short_help = true, env = "S3_TIMEOUT", value_name = "TIME", default_value = "5m", value_parser = limit)]
    pub s3_timeout: Duration,
    /// How often a request is tried
    #[arg(long, hide_short_help = true, env = "S3_ATTEMPTS", value_name = "N", default_value = "5", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub s3_attempts: u32,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Keys")]
pub struct KeyArgs {
    /// Keys decrypt and seal, but new backups are not encrypted
    #[arg(long, env = "NO_ENCRYPT", value_name = "0|1", value_parser = BoolishValueParser::new(), hide_possible_values = true, action = clap::ArgAction::Set, default_value = "0", num_args = 0..=1, default_missing_value = "1", require_equals = true)]
    pub no_encrypt: bool,
    /// Accept backups that no key has sealed although a key is set
    #[arg(long)]
    pub allow_unauthenticated: bool,
    /// Read back what was stored, and verify before a restore
    #[arg(long = "check", env = "DB_BACKUP_VERIFY", value_name = "0|1", value_parser = BoolishValueParser::new(), hide_possible_values = true, action = clap::ArgAction::Set, default_value = "1")]
    pub check: bool,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Pipeline")]
pub struct PipelineArgs {
    /// Compression: 0 (none), 1 (xz), xz, zstd or gzip
    #[arg(long, env = "DB_BACKUP_COMPRESS", value_name = "METHOD", default_value = "0")]
    pub compress: String,
    /// Compression level; when unset xz 4, zstd 3, gzip 6
    #[arg(long, env = "DB_BACKUP_COMPRESS_LEVEL", value_name = "LEVEL")]
    pub compress_level: Option<u32>,
    /// Size of the dump to plan for, such as 500G, where the server's figure is too small
    #[arg(long, hide_short_help = true, env = "DUMP_SIZE_ESTIMATE", value_name = "SIZE", value_parser = size)]
    pub size_estimate: Option<u64>,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "State")]
pub struct StateArgs {
    /// Remember outages and undelivered alerts in this directory; ~/.local/state/pgbk when unset
    #[arg(long, hide_short_help = true, env = "STATE_DIR", value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Alerts")]
pub struct AlertArgs {
    /// Send mail through this server
    #[arg(long, env = "SMTP_HOST", value_name = "HOST", value_parser = NonEmptyStringValueParser::new())]
    pub smtp_host: Option<String>,
    /// Port of the mail server; when unset 587, for tls 465, for none 25
    #[arg(long, hide_short_help = true, env = "SMTP_PORT", value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub smtp_port: Option<u16>,
    /// How mail is protected on its way to the server; starttls when unset, on port 465 tls
    #[arg(long, hide_short_help = true, env = "SMTP_SECURITY", value_name = "HOW", value_enum)]
    pub smtp_security: Option<MailSecurity>,
    /// Log in to the mail server as this user
    #[arg(long, hide_short_help = true, env = "SMTP_USER", value_name = "USER")]
    pub smtp_user: Option<String>,
    /// Whether mail is sent
    #[arg(long, hide_short_help = true, env = "SMTP_ENABLED", value_name = "0|1", value_parser = BoolishValueParser::new(), hide_possible_values = true, action = clap::ArgAction::Set, default_value = "1")]
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
