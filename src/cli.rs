//! The command line: names, help and defaults. No logic.

pub(crate) mod anonymise_args;
pub(crate) mod arguments;
pub(crate) mod base_args;
pub(crate) mod capture_args;
pub mod console;
pub(crate) mod omission_args;
pub(crate) mod output_args;
pub(crate) mod pin_args;
pub(crate) mod report_args;
pub mod setting;
pub(crate) mod settings;
pub(crate) mod switch;
pub(crate) mod table;
pub(crate) mod units;
pub mod values;
pub mod variables;
pub(crate) mod whole_number;

use anonymise_args::AnonymiseArgs;
use arguments::{
    BackupArgs, DoctorArgs, DownloadArgs, ListArgs, PruneArgs, RestoreArgs, ScheduleArgs, UploadArgs, VerifyArgs,
};
use capture_args::CaptureArgs;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use pin_args::PinArgs;
use report_args::{HistoryArgs, LogTransactionsArgs, StatusArgs};
use std::sync::LazyLock;

const EXIT_CODES: &str = "\
Exit codes:
  0 done   1 failed   2 usage or settings   3 backup damaged or not authentic   4 not found
  5 busy (another run holds the lock)   130/143 interrupted";

const SECRETS: &str = "\
Secrets come from the environment only:
  DATABASE_URL           postgresql://user:password@host/database, where DB_HOST is not set
  DB_PASSWORD            for the server; VERIFY_DB_PASSWORD for that of VERIFY_DB_HOST
  S3_ACCESS_KEY_ID, S3_SECRET_ACCESS_KEY, S3_SESSION_TOKEN
                         for the store; the AWS chain (profile, role, ...) when unset
  DB_BACKUP_ENCRYPT_KEY  64 hexadecimal digits (openssl rand -hex 32)
  DB_BACKUP_ENCRYPT_IV   one IV for all backups; best left unset, for a fresh one each time
  ENC_PASSWORD           a password in place of the key
  ANON_ENCRYPT_KEY, ANON_ENCRYPT_IV, ANON_ENC_PASSWORD
                         the same for anonymised backups; those above when unset
  ANONYMISE_SECRET       what the values of an anonymised database are made by
  WEBHOOK_URL, WEBHOOK_TEMPLATE, PING_URL, SMTP_PASSWORD
                         for alerts

Every variable on this page also works as NAME_FILE, which names a file with the value, and as a
Docker secret under /run/secrets by its lower-case name. A flag wins over its variable. PGPASSWORD,
PGPASSFILE, PGSERVICE, PGSSLMODE and the other libpq variables work as they do for psql.";

/// Returns everything that pgbk understands, with the parts that every help page has.
pub fn command() -> &'static clap::Command {
    // Some thousand arguments, of which each start of pgbk wants to know several times.
    static COMMAND: LazyLock<clap::Command> = LazyLock::new(|| complete(Cli::command()));
    &COMMAND
}

/// Puts the exit codes below the examples. Values from the environment stay out: some are nobody else's business.
fn complete(command: clap::Command) -> clap::Command {
    let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let brief = format!("Examples:\n{examples}\n\n{EXIT_CODES}");
    let reads_variables = command.get_arguments().any(|argument| argument.get_env().is_some());
    let full =
        if reads_variables { format!("Examples:\n{examples}\n\n{SECRETS}\n\n{EXIT_CODES}") } else { brief.clone() };
    command
        .after_help(brief)
        .after_long_help(full)
        .mut_args(|argument| argument.hide_env_values(true))
        .mut_subcommands(complete)
}

/// Backs up PostgreSQL to S3 or a directory, restores it, and proves that it can
#[derive(Debug, Parser)]
#[command(
    name = "pgbk",
    version,
    max_term_width = 110,
    after_help = "  \
  STORE_DIR=./backups pgbk backup shop
  pgbk list
  pgbk restore latest --to shop_copy
  pgbk verify --all --level content"
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub log: LogArgs,
}

