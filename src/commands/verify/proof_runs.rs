//! Restore tests by hand: each is a run, with a record and alerts.

use crate::base::error::Result;
use crate::base::progress::Monitor;
use crate::cli::arguments::VerifyArgs;
use crate::cli::console::Console;
use crate::commands::backup::AlertAudience;
use crate::config;
use crate::jobs::backup::outputs::FurtherOutputs;
use crate::repository::Repository;
use crate::runs::restore_tests::RestoreTests;
use crate::runs::runner::Runner;
use jiff::Timestamp;

/// Lets restore tests be run by hand.
pub(crate) fn with_tests<T>(
    args: &VerifyArgs,
    repository: &Repository,
    console: &Console,
    work: impl FnOnce(RestoreTests<'_>) -> Result<T>,
) -> Result<T> {
    let plan = config::restore_test::proof(&args.scratch, &args.server)?;
    let history = config::state::history(&args.state).inspect_err(|error| console.warn(&format!("{error:#}"))).ok();
    let server = config::server::server(&args.server)?;
    let alerts = AlertAudience::of(args.alert)
        .open(config::alerts::alerts(&args.alerts, &args.state, server.describe()), console);
    let runner =
        Runner { alerts: &alerts, history: history.as_ref(), limit: None, clock: Timestamp::now, monitor: console };
    let further = FurtherOutputs::default();
    let done = work(RestoreTests { runner, repository, further: &further, plan: &plan, server: &server });
    alerts.close(console);
    done
}
