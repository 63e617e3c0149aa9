//! Settings of captures.

use crate::base::databases::Databases;
use crate::base::error::{Fault, Result};
use crate::base::subject::Subject;
use crate::cli::base_args::BaseArgs;
use crate::cli::capture_args::{CaptureArgs, CaptureOptionArgs};
use crate::cli::settings::{PipelineArgs, RunArgs, StoreArgs};
use crate::cli::variables;
use crate::config::{self, arguments, environment};
use crate::jobs::capture::base_needs::BaseRules;
use crate::jobs::capture::plan::CaptureOptions;
use crate::postgres::connect::settings::ConnectionSettings;
use anyhow::Context;
use std::time::Duration;

/// How old the newest moment that can be restored may be, where segments do not wait for longer.
const LAG: Duration = Duration::from_secs(300);
/// A limit below this would be passed now and then although all is well.
const LEAST_LAG: Duration = Duration::from_secs(30);

/// Holds what the settings say to `pgbk capture`.
pub struct CaptureSettings {
    pub database: String,
    pub options: CaptureOptions,
    /// When bases are due. `None`: the capture takes none.
    pub rules: Option<BaseRules>,
    /// How bases are taken.
    pub runs: RunArgs,
}

/// Reads all settings of a capture, whatever it is asked for: nothing is done by some of them while others are wrong.
pub fn settings(args: &CaptureArgs) -> Result<CaptureSettings> {
    let server = config::server::server(&args.server)?;
    let database = database(args, &server)?;
    let mut options = options(&args.options, &args.pipeline, server)?;
    options.plan(&database)?;
    options.journal = config::journal::journal(&args.options, &args.store, &args.alerts, &args.state, &options.server)?;
    let rules = base_rules(&args.bases, Some(BASE_EVERY))?;
    let runs = base_runs(args)?;
    if args.bases.is_on {
        config::runs::plan(&runs)?;
        config::runs::extras(&runs)?;
        config::retention::copy_upkeep(&config::retention::upkeep(&runs.upkeep, &runs.zone)?)?;
    }
    Ok(CaptureSettings { database, options, rules: args.bases.is_on.then_some(rules), runs })
}

/// Returns how changes of any database of this server are captured, without a journal.
pub fn options(
    args: &CaptureOptionArgs,
    pipeline: &PipelineArgs,
    server: ConnectionSettings,
) -> Result<CaptureOptions> {
    let lag_limit = args.lag_limit.unwrap_or(LAG.max(args.interval.saturating_mul(2)));
    if lag_limit <= args.interval {
        return Err(Fault::usage("CAPTURE_LAG_LIMIT is not above CAPTURE_INTERVAL: it would be passed all the time")
            .hint("a segment waits for CAPTURE_INTERVAL before it is stored: let the limit be twice that, or more")
            .into());
    }
    if lag_limit < LEAST_LAG {
        return Err(Fault::usage("CAPTURE_LAG_LIMIT is below 30 s: progress is noted every ten seconds").into());
    }
    Ok(CaptureOptions {
        server,
        slot: args.slot.as_deref().map(str::parse).transpose().context("CAPTURE_SLOT")?,
        compression: config::pipeline::compression(pipeline)?,
        interval: args.interval,
        bytes: args.bytes,
        wal_limit: args.wal_limit,
        journal: None,
        lag_limit,
    })
}

/// Returns the database that is captured. It is an error if not one is named.
fn database(args: &CaptureArgs, server: &ConnectionSettings) -> Result<String> {
    let named = Databases::of(&args.databases)?;
    let found = match (&named, server.named_database()) {
        (Some(databases), _) => databases.only().cloned(),
        (None, Some(name)) => Some(Subject::from(name)),
        (None, None) => None,
    };
    Ok(found.as_ref().and_then(Subject::database).ok_or_else(unnamed)?.name().to_owned())
}

/// How old the newest base of a capture without a schedule may become where nothing is said.
const BASE_EVERY: Duration = Duration::from_secs(86_400);

/// Returns when bases are due. `every` holds where no age is set. It is an error if two names of one setting have different values.
pub fn base_rules(args: &BaseArgs, every: Option<Duration>) -> Result<BaseRules> {
    let every = match (args.every, args.max_duration_since_last_full_backup) {
        (Some(one), Some(other)) if one != other => {
            let message = "CAPTURE_BASE_EVERY and MAX_DURATION_SINCE_LAST_FULL_BACKUP are one setting, with two values";
            return Err(Fault::usage(message).hint("unset one of them").into());
        }
        (one, other) => one.or(other).or(every),
    };
    Ok(BaseRules { every, bytes: args.bytes, changes: args.changes })
}

/// Returns how the bases of a capture are taken: as the variables say it to `pgbk backup`, with what this command was told itself.
fn base_runs(args: &CaptureArgs) -> Result<RunArgs> {
    let of_variables = variables::prefixed::<RunArgs>("", &environment::raw).map_err(arguments::told)?;
    Ok(RunArgs {
        databases: args.databases.clone(),
        pipeline: args.pipeline.clone(),
        server: args.server.clone(),
        store: args.store.clone(),
        keys: args.keys.clone(),
        state: args.state.clone(),
        ..of_variables
    })
}

fn unnamed() -> Fault {
    Fault::usage("a capture is of one database, and not one is named")
        .hint("say pgbk capture DB, or set DB_NAME to one database")
}

/// Refuses a store in which each backup takes the place of the one before.
pub fn require_names(store: &StoreArgs) -> Result<()> {
    match store.s3_object_name {
        Some(_) => Err(Fault::usage("changes are stored under many names, and S3_OBJECT_NAME gives one")
            .hint("unset S3_OBJECT_NAME, or capture into another folder of the bucket")
            .into()),
        None => Ok(()),
    }
}