#[derive(Debug, Clone, Default, Args)]
pub struct LogArgs {
    /// How log lines look
    #[arg(
        long,
        global = true,
        env = "LOG_FORMAT",
        value_name = "FORMAT",
        value_enum,
        default_value = "text",
        help_heading = "Output"
    )]
    pub log_format: LogFormat,
    /// Which log lines are shown
    #[arg(
        long,
        global = true,
        env = "LOG_LEVEL",
        value_name = "LEVEL",
        value_enum,
        default_value = "info",
        help_heading = "Output"
    )]
    pub log_level: LogLevel,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum LogLevel {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Dump databases into the store
    #[command(after_help = "  \
  pgbk backup
  pgbk backup shop crm --compress zstd
  docker exec backups pgbk backup")]
    Backup(Box<BackupArgs>),
    /// Restore a backup into a database
    #[command(after_help = "  \
  pgbk restore
  pgbk restore latest --to shop_copy --yes
  pgbk restore shop-20260822T031500Z --clean")]
    Restore(Box<RestoreArgs>),
    /// Write a backup's dump to a file, ready for an editor
    #[command(after_help = "  \
  pgbk download latest -o shop.sql
  pgbk download latest -o - | less
  pgbk download latest --variant anonymised -o init.sql
  pgbk download shop-20260822T031500Z --raw -o ./copy/")]
    Download(DownloadArgs),
    /// Make a backup of an existing dump
    #[command(after_help = "  \
  pgbk upload shop.sql --database shop
  pg_dump shop | pgbk upload - --database shop
  pgbk upload --raw copy/shop-20260822T031500Z.meta")]
    Upload(UploadArgs),
    /// Prove that stored backups are whole
    #[command(after_help = "  \
  pgbk verify latest
  pgbk verify latest --level restore
  pgbk verify --all --level stored --json")]
    Verify(Box<VerifyArgs>),
    /// Show what is stored
    #[command(after_help = "  \
  pgbk list
  pgbk list --database shop --json
  pgbk list shop-20260822T031500Z")]
    List(ListArgs),
    /// Show the transactions in the stored changes of a database
    #[command(after_help = "  \
  pgbk log --table orders --since 2026-08-22T03:00:00Z
  pgbk log --until 2026-08-22T03:15:00Z --limit 20 --json")]
    Log(Box<LogTransactionsArgs>),
    /// Keep a backup whatever the rules of retention say
    #[command(after_help = "  pgbk pin shop-20260822T031500Z")]
    Pin(PinArgs),
    /// Let the rules of retention count for a backup again
    #[command(after_help = "  pgbk unpin shop-20260822T031500Z")]
    Unpin(PinArgs),
    /// Back up whenever it is due, until told to stop
    #[command(after_help = "  \
  CRON_SCHEDULE='0 3 * * *' TZ=Europe/Berlin pgbk schedule
  CRON_SCHEDULE='@hourly = shop; 0 3 * * * = *' pgbk schedule
  pgbk schedule --next 5")]
    Schedule(Box<ScheduleArgs>),
    /// Show what ran: done, failed, running
    #[command(after_help = "  \
  pgbk history
  pgbk history --failed --json
  pgbk history 20261121T064500Z-1a2b3c4d")]
    History(HistoryArgs),
    /// Show whether backups go as they are scheduled: exit code 0 if so, else 1
    #[command(after_help = "  \
  pgbk status
  pgbk status --max-age 26h shop
  pgbk status --json
  docker exec backups pgbk status")]
    Status(StatusArgs),
    /// Store the changes of a database as they are made, until told to stop
    #[command(after_help = "  \
  pgbk capture shop
  pgbk capture shop --print-sql
  CAPTURE_INTERVAL=5s pgbk capture shop --compress zstd
  pgbk capture shop --status")]
    Capture(Box<CaptureArgs>),
    /// Remove the backups that no rule keeps
    #[command(after_help = "  \
  pgbk prune --keep-daily 7 --keep-weekly 4 --dry-run
  KEEP_WITHIN=30d pgbk prune shop
  pgbk prune shop --keep-last 3 --force")]
    Prune(PruneArgs),
    /// Check settings, server, tools and store, with a remedy for each finding
    #[command(after_help = "  \
  pgbk doctor
  pgbk doctor --test-alerts
  pgbk doctor --clean")]
    Doctor(Box<DoctorArgs>),
    /// Show what the rules of anonymising say for each column of a database
    #[command(after_help = "  \
  pgbk anonymise --check shop --rules rules.toml
  pgbk anonymise --check shop --json")]
    Anonymise(AnonymiseArgs),
    /// Print the completion script for a shell
    #[command(after_help = "  pgbk completions bash > /etc/bash_completion.d/pgbk")]
    Completions {
        #[arg(value_enum)]
        shell: Shell,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().clone().debug_assert();
    }
}
